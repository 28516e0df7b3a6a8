"""Small JSON files that users write, such as foldings and precisions: read as data, refused with the form that is wanted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError

BYTES_MAX = 1 << 20


def read_json_object(path: Path, kind: str, form: str) -> dict[str, Any]:
    """Raises EdgekitError, with `kind` ("a folding file") and `form` in its message: unreadable, too large, or no JSON object."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise EdgekitError(f"'{path}' has more than {BYTES_MAX:,} bytes; {kind} is JSON of the form {form}")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise EdgekitError(f"cannot read '{path}': {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise EdgekitError(f"'{path}' is not JSON ({error}); {kind} has the form {form}") from error
    if not isinstance(found, dict):
        raise EdgekitError(f"'{path}' is no JSON object; {kind} has the form {form}")
    return found
