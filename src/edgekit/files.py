"""Files from outside, read whole and within bounds: what is larger than such a file can be is refused, never cut short."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError

MODEL_BYTES_MAX = (2 << 30) - 1
"""A flatbuffer, and a protobuf, ends here."""
JSON_BYTES_MAX = 1 << 20
"""Small JSON files that users write, such as foldings and precisions, are far below."""


def read_bounded(path: Path, most: int) -> bytes:
    """The content of a file of at most `most` bytes. Raises EdgekitError for a larger one, unread, and one that cannot be read."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1) if os.fstat(file.fileno()).st_size <= most else None
    except OSError as error:
        raise EdgekitError(f"cannot read '{path}': {error.strerror}") from error
    if content is None or len(content) > most:
        raise EdgekitError(f"'{path}' is larger than {most:,} bytes")
    return content


def read_json_object(path: Path, kind: str, form: str) -> dict[str, Any]:
    """A JSON file that a user wrote, read as data.

    Raises EdgekitError, with `kind` ("a folding file") and `form` in its message where the content is wrong: unreadable, larger than
    JSON_BYTES_MAX, or no JSON object.
    """
    content = read_bounded(path, JSON_BYTES_MAX)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EdgekitError(f"'{path}' is not JSON ({error}); {kind} has the form {form}") from error
    if not isinstance(found, dict):
        raise EdgekitError(f"'{path}' is no JSON object; {kind} has the form {form}")
    return found
