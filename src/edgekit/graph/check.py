"""The contract checker: proves, without running anything, that every executor will compute the same integers.

The rule numbers are those of docs/numerics.md. Rule 0 is what makes the graph a graph: names, shapes, types and order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

import numpy as np

from edgekit.errors import ContractError
from edgekit.graph.ir import (
    OP_TYPES,
    Activation,
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
    ProductOp,
    Reshape,
    Slice,
    Tensor,
    WeightedOp,
    accumulator_taps,
    op_inputs,
    output_channels,
    window_count,
)
from edgekit.graph.requantize import SHIFT_MAX, SHIFT_MIN, product_shift, shifts_of

WEIGHT_STEP, WEIGHT_MAX = 4, 124
BIAS_MODULUS, BIAS_REMAINDER = 4, 2
SHIFT_NEVER = 2
SHIFT_ALWAYS_EXACT, ACCUMULATOR_FLOAT32 = 16, 1 << 25
ACCUMULATOR_MAX = 1 << 31
CLAMP_ROOM = 128
"""LSBs of an output between 0 and its lowest integer, -128, or what it is stored minus, 128."""
BINARY_POINT_MAX = 63
"""Keeps every scale, and the product of two, a normal float32: 2**-126 is the lowest."""


@dataclass(frozen=True)
class Violation:
    tensor: str
    rule: int
    message: str

    def __str__(self) -> str:
        return f"tensor '{self.tensor}' breaks rule {self.rule}: {self.message}"


def check(graph: IntegerGraph) -> None:
    """Raises ContractError naming the tensors and the rules that fail."""
    found = list(violations(graph))
    if found:
        more = f"\n... and {len(found) - 5} more" if len(found) > 5 else ""
        raise ContractError("\n".join(str(v) for v in found[:5]) + more)


def violations(graph: IntegerGraph) -> Iterator[Violation]:
    """Every breach, in graph order. Numeric rules are looked at only in a well-formed graph."""
    structural = list(_structure(graph))
    if structural:
        yield from structural
        return
    for op in graph.ops:
        yield from _numbers(graph, op)


def accumulator_bound(graph: IntegerGraph, op: WeightedOp) -> IntArray:
    """Worst-case |accumulator| of each output channel: sum|w| * max|x| + |b|, int64 (channels,)."""
    sums = np.abs(op.weights.astype(np.int64)).sum(axis=accumulator_taps(op))
    weights = sums.reshape(-1, output_channels(op)).max(axis=0)
    return weights * _largest(graph.tensors[op.input]) + np.abs(op.bias.astype(np.int64))


def product_bound(graph: IntegerGraph, op: ProductOp) -> int:
    """Worst-case |accumulator| of a product of activations: terms * max|x| * max|y| + max|b|."""
    x, y = (graph.tensors[name] for name in op.inputs)
    one = _largest(x) * _largest(y)
    if isinstance(op, Multiply):
        return one
    terms = x.shape[-1] // op.heads
    return terms * one + int(np.abs(op.bias.astype(np.int64)).max())


def _largest(tensor: Tensor) -> int:
    return max(abs(tensor.low), tensor.high)


def _structure(graph: IntegerGraph) -> Iterator[Violation]:
    for name, tensor in graph.tensors.items():
        if tensor.name != name:
            yield Violation(name, 0, f"is stored under another name, '{tensor.name}'")
        if tensor.bits != 8:
            yield Violation(name, 0, f"activations have 8 bits, not {tensor.bits}")
        if not tensor.shape or min(tensor.shape) < 1:
            yield Violation(name, 0, f"shape {tensor.shape} is empty")
        if abs(tensor.binary_point) > BINARY_POINT_MAX:
            yield Violation(name, 0, f"binary point {tensor.binary_point} is outside +-{BINARY_POINT_MAX}")
    if graph.input in graph.outputs:
        yield Violation(graph.input, 0, "is the input; an output has to be computed by an op")
    ready = {graph.input}
    for name in (graph.input, *graph.outputs):
        if name not in graph.tensors:
            yield Violation(name, 0, "is an input or output of the graph but not one of its tensors")
            return
    for op in graph.ops:
        missing = [name for name in op_inputs(op) if name not in ready]
        if missing or op.output not in graph.tensors:
            yield Violation(op.output, 0, f"op '{op.name}' reads {missing} before they are computed, or writes no tensor of the graph")
            return
        if op.output in ready:
            yield Violation(op.output, 0, f"op '{op.name}' writes it a second time")
        ready.add(op.output)
        problem = _shape_problem(graph, op)
        if problem:
            yield Violation(op.output, 0, f"op '{op.name}': {problem}")
    for name in graph.tensors:
        if name not in ready:
            yield Violation(name, 0, "no op computes it")
    if not graph.outputs or len(set(graph.outputs)) != len(graph.outputs):
        yield Violation(graph.input, 0, "the graph needs outputs, each once")
    if len({op.name for op in graph.ops}) != len(graph.ops):
        yield Violation(graph.input, 0, "two ops have the same name")


def _shape_problem(graph: IntegerGraph, op: Op) -> str | None:
    """What is wrong with the shapes and types around one op, or None."""
    sources, output = [graph.tensors[name] for name in op_inputs(op)], graph.tensors[op.output]
    if type(op) not in OP_TYPES:
        return f"unknown op {type(op).__name__}"
    if isinstance(op, WeightedOp):
        problem = _weights_problem(op, sources[0])
        if problem:
            return problem
    expected = _slice_shape(op, sources[0], output) if isinstance(op, Slice) else _output_shape(op, sources)
    if expected is None:
        return f"cannot take inputs of shape {', '.join(str(s.shape) for s in sources)}"
    if isinstance(op, Reshape):
        return None if prod(expected) == prod(output.shape) else f"reshapes {expected} to {output.shape}"
    return None if expected == output.shape else f"gives shape {expected}, the tensor has {output.shape}"


def _weights_problem(op: WeightedOp, source: Tensor) -> str | None:
    ranks = {Conv2D: 4, DepthwiseConv2D: 3, DepthwiseConv2DTranspose: 3, Dense: 2}
    if op.weights.dtype != np.int8 or op.bias.dtype != np.int32:
        return f"weights are int8 and biases int32, not {op.weights.dtype} and {op.bias.dtype}"
    if op.weights.ndim != ranks[type(op)] or op.weights.size == 0:
        return f"weights of shape {op.weights.shape}"
    channels = output_channels(op)
    if op.bias.shape != (channels,) or len(op.weight_binary_points) != channels:
        return f"{channels} channels, but biases {op.bias.shape} and {len(op.weight_binary_points)} binary points"
    if any(abs(f) > BINARY_POINT_MAX for f in op.weight_binary_points):
        return f"a weight's binary point is outside +-{BINARY_POINT_MAX}"
    if isinstance(op, Dense):
        return None if op.weights.shape[0] == prod(source.shape) else f"{op.weights.shape[0]} weights for {source.shape}"
    if len(source.shape) != 3 or op.weights.shape[2] != source.shape[2]:
        return f"weights {op.weights.shape} for a map {source.shape}"
    return None


def _output_shape(op: Op, sources: list[Tensor]) -> tuple[int, ...] | None:
    shape = sources[0].shape
    if isinstance(op, Conv2D | DepthwiseConv2D):
        return _window_shape(op.weights.shape[:2], op.strides, op.dilation, op.padding, shape, output_channels(op))
    if isinstance(op, DepthwiseConv2DTranspose):
        rows, columns, channels = op.weights.shape
        return shape[0] * rows, shape[1] * columns, channels
    if isinstance(op, MaxPool) and len(shape) == 3:
        padding = op.padding  # a window of padding only has no largest value
        if max(padding.top, padding.bottom) >= op.pool[0] or max(padding.left, padding.right) >= op.pool[1]:
            return None
        return _window_shape(op.pool, op.strides, (1, 1), padding, shape, shape[2])
    if isinstance(op, Dense):
        return (output_channels(op),)
    if isinstance(op, Add):
        return shape if len(sources) == 2 and sources[1].shape == shape else None
    if isinstance(op, Multiply):
        gate = (1, 1, shape[-1]) if len(shape) == 3 else shape
        return shape if len(sources) == 2 and sources[1].shape in (shape, gate) else None
    if isinstance(op, MatMul):
        return _matmul_shape(op, sources) if len(sources) == 2 and all(len(s.shape) == 3 for s in sources) else None
    if isinstance(op, Concat):
        same = len(sources) > 1 and all(s.shape[:-1] == shape[:-1] for s in sources)
        return (*shape[:-1], sum(s.shape[-1] for s in sources)) if same else None
    return shape if isinstance(op, Lookup | Reshape) else None


def _matmul_shape(op: MatMul, sources: list[Tensor]) -> tuple[int, ...] | None:
    (rows, columns, x_channels), (y_rows, y_columns, y_channels) = sources[0].shape, sources[1].shape
    if op.heads < 1 or x_channels % op.heads or y_channels % op.heads:
        return None
    terms, cells = y_channels // op.heads if op.transpose_y else y_rows * y_columns, y_rows * y_columns
    if x_channels != op.heads * terms:
        return None
    output = (rows, columns, op.heads * cells if op.transpose_y else y_channels)
    return output if op.bias.dtype == np.int32 and op.bias.shape in (output, (1, 1, 1)) else None


def _slice_shape(op: Slice, source: Tensor, output: Tensor) -> tuple[int, ...] | None:
    count = output.shape[-1]
    return (*source.shape[:-1], count) if 0 <= op.start <= source.shape[-1] - count else None


def _window_shape(
    kernel: tuple[int, ...], strides: tuple[int, int], dilation: tuple[int, int], padding: Padding, shape: tuple[int, ...], channels: int
) -> tuple[int, ...] | None:
    steps = (*kernel, *strides, *dilation)
    pads = (padding.top, padding.bottom, padding.left, padding.right)
    if min(steps) < 1 or min(pads) < 0:
        return None
    rows = window_count(shape[0], kernel[0], strides[0], dilation[0], padding.top + padding.bottom)
    columns = window_count(shape[1], kernel[1], strides[1], dilation[1], padding.left + padding.right)
    return (rows, columns, channels) if rows > 0 and columns > 0 else None


def _numbers(graph: IntegerGraph, op: Op) -> Iterator[Violation]:
    output = graph.tensors[op.output]
    sources = [graph.tensors[name] for name in op_inputs(op)]
    if isinstance(op, WeightedOp):
        yield from _accumulator_rules(graph, op)
    if isinstance(op, ProductOp):
        yield from _product_rules(graph, op)
    if isinstance(op, Add):
        for source in sources:
            if source.binary_point != output.binary_point:
                yield Violation(
                    output.name, 4, f"adds '{source.name}' with binary point {source.binary_point} into binary point {output.binary_point}"
                )
    if isinstance(op, Concat | Slice | MaxPool | Reshape):
        for source in sources:
            if (source.signed, source.binary_point) != (output.signed, output.binary_point):
                yield Violation(output.name, 6, f"'{op.name}' does not change a type, but '{source.name}' has another one")
    if isinstance(op, Lookup):
        table = op.table
        if table.shape != (256,) or table.dtype != output.dtype or table.min() < output.low or table.max() > output.high:
            yield Violation(output.name, 7, f"the table of '{op.name}' is not 256 integers of type {output.dtype}")
    activation = getattr(op, "activation", Activation.NONE)
    if activation is Activation.RELU6 and output.binary_point < -1:
        yield Violation(output.name, 6, f"6 is no integer at binary point {output.binary_point}; use a plain ReLU")


def _accumulator_rules(graph: IntegerGraph, op: WeightedOp) -> Iterator[Violation]:
    name = op.output
    wide = op.weights.astype(np.int64)
    bad = np.argwhere((wide % WEIGHT_STEP != 0) | (np.abs(wide) > WEIGHT_MAX))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        yield Violation(
            name, 1, f"weight {wide[at]} at {at} of '{op.name}' is no multiple of 4 in -124..124 ({len(bad)} of {wide.size} weights)"
        )
    odd = np.flatnonzero(op.bias.astype(np.int64) % BIAS_MODULUS != BIAS_REMAINDER)
    if len(odd):
        yield Violation(name, 1, f"bias {op.bias[odd[0]]} of channel {odd[0]} of '{op.name}' is not 2 modulo 4")
    bounds = accumulator_bound(graph, op)
    for channel, (n, bound) in enumerate(zip(shifts_of(graph, op), bounds.tolist(), strict=True)):
        where = f"channel {channel} of '{op.name}'"
        if n == SHIFT_NEVER:
            yield Violation(name, 2, f"{where} shifts by 2, where roundings differ")
        elif not SHIFT_MIN <= n <= SHIFT_MAX:
            yield Violation(name, 2, f"{where} shifts by {n}, outside {SHIFT_MIN}..{SHIFT_MAX}")
        elif n > SHIFT_ALWAYS_EXACT and bound >= ACCUMULATOR_FLOAT32:
            yield Violation(name, 3, f"{where} shifts by {n} > 16 and its accumulator may reach {bound} >= 2**25")
        elif bound << _left_shift(n) >= ACCUMULATOR_MAX:
            yield Violation(name, 3, f"{where}: its accumulator may reach {bound}, {2 ** _left_shift(n)} times which leaves int32")


def _product_rules(graph: IntegerGraph, op: ProductOp) -> Iterator[Violation]:
    """The requantize of a product is int32 arithmetic: it is exact as long as nothing leaves int32.

    That is the accumulator, half an output LSB, and the 128 LSBs between 0 and the lowest integer or TFLite's zero point: an executor
    may clamp, or subtract the zero point, before it shifts.
    """
    n, bound = product_shift(graph, op), product_bound(graph, op)
    if not 0 <= n <= SHIFT_MAX:
        yield Violation(op.output, 8, f"'{op.name}' shifts by {n}, outside 0..{SHIFT_MAX}")
    elif bound + ((1 << n) >> 1) + (CLAMP_ROOM << n) >= ACCUMULATOR_MAX:
        yield Violation(op.output, 8, f"the accumulator of '{op.name}' may reach {bound}; rounded and clamped it leaves int32")
    if isinstance(op, MatMul):
        for source in (graph.tensors[name] for name in op.inputs):
            if not source.signed:
                yield Violation(op.output, 8, f"'{op.name}' reads '{source.name}', which is unsigned; TFLite's product knows no zero point")


def _left_shift(n: int) -> int:
    """How far TFLite shifts an accumulator left, in int32, before it multiplies.

    Its multiplier lies in [1/2, 1): 2**-n is 1/2 * 2**(1-n), so already n = 0 doubles. A depthwise convolution with weight 4, bias
    2**30 + 2 and n = 0 gives 127 in XNNPACK and, the sign bit being reached, -128 in the reference and optimized kernels.
    """
    return max(0, 1 - n)
