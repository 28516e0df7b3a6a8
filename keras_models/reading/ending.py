"""The function that a model ends with, which tells what its outputs are."""

from __future__ import annotations

from math import prod
from typing import Any

SOFTMAX = "softmax"
SIGMOIDS = ("sigmoid", "hard_sigmoid", "relu6_sigmoid", "quantized_sigmoid", "smooth_sigmoid")
"""By the names of Keras, qkeras and edgekit."""
SHAPED = ("Flatten", "Reshape", "Dropout")
"""Layers that give the numbers that they take."""


def ending(model: Any) -> str:
    """The name of the function that computes a tf_keras.Model's first output, of a QFX model too; or of whatever else ends it."""
    layer = model.outputs[0]._keras_history.layer
    while type(layer).__name__ in SHAPED and len(layer.inbound_nodes) == 1:
        layer = layer.input._keras_history.layer
    if type(layer).__name__ == "Softmax":
        return SOFTMAX
    function = getattr(layer, "quantizer", None) or getattr(layer, "activation", None)
    return str(getattr(function, "function", None) or getattr(function, "__name__", type(function).__name__))


def gives_probability(model: Any) -> bool:
    """Whether a model gives one number that a sigmoid ends: of two classes the second one's probability."""
    return prod(int(size) for size in model.outputs[0].shape[1:]) == 1 and ending(model) in SIGMOIDS
