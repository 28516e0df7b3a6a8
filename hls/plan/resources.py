"""What a stage of the pipeline costs on the chip: LUTs, flip-flops, block RAM, DSP slices. Rules of thumb, with their sources.

Nothing here was fitted to a synthesis of ours: there was none. HLS reports overstate LUTs about twice against place and route;
the numbers below aim at what is left after it. benchmarks/estimates.py compares them with published designs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from edgekit.hls.dataflow import Stream
from edgekit.hls.kernels.base import (
    VALUE_BITS,
    Arithmetic,
    Cut,
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
)
from edgekit.hls.kernels.products import Gate, HeldProduct, Product
from edgekit.hls.kernels.taps import Depthwise, MapSums, Upsample
from edgekit.hls.kernels.window import Window

BRAM18_DEPTHS = {1: 16384, 2: 8192, 4: 4096, 9: 2048, 18: 1024, 36: 512}
"""Words of an 18-kbit block RAM by its width."""
LUTS_FOR_BRAM18 = 112
"""A memory that takes no more LUTs than so many for each half block RAM that it would take is made of LUTs. An assumption: the
kernels leave the choice to the tools. A board has some 160 LUTs and more for each half block RAM, so where memory runs out this
is a good exchange, where LUTs run out it is not; it is one number for all. It was
picked from 80, 96, 100, 112 and 128 with MobileNetV2 0.35 on a Pynq-Z2 in view, as were the lowest control LUTs (docs/estimates.md)."""
LUT_BITS = 64
FIFO_LUTS, SHIFT_REGISTER_WORDS = 12, 32
"""A FIFO of so few tokens is made of shift registers: a LUT is one of 32 bits or two of 16."""
SUMS_IN_DSP = 16
PACKED_FIELD_BITS = 18
"""As kernels/edgekit_arithmetic.h has them."""
FF_PER_LUT = 1.4
"""FINN's CNV on a Pynq-Z2 has 31,508 flip-flops and 22,714 LUTs."""

ARITHMETIC_FACTOR = 1.1
CONTROL_LUTS: dict[type[Stage], int] = {
    Window: 300,
    MatVec: 200,
    HeldMatVec: 300,
    Depthwise: 200,
    MapSums: 200,
    Upsample: 250,
    Product: 60,
    Gate: 100,
    HeldProduct: 300,
    Largest: 200,
    WeightReader: 1_300,
    Sum: 60,
    Table: 60,
    Fork: 40,
    Join: 80,
    Cut: 80,
    Resize: 80,
}
"""Counters, addresses, handshakes; the least certain of all numbers here.

A sum has three counters and their ends (50), three addresses (50), its state and pipeline (60), two streams (40); a held map has
one more loop and two more addresses. FINN takes 300 for a window generator, and for a whole matrix-vector kernel, thresholds
and all (FINN-R, arXiv 1809.04570, which also has the factor of 1.1 on arithmetic). A weight reader is an AXI master (about 900)
and a port of the interconnect (about 400). The small ones have one counter, a gate two and an address. A product with a held map is
counted as a held matrix, an upsampling as a depthwise sum with two more loops.
"""


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


SYSTEM = Cost(lut=4_000, bram18=8)
"""What is around the network: two AXI masters with their bursts (700 each), the gearboxes to and from memory words (250 each), the
control registers (200), the interconnects of control (500) and memory (1,300), the reset (100)."""


@lru_cache(maxsize=1 << 14)
def stage_cost(stage: Stage) -> Cost:
    total = Cost(lut=CONTROL_LUTS[type(stage)] + _arithmetic_luts(stage), dsp=_dsp(stage), ddr_bytes=stage.ddr_bytes)
    if isinstance(stage, WeightReader):
        total += Cost(bram18=2 * ceil(stage.word_bits / 72))  # the master's burst buffer
    return sum((memory_cost(memory) for memory in stage.memories), total)


