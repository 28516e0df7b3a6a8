"""edgekit_matmul.h: matrix products of two maps of activations, head by head. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from edgekit.arrays import Int64
from edgekit.graph import IntegerGraph, ir
from edgekit.hls.kernels.arithmetic import product_constants, rounding_constant
from edgekit.hls.kernels.base import VALUE_BITS, Call, Latency, Memory, Pace, Stage, Tokens, counter_bits, line, unsigned


@dataclass(frozen=True)
class MatMul(Stage):
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

    sources = 2
    carries = False
    held = 1
    ddr_bytes = 0

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
        """Tokens of a cell of the held map."""
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
    def written(self) -> Tokens:
        return Tokens(self.x_cells * self.heads * self.output_groups, self.pe)

    @property
    def latency(self) -> Latency:
        head, tail = self.load_cycles + self.term_groups, self.output_groups * self.term_groups
        return Latency(first_needs=0.0, head=head, tail=tail, after_held=self.cycles - self.load_cycles)

    def pace(self, interval: int, span: float) -> Pace:
        cycles = self.spread(interval, span)
        loaded = self.load_cycles * cycles / self.cycles
        rest = line((loaded, 0), (cycles, 1))
        vector = 1.0 + self.term_groups * (1 - 1 / self.output_groups)
        return Pace(reads=(rest, line((0, 0), (loaded, 1))), bursts=(vector, 1.0), writes=rest, late=1.0)

    @property
    def memories(self) -> tuple[Memory, ...]:
        token = (self.simd if self.cells_are_outputs else self.pe) * VALUE_BITS
        bank = Memory("held map", self.y_cells // self.banks * self.cell_tokens, token)
        bias = (Memory("bias", self.bias_groups, self.pe * self.bias_bits, rom=True),) if self.biases > 1 else ()
        replayed = (Memory("input vector", self.term_groups, self.simd * VALUE_BITS),) if self.output_groups > 1 else ()
        return (*(bank,) * self.banks, *bias, *replayed)

    @property
    def parts(self) -> dict[str, float]:
        """DSP slices add up the products."""
        counters = counter_bits(self.load_cycles, self.x_cells, self.heads, self.output_groups, self.term_groups)
        kept = self.simd * VALUE_BITS if self.output_groups > 1 else 0
        sums = {"sum of products": self.pe * self.accumulator_bits}
        return {"MatMul": 1, "matrix product's counter": counters, "vector kept": kept, "bank": self.banks, **sums}

    @property
    def multipliers(self) -> int:
        return self.pe * self.simd

    def call(self, graph: IntegerGraph, op: ir.MatMul, index: int) -> Call:
        fields = ("x_cells", "y_cells", "heads", "output_groups", "term_groups", "cell_tokens", "banks", "bias_groups", "pe", "simd")
        own = unsigned(stage=index, **{name: getattr(self, name) for name in fields}, bank_cells=self.y_cells // self.banks)
        layout = "outputs_are_cells" if self.cells_are_outputs else "terms_are_cells"
        bias = np.broadcast_to(biases_of(graph, op), self.bias_groups * self.pe)
        return Call(
            "matmul",
            "matmul_config",
            (*own, *product_constants(graph, op)),
            types={"accum_t": f"ap_int<{self.accumulator_bits}>", "layout": f"nnet::{layout}"},
            arrays={"bias": (f"int<{self.bias_bits}>", np.array(bias))},
        )


def biases_of(graph: IntegerGraph, op: ir.MatMul) -> Int64:
    """The op's biases with the rounding constant in them, in the order of the output's values; int64 (1,) or (values,)."""
    return op.bias.astype(np.int64).reshape(-1) + rounding_constant(graph, op)
