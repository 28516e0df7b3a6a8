"""Where edgekit keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """EDGEKIT_CACHE, or `edgekit` in the user's cache folder. It may not exist yet."""
    chosen = os.environ.get("EDGEKIT_CACHE")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "edgekit"
