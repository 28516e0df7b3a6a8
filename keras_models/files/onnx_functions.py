"""ONNX nodes that compute value by value: activations, sums and products, and what exporters spell out with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import Any

import numpy as np

from edgekit.arrays import Array
from edgekit.keras_models.files import plain_layers as plain
from edgekit.keras_models.files.onnx_values import TINY, Map, Node, Part, Value, Vector, same, title, whole
from edgekit.keras_models.layers.backend import tf_keras


def _function(function: str) -> Callable[..., Map | Vector]:
    def read(node: Node, x: Value) -> Map | Vector:
        source = node.settle(x)
        return same(source, plain.activation(source.tensor, node.name, function))

    return read


def _gate(function: str, product: str) -> Callable[..., Map | Vector]:
    """A function that, times what it reads, is another one."""

    def read(node: Node, x: Value) -> Map | Vector:
        source = node.settle(x)
        tensor = plain.activation(source.tensor, node.name, function)
        node.reading.gates[id(tensor)] = (product, source.tensor)
        return same(source, tensor)

    return read


def _hard_sigmoid(node: Node, x: Value) -> Map | Vector:
    alpha, beta = float(node.attributes.get("alpha", 0.2)), float(node.attributes.get("beta", 0.5))
    if abs(beta - 0.5) > TINY:
        raise node.refuse(f"has beta {beta:g}")
    if abs(alpha - 1 / 6) < TINY:
        return _gate("relu6_sigmoid", "hard_swish")(node, x)
    if abs(alpha - 0.2) < TINY:
        return _function("hard_sigmoid")(node, x)
    raise node.refuse(f"has alpha {alpha:g}")


def _leaky_relu(node: Node, x: Value) -> Map | Vector:
    source = node.settle(x)
    layer = tf_keras.layers.LeakyReLU(float(node.attributes.get("alpha", 0.01)), name=node.name)
    return same(source, layer(source.tensor))


def _gelu(node: Node, x: Value) -> Map | Vector:
    if node.attributes.get("approximate", "none") != "none":
        raise node.refuse("is GELU by tanh; export it with approximate='none'")
    return _function("gelu")(node, x)


def _clip(node: Node, x: Value, low: Value | None = None, high: Value | None = None) -> Map | Vector | Part:
    bounds = [
        node.attributes.get(name) if one is None else float(node.constant(one, "bounds").reshape(()))
        for name, one in (("min", low), ("max", high))
    ]
    if isinstance(x, Part) and x.kind == "affine" and (x.factor, x.shift, *bounds) == (1.0, 3.0, 0.0, 6.0):
        return Part("clip", x.x)
    source = node.settle(x)
    if bounds[0] != 0.0:
        raise node.refuse(f"clips to {bounds[0]} .. {bounds[1]}; from 0 on is supported")
    limit = None if bounds[1] is None or bounds[1] > 1e30 else bounds[1]
    return same(source, tf_keras.layers.ReLU(limit, name=node.name)(source.tensor))


def _erf(node: Node, x: Value) -> Part:
    if isinstance(x, Part) and x.kind == "affine" and not x.shift and abs(x.factor * sqrt(2) - 1) < TINY:
        return Part("erf", x.x)
    raise node.refuse("is no part of a GELU, x / 2 * (1 + erf(x / sqrt(2)))")


def _scalar(value: Value) -> float | None:
    return float(value.reshape(())) if isinstance(value, np.ndarray) and value.size == 1 else None


def _sum(node: Node, x: Value, y: Value) -> Value:
    for one, other in ((x, y), (y, x)):
        shift = _scalar(other)
        if shift is not None and not isinstance(one, np.ndarray):
            if isinstance(one, Part) and one.kind in ("affine", "erf"):
                return Part(one.kind, one.x, one.factor, one.shift + shift / one.factor)
            return Part("affine", node.settle(one), 1.0, shift)
        if isinstance(other, np.ndarray):
            return _of_channels(node, one, np.ones(1, np.float32), other)
    return _merged(node, tf_keras.layers.Add, node.settle(x), node.settle(y))


def _difference(node: Node, x: Value, y: Value) -> Value:
    if not isinstance(y, np.ndarray):
        raise node.refuse("subtracts one layer's output from another's")
    return _sum(node, x, np.asarray(-y))


def _product(node: Node, x: Value, y: Value) -> Value:
    for one, other in ((x, y), (y, x)):
        factor = _scalar(other)
        if factor is not None and not isinstance(one, np.ndarray):
            part = one if isinstance(one, Part) else Part("affine", node.settle(one))
            return _completed(node, Part(part.kind, part.x, part.factor * factor, part.shift))
        if isinstance(other, np.ndarray):
            return _of_channels(node, one, other, np.zeros(1, np.float32))
        if isinstance(one, Part) and isinstance(other, Part) and (one.kind, other.kind) == ("erf", "affine") and one.x == other.x:
            return _completed(node, Part("gelu", one.x, one.factor * other.factor, one.shift + other.shift))
        if isinstance(one, Part) and isinstance(other, Map | Vector) and one.x == other and one.kind in ("erf", "clip"):
            return _completed(node, Part({"erf": "gelu", "clip": "hard_swish"}[one.kind], one.x, one.factor, one.shift))
    left, right = node.settle(x), node.settle(y)
    for gate, other in ((left, right), (right, left)):
        function, of = node.reading.gates.get(id(gate.tensor), ("", None))
        if of is other.tensor:
            return same(other, plain.activation(other.tensor, node.name, function))
    return _merged(node, tf_keras.layers.Multiply, left, right)


def _completed(node: Node, part: Part) -> Value:
    """A function whose factor is the one that it has: 1/2 * x * (erf + 1) is GELU, x * clip / 6 hard-swish, clip / 6 its gate."""
    if part.kind == "gelu" and abs(part.factor - 0.5) < TINY and abs(part.shift - 1) < TINY:
        return same(part.x, plain.activation(part.x.tensor, node.name, "gelu"))
    if part.kind == "hard_swish" and abs(part.factor * 6 - 1) < TINY:
        return same(part.x, plain.activation(part.x.tensor, node.name, "hard_swish"))
    if part.kind == "clip" and abs(part.factor * 6 - 1) < TINY:
        return whole(node.reading, part, title(node.proto))
    return part


def _quotient(node: Node, x: Value, y: Value) -> Value:
    if not isinstance(y, np.ndarray):
        raise node.refuse("divides by a layer's output")
    with np.errstate(divide="ignore"):
        return _product(node, x, np.asarray(1.0 / y.astype(np.float64), np.float32))


def _of_channels(node: Node, x: Value, scale: Array, shift: Array) -> Map | Vector:
    """x * scale + shift, where both have a number a channel or one for all."""
    source = node.settle(x)
    channels = int(source.tensor.shape[-1])
    ndim = len(source.shape)
    axis = 1 if isinstance(source, Map) and source.first else ndim - 1
    for values in (scale, shift):
        shape = (1,) * (ndim - values.ndim) + values.shape
        if values.size > 1 and (len(shape) != ndim or values.size != channels or shape[axis] != channels):
            raise node.refuse(
                f"has a constant of shape {values.shape} beside a tensor of shape {source.shape}; one number a channel is supported"
            )
    return same(source, plain.affine(source.tensor, node.name, scale.astype(np.float32), shift.astype(np.float32)))


def _merged(node: Node, layer: Any, left: Map | Vector, right: Map | Vector) -> Map | Vector:
    if type(left) is not type(right) or (isinstance(left, Map) and isinstance(right, Map) and left.first != right.first):
        raise node.refuse(f"joins tensors of shapes {left.shape} and {right.shape}")
    return same(left, layer(name=node.name)([left.tensor, right.tensor]))


def _softmax(node: Node, x: Value) -> Map | Vector:
    source = node.settle(x)
    axis = int(node.attributes.get("axis", -1))
    channel = source.axis(axis) == 3 if isinstance(source, Map) else axis % 2 == 1
    if not channel:
        raise node.refuse("is over another axis than the channels")
    return same(source, tf_keras.layers.Softmax(name=node.name)(source.tensor))


FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    "Add": _sum,
    "Clip": _clip,
    "Div": _quotient,
    "Elu": _function("elu"),
    "Erf": _erf,
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _function("hard_swish"),
    "LeakyRelu": _leaky_relu,
    "Mul": _product,
    "Relu": _function("relu"),
    "Sigmoid": _gate("sigmoid", "swish"),
    "Softmax": _softmax,
    "Softplus": _function("softplus"),
    "Sub": _difference,
    "Tanh": _function("tanh"),
}
