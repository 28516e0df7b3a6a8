"""What the inputs of a comparison reached inside an exact network: values that never varied, and clamps that never acted.

Executors that agree on a value that is always the same have shown less than on one that varies: a weight that no input brings to act may
be wrong in both. What no input can reach, by intervals through the integers, is counted for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgekit.arrays import Array
from edgekit.graph import Activation, IntegerGraph, channel_ends, clamp_range, value_intervals
from edgekit.graph.ir import ProductOp, WeightedOp


@dataclass(frozen=True, kw_only=True)
class TensorCoverage:
    """Of one tensor, over all inputs.

    values, unvaried: how many there are for an input, and how many of them were the same for all inputs.
    channels, constant, fixed: how many there are, how many had one value everywhere and for all inputs, and how many of those can have no
        other, whatever the input.
    lower, upper: in how many channels the clamp's lower and upper end was reached; None of a tensor that no clamp gives.
    lower_open, upper_open: in how many more it might be, by other inputs.
    """

    name: str
    values: int
    unvaried: int
    channels: int
    constant: int
    fixed: int
    lower: int | None
    upper: int | None
    lower_open: int | None
    upper_open: int | None


class Extremes:
    """The lowest and the highest of each value of each tensor so far, by tensor name: arrays of the tensor's shape."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[Array, Array]] = {}

    def add(self, name: str, values: Array) -> None:
        """`values` (batch, *shape)."""
        low, high = values.min(axis=0), values.max(axis=0)
        if name in self.found:
            low, high = np.minimum(low, self.found[name][0]), np.maximum(high, self.found[name][1])
        self.found[name] = (low, high)


def coverage_of(graph: IntegerGraph, extremes: Mapping[str, tuple[Array, Array]]) -> tuple[TensorCoverage, ...]:
    """In graph order, of the tensors whose extremes are known."""
    clamps = {
        op.output: clamp_range(getattr(op, "activation", Activation.NONE), graph.tensors[op.output])
        for op in graph.ops
        if isinstance(op, WeightedOp | ProductOp)
    }
    intervals = value_intervals(graph)
    names = (graph.input, *(op.output for op in graph.ops))
    return tuple(_of_tensor(name, *extremes[name], intervals[name], clamps.get(name)) for name in names if name in extremes)


def _of_tensor(name: str, low: Array, high: Array, interval: tuple[Array, Array], clamp: tuple[int, int] | None) -> TensorCoverage:
    lowest, highest = channel_ends(low, high)
    least, most = channel_ends(*interval)
    bottom, top = (None, None) if clamp is None else clamp

    def count(channels: Array) -> int | None:
        return None if clamp is None else int(channels.sum())

    return TensorCoverage(
        name=name,
        values=low.size,
        unvaried=int((low == high).sum()),
        channels=low.shape[-1],
        constant=int((lowest == highest).sum()),
        fixed=int((least == most).sum()),
        lower=count(lowest == bottom),
        upper=count(highest == top),
        lower_open=count((lowest != bottom) & (least == bottom)),
        upper_open=count((highest != top) & (most == top)),
    )
