"""Names of classes: a text file with a line for each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.files import read_bounded

LABELS_BYTES_MAX = 16 << 20


def read_labels(path: Path) -> list[str]:
    """The lines of a text file. Raises EdgekitError where it cannot be read."""
    try:
        return read_bounded(path, LABELS_BYTES_MAX).decode().splitlines()
    except (EdgekitError, UnicodeDecodeError) as error:
        raise EdgekitError(f"cannot read the labels in '{path}': {error}") from error


def are_numbers(labels: Sequence[str]) -> bool:
    """No labels at all, or the numbers that a bundle has where nobody named its classes."""
    return all(label == str(i) for i, label in enumerate(labels))
