"""What each op of a float network becomes in Keras, by the table at the foot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import numpy as np

from edgekit.arrays import Array
from edgekit.graph import NO_PADDING, Padding, Window
from edgekit.keras_models.files import plain_layers as plain
from edgekit.keras_models.files.float_op import Op
from edgekit.keras_models.layers.backend import tf_keras

ROUNDED = 0.02
"""The constants of a function that is spelled out are within this part of themselves: 8-bit files round them."""


def _conv(op: Op) -> Any:
    x, weights = op.map(0), op.constant(1, "weights").astype(np.float32)
    channels = int(x.shape[-1])
    if weights.ndim != 4 or not weights.size or channels % weights.shape[3]:
        raise op.refuse(f"has weights of shape {weights.shape} for {channels} channels")
    name, window = op.name, op.window(x, (weights.shape[1], weights.shape[2]))
    y = plain.conv(x, name, weights.transpose(1, 2, 3, 0), op.bias(2, weights.shape[0]), window, channels // weights.shape[3])
    return op.activated(y, name)


def _depthwise(op: Op) -> Any:
    x, weights = op.map(0), op.constant(1, "weights").astype(np.float32)
    channels = int(x.shape[-1])
    if weights.ndim != 4 or weights.shape[0] != 1 or not weights.size or weights.shape[3] % channels:
        raise op.refuse(f"has weights of shape {weights.shape} for {channels} channels")
    name, window = op.name, op.window(x, (weights.shape[1], weights.shape[2]))
    kernel = weights.reshape(*weights.shape[1:3], channels, -1)
    return op.activated(plain.depthwise(x, name, kernel, op.bias(2, weights.shape[3]), window), name)


def _dense(op: Op) -> Any:
    x, weights = op.tensor(0), op.constant(1, "weights").astype(np.float32)
    features = prod(int(size) for size in x.shape[1:])
    if weights.ndim != 2 or weights.shape[1] != features or op.option("weightsFormat", 0) or len(op.shape) != 2:
        raise op.refuse(f"has weights of shape {weights.shape} for a tensor of shape {tuple(x.shape[1:])} and gives {op.shape}")
    name = op.name
    flat = x if len(x.shape) == 2 else tf_keras.layers.Flatten(name=f"{name}_flatten")(x)
    return op.activated(plain.dense(flat, name, weights.T, op.bias(2, weights.shape[0])), name)


def _transposed_conv(op: Op) -> Any:
    x, weights = op.map(2), op.constant(1, "weights").astype(np.float32)
    if weights.ndim != 4 or not weights.size or weights.shape[3] != int(x.shape[-1]):
        raise op.refuse(f"has weights of shape {weights.shape} for {int(x.shape[-1])} channels")
    name, window = op.name, op.window(x, (weights.shape[1], weights.shape[2]))
    padding = str(op.option("padding", "")).lower()
    y = plain.transposed_conv(x, name, weights.transpose(1, 2, 0, 3), op.bias(3, weights.shape[0]), window.strides, padding)
    return op.activated(y, name)


def _is(value: Any, number: float) -> bool:
    """Whether a value is one constant for all, and that one as 8-bit files round it."""
    return isinstance(value, np.ndarray) and value.size == 1 and abs(float(value.reshape(())) - number) <= ROUNDED * number


def _of_channels(op: Op, x: Any, constant: Array) -> Array:
    """A number a channel, or one for all. Refuses others."""
    channels = int(x.shape[-1])
    if constant.size != 1 and (constant.size != channels or constant.shape[-1] != channels):
        raise op.refuse(f"has a constant of shape {constant.shape} beside a tensor of shape {tuple(x.shape)}; one number a channel is read")
    return constant.astype(np.float32).reshape(-1)


def _affine(op: Op, x: Any, scale: Any, shift: Any) -> Any:
    name = op.name
    return op.activated(plain.affine(x, name, scale, shift), name)


def _add(op: Op) -> Any:
    for x, other in ((op.value(0), op.value(1)), (op.value(1), op.value(0))):
        if isinstance(other, np.ndarray) and not isinstance(x, np.ndarray):
            if _is(other, 3.0):
                found = {"NONE": op.reading.plus_three, "RELU6": op.reading.clipped}.get(op.option("activation", "NONE"))
                if found is not None:
                    found[op.op.outputs[0]] = x
            return _affine(op, x, 1.0, _of_channels(op, x, other))
    left, right = op.tensor(0), op.tensor(1)
    if left.shape != right.shape:
        raise op.refuse(f"adds tensors of shapes {tuple(left.shape)} and {tuple(right.shape)}")
    name = op.name
    return op.activated(tf_keras.layers.Add(name=name)([left, right]), name)


def _subtract(op: Op) -> Any:
    x, y = op.value(0), op.value(1)
    if isinstance(y, np.ndarray):
        return _affine(op, op.tensor(0), 1.0, -_of_channels(op, op.tensor(0), y))
    if isinstance(x, np.ndarray):
        return _affine(op, y, -1.0, _of_channels(op, y, x))
    raise op.refuse("subtracts one layer's output from another's")


def _multiply(op: Op) -> Any:
    for at, (x, other) in enumerate(((op.value(0), op.value(1)), (op.value(1), op.value(0)))):
        if isinstance(other, np.ndarray) and not isinstance(x, np.ndarray):
            source = op.reading.clipped.get(op.op.inputs[at] or 0)
            if source is not None and _is(other, 1 / 6) and op.option("activation", "NONE") in ("NONE", "RELU"):  # it is never below 0
                op.reading.gates[op.op.outputs[0]] = ("hard_swish", source)
                return plain.activation(source, op.name, "relu6_sigmoid")
            return _affine(op, x, _of_channels(op, x, other), 0.0)
    left, right = op.tensor(0), op.tensor(1)
    for index, other in ((0, right), (1, left)):
        function, source = op.reading.gates.get(op.op.inputs[index] or 0, ("", None))
        if source is other:
            name = op.name
            return op.activated(plain.activation(other, name, function), name)
    shapes = tuple(left.shape), tuple(right.shape)
    gate = len(shapes[0]) == 4 and len(shapes[1]) == 4 and shapes[0][3] == shapes[1][3] and (1, 1) in (shapes[0][1:3], shapes[1][1:3])
    if shapes[0] != shapes[1] and not gate:
        raise op.refuse(f"multiplies tensors of shapes {shapes[0]} and {shapes[1]}")
    name = op.name
    return op.activated(tf_keras.layers.Multiply(name=name)([left, right]), name)


def _divide(op: Op) -> Any:
    divisor = op.constant(1, "divisors").astype(np.float32)
    if np.any(divisor == 0):
        raise op.refuse("divides by 0")
    return _affine(op, op.tensor(0), 1 / _of_channels(op, op.tensor(0), divisor), 0.0)


def _concatenate(op: Op) -> Any:
    parts = [op.tensor(index) for index in range(len(op.op.inputs))]
    rank = len(parts[0].shape)
    if int(op.option("axis", 0)) not in (-1, rank - 1) or any(len(part.shape) != rank for part in parts):
        raise op.refuse("joins along another axis than the channels")
    name = op.name
    return op.activated(tf_keras.layers.Concatenate(name=name)(parts), name)


def _pool(op: Op) -> tuple[Any, str, Window]:
    x, kernel = op.map(0), (int(op.option("filterHeight", 0)), int(op.option("filterWidth", 0)))
    return x, op.name, op.window(x, kernel)


def _max_pool(op: Op) -> Any:
    x, name, window = _pool(op)
    return op.activated(plain.max_pool(x, name, window), name)


def _average_pool(op: Op) -> Any:
    x, name, window = _pool(op)
    if window.kernel == plain.rows_columns(x) and op.shape[1:3] == (1, 1) and window.padding == NO_PADDING:
        return op.activated(plain.global_mean(x, name, keep_map=True), name)
    return op.activated(plain.average_pool(x, name, window, padding_counts=False), name)


def _mean(op: Op) -> Any:
    x, axes = op.map(0), sorted(int(axis) % 4 for axis in op.constant(1, "axes").reshape(-1))
    if axes != [1, 2]:
        raise op.refuse("is over other axes than rows and columns")
    return plain.global_mean(x, op.name, keep_map=bool(op.option("keepDims", False)))


def _pad(op: Op) -> Any:
    x, cells = op.map(0), op.constant(1, "sizes")
    fills = op.value(2)
    if cells.shape != (4, 2) or np.any(cells[[0, 3]]) or cells.min() < 0 or (fills is not None and np.any(op.constant(2, "values"))):
        raise op.refuse("pads along other axes than rows and columns, or by other values than 0")
    (top, bottom), (left, right) = ((int(size) for size in pair) for pair in cells[1:3])
    padding = Padding(top=top, bottom=bottom, left=left, right=right)
    return x if padding == NO_PADDING else plain.zero_padding(x, op.name, padding)


def _reshape(op: Op) -> Any:
    x, wanted = op.value(0), op.shape
    if isinstance(x, np.ndarray):
        return x.reshape(wanted)
    if wanted[1:] == tuple(x.shape[1:]):
        return x
    if not wanted or wanted[0] != 1:
        raise op.refuse(f"gives shape {wanted}, which has no batch of 1 in front")
    if len(wanted) == 2:
        return tf_keras.layers.Flatten(name=op.name)(x)
    return tf_keras.layers.Reshape(wanted[1:], name=op.name)(x)


def _softmax(op: Op) -> Any:
    if abs(float(op.option("beta", 1.0)) - 1) > 1e-6:
        raise op.refuse(f"has beta {op.option('beta', 1.0):g}")
    return tf_keras.layers.Softmax(name=op.name)(op.tensor(0))


def _gelu(op: Op) -> Any:
    if op.option("approximate", False):
        raise op.refuse("is GELU by tanh; the exact one is read")
    return plain.activation(op.tensor(0), op.name, "gelu")


def _leaky_relu(op: Op) -> Any:
    return tf_keras.layers.LeakyReLU(float(op.option("alpha", 0.0)), name=op.name)(op.tensor(0))


def _function(function: str) -> Callable[[Op], Any]:
    return lambda op: plain.activation(op.tensor(0), op.name, function)


def _relu6(op: Op) -> Any:
    source = op.reading.plus_three.get(op.op.inputs[0] or 0)
    if source is not None:
        op.reading.clipped[op.op.outputs[0]] = source
    return plain.activation(op.tensor(0), op.name, "relu6")


def _logistic(op: Op) -> Any:
    op.reading.gates[op.op.outputs[0]] = ("swish", op.tensor(0))
    return plain.activation(op.tensor(0), op.name, "sigmoid")


def _resize(op: Op) -> Any:
    """Nearest neighbour by whole factors: each cell again and again."""
    x, wanted = op.map(0), op.shape
    before = plain.rows_columns(x)
    if (
        len(wanted) != 4
        or min(wanted) < 1
        or any(to % of for to, of in zip(wanted[1:3], before, strict=True))
        or op.option("alignCorners", False)
    ):
        raise op.refuse("resizes otherwise than by repeating each cell")
    return tf_keras.layers.UpSampling2D((wanted[1] // before[0], wanted[2] // before[1]), name=op.name)(x)


def _slice(op: Op) -> Any:
    """Part of the channels, all else kept. STRIDED_SLICE's masks say where its begin does not count."""
    x, begin = op.tensor(0), op.constant(1, "bounds").reshape(-1)
    last = len(x.shape) - 1
    stepped = op.op.kind == "STRIDED_SLICE" and np.any(op.constant(3, "steps") != 1)
    masks = any(op.option(name, 0) for name in ("ellipsisMask", "newAxisMask", "shrinkAxisMask", "offset"))
    if stepped or masks or len(begin) != last + 1 or tuple(op.shape[1:-1]) != tuple(x.shape[1:-1]):
        raise op.refuse("takes a part along other axes than the channels, or in steps")
    low = 0 if int(op.option("beginMask", 0)) >> last & 1 else int(begin[last])
    low += int(x.shape[-1]) if low < 0 else 0
    if not 0 <= low < low + op.shape[-1] <= int(x.shape[-1]):
        raise op.refuse(f"takes channels {low} to {low + op.shape[-1]} of {int(x.shape[-1])}")
    return plain.channels(x, op.name, low, op.shape[-1])


def _same(op: Op) -> Any:
    """Types change, values do not: all is in floating point here."""
    return op.value(0)


OPS: Mapping[str, Callable[[Op], Any]] = {
    "ADD": _add,
    "AVERAGE_POOL_2D": _average_pool,
    "CONCATENATION": _concatenate,
    "CONV_2D": _conv,
    "DEPTHWISE_CONV_2D": _depthwise,
    "DEQUANTIZE": _same,
    "DIV": _divide,
    "ELU": _function("elu"),
    "FULLY_CONNECTED": _dense,
    "GELU": _gelu,
    "HARD_SWISH": _function("hard_swish"),
    "LEAKY_RELU": _leaky_relu,
    "LOGISTIC": _logistic,
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "MUL": _multiply,
    "PAD": _pad,
    "PADV2": _pad,
    "QUANTIZE": _same,
    "RELU": _function("relu"),
    "RELU6": _relu6,
    "RESHAPE": _reshape,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "SLICE": _slice,
    "SOFTMAX": _softmax,
    "SQUEEZE": _reshape,
    "STRIDED_SLICE": _slice,
    "SUB": _subtract,
    "TANH": _function("tanh"),
    "TRANSPOSE_CONV": _transposed_conv,
}
