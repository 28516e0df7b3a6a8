"""Activations, as an argument or as a layer: each is the function that it computes, a clamp or what becomes a table; a last softmax."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

from edgekit.graph import Activation
from edgekit.keras_models.layers.formulas import Clipped, Elu, Thresholded
from edgekit.keras_models.reading.keras_layer import as_map, refuse
from edgekit.keras_models.reading.pending import Depthwise, Pending, Reading, Sum
from edgekit.keras_models.reading.vocabulary import FoldedWeights
from edgekit.keras_models.zoo.vocabulary import LINEAR, ONE_CELL, Act, Function, Kind

KINDS: dict[str, Kind] = {
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
    activation = act_of(layer, layer.activation, f"{layer.name}_{function}")
    return pending if activation is LINEAR else reading.settle(pending, activation)


def _relu(reading: Reading, layer: Any, x: Any) -> Any:
    high = inf if layer.max_value is None else float(layer.max_value)
    slope, threshold = float(layer.negative_slope), float(layer.threshold)
    kind: Kind = Thresholded(threshold, high, slope) if threshold else Clipped(-inf if slope else 0.0, high, slope)
    return activated(reading, layer, x, Act(_clamp_of(kind), layer.name))


def _leaky_relu(reading: Reading, layer: Any, x: Any) -> Any:
    return activated(reading, layer, x, Act(_clamp_of(Clipped(slope=float(layer.alpha))), layer.name))


def _elu(reading: Reading, layer: Any, x: Any) -> Any:
    return activated(reading, layer, x, Act(Elu(float(np.asarray(layer.alpha))), layer.name))


def _activation_layer(reading: Reading, layer: Any, x: Any) -> Any:
    function = getattr(layer, "quantizer", None) or layer.activation
    if _function_name(function) == "softmax":
        return _softmax(reading, layer, x)
    return activated(reading, layer, x, act_of(layer, function, layer.name))


def activated(reading: Reading, layer: Any, x: Any, activation: Act) -> Any:
    if activation.kind is Activation.NONE:
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


def act_of(layer: Any, function: Any, name: str) -> Act:
    """What a function of Keras or a qkeras quantizer computes, as the vocabulary's activation of that name."""
    kind = _function_name(function)
    if kind == "linear" or function is None:
        return LINEAR
    if kind in QKERAS:
        return Act(QKERAS[kind](layer, function), name)
    if kind in ("hard_tanh", "smooth_tanh", "smooth_sigmoid") or (kind == "hard_sigmoid" and "qkeras" in function.__module__):
        low, factor = (-1.0, 2.0) if kind.endswith("tanh") else (0.0, 1.0)
        factor *= 0.1875 if kind.startswith("smooth") else 0.5
        return Act(Clipped(low, 1.0, factor=factor, shift=(low + 1) / 2), name)
    if kind not in KINDS:
        raise refuse(layer, f"the activation '{kind}'")
    return Act(KINDS[kind], name)


def _clamp_of(kind: Kind) -> Kind:
    """A clamp that an op carries, where the function is one."""
    clamps: dict[Kind, Kind] = {
        Clipped(): Activation.NONE,
        Clipped(0.0, inf, 0.0): Activation.RELU,
        Clipped(0.0, 6.0, 0.0): Activation.RELU6,
        Clipped(-inf, inf, 0.0): Activation.RELU,
        Clipped(-inf, 6.0, 0.0): Activation.RELU6,
    }
    return clamps.get(kind, kind)


# --- what qkeras' quantizers compute, but for their rounding: every tensor is quantized anew ----------------------------------


def _bounds(quantizer: Any) -> tuple[float, float]:
    alpha = getattr(quantizer, "alpha", None)  # far out, but not so far that qkeras' x + (q(x) - x) would lose q(x)
    far = 4.0 * 2.0 ** float(np.asarray(getattr(quantizer, "integer", 0))) * max(1.0, float(np.max(np.abs(alpha or 1.0))))
    low, high = np.asarray(quantizer(np.array([-far, far], np.float32)), np.float64)
    return float(low), float(high)


