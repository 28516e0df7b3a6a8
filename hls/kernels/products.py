"""Stages that multiply activations by activations: their loops, memories and multipliers. Pure Python.

An accumulator is requantized by one shift, with the rounding constant in what starts the sum (graph/requantize.py): half-way cases
go up.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

import numpy as np

from edgekit.arrays import Int64
from edgekit.graph import IntegerGraph, MatMul, Multiply, product_bound
from edgekit.graph.ir import ProductOp
from edgekit.hls.folding import Folding
from edgekit.hls.kernels.arithmetic import rounding_constant, signed_bits
from edgekit.hls.kernels.base import VALUE_BITS, Memory, Stage


@dataclass(frozen=True)
class Product(Stage):
    """Two streams, multiplied value by value. Loops: position, PE group of channels."""

    positions: int
    channels: int
    pe: int
    accumulator_bits: int

    @property
    def groups(self) -> int:
        return self.channels // self.pe

    @property
    def cycles(self) -> int:
        return self.positions * self.groups

    @property
    def multipliers(self) -> int:
        return self.pe


class Gate(Product):
    """A stream times one number a channel, which comes first in the second stream and is kept."""

    @property
    def held(self) -> int:
        return 1

    @property
    def memories(self) -> tuple[Memory, ...]:
        return (Memory("gate", self.groups, self.pe * VALUE_BITS),)


@dataclass(frozen=True)
class HeldProduct(Stage):
    """Matrix products, head by head, of the cells of the first stream with a map from the second, which is held.

    `outputs` and `terms`: of one head. `cells_are_outputs`: each cell of the held map gives an output, else a term. `biases`: 1, or as
    many as the output has values. Loops: a token of the held map; then cell, head, PE group of outputs, SIMD group of terms.
    """

    x_cells: int
    y_cells: int
    heads: int
    outputs: int
    terms: int
    pe: int
    simd: int
    cells_are_outputs: bool
    accumulator_bits: int
    bias_bits: int
    biases: int

    @property
    def held(self) -> int:
        return 1

    @property
    def output_groups(self) -> int:
        return self.outputs // self.pe

    @property
    def term_groups(self) -> int:
        return self.terms // self.simd

    @property
    def banks(self) -> int:
        """Parts of the held map that are read at once: its neighbouring cells lie in neighbouring ones."""
        return self.pe if self.cells_are_outputs else self.simd

    @property
    def cell_tokens(self) -> int:
        """Of a cell of the held map."""
        return self.heads * (self.term_groups if self.cells_are_outputs else self.output_groups)

    @property
    def bias_groups(self) -> int:
        return ceil(self.biases / self.pe)

    @property
    def load_cycles(self) -> int:
        return self.y_cells * self.cell_tokens

    @property
    def cycles(self) -> int:
        return self.load_cycles + self.x_cells * self.heads * self.output_groups * self.term_groups

    @property
    def memories(self) -> tuple[Memory, ...]:
        token = (self.simd if self.cells_are_outputs else self.pe) * VALUE_BITS
        bank = Memory("held map", self.y_cells // self.banks * self.cell_tokens, token)
        bias = (Memory("bias", self.bias_groups, self.pe * self.bias_bits, rom=True),) if self.biases > 1 else ()
        replayed = (Memory("input vector", self.term_groups, self.simd * VALUE_BITS),) if self.output_groups > 1 else ()
        return (*(bank,) * self.banks, *bias, *replayed)

    @property
    def multipliers(self) -> int:
        return self.pe * self.simd


def biases(graph: IntegerGraph, op: MatMul) -> Int64:
    """The op's biases with the rounding constant in them, in the order of the output's values; int64 (1,) or (values,)."""
    return op.bias.astype(np.int64).reshape(-1) + rounding_constant(graph, op)


def product_stages(graph: IntegerGraph, op: ProductOp, folding: Folding, name: str) -> tuple[Stage, ...]:
    x, y, output = (graph.tensors[tensor] for tensor in (*op.inputs, op.output))
    accumulator_bits = signed_bits(product_bound(graph, op) + rounding_constant(graph, op))
    if isinstance(op, Multiply):
        kind = Product if x.shape == y.shape else Gate
        return (kind(name, op.name, prod(output.shape[:-1]), output.shape[-1], folding.pe, accumulator_bits),)
    cells = prod(x.shape[:-1]), prod(y.shape[:-1])
    lengths = (op.heads, output.shape[-1] // op.heads, x.shape[-1] // op.heads, folding.pe, folding.simd)
    values = biases(graph, op)
    bias_bits = signed_bits(int(np.abs(values).max()))
    return (HeldProduct(name, op.name, *cells, *lengths, op.transpose_y, accumulator_bits, bias_bits, values.size),)
