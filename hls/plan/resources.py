"""What a stage costs on the chip: LUTs, flip-flops, block RAM, DSP slices.

LUTs of stages and what memories take are fitted to what Yosys maps (benchmarks/mapped_stages.json), without pipeline registers and before
placement; FIFOs and what is around the network are rules of thumb. No vendor's synthesis was run. benchmarks/estimates.py compares the
estimates with published designs.
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
picked from 80, 96, 100, 112 and 128 with MobileNetV2 0.35 on a Pynq-Z2 in view (docs/estimates.md)."""
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
    """Block RAM, or LUTs for a short memory, as Yosys maps it to AMD's 7 series.

    Which is short is decided by bits alone, and is no tool's: a LUT for 64 of a ROM, two for 64 of a RAM, whose write port has its own
    address.
    """
    columns, rest = divmod(memory.word_bits, 36)
    blocks = columns * ceil(memory.words / BRAM18_DEPTHS[36])
    if rest:
        blocks += min(ceil(rest / width) * ceil(memory.words / depth) for width, depth in BRAM18_DEPTHS.items())
    roughly = ceil(memory.words / LUT_BITS) * memory.word_bits * (1 if memory.rom else 2)
    if roughly <= LUTS_FOR_BRAM18 * blocks:
        return Cost(lut=_rom_luts(memory) if memory.rom else _ram_luts(memory))
    return _rom_blocks(memory, blocks) if memory.rom else Cost(bram18=blocks)


def _rom_blocks(memory: Memory, columns: int) -> Cost:
    """`columns`: halves of a block RAM as whole columns of the widest shape and a narrower one for what is left, as a RAM has them.

    Parts of a long ROM lie side by side in one word instead, where that takes fewer, and LUTs choose between them. Vivado is not known to
    do that: by columns alone, 6,144 words of 6 bits take three halves and not two.
    """
    beside, parts = min(
        (ceil(ceil(memory.words / depth) * memory.word_bits / width), ceil(memory.words / depth)) for width, depth in BRAM18_DEPTHS.items()
    )
    if columns <= beside:
        return Cost(bram18=columns)
    return Cost(lut=memory.word_bits * ceil((parts - 1) / 3), bram18=beside)


def _rom_luts(memory: Memory) -> int:
    """A LUT for 64 words of each bit, and one for each four of those to choose between; of few words, bits are alike.

    With n words there are 2^n functions of an address, two of which are constant. A vendor's tools choose by multiplexers beside LUTs.
    """
    if memory.words == 1:
        return 0
    parts = ceil(memory.words / LUT_BITS)
    return min(memory.word_bits, 2 ** min(memory.words, 16) - 2) * (parts + ceil((parts - 1) / 3))


def _ram_luts(memory: Memory) -> int:
    """Four LUTs are a RAM of 32 words of 6 bits or 64 of 3, whichever leaves fewer words over; parts are chosen between by a LUT or two
    a bit. One word is flip-flops."""
    if memory.words == 1:
        return 0
    halves = ceil(memory.words / 32)
    depth, width = (32, 6) if halves % 2 else (64, 3)
    parts = ceil(memory.words / depth)
    choice = memory.word_bits * ceil(parts / 4) + parts if parts > 1 else 0
    return 4 * parts * ceil(memory.word_bits / width) + choice
