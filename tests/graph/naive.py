"""The contract's arithmetic on plain Python integers, from the definitions: it shares no code with the package.

A tensor is a dictionary from index to integer.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import floor
from typing import Any, TypeAlias

import numpy as np

from edgekit.graph import Activation, IntegerGraph, Tensor

Index: TypeAlias = tuple[int, ...]
Cells: TypeAlias = Mapping[Index, int]


def cells_of(array: np.ndarray) -> dict[Index, int]:
    return {at: int(array[at]) for at in np.ndindex(array.shape)}


def requantize(graph: IntegerGraph, op: Any, total: int, channel: int) -> int:
    """From real values: the accumulator's scale over the output's, nearest, no tie possible."""
    f_acc = graph.tensors[op.input].binary_point + op.weight_binary_points[channel]
    real = Fraction(total) / Fraction(2) ** f_acc
    output = graph.tensors[op.output]
    return clamp(op.activation, output, floor(real * Fraction(2) ** output.binary_point + Fraction(1, 2)))


def product(graph: IntegerGraph, op: Any, total: int) -> int:
    """Half up: the floor of the real quotient and a half."""
    f_acc = sum(graph.tensors[name].binary_point for name in op.inputs)
    output = graph.tensors[op.output]
    value = floor(Fraction(total) / Fraction(2) ** (f_acc - output.binary_point) + Fraction(1, 2))
    return clamp(getattr(op, "activation", Activation.NONE), output, value)


def clamp(activation: Activation, output: Tensor, value: int) -> int:
    low, high = (-128, 127) if output.signed else (0, 255)
    if activation is not Activation.NONE:
        value = max(value, 0)
    if activation is Activation.RELU6:
        value = min(value, int(Fraction(6) * Fraction(2) ** output.binary_point))
    return min(max(value, low), high)


def window(op: Any, kernel: Index, dilation: Index, at: Index) -> Iterator[tuple[int, int, Index]]:
    """Row and column of each tap, and the (row, column) of the map that it meets, which may lie in the padding."""
    for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
        row = at[0] * op.strides[0] - op.padding.top + i * dilation[0]
        column = at[1] * op.strides[1] - op.padding.left + j * dilation[1]
        yield i, j, (row, column)
