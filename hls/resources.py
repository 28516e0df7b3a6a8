"""What a stage of the pipeline costs on the chip: LUTs, flip-flops, block RAM, DSP slices. Rules of thumb, with their sources.

Nothing here was fitted to a synthesis of ours: there was none. HLS reports overstate LUTs about twice against place and route;
the numbers below aim at what is left after it. benchmarks/estimates.py compares them with published designs.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from edgekit.hls.pipeline import Stream
from edgekit.hls.stages import (
    VALUE_BITS,
    Arithmetic,
    Depthwise,
    Fork,
    HeldMatVec,
    Join,
    Largest,
    MatVec,
    Memory,
    Resize,
    Stage,
    Sum,
    Table,
    WeightReader,
    Window,
)

BRAM18_DEPTHS = {1: 16384, 2: 8192, 4: 4096, 9: 2048, 18: 1024, 36: 512}
"""Words of an 18-kbit block RAM by its width."""
LUT_RAM_WORDS, LUT_RAM_BITS = 64, 1024
"""A memory with so few words, or so few bits, is made of LUTs, 64 bits each; HLS decides about so."""
SHIFT_REGISTER_WORDS = 32
"""A FIFO of so few tokens is made of shift registers, one LUT a bit."""
FF_PER_LUT = 1.4
"""FINN's CNV on a Pynq-Z2 has 31,508 flip-flops and 22,714 LUTs."""

CONTROL_LUTS: dict[type[Stage], int] = {
    Window: 420,
    MatVec: 320,
    HeldMatVec: 520,
    Depthwise: 320,
    Largest: 200,
    WeightReader: 1_600,
    Sum: 90,
    Table: 80,
    Fork: 50,
    Join: 110,
    Resize: 130,
}
"""Counters, addresses, handshakes. A layer of a mobile network (window, sums, resize, FIFOs) comes to some 900 with them. A
weight reader has an AXI master (about 900) and a port of the interconnect (about 700)."""


@dataclass(frozen=True)
class Cost:
    """`bram18`: 18-kbit halves of a block RAM; `ddr_bytes`: read and written a frame."""

    lut: float = 0.0
    dsp: int = 0
    bram18: int = 0
    ddr_bytes: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.lut + other.lut, self.dsp + other.dsp, self.bram18 + other.bram18, self.ddr_bytes + other.ddr_bytes)

    @property
    def ff(self) -> float:
        return FF_PER_LUT * self.lut

    @property
    def bram36(self) -> float:
        return self.bram18 / 2


SYSTEM = Cost(lut=5_500, bram18=8)
"""What is around the network: two AXI masters with their bursts, the gearboxes to and from memory words, the control registers,
two interconnects, the reset."""


def stage_cost(stage: Stage) -> Cost:
    total = Cost(lut=CONTROL_LUTS[type(stage)] + _arithmetic_luts(stage), dsp=_dsp(stage), ddr_bytes=stage.ddr_bytes)
    if isinstance(stage, WeightReader):
        total += Cost(bram18=2 * ceil(stage.word_bits / 72))  # the master's burst buffer
    return sum((memory_cost(memory) for memory in stage.memories), total)


def fifo_cost(stream: Stream, depth: int) -> Cost:
    """A FIFO of `depth` tokens."""
    control = Cost(lut=20)
    if depth <= SHIFT_REGISTER_WORDS:
        return control + Cost(lut=stream.token_bits)
    return control + memory_cost(Memory(stream.name, depth, stream.token_bits))


def memory_cost(memory: Memory) -> Cost:
    """LUTs for a short one, else block RAM: for words of any width, whole columns of the widest shape and a remainder.

    A ROM of LUTs needs one LUT for 64 bits; a RAM with a write port of its own, two.
    """
    if memory.words <= LUT_RAM_WORDS or memory.bits <= LUT_RAM_BITS:
        return Cost(lut=ceil(memory.words / 64) * memory.word_bits * (1 if memory.rom else 2))
    widest = 36
    columns, rest = divmod(memory.word_bits, widest)
    blocks = columns * ceil(memory.words / BRAM18_DEPTHS[widest])
    if rest:
        blocks += min(ceil(rest / width) * ceil(memory.words / depth) for width, depth in BRAM18_DEPTHS.items())
    return Cost(bram18=blocks)


def _dsp(stage: Stage) -> int:
    """Only packed products are bound to DSP slices; others, below 9 bits, become LUTs."""
    packed = isinstance(stage, MatVec) and stage.arithmetic is Arithmetic.PACKED
    return stage.multipliers if packed else 0


def _arithmetic_luts(stage: Stage) -> float:
    """
    product        W x A bits in LUTs: ceil((W + A) / 6) * (W + A); by shifts, two levels of 4-to-1 multiplexers a set bit
    sum tree       one LUT a bit and an addition; SIMD products of W + A bits, then the accumulator
    requantize     a shift right by up to 5 bits (3 LUTs a bit), a clamp
    """
    if isinstance(stage, MatVec):
        product_bits = stage.weight_bits + VALUE_BITS
        tree = (stage.simd - 1) * (product_bits + 1) + stage.accumulator_bits
        return stage.pe * (stage.simd * _product_luts(stage) + tree + _requantize_luts(stage.accumulator_bits))
    if isinstance(stage, Depthwise):
        return stage.pe * (_product_luts(stage) + stage.accumulator_bits + _requantize_luts(stage.accumulator_bits))
    if isinstance(stage, Window):
        return 2 * stage.token * VALUE_BITS  # padding
    if isinstance(stage, Largest | Sum):
        return stage.pe * 3 * VALUE_BITS
    if isinstance(stage, Resize):
        return VALUE_BITS * (stage.token_in + stage.token_out)
    if isinstance(stage, Join):
        return VALUE_BITS * stage.pe
    return 0.0


def _product_luts(stage: MatVec | Depthwise) -> float:
    if stage.arithmetic is Arithmetic.PACKED:
        return 2.0  # half of the correction that parts two products
    bits = stage.weight_bits + VALUE_BITS
    if stage.arithmetic is Arithmetic.SHIFT_ADD:
        set_bits = (stage.weight_bits - 1) // 3
        width = VALUE_BITS + 5
        return set_bits * 3 * width
    return ceil(bits / 6) * bits


def _requantize_luts(accumulator_bits: int) -> float:
    return 3 * accumulator_bits + 2 * VALUE_BITS
