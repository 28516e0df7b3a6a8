"""The arithmetic of the kernels: sums of weighted values and of products, requantized. What a loop around it looks like, it does not know.

A weighted op is computed in quarters: under the contract each accumulator is 4 * s + 2, so the kernels sum s with weights of six bits
(edgekit_arithmetic.h has the proof). An accumulator of products of activations is requantized by one shift, with the rounding constant
in what starts the sum (graph/requantize.py): half-way cases go up.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from edgekit.arrays import Int64
from edgekit.graph import IntegerGraph, Tensor, requantize_of
from edgekit.graph.ir import ProductOp, WeightedOp, accumulator_taps
from edgekit.hls.kernels.base import Constant, Memory, signed, unsigned

K_HOT_MAX = 2
"""Weights of at most so many set bits are multiplied by shifts and adds."""
PLAIN_WEIGHT_BITS = 6
"""Bits of a weight in two's complement."""
SUMS_IN_DSP = 16
PACKED_FIELD_BITS = 18
"""As edgekit_arithmetic.h has them."""
ARITHMETIC_FACTOR = 1.1
"""What arithmetic takes beyond the sum of its parts (FINN-R, arXiv 1809.04570)."""


class Arithmetic(enum.Enum):
    """How a product of an activation and a weight is taken."""

    MULTIPLY = "multiply"
    """A multiplier each."""
    PACKED = "packed"
    """Two products that share an activation, of two neighbouring PEs, in one DSP multiplier."""
    SHIFT_ADD = "shift_add"
    """No multiplier: shifts of the activation, added."""


@dataclass(frozen=True)
class Sums:
    """How sums of weighted values are taken and requantized: the arithmetic, and the bits of each number in it.

    `shift_bits`: of what a channel's shift is beyond the smallest one; 0 where all channels have the same. `shifted_bits`: of a sum once
    the smallest shift is taken. `weight_rom_bits`, `bias_rom_bits`: of what a ROM has to keep of each, 0 where all are alike.
    """

    arithmetic: Arithmetic
    weight_bits: int
    accumulator_bits: int
    bias_bits: int
    shift_bits: int
    shifted_bits: int
    weight_rom_bits: int
    bias_rom_bits: int

    def multipliers(self, products: int) -> int:
        """Multipliers for so many products a cycle."""
        if self.arithmetic is Arithmetic.SHIFT_ADD:
            return 0
        return products // (2 if self.arithmetic is Arithmetic.PACKED else 1)

    def requantize_memory(self, groups: int, pe: int) -> Memory:
        return Memory("bias and shift", groups, pe * (self.bias_rom_bits + self.shift_bits), rom=True)

    def parts(self, pe: int, simd: int, sum_: str = "sum") -> dict[str, float]:
        """What `pe` sums side by side are made of, to each of which `simd` products are added a cycle, in bits or products.

        Multipliers and what adds up their products are DSP slices. A shift takes a multiplexer for each bit of the sum and of the amount,
        the clamp compares what is left. `sum_`: what adds up, from cycle to cycle.
        """
        shifted = {"shift": pe * self.shift_bits * self.shifted_bits, "clamp": pe * self.shifted_bits}
        found: dict[str, float] = {f"{sum_}, {self.arithmetic.value}": pe * self.accumulator_bits, **shifted}
        if self.arithmetic is Arithmetic.SHIFT_ADD:
            found["product by shifts"] = pe * simd * (self.weight_bits - 1) // 3
        return found


@dataclass(frozen=True)
class Quarters:
    """A weighted op divided by 4, as the lattice allows (see edgekit_arithmetic.h): acc = 4*s + 2.

    `weights` 6-bit; `bias` has each channel's rounding constant in it; `bound`: the largest |s|.
    """

    weights: Int64
    bias: Int64
    shifts: tuple[int, ...]
    bound: int
    wide_bound: int


def quarters(graph: IntegerGraph, op: WeightedOp) -> Quarters:
    requantize = requantize_of(graph, op)
    shifts, rounding = requantize.shifts, np.array(requantize.rounding_constants, np.int64) // 4
    weights = op.weights.astype(np.int64) // 4
    bias = op.bias.astype(np.int64) // 4 + rounding
    source = graph.tensors[op.input]
    largest = max(abs(source.low), source.high)
    sums = np.abs(weights).sum(axis=accumulator_taps(op)).reshape(-1, len(shifts)).max(axis=0)
    bounds = sums * largest + np.abs(bias)
    wide = [int(b) if n >= 3 else (2 * int(b) + 1) << (1 - n) for b, n in zip(bounds, shifts, strict=True)]
    return Quarters(weights=weights, bias=bias, shifts=shifts, bound=int(bounds.max()), wide_bound=max(*wide, int(bounds.max())))


def signed_bits(bound: int) -> int:
    """Bits of a two's complement integer that holds -bound..bound."""
    return bound.bit_length() + 1


def value_type(tensor: Tensor) -> str:
    """hls4ml's name for the type of a tensor's values."""
    return f"{'' if tensor.signed else 'u'}int<{tensor.bits}>"


