"""edgekit_upsample.h: each cell becomes a block of cells. Pure Python."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from edgekit.graph import DepthwiseConv2DTranspose, IntegerGraph
from edgekit.graph.ir import Pair
from edgekit.hls.kernels.arithmetic import Sums, coded, quarters, sums_arrays, sums_constants, sums_types, weight_type
from edgekit.hls.kernels.base import VALUE_BITS, Call, Latency, Memory, Pace, Stage, Tokens, counter_bits, even_pace, unsigned


@dataclass(frozen=True)
class Upsample(Stage):
    """Each cell times a kernel as large as its stride, then requantize. A row is kept and given again for each of the kernel's.

    Loops: row, kernel row, column, kernel column, PE group of channels.
    """

    rows: int
    columns: int
    channels: int
    kernel: Pair
    pe: int
    sums: Sums

    sources = 1
    carries = False
    held = None
    ddr_bytes = 0

    @property
    def groups(self) -> int:
        return self.channels // self.pe

    @property
    def cycles(self) -> int:
        return self.rows * self.columns * prod(self.kernel) * self.groups

    @property
    def written(self) -> Tokens:
        return Tokens(self.cycles, self.pe)

    @property
    def latency(self) -> Latency:
        return Latency(first_needs=0.0, head=0.0, tail=self.cycles / self.rows, after_held=0.0)

    def pace(self, interval: int, span: float) -> Pace:
        return even_pace(self.spread(interval, span), (1.0 + self.columns * self.groups * (1 - 1 / self.kernel[0]),))

    @property
    def memories(self) -> tuple[Memory, ...]:
        row = (Memory("row", self.columns * self.groups, self.pe * VALUE_BITS),) if self.kernel != (1, 1) else ()
        weights = Memory("weights", prod(self.kernel) * self.groups, self.pe * self.sums.weight_rom_bits, rom=True)
        return (weights, self.sums.requantize_memory(self.groups, self.pe), *row)

    @property
    def parts(self) -> dict[str, float]:
        counters = counter_bits(self.rows, self.columns, *self.kernel, self.groups)
        return {"Upsample": 1, "upsampling counter": counters, **self.sums.parts(self.pe, 1, "product and bias")}

    @property
    def multipliers(self) -> int:
        return self.sums.multipliers(self.pe)

    def call(self, graph: IntegerGraph, op: DepthwiseConv2DTranspose, index: int) -> Call:
        kernel = {"kernel_rows": self.kernel[0], "kernel_columns": self.kernel[1]}
        own = unsigned(stage=index, rows=self.rows, columns=self.columns, groups=self.groups, **kernel)
        weight = (weight_type(op), coded(op, quarters(graph, op).weights))
        return Call(
            "upsample",
            "upsample_config",
            (*sums_constants(graph, op, self.pe), *own),
            types=sums_types(op, self.sums),
            arrays={"weight": weight, **sums_arrays(graph, op, self.sums)},
        )
