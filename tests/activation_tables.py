"""Graphs of tables that TFLite has ops for, on a map of all 256 inputs: GELU and hard-swish, by their formulas."""

from __future__ import annotations

from fractions import Fraction
from math import erfc, floor, sqrt

import numpy as np

from edgekit.graph import IntegerGraph, Lookup, Tensor

SIDE = (4, 4, 16)


def gelu_table(source: Tensor, output: Tensor) -> np.ndarray:
    """By the formula, halves up, one entry after the other."""
    entries = []
    for q in range(source.low, source.high + 1):
        x = q * 2.0**-source.binary_point
        entries.append(min(max(np.floor(0.5 * x * erfc(-x / sqrt(2)) * 2.0**output.binary_point + 0.5), output.low), output.high))
    return np.array(entries).astype(output.dtype)


def all_inputs(tensor: Tensor) -> np.ndarray:
    return np.arange(tensor.low, tensor.high + 1).astype(tensor.dtype).reshape(1, *SIDE)


def gelu_graph(f_in: int, points: list[int], signed_in: bool = True) -> IntegerGraph:
    """GELU from one input to a signed and an unsigned output at each binary point."""
    source = Tensor("x", SIDE, signed_in, f_in)
    outputs = [Tensor(f"y_{point}_{signed}", SIDE, signed, point) for point in points for signed in (True, False)]
    ops = tuple(Lookup(f"gelu_{y.name}", "x", y.name, gelu_table(source, y)) for y in outputs)
    return IntegerGraph("gelu", {t.name: t for t in (source, *outputs)}, ops, "x", tuple(y.name for y in outputs))


def hard_swish_table(source: Tensor, output: Tensor, halves_up: bool = True) -> np.ndarray:
    """In fractions, so that a half is one."""
    entries = []
    for q in range(source.low, source.high + 1):
        x = Fraction(q) / Fraction(2) ** source.binary_point
        v = x * min(max(x + 3, 0), 6) / 6 * Fraction(2) ** output.binary_point
        entries.append(min(max(floor(v + Fraction(1, 2)) if halves_up else -floor(Fraction(1, 2) - v), output.low), output.high))
    return np.array(entries).astype(output.dtype)


def hard_swish_graph(f_in: int, points: list[int], halves_up: bool = True) -> IntegerGraph:
    source, outputs = Tensor("x", SIDE, True, f_in), [Tensor(f"y_{point}", SIDE, True, point) for point in points]
    ops = tuple(Lookup(f"act_{y.name}", "x", y.name, hard_swish_table(source, y, halves_up)) for y in outputs)
    return IntegerGraph("hard_swish", {t.name: t for t in (source, *outputs)}, ops, "x", tuple(y.name for y in outputs))
