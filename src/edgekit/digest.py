"""SHA-256 in hex, which is how edgekit names contents: in manifests, caches and checkpoints."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

CHUNK_BYTES = 1 << 20


def digest_of(content: bytes) -> str:
    """SHA-256, in hex, of these bytes."""
    return hashlib.sha256(content).hexdigest()


def digest_of_parts(parts: Iterable[bytes]) -> str:
    """SHA-256, in hex, of the parts one after the other, as if they were one; only one needs to be in memory at a time."""
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def digest_of_file(path: Path) -> str:
    """SHA-256, in hex, of a file of any length. Raises OSError where it cannot be read."""
    with path.open("rb") as file:
        return digest_of_parts(iter(lambda: file.read(CHUNK_BYTES), b""))
