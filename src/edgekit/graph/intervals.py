"""Between which two integers each value of each tensor stays, whatever the graph's input is.

Interval arithmetic on the reference's own functions: an op that grows with its operand gives its lowest integer for the lowest operand.
A sum of products grows with the operands of its positive weights and falls with those of the others,

    low = sum w+ low(x) + sum w- high(x) + b        high = sum w+ high(x) + sum w- low(x) + b

and requantization grows with its accumulator. Values are taken as if they were independent, so an interval may be wider than what inputs
can reach, never narrower.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias, get_args

import numpy as np

from edgekit.arrays import Int64
from edgekit.graph.ir import IntArray, IntegerGraph, Lookup, MatMul, Multiply, Op, WeightedOp, op_inputs
from edgekit.graph.reference import ACCUMULATE, RUN
from edgekit.graph.requantize import requantize_of

Interval: TypeAlias = tuple[Int64, Int64]
"""The lowest and the highest of each value: int64 (1, *shape)."""


def value_intervals(graph: IntegerGraph) -> dict[str, tuple[IntArray, IntArray]]:
    """Tensor name -> the lowest and the highest of each of its values: two arrays of the tensor's shape and type, the input's included."""
    tensor = graph.tensors[graph.input]
    low, high = (np.full(tensor.shape, end, tensor.dtype) for end in (tensor.low, tensor.high))
    found: dict[str, tuple[IntArray, IntArray]] = {graph.input: (low, high)}
    for op in graph.ops:
        known = (found[name] for name in op_inputs(op))
        operands = [(low[np.newaxis].astype(np.int64), high[np.newaxis].astype(np.int64)) for low, high in known]
        output = graph.tensors[op.output]
        interval = OTHERS.get(type(op), _growing)
        low, high = (end.reshape(output.shape).astype(output.dtype) for end in interval(graph, op, operands))
        found[op.output] = low, high
    return found


def channel_ends(low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
    """The lowest and the highest of each channel (channels,), of those of each value (*shape)."""
    channels = low.shape[-1]
    return low.reshape(-1, channels).min(axis=0), high.reshape(-1, channels).max(axis=0)


def _growing(graph: IntegerGraph, op: Op, operands: list[Interval]) -> Interval:
    low, high = (RUN[type(op)](graph, op, [ends[side] for ends in operands]) for side in (0, 1))
    return low, high


def _weighted(graph: IntegerGraph, op: Any, operands: list[Interval]) -> Interval:
    ((low, high),) = operands
    rises = replace(op, weights=np.maximum(op.weights, 0))
    falls = replace(op, weights=np.minimum(op.weights, 0), bias=np.zeros_like(op.bias))
    accumulate, apply = ACCUMULATE[type(op)], requantize_of(graph, op).apply
    return apply(accumulate(rises, low) + accumulate(falls, high)), apply(accumulate(rises, high) + accumulate(falls, low))


def _multiply(graph: IntegerGraph, op: Any, operands: list[Interval]) -> Interval:
    corners = [x * y for x in operands[0] for y in operands[1]]
    apply = requantize_of(graph, op).apply
    return apply(np.minimum.reduce(corners)), apply(np.maximum.reduce(corners))


def _matmul(graph: IntegerGraph, op: Any, operands: list[Interval]) -> Interval:
    """By the parts of either sign, x = x+ - x-:  xy = x+ y+ - x+ y- - x- y+ + x- y-, each of which is between products of ends."""
    (low_x, high_x), (low_y, high_y) = operands
    without_bias = replace(op, bias=np.zeros_like(op.bias))

    def sums(x: Int64, y: Int64) -> Int64:
        return ACCUMULATE[MatMul](without_bias, np.maximum(x, 0), np.maximum(y, 0))

    least = sums(low_x, low_y) - sums(high_x, -low_y) - sums(-low_x, high_y) + sums(-high_x, -high_y)
    most = sums(high_x, high_y) - sums(low_x, -high_y) - sums(-high_x, low_y) + sums(-low_x, -low_y)
    apply = requantize_of(graph, op).apply
    return apply(least + op.bias), apply(most + op.bias)


def _lookup(graph: IntegerGraph, op: Any, operands: list[Interval]) -> Interval:
    """The least and the largest entry from one place of the table to another: rows are where to begin, columns where to end."""
    table = op.table.astype(np.int64)
    begin, end = (places - graph.tensors[op.input].low for places in operands[0])
    before = np.tri(len(table), k=-1, dtype=bool)
    least = np.minimum.accumulate(np.where(before, table.max(), table), axis=1)
    largest = np.maximum.accumulate(np.where(before, table.min(), table), axis=1)
    return least[begin, end], largest[begin, end]


OTHERS: Mapping[type[Op], Callable[[IntegerGraph, Any, list[Interval]], Interval]] = {
    **dict.fromkeys(get_args(WeightedOp), _weighted),
    Multiply: _multiply,
    MatMul: _matmul,
    Lookup: _lookup,
}
"""Ops that do not grow with each operand."""