def fifo_cost(stream: Stream, depth: int) -> Cost:
    """A FIFO of `depth` tokens."""
    control = Cost(lut=FIFO_LUTS)
    if depth <= SHIFT_REGISTER_WORDS:
        return control + Cost(lut=ceil(stream.token_bits / (2 if depth <= SHIFT_REGISTER_WORDS // 2 else 1)))
    return control + memory_cost(Memory(stream.name, depth, stream.token_bits))


def memory_cost(memory: Memory) -> Cost:
    """LUTs for a short one, else block RAM: whole columns of the widest shape, and one narrower column for what is left.

    A ROM of LUTs needs one LUT for 64 bits; a RAM, whose write port has its own address, two.
    """
    columns, rest = divmod(memory.word_bits, 36)
    blocks = columns * ceil(memory.words / BRAM18_DEPTHS[36])
    if rest:
        blocks += min(ceil(rest / width) * ceil(memory.words / depth) for width, depth in BRAM18_DEPTHS.items())
    luts = ceil(memory.words / LUT_BITS) * memory.word_bits * (1 if memory.rom else 2)
    return Cost(lut=luts) if luts <= LUTS_FOR_BRAM18 * blocks else Cost(bram18=blocks)


def _dsp(stage: Stage) -> int:
    """A multiplier is a DSP slice: the kernels bind it, two products in one where PE is even. Shifts and adds take none."""
    return stage.multipliers


def _arithmetic_luts(stage: Stage) -> float:
    """
    products       in DSP slices, which also add up to 16 of a dot product on their way; by shifts and adds in LUTs
    packed sums    taken apart after 16: a correction of 18 bits for two PEs
    accumulator    one LUT a bit
    requantize     a shift right by up to 15 (two 4-to-1 multiplexers a bit), a clamp; of products of activations a clamp alone
    """
    if isinstance(stage, HeldProduct):
        each = ceil(stage.simd / SUMS_IN_DSP) * stage.accumulator_bits + _clamp_luts(stage.accumulator_bits)
        return ARITHMETIC_FACTOR * stage.pe * each
    if isinstance(stage, Product):  # the rounding constant is added in the DSP slice
        return ARITHMETIC_FACTOR * stage.pe * _clamp_luts(stage.accumulator_bits)
    if isinstance(stage, MatVec):
        sums = ceil(stage.simd / SUMS_IN_DSP)
        each = sums * stage.accumulator_bits + _requantize_luts(stage.accumulator_bits)
        if stage.arithmetic is Arithmetic.PACKED:
            each += sums * PACKED_FIELD_BITS / 2
        if stage.arithmetic is Arithmetic.SHIFT_ADD:
            each += stage.simd * _shift_add_luts(stage.weight_bits) + (stage.simd - sums) * stage.accumulator_bits
        return ARITHMETIC_FACTOR * stage.pe * each
    if isinstance(stage, Depthwise | Upsample):
        product = _shift_add_luts(stage.weight_bits) if stage.arithmetic is Arithmetic.SHIFT_ADD else 0
        return ARITHMETIC_FACTOR * stage.pe * (product + stage.accumulator_bits + _requantize_luts(stage.accumulator_bits))
    if isinstance(stage, Window):
        return 2 * stage.token * VALUE_BITS  # padding
    if isinstance(stage, Largest | Sum):
        return stage.pe * 3 * VALUE_BITS
    if isinstance(stage, Resize):
        return VALUE_BITS * (stage.token_in + stage.token_out)
    if isinstance(stage, Join):
        return VALUE_BITS * stage.pe
    return 0.0


def _shift_add_luts(weight_bits: int) -> float:
    """Of a weight with K set bits: each a shift by 0 to 4 and an addition."""
    set_bits, width = (weight_bits - 1) // 3, VALUE_BITS + 5
    return set_bits * 3 * width


def _requantize_luts(accumulator_bits: int) -> float:
    return 2 * accumulator_bits + 2 * VALUE_BITS


def _clamp_luts(accumulator_bits: int) -> float:
    """Two comparisons of what the shift leaves, and a choice of three."""
    return accumulator_bits + 2 * VALUE_BITS
