"""Requantize: from an int32 accumulator to 8 bits.

    out = clamp(round(acc / 2**n), low, high)

After weights n = f_in + f_w - f_out, one n per output channel. Under the contract no such accumulator is half-way between two
outputs, so every way of rounding gives the same integer; the cheapest one is an addition and an arithmetic shift:

    n >= 1:  (acc + 2**(n-1)) >> n          n <= 0:  acc << -n

After a product of activations n = f_x + f_y - f_out. Its accumulator can be half-way; the formula above, which rounds half
up, is then part of the op: every executor computes just that, in int32.

A Requantize is that step of one op. The reference applies it; TFLite's int32 ops, the HLS kernels (a quarter of its constants, as their
sums are of quarters) and the checker's bounds take shifts, rounding constants and clamp from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph.ir import Activation, IntegerGraph, ProductOp, WeightedOp, clamp_range, op_inputs

SHIFT_MIN = -7
"""XNNPACK takes requantization scales below 2**8 only."""
SHIFT_MAX = 30
"""TFLite's fixed-point multiplier, a Q31 number and a right shift, has no use for more."""


@dataclass(frozen=True)
class Requantize:
    """`shifts`: n for each output channel, or one for all, each in SHIFT_MIN..SHIFT_MAX. Raises ValueError for others."""

    shifts: tuple[int, ...]
    low: int
    high: int

    def __post_init__(self) -> None:
        for n in self.shifts:
            if not SHIFT_MIN <= n <= SHIFT_MAX:
                raise ValueError(f"shift {n} is outside {SHIFT_MIN}..{SHIFT_MAX}")
        if self.low > self.high:
            raise ValueError(f"clamp {self.low}..{self.high} is empty")

    @property
    def rounding_constants(self) -> tuple[int, ...]:
        """What to add to each channel's bias so that a truncating shift rounds."""
        return tuple(1 << (n - 1) if n >= 1 else 0 for n in self.shifts)

    def apply(self, accumulators: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        """`accumulators` int64 (..., channels) -> int64 of the same shape."""
        right = np.maximum(np.array(self.shifts, np.int64), 0)
        left = np.maximum(-np.array(self.shifts, np.int64), 0)
        rounded = (accumulators + np.array(self.rounding_constants, np.int64)) >> right
        return np.clip(rounded << left, self.low, self.high)


def shifts_of(graph: IntegerGraph, op: WeightedOp) -> tuple[int, ...]:
    """n = f_in + f_w - f_out for each output channel."""
    f_in, f_out = graph.tensors[op.input].binary_point, graph.tensors[op.output].binary_point
    return tuple(f_in + f_w - f_out for f_w in op.weight_binary_points)


def product_shift(graph: IntegerGraph, op: ProductOp) -> int:
    """n = f_x + f_y - f_out."""
    return sum(graph.tensors[name].binary_point for name in op_inputs(op)) - graph.tensors[op.output].binary_point


def requantize_of(graph: IntegerGraph, op: WeightedOp | ProductOp) -> Requantize:
    """The requantize that ends `op`."""
    shifts = (product_shift(graph, op),) if isinstance(op, ProductOp) else shifts_of(graph, op)
    return Requantize(shifts, *clamp_range(getattr(op, "activation", Activation.NONE), graph.tensors[op.output]))
