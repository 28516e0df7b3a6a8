"""The shape rule: what shape each op gives, from the tensors that it reads.

Two ops leave it open: a Slice does not say how many channels it takes, nor a Reshape what it makes. Their rules are given the shape
that is wanted and say whether it can be.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any, TypeAlias

import numpy as np

from edgekit.graph.ir import (
    Add,
    Concat,
    Conv2D,
    ConvOp,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Op,
    Reshape,
    Slice,
    Tensor,
    WeightedOp,
    Window,
    output_channels,
)

BINARY_POINT_MAX = 63
"""Keeps every scale, and the product of two, a normal float32: 2**-126 is the lowest."""
Shape: TypeAlias = tuple[int, ...]


class ShapeError(ValueError):
    """The shapes and types around an op do not fit; the message says which."""


def output_shape(op: Op, sources: Sequence[Tensor], wanted: Shape = ()) -> Shape:
    """The shape of what `op` gives from `sources`, without batch.

    `wanted` matters to a Slice, whose last length it has to have, and to a Reshape.

    Raises:
        ShapeError: the op cannot take these tensors, or its own arrays do not fit each other.
    """
    rule = SHAPES.get(type(op))
    if rule is None:
        raise ShapeError(f"unknown op {type(op).__name__}")
    shape = rule(op, sources, wanted)
    if shape is None:
        raise ShapeError(f"cannot take inputs of shape {', '.join(str(source.shape) for source in sources)}")
    return shape


def _conv(op: ConvOp, sources: Sequence[Tensor], _: Shape) -> Shape | None:
    _require_weights(op, 4 if isinstance(op, Conv2D) else 3)
    _require_map(op, sources[0])
    kernel = (op.weights.shape[0], op.weights.shape[1])
    return _window(Window(kernel, op.strides, op.padding, op.dilation), sources[0].shape, output_channels(op))


def _depthwise_transpose(op: DepthwiseConv2DTranspose, sources: Sequence[Tensor], _: Shape) -> Shape:
    _require_weights(op, 3)
    _require_map(op, sources[0])
    (rows, columns, channels), (kernel_h, kernel_w, _) = sources[0].shape, op.weights.shape
    return rows * kernel_h, columns * kernel_w, channels


def _dense(op: Dense, sources: Sequence[Tensor], _: Shape) -> Shape:
    _require_weights(op, 2)
    if op.weights.shape[0] != prod(sources[0].shape):
        raise ShapeError(f"{op.weights.shape[0]} weights for {sources[0].shape}")
    return (output_channels(op),)


def _add(op: Add, sources: Sequence[Tensor], _: Shape) -> Shape | None:
    shape = sources[0].shape
    return shape if len(sources) == 2 and sources[1].shape == shape else None


def _multiply(op: Multiply, sources: Sequence[Tensor], _: Shape) -> Shape | None:
    shape = sources[0].shape
    gate = (1, 1, shape[-1]) if len(shape) == 3 else shape
    return shape if len(sources) == 2 and sources[1].shape in (shape, gate) else None


def _matmul(op: MatMul, sources: Sequence[Tensor], _: Shape) -> Shape | None:
    if len(sources) != 2 or any(len(source.shape) != 3 for source in sources):
        return None
    (rows, columns, x_channels), (y_rows, y_columns, y_channels) = sources[0].shape, sources[1].shape
    if op.heads < 1 or x_channels % op.heads or y_channels % op.heads:
        return None
    terms, cells = y_channels // op.heads if op.transpose_y else y_rows * y_columns, y_rows * y_columns
    if x_channels != op.heads * terms:
        return None
    output = (rows, columns, op.heads * cells if op.transpose_y else y_channels)
    return output if op.bias.dtype == np.int32 and op.bias.shape in (output, (1, 1, 1)) else None


def _concat(op: Concat, sources: Sequence[Tensor], _: Shape) -> Shape | None:
    before = sources[0].shape[:-1]
    same = len(sources) > 1 and all(source.shape[:-1] == before for source in sources)
    return (*before, sum(source.shape[-1] for source in sources)) if same else None


def _slice(op: Slice, sources: Sequence[Tensor], wanted: Shape) -> Shape | None:
    shape, count = sources[0].shape, wanted[-1] if wanted else 0
    return (*shape[:-1], count) if count > 0 and 0 <= op.start <= shape[-1] - count else None


def _max_pool(op: MaxPool, sources: Sequence[Tensor], _: Shape) -> Shape | None:
    shape, padding = sources[0].shape, op.padding
    if len(shape) != 3:
        return None
    if max(padding.top, padding.bottom) >= op.pool[0] or max(padding.left, padding.right) >= op.pool[1]:
        return None  # a window of padding only has no largest value
    return _window(Window(op.pool, op.strides, padding), shape, shape[2])


def _lookup(op: Lookup, sources: Sequence[Tensor], _: Shape) -> Shape:
    return sources[0].shape


def _reshape(op: Reshape, sources: Sequence[Tensor], wanted: Shape) -> Shape:
    if prod(sources[0].shape) != prod(wanted):
        raise ShapeError(f"reshapes {sources[0].shape} to {wanted}")
    return wanted


def _window(window: Window, shape: Shape, channels: int) -> Shape | None:
    padding = window.padding
    steps = (*window.kernel, *window.strides, *window.dilation)
    if min(steps) < 1 or min(padding.top, padding.bottom, padding.left, padding.right) < 0:
        return None
    rows, columns = window.places((shape[0], shape[1]))
    return (rows, columns, channels) if rows > 0 and columns > 0 else None


def _require_weights(op: WeightedOp, rank: int) -> None:
    """An array of that rank, and a bias and a binary point for each of its output channels."""
    if op.weights.dtype != np.int8 or op.bias.dtype != np.int32:
        raise ShapeError(f"weights are int8 and biases int32, not {op.weights.dtype} and {op.bias.dtype}")
    if op.weights.ndim != rank or op.weights.size == 0:
        raise ShapeError(f"weights of shape {op.weights.shape}")
    channels = output_channels(op)
    if op.bias.shape != (channels,) or len(op.weight_binary_points) != channels:
        raise ShapeError(f"{channels} channels, but biases {op.bias.shape} and {len(op.weight_binary_points)} binary points")
    if any(abs(point) > BINARY_POINT_MAX for point in op.weight_binary_points):
        raise ShapeError(f"a weight's binary point is outside +-{BINARY_POINT_MAX}")


def _require_map(op: WeightedOp, source: Tensor) -> None:
    if len(source.shape) != 3 or op.weights.shape[2] != source.shape[2]:
        raise ShapeError(f"weights {op.weights.shape} for a map {source.shape}")


SHAPES: Mapping[type[Op], Callable[[Any, Sequence[Tensor], Shape], Shape | None]] = {
    Conv2D: _conv,
    DepthwiseConv2D: _conv,
    DepthwiseConv2DTranspose: _depthwise_transpose,
    Dense: _dense,
    Add: _add,
    Multiply: _multiply,
    MatMul: _matmul,
    Concat: _concat,
    Slice: _slice,
    MaxPool: _max_pool,
    Lookup: _lookup,
    Reshape: _reshape,
}
"""None where the op cannot take inputs of these shapes."""
