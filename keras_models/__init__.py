"""Networks as Keras models: architecture tables, the layer vocabularies that build them, weights, training and quantization.

Importing this package imports no TensorFlow; the names whose modules need it import it when they are asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.faces import lazy

if TYPE_CHECKING:
    from edgekit.keras_models.files.model_files import load_model, save_model
    from edgekit.keras_models.layers.bn_form import bn_form
    from edgekit.keras_models.layers.bn_layers import set_norm_mix
    from edgekit.keras_models.qfx.effort import Effort
    from edgekit.keras_models.qfx.freeze import freeze
    from edgekit.keras_models.qfx.model import QFXModel
    from edgekit.keras_models.qfx.precision import Precisions, WeightPrecision
    from edgekit.keras_models.qfx.quantize import build_qkeras_model, quantize, require_exact_form
    from edgekit.keras_models.reading.inference import inference_form
    from edgekit.keras_models.weights.load import import_weights
    from edgekit.keras_models.weights.matching import ImportedWeights
    from edgekit.keras_models.zoo.build import build_model, count
    from edgekit.keras_models.zoo.count_layers import Counts
    from edgekit.keras_models.zoo.network import Network
    from edgekit.keras_models.zoo.networks import NETWORKS, find_network, is_network
else:
    __getattr__ = lazy(
        __name__,
        {
            "files.model_files": ("load_model", "save_model"),
            "layers.bn_form": ("bn_form",),
            "layers.bn_layers": ("set_norm_mix",),
            "qfx.effort": ("Effort",),
            "qfx.freeze": ("freeze",),
            "qfx.model": ("QFXModel",),
            "qfx.precision": ("Precisions", "WeightPrecision"),
            "qfx.quantize": ("build_qkeras_model", "quantize", "require_exact_form"),
            "reading.inference": ("inference_form",),
            "weights.load": ("import_weights",),
            "weights.matching": ("ImportedWeights",),
            "zoo.build": ("build_model", "count"),
            "zoo.count_layers": ("Counts",),
            "zoo.network": ("Network",),
            "zoo.networks": ("NETWORKS", "find_network", "is_network"),
        },
    )

__all__ = [
    "NETWORKS",
    "Counts",
    "Effort",
    "ImportedWeights",
    "Network",
    "Precisions",
    "QFXModel",
    "WeightPrecision",
    "bn_form",
    "build_model",
    "build_qkeras_model",
    "count",
    "find_network",
    "freeze",
    "import_weights",
    "inference_form",
    "is_network",
    "load_model",
    "quantize",
    "require_exact_form",
    "save_model",
    "set_norm_mix",
]
