"""Activations, as an argument of a layer or as a layer of their own: clamps, functions that become tables, a last softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.graph import Activation
from edgekit.keras_models.reading.keras_layer import as_map, refuse
from edgekit.keras_models.reading.pending import Depthwise, Pending, Reading
from edgekit.keras_models.reading.vocabulary import FoldedWeights
from edgekit.keras_models.zoo.vocabulary import LINEAR, ONE_CELL, Act, Function

OF_QKERAS = {"quantized_relu": "relu", "quantized_bits": "linear", "quantized_tanh": "tanh", "quantized_sigmoid": "sigmoid"}
"""qkeras quantizers, and the functions that they quantize."""
KINDS: dict[str, Activation | Function] = {
    "relu": Activation.RELU,
    "relu6": Activation.RELU6,
    **{function.value: function for function in Function},
}
"""By Keras' name."""


def end(reading: Reading, layer: Any, pending: Pending) -> Any:
    """Takes in the `activation=` argument of a layer."""
    function = _function_name(layer.activation)
    if function == "softmax":
        return _softmax(reading, layer, pending)
    activation = _act(layer, function, f"{layer.name}_{function}")
    return pending if activation is LINEAR else reading.settle(pending, activation)


def _relu(reading: Reading, layer: Any, x: Any) -> Any:
    if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6, 6.0):
        raise refuse(layer, f"max_value={layer.max_value}, negative_slope={layer.negative_slope}, threshold={layer.threshold}")
    return _activated(reading, layer, x, Act(Activation.RELU if layer.max_value is None else Activation.RELU6, layer.name))


def _activation_layer(reading: Reading, layer: Any, x: Any) -> Any:
    function = _function_name(getattr(layer, "quantizer", None) or layer.activation)
    return _softmax(reading, layer, x) if function == "softmax" else _activated(reading, layer, x, _act(layer, function, layer.name))


def _activated(reading: Reading, layer: Any, x: Any, activation: Act) -> Any:
    if activation is LINEAR:
        return x
    if not isinstance(x, Pending) and activation.clamp is not Activation.NONE:
        x = as_map(reading.layers, layer, reading.settle(x))  # a clamp on its own needs an op that carries it
        if len(reading.layers.shape(x)) != 3:
            raise refuse(layer, "no op in front of it that could carry the clamp")
        channels = reading.layers.shape(x)[-1]
        identity = FoldedWeights(np.ones((1, 1, channels, 1), np.float32), np.zeros(channels, np.float32))
        x = Depthwise(f"{layer.name}_identity", x, identity, ONE_CELL)
    return reading.settle(x, activation)


def _function_name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _act(layer: Any, function: str, name: str) -> Act:
    """The activation of that name, of Keras or of a qkeras quantizer, as the vocabulary's."""
    function = OF_QKERAS.get(function, function)
    if function == "linear":
        return LINEAR
    if function not in KINDS:
        raise refuse(layer, f"the activation '{function}'")
    return Act(KINDS[function], name)


def _softmax(reading: Reading, layer: Any, x: Any) -> Any:
    logits = reading.settle(x)
    value = reading.layers.softmax(logits, f"{layer.name}_softmax")
    if value is logits:
        if layer.outbound_nodes:
            raise refuse(layer, "a softmax that is not the last layer")
        reading.notes.append(f"the softmax of layer '{layer.name}' is left out: the exact network returns logits, whose order is the same")
    return value


def _softmax_layer(reading: Reading, layer: Any, x: Any) -> Any:
    if layer.axis not in (-1, len(layer.input_shape) - 1):
        raise refuse(layer, f"axis {layer.axis}")
    return _softmax(reading, layer, x)


ACTIVATION_READERS: dict[str, Callable[..., Any]] = {
    "ReLU": _relu,
    "Activation": _activation_layer,
    "QActivation": _activation_layer,
    "Softmax": _softmax_layer,
}
