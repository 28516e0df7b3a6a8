"""The numpy reference: what every other executor must equal. Slow and obvious.

Sums of products run in float64 matrix products where numpy has a fast one: all terms and partial sums are integers below
2**53 (the checker bounds accumulators by 2**31), which float64 adds without rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Int64
from edgekit.graph.ir import (
    Add,
    Concat,
    Conv2D,
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
    Padding,
    Pair,
    Reshape,
    Slice,
    Tensor,
    WeightedOp,
    clamp_range,
    op_inputs,
    window_count,
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
        values[op.output] = run_op(graph, op, operands).reshape(-1, *output.shape).astype(output.dtype)
    return values


def run_op(graph: IntegerGraph, op: Op, operands: list[Int64]) -> Int64:
    """One op on int64 operands (batch, *shape); int64 within the output's range."""
    x, output = operands[0], graph.tensors[op.output]
    if isinstance(op, WeightedOp):
        return requantize_of(graph, op).apply(_ACCUMULATE[type(op)](op, x) + op.bias.astype(np.int64))
    if isinstance(op, Multiply):
        return requantize_of(graph, op).apply(x * operands[1])
    if isinstance(op, MatMul):
        return requantize_of(graph, op).apply(_matmul(op, x, operands[1]) + op.bias.astype(np.int64))
    if isinstance(op, Add):
        return np.clip(x + operands[1], *clamp_range(op.activation, output))
    if isinstance(op, Concat):
        return np.concatenate(operands, axis=-1)
    if isinstance(op, Slice):
        return x[..., op.start : op.start + output.shape[-1]]
    if isinstance(op, MaxPool):
        padded = _pad(x, op.padding, graph.tensors[op.input].low)
        return np.max(np.stack(list(_windows(padded, op.pool, op.strides, (1, 1)))), axis=0)
    if isinstance(op, Lookup):
        return op.table.astype(np.int64)[x - graph.tensors[op.input].low]
    assert isinstance(op, Reshape)
    return x


def quantize_input(tensor: Tensor, real: npt.NDArray[Any]) -> IntArray:
    """Real values -> the tensor's integers: nearest, ties to even, saturated."""
    return np.clip(np.rint(np.ldexp(real, tensor.binary_point)), tensor.low, tensor.high).astype(tensor.dtype)


def _pad(x: Int64, padding: Padding, value: int) -> Int64:
    rows, columns = (padding.top, padding.bottom), (padding.left, padding.right)
    return np.pad(x, ((0, 0), rows, columns, (0, 0)), constant_values=value)


def _windows(x: Int64, kernel: Pair, strides: Pair, dilation: Pair) -> Any:
    """For each tap of the kernel, row-major, the cells that it meets: (batch, rows, columns, channels)."""
    rows = window_count(x.shape[1], kernel[0], strides[0], dilation[0], 0)
    columns = window_count(x.shape[2], kernel[1], strides[1], dilation[1], 0)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            top, left = i * dilation[0], j * dilation[1]
            yield x[:, top : top + rows * strides[0] : strides[0], left : left + columns * strides[1] : strides[1]]


def _conv2d(op: Any, x: Int64) -> Int64:
    taps = op.weights.reshape(-1, *op.weights.shape[2:]).astype(np.float64)
    cells = _windows(_pad(x, op.padding, 0), op.weights.shape[:2], op.strides, op.dilation)
    return sum(cell.astype(np.float64) @ tap for cell, tap in zip(cells, taps, strict=True)).astype(np.int64)


def _depthwise(op: Any, x: Int64) -> Int64:
    taps = op.weights.reshape(-1, op.weights.shape[2]).astype(np.int64)
    cells = _windows(_pad(x, op.padding, 0), op.weights.shape[:2], op.strides, op.dilation)
    return sum(cell * tap for cell, tap in zip(cells, taps, strict=True))


def _dense(op: Any, x: Int64) -> Int64:
    return (x.reshape(len(x), -1).astype(np.float64) @ op.weights.astype(np.float64)).astype(np.int64)


def _depthwise_transpose(op: Any, x: Int64) -> Int64:
    """(batch, rows, 1, columns, 1, channels) * (kernel_h, 1, kernel_w, channels): the kernel's axes lie inside the map's."""
    batch, rows, columns, channels = x.shape
    kernel_h, kernel_w, _ = op.weights.shape
    product = x[:, :, np.newaxis, :, np.newaxis] * op.weights.astype(np.int64)[:, np.newaxis]
    return product.reshape(batch, rows * kernel_h, columns * kernel_w, channels)


def _matmul(op: MatMul, x: Int64, y: Int64) -> Int64:
    """`einsum` letters: b batch, i cells of x, j cells of y, h heads, k columns of a head. Returns x's cells with new channels."""

    def heads(values: Int64) -> Any:
        return values.reshape(len(values), -1, op.heads, values.shape[-1] // op.heads).astype(np.float64)

    product = np.einsum("bihk,bjhk->bihj" if op.transpose_y else "bihj,bjhk->bihk", heads(x), heads(y), optimize=True)
    return product.reshape(*x.shape[:-1], -1).astype(np.int64)


_ACCUMULATE: dict[type, Callable[[Any, Int64], Int64]] = {
    Conv2D: _conv2d,
    DepthwiseConv2D: _depthwise,
    DepthwiseConv2DTranspose: _depthwise_transpose,
    Dense: _dense,
}