def _quantized_relu(layer: Any, quantizer: Any) -> Kind:
    _plain(layer, quantizer, use_sigmoid=0, qnoise_factor=1.0)
    low, high = _bounds(quantizer)
    return _clamp_of(Clipped(low, high, float(quantizer.negative_slope)))


def _quantized_bits(layer: Any, quantizer: Any) -> Kind:
    if isinstance(quantizer.alpha, str):
        raise refuse(layer, f"the activation 'quantized_bits' with alpha={quantizer.alpha}")
    _plain(layer, quantizer, qnoise_factor=1.0)
    if quantizer.bits == 1:
        raise refuse(layer, "the activation 'quantized_bits' of one bit, a sign")
    return Clipped(*_bounds(quantizer))


def _quantized_sigmoid(layer: Any, quantizer: Any) -> Kind:
    """qkeras' own is a hard one unless it is told otherwise, for a quantizer or for all of them."""
    if quantizer.use_real_sigmoid:
        return Function.SIGMOID
    factor = _slope(layer, quantizer)
    low, high = _bounds(quantizer)
    return Clipped(low, high, factor=factor, shift=0.5)


def _quantized_tanh(layer: Any, quantizer: Any) -> Kind:
    if quantizer.use_real_tanh:
        return Function.TANH
    factor = 2 * _slope(layer, quantizer)
    low, high = _bounds(quantizer)
    return Clipped(low, high, factor=factor)


def _slope(layer: Any, quantizer: Any) -> float:
    """Of the line that qkeras takes for a sigmoid: 1/2, or 3/16 where `set_internal_sigmoid` said "smooth"."""
    from qkeras import quantizers

    slopes = {"hard_sigmoid": 0.5, "smooth_sigmoid": 0.1875}
    name = quantizers._sigmoid.__name__
    if name not in slopes:
        raise refuse(layer, f"the activation '{type(quantizer).__name__}' of qkeras' internal sigmoid '{name}'")
    return slopes[name]


def _plain(layer: Any, quantizer: Any, **options: Any) -> None:
    for name, value in options.items():
        found = getattr(quantizer, name)
        if float(np.asarray(found)) != value:
            raise refuse(layer, f"the activation '{type(quantizer).__name__}' with {name}={found}")


QKERAS: dict[str, Callable[[Any, Any], Kind]] = {
    "quantized_relu": _quantized_relu,
    "quantized_bits": _quantized_bits,
    "quantized_sigmoid": _quantized_sigmoid,
    "quantized_tanh": _quantized_tanh,
}
"""By the quantizer's class: what it computes."""


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


def _prelu(reading: Reading, layer: Any, x: Any) -> Any:
    """relu(x) - alpha * relu(-x), with an alpha a channel."""
    alpha = np.asarray(layer.alpha, np.float32)
    if alpha.size != alpha.shape[-1]:
        raise refuse(layer, f"an alpha a cell, {alpha.shape}; give it shared_axes=[1, 2]")
    x = as_map(reading.layers, layer, reading.settle(x))
    ones, zeros = np.ones((1, 1, alpha.size, 1), np.float32), np.zeros(alpha.size, np.float32)
    parts = []
    for name, sign in (("positive", 1.0), ("negative", -1.0)):
        part = Depthwise(f"{layer.name}_{name}", x, FoldedWeights((sign * ones).astype(np.float32), zeros), ONE_CELL)
        parts.append(reading.settle(part, Act(Activation.RELU, f"{layer.name}_{name}_relu")))
    scaled = Depthwise(f"{layer.name}_alpha", parts[1], FoldedWeights(-alpha.reshape(1, 1, -1, 1), zeros), ONE_CELL)
    return Sum(layer.name, parts[0], reading.settle(scaled))


ACTIVATION_READERS: dict[str, Callable[..., Any]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "PReLU": _prelu,
    "Activation": _activation_layer,
    "QActivation": _activation_layer,
    "Softmax": _softmax_layer,
}
