"""What a stage costs on the chip: LUTs, flip-flops, block RAM, DSP slices. Rules of thumb, with their sources.

Nothing here was fitted to a synthesis of ours: there was none. HLS reports overstate LUTs about twice against place and route;
the numbers below aim at what is left after it. benchmarks/estimates.py compares them with published designs.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil

from edgekit.hls.kernels.base import Cost, Memory, Stage, Stream

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
SYSTEM = Cost(lut=4_000, bram18=8)
"""What is around the network: two AXI masters with their bursts (700 each), the gearboxes to and from memory words (250 each), the
control registers (200), the interconnects of control (500) and memory (1,300), the reset (100)."""


@lru_cache(maxsize=1 << 14)
def stage_cost(stage: Stage) -> Cost:
    """A multiplier is a DSP slice: the kernels bind it, two products in one where PE is even."""
    total = stage.logic + Cost(dsp=stage.multipliers, ddr_bytes=stage.ddr_bytes)
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
