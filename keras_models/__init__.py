"""Networks as Keras models: architecture tables, the layer vocabularies that build them, weights, training and quantization.

Importing this package imports no TensorFlow; the functions that need it import it when they are called.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgekit.keras_models.build import build_model
from edgekit.keras_models.count_layers import Counts
from edgekit.keras_models.networks import NETWORKS, Network, count, network_of
from edgekit.keras_models.weights import ImportedWeights, import_weights

if TYPE_CHECKING:
    from edgekit.keras_models.exact_layers import set_norm_mix
    from edgekit.keras_models.forms import exact_form
    from edgekit.keras_models.quantize import build_qkeras_model

__all__ = [
    "NETWORKS",
    "Counts",
    "ImportedWeights",
    "Network",
    "build_model",
    "build_qkeras_model",
    "count",
    "exact_form",
    "import_weights",
    "network_of",
    "set_norm_mix",
]

_HOMES = {
    "build_qkeras_model": "edgekit.keras_models.quantize",
    "exact_form": "edgekit.keras_models.forms",
    "set_norm_mix": "edgekit.keras_models.exact_layers",
}
"""Functions whose modules need TensorFlow."""


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
