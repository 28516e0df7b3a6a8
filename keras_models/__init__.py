"""Networks as Keras models: architecture tables, the layer vocabularies that build them, weights, training and quantization.

Importing this package imports no TensorFlow; the functions that need it import it when they are called.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from edgekit.keras_models.weights.load import ImportedWeights, import_weights
from edgekit.keras_models.zoo.build import build_model
from edgekit.keras_models.zoo.count_layers import Counts
from edgekit.keras_models.zoo.networks import NETWORKS, Network, count, find_network

if TYPE_CHECKING:
    from edgekit.keras_models.layers.bn_form import exact_form
    from edgekit.keras_models.layers.bn_layers import set_norm_mix
    from edgekit.keras_models.qfx.quantize import build_qkeras_model

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
    "find_network",
    "set_norm_mix",
]

_HOMES = {
    "build_qkeras_model": "edgekit.keras_models.qfx.quantize",
    "exact_form": "edgekit.keras_models.layers.bn_form",
    "set_norm_mix": "edgekit.keras_models.layers.bn_layers",
}
"""Functions whose modules need TensorFlow."""


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
