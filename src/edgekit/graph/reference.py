"""The numpy reference: what every other executor must equal. Slow and obvious.

Sums of products run in float64 matrix products where numpy has a fast one: all terms and partial sums are integers below
2**53 (the checker bounds accumulators by 2**31), which float64 adds without rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Int64
from edgekit.graph.ir import (
    NO_PADDING,
    Add,
    Concat,
    Conv2D,
    ConvOp,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntArray,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Op,
    Reshape,
    Slice,
    Tensor,
    Window,
    clamp_range,
    op_inputs,
)
from edgekit.graph.requantize import requantize_of


def run(graph: IntegerGraph, inputs: IntArray) -> dict[str, IntArray]:
    """Every tensor of the graph for a batch.

    Args:
        inputs: integers (batch, *input shape) within the input tensor's range.

    Returns:
        Tensor name -> int8 or uint8 (batch, *shape), the input included.

    Raises:
        ValueError: the inputs have another shape, or leave the tensor's range.
    """
    tensor = graph.tensors[graph.input]
    if inputs.shape[1:] != tensor.shape:
        raise ValueError(f"inputs have shape {inputs.shape[1:]}, tensor '{tensor.name}' has {tensor.shape}")
    if inputs.size and not (tensor.low <= inputs.min() and inputs.max() <= tensor.high):
        raise ValueError(f"inputs leave {tensor.low}..{tensor.high} of tensor '{tensor.name}'")
    values: dict[str, IntArray] = {graph.input: inputs.astype(tensor.dtype)}
    for op in graph.ops:
        operands = [values[name].astype(np.int64) for name in op_inputs(op)]
        output = graph.tensors[op.output]
        values[op.output] = RUN[type(op)](graph, op, operands).reshape(-1, *output.shape).astype(output.dtype)
    return values


def quantize_input(tensor: Tensor, real: npt.NDArray[Any]) -> IntArray:
    """Real values -> the tensor's integers: nearest, ties to even, saturated."""
    return np.clip(np.rint(np.ldexp(real, tensor.binary_point)), tensor.low, tensor.high).astype(tensor.dtype)


def _taps(x: Int64, window: Window, outside: int) -> Iterator[Int64]:
    """For each tap of the kernel, row-major, the cells that it meets: (batch, rows, columns, channels). Padding holds `outside`."""
    pad, (down, right), (apart, beside) = window.padding, window.strides, window.dilation
    padded = np.pad(x, ((0, 0), (pad.top, pad.bottom), (pad.left, pad.right), (0, 0)), constant_values=outside)
    rows, columns = replace(window, padding=NO_PADDING).places((padded.shape[1], padded.shape[2]))
    for i in range(window.kernel[0]):
        for j in range(window.kernel[1]):
            top, left = i * apart, j * beside
            yield padded[:, top : top + rows * down : down, left : left + columns * right : right]


def _of_zeros(op: ConvOp, x: Int64) -> Iterator[Int64]:
    kernel = (op.weights.shape[0], op.weights.shape[1])
    return _taps(x, Window(kernel, op.strides, op.padding, op.dilation), 0)


def _conv2d(op: Conv2D, x: Int64) -> Any:
    taps = op.weights.reshape(-1, *op.weights.shape[2:]).astype(np.float64)
    total = sum(cell.astype(np.float64) @ tap for cell, tap in zip(_of_zeros(op, x), taps, strict=True))
    return np.asarray(total).astype(np.int64) + op.bias


def _depthwise(op: DepthwiseConv2D, x: Int64) -> Any:
    taps = op.weights.reshape(-1, op.weights.shape[2]).astype(np.int64)
    return sum(cell * tap for cell, tap in zip(_of_zeros(op, x), taps, strict=True)) + op.bias


def _depthwise_transpose(op: DepthwiseConv2DTranspose, x: Int64) -> Any:
    """(batch, rows, 1, columns, 1, channels) * (kernel_h, 1, kernel_w, channels): the kernel's axes lie inside the map's."""
    batch, rows, columns, channels = x.shape
    kernel_h, kernel_w, _ = op.weights.shape
    product = x[:, :, np.newaxis, :, np.newaxis] * op.weights.astype(np.int64)[:, np.newaxis]
    return product.reshape(batch, rows * kernel_h, columns * kernel_w, channels) + op.bias


def _dense(op: Dense, x: Int64) -> Any:
    return (x.reshape(len(x), -1).astype(np.float64) @ op.weights.astype(np.float64)).astype(np.int64) + op.bias


def _multiply(op: Multiply, x: Int64, y: Int64) -> Int64:
    return x * y


def _matmul(op: MatMul, x: Int64, y: Int64) -> Any:
    """`einsum` letters: b batch, i cells of x, j cells of y, h heads, k columns of a head. Returns x's cells with new channels."""

    def heads(values: Int64) -> Any:
        return values.reshape(len(values), -1, op.heads, values.shape[-1] // op.heads).astype(np.float64)

    product = np.einsum("bihk,bjhk->bihj" if op.transpose_y else "bihj,bjhk->bihk", heads(x), heads(y), optimize=True)
    return product.reshape(*x.shape[:-1], -1).astype(np.int64) + op.bias


_Run: TypeAlias = Callable[[IntegerGraph, Any, list[Int64]], Int64]


def _requantized(graph: IntegerGraph, op: Any, operands: list[Int64]) -> Int64:
    return requantize_of(graph, op).apply(ACCUMULATE[type(op)](op, *operands))


def _add(graph: IntegerGraph, op: Add, operands: list[Int64]) -> Int64:
    return np.clip(operands[0] + operands[1], *clamp_range(op.activation, graph.tensors[op.output]))


def _concat(graph: IntegerGraph, op: Concat, operands: list[Int64]) -> Int64:
    return np.concatenate(operands, axis=-1)


def _slice(graph: IntegerGraph, op: Slice, operands: list[Int64]) -> Int64:
    return operands[0][..., op.start : op.start + graph.tensors[op.output].shape[-1]]


def _max_pool(graph: IntegerGraph, op: MaxPool, operands: list[Int64]) -> Int64:
    cells = _taps(operands[0], Window(op.pool, op.strides, op.padding), graph.tensors[op.input].low)
    return np.max(np.stack(list(cells)), axis=0)


def _lookup(graph: IntegerGraph, op: Lookup, operands: list[Int64]) -> Int64:
    return op.table.astype(np.int64)[operands[0] - graph.tensors[op.input].low]


def _reshape(graph: IntegerGraph, op: Reshape, operands: list[Int64]) -> Int64:
    return operands[0]


ACCUMULATE: Mapping[type[Op], Callable[..., Int64]] = {
    Conv2D: _conv2d,
    DepthwiseConv2D: _depthwise,
    DepthwiseConv2DTranspose: _depthwise_transpose,
    Dense: _dense,
    Multiply: _multiply,
    MatMul: _matmul,
}
"""Ops that end with a requantize: their accumulators, bias included, from the op and int64 operands (batch, *shape)."""

RUN: Mapping[type[Op], _Run] = {
    **dict.fromkeys(ACCUMULATE, _requantized),
    Add: _add,
    Concat: _concat,
    Slice: _slice,
    MaxPool: _max_pool,
    Lookup: _lookup,
    Reshape: _reshape,
}
"""One op on int64 operands (batch, *shape): int64 within the output's range, row-major in the output's shape or one alike."""
