"""edgekit: mobile vision networks from Keras to TFLite and HLS, equal to the last bit."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgekit.version import __version__

if TYPE_CHECKING:
    from edgekit.jobs import ModelRequest, export_model, train_model, write_hls_project
    from edgekit.keras_models import build_model

__all__ = ["ModelRequest", "__version__", "build_model", "export_model", "train_model", "write_hls_project"]

_HOMES = {
    "ModelRequest": "edgekit.jobs",
    "build_model": "edgekit.keras_models",
    "export_model": "edgekit.jobs",
    "train_model": "edgekit.jobs",
    "write_hls_project": "edgekit.jobs",
}


def __getattr__(name: str) -> Any:
    """Imports what is asked for on first use, so that `import edgekit` stays fast."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'edgekit' has no attribute '{name}'")
