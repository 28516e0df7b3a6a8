"""edgekit: mobile vision networks from Keras to TFLite and HLS, equal to the last bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.faces import lazy
from edgekit.version import __version__

if TYPE_CHECKING:
    from edgekit.jobs import ModelRequest, export_model, train_model, write_hls_project
    from edgekit.keras_models import build_model
else:
    __getattr__ = lazy(
        __name__,
        {
            "jobs": ("ModelRequest", "export_model", "train_model", "write_hls_project"),
            "keras_models": ("build_model",),
        },
    )

__all__ = [
    "ModelRequest",
    "__version__",
    "build_model",
    "export_model",
    "train_model",
    "write_hls_project",
]