def sums_of(graph: IntegerGraph, op: WeightedOp, packable: bool) -> Sums:
    """`packable`: whether two neighbouring PEs share each activation."""
    hot, *bits = _measured(graph, op)
    arithmetic = Arithmetic.SHIFT_ADD if hot else Arithmetic.PACKED if packable else Arithmetic.MULTIPLY
    return Sums(arithmetic, _weight_bits(hot), *bits)


@lru_cache(maxsize=256)
def _measured(graph: IntegerGraph, op: WeightedOp) -> tuple[int, ...]:
    """What takes a look at every weight, which the planner would else do for every folding: code, and Sums' bits after the weights'."""
    q = quarters(graph, op)
    least, further = min(q.shifts), max(q.shifts) - min(q.shifts)
    shifted = q.bound >> (least - 2) if least >= 3 else _widest(q)
    bias_bits = signed_bits(int(np.abs(q.bias).max()))
    sums = signed_bits(q.bound), bias_bits, further.bit_length(), signed_bits(shifted)
    return weight_code(op), *sums, _rom_bits(coded(op, q.weights)), min(bias_bits, _rom_bits(q.bias))


def _rom_bits(values: Int64) -> int:
    """Of the widest value; 0 where all are alike."""
    low, high = int(values.min()), int(values.max())
    return 0 if low == high else max(high.bit_length(), (~low).bit_length() if low < 0 else 0) + (low < 0)


def weight_code(op: WeightedOp) -> int:
    """The number of set bits in the op's weights, where shifts and adds multiply by them; 0 where multipliers do."""
    magnitudes = np.abs(op.weights.astype(np.int64)) // 4
    most = max(1, int(max(bin(value).count("1") for value in np.unique(magnitudes))))
    return most if most <= K_HOT_MAX else 0


def weight_bits(op: WeightedOp) -> int:
    """Bits of a weight: a sign and the place of each set bit where shifts and adds multiply, else two's complement."""
    return _weight_bits(weight_code(op))


def _weight_bits(hot: int) -> int:
    return 1 + 3 * hot if hot else PLAIN_WEIGHT_BITS


def weight_type(op: WeightedOp) -> str:
    """hls4ml's name for the type of an op's weights as they are coded."""
    return f"{'u' if weight_code(op) else ''}int<{weight_bits(op)}>"


def coded(op: WeightedOp, weights: Int64) -> Int64:
    """Weights -31..31 as they are, or as the signs and places of their bits (see shift_add in edgekit_arithmetic.h)."""
    hot = weight_code(op)
    return np.array([_code(w, hot) for w in range(-31, 32)], np.int64)[weights + 31] if hot else weights


def _code(weight: int, hot: int) -> int:
    places = [place for place in range(5) if abs(weight) >> place & 1]
    if len(places) > hot:
        return 0  # does not occur
    places += [7] * (hot - len(places))
    return int(weight < 0) | sum(place << (1 + 3 * k) for k, place in enumerate(places))


def sums_constants(graph: IntegerGraph, op: WeightedOp, pe: int) -> tuple[Constant, ...]:
    """What a kernel has to know to requantize `pe` sums side by side."""
    q, requantize = quarters(graph, op), requantize_of(graph, op)
    clamp, shifts = {"low": requantize.low, "high": requantize.high}, {"shift_low": min(q.shifts), "shift_high": max(q.shifts)}
    return (*unsigned(pe=pe, n_wide=signed_bits(_widest(q))), *signed(**clamp, **shifts))


def _widest(q: Quarters) -> int:
    """The largest number that a requantize handles: a sum, or one that is shifted left."""
    least = min(q.shifts)
    return q.bound if least >= 3 else (2 * q.bound + 1) << (1 - least)


def sums_types(op: WeightedOp, sums: Sums) -> dict[str, str]:
    """C++ types of an accumulator, and of what takes the products."""
    arithmetic = f"shift_add<{weight_code(op)}>" if sums.arithmetic is Arithmetic.SHIFT_ADD else sums.arithmetic.value
    return {"accum_t": f"ap_int<{sums.accumulator_bits}>", "arithmetic": f"nnet::{arithmetic}"}


def sums_arrays(graph: IntegerGraph, op: WeightedOp, sums: Sums) -> dict[str, tuple[str, Int64]]:
    """What each sum starts with, with its rounding constant, and by what it is shifted beyond the smallest shift."""
    q = quarters(graph, op)
    further = np.array(q.shifts, np.int64) - min(q.shifts)
    return {"bias": (f"int<{sums.bias_bits}>", q.bias), "shift": (f"uint<{max(1, sums.shift_bits)}>", further)}


def product_constants(graph: IntegerGraph, op: ProductOp) -> tuple[Constant, ...]:
    """What a kernel has to know to requantize sums of products of activations."""
    requantize = requantize_of(graph, op)
    return (*unsigned(shift=requantize.shifts[0]), *signed(low=requantize.low, high=requantize.high))


def rounding_constant(graph: IntegerGraph, op: ProductOp) -> int:
    return requantize_of(graph, op).rounding_constants[0]
