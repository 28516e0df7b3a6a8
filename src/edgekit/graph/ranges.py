"""What integers a tensor or an accumulator may hold, whatever the graph's input is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from edgekit.graph.ir import (
    Activation,
    Concat,
    IntArray,
    IntegerGraph,
    Lookup,
    MaxPool,
    Multiply,
    Op,
    Pair,
    ProductOp,
    Reshape,
    Slice,
    Tensor,
    WeightedOp,
    accumulator_taps,
    clamp_range,
    op_inputs,
    output_channels,
)

FLOAT32_INTEGERS = 1 << 24
"""float32 holds every whole number up to this one."""


def lowest(graph: IntegerGraph, name: str) -> int:
    """No integer of the tensor is below it."""
    found = {graph.input: graph.tensors[graph.input].low}
    for op in graph.ops:
        found[op.output] = BETTER_KNOWN.get(type(op), _clamped)(graph, op, found)
    return found[name]


def accumulator_bound(graph: IntegerGraph, op: WeightedOp) -> IntArray:
    """Worst-case |accumulator| of each output channel: sum|w| * max|x| + |b|, int64 (channels,)."""
    sums = np.abs(op.weights.astype(np.int64)).sum(axis=accumulator_taps(op))
    weights = sums.reshape(-1, output_channels(op)).max(axis=0)
    return weights * _largest(graph.tensors[op.input]) + np.abs(op.bias.astype(np.int64))


def product_bound(graph: IntegerGraph, op: ProductOp) -> int:
    """Worst-case |accumulator| of a product of activations: terms * max|x| * max|y| + max|b|."""
    x, y = (graph.tensors[name] for name in op.inputs)
    terms, bias = _terms_and_bias(graph, op)
    return terms * _largest(x) * _largest(y) + int(np.abs(bias).max())


def product_range(graph: IntegerGraph, op: ProductOp) -> Pair:
    """The lowest and highest accumulator of the same sum: within product_bound, nearer where signs allow no more."""
    x, y = (graph.tensors[name] for name in op.inputs)
    terms, bias = _terms_and_bias(graph, op)
    corners = [a * b for a in (x.low, x.high) for b in (y.low, y.high)]
    return terms * min(corners) + int(bias.min()), terms * max(corners) + int(bias.max())


def _terms_and_bias(graph: IntegerGraph, op: ProductOp) -> tuple[int, IntArray]:
    """How many products one accumulator sums, and the int64 biases that are added to them."""
    if isinstance(op, Multiply):
        return 1, np.zeros(1, np.int64)
    return graph.tensors[op.inputs[0]].shape[-1] // op.heads, op.bias.astype(np.int64)


def _largest(tensor: Tensor) -> int:
    return max(abs(tensor.low), tensor.high)


_Found: TypeAlias = dict[str, int]


def _clamped(graph: IntegerGraph, op: Any, found: _Found) -> int:
    """True of every op: its output is clamped to its type, and by its activation where it has one."""
    return clamp_range(getattr(op, "activation", Activation.NONE), graph.tensors[op.output])[0]


def _least_entry(graph: IntegerGraph, op: Lookup, found: _Found) -> int:
    return int(op.table.min())


def _of_sources(graph: IntegerGraph, op: Op, found: _Found) -> int:
    return min(found[source] for source in op_inputs(op))


BETTER_KNOWN: Mapping[type[Op], Callable[[IntegerGraph, Any, _Found], int]] = {
    Concat: _of_sources,
    Slice: _of_sources,
    MaxPool: _of_sources,
    Lookup: _least_entry,
    Reshape: _of_sources,
}
"""Ops of whose lowest integer more is known than its clamp, from those of the tensors before it."""
