"""What an engine takes of a chip, by the rules of hls/plan/resources.py, and the engine of each board.

Counted from the sizes; nothing was synthesized. A product of the matrix array is half a DSP slice: two that share an input, 8 bits each,
lie 17 bits apart in one multiplier of 25 x 18 bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from edgekit.errors import EdgekitError
from edgekit.hls.engine.program import JOB_BYTES
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.kernels.arithmetic import ARITHMETIC_FACTOR
from edgekit.hls.kernels.base import Cost, Memory
from edgekit.hls.plan.resources import LUT_BITS, SYSTEM, memory_cost
from edgekit.targets import Board, Resources

SUM_BITS = 32
PRODUCTS_ADDED = 3
"""Products that are added in DSP slices before packed sums are taken apart: -128 * -128 three times stays within a field of 17 bits."""
LUTS_OF_A_PRODUCT = 45
"""8 x 6 bits in LUTs: columns of a kernel that the vector array has no multipliers for."""
TAPS_IN_DSP = 2
"""Columns of a kernel that the vector array multiplies in DSP slices: their products share the input, so both lie in one."""
LUTS_OF_A_BYTE_PRODUCT = 71
"""8 x 8 bits in LUTs, for gates."""
LUTS_OF_A_TABLE = 256 * 8 // 64 * 2
"""256 bytes that are written and read."""
CONTROL_LUTS = 1_500
"""Of an array: nine counters and their ends, three addresses, the fields of a job. A folded kernel's control is 200 (hls/kernels)."""
JOB_BITS = 8 * JOB_BYTES + 12 * 32
"""Of an array's next job with the extent of its loops, in registers, beside the one that runs."""
FIFO_LUTS = 2 * (2 * 128 + 80) + 13 * 16 + 5 * 16 + 32
"""FIFOs to the beat loop: of either array parts of jobs (32 of 128 bits) and rows to fill (4 of 80 bits, a LUT a bit); to what brings the
image and takes results away, 4 jobs each."""
MATRIX_ROWS, VECTOR_ROWS = 2_048, 256
"""Rows of each array's weights that a FIFO holds: what it bridges when memory is busy. The vector array's is of LUTs."""
URAM_WORDS, URAM_BITS = 4_096, 72


@dataclass(frozen=True)
class Design:
    """An engine as a board's bitstream has it. `uram`: whether the map memory is of UltraRAM."""

    size: EngineSize
    clock_mhz: float
    uram: bool = False


ENGINES: dict[str, Design] = {
    "xczu3eg": Design(EngineSize(simd=16, words=2, banks=16, bank_words=2048, positions=512, taps=5), 250.0),
    "xc7z020": Design(EngineSize(simd=16, words=1, banks=10, bank_words=2048, positions=512, taps=5), 125.0),
    "xczu7ev": Design(EngineSize(simd=16, words=6, banks=6, bank_words=24_576, positions=512, taps=5), 250.0, uram=True),
    "xczu9eg": Design(EngineSize(simd=16, words=6, banks=16, bank_words=6_144, positions=512, taps=5), 250.0),
    "xck26": Design(EngineSize(simd=16, words=4, banks=6, bank_words=16_384, positions=512, taps=5), 250.0, uram=True),
}
"""By the part's device. docs/engine.md has the sizes that lost."""


def design_for(board: Board) -> Design:
    """The engine of a board. Raises EdgekitError for a part without one."""
    device = board.part.name.split("-")[0]
    found = next((design for name, design in ENGINES.items() if device.startswith(name)), None)
    if found is None:
        raise EdgekitError(f"there is no engine for {board.part.name}; there are engines for {', '.join(ENGINES)}")
    return found


def resources(design: Design) -> Resources:
    """LUTs, flip-flops, block RAM, DSP slices and UltraRAM of an engine with what is around it."""
    size = design.size
    total = SYSTEM + _arrays(size) + _memories(design)
    weight_registers = 2 * size.products * 8
    return Resources(
        lut=ceil(total.lut) + _memory_luts(size),
        ff=ceil(total.ff) + weight_registers + 2 * size.lanes * 8 + 2 * JOB_BITS,  # a byte behind each table
        bram36=ceil(total.bram36),
        dsp=total.dsp,
        uram=_urams(size) if design.uram else 0,
    )


def _arrays(size: EngineSize) -> Cost:
    requantize = 2 * SUM_BITS + 16
    chunks = ceil(size.simd / PRODUCTS_ADDED)
    matrix = size.lanes * (SUM_BITS + chunks * (18 + 9) + requantize)
    weight_fill = size.products * 8 / 2  # a row, or a column of a map: one more input on each register, two registers a LUT
    in_dsp = min(TAPS_IN_DSP, size.taps) // 2 * 2
    products = (size.taps - in_dsp) * LUTS_OF_A_PRODUCT + LUTS_OF_A_BYTE_PRODUCT
    vector = size.lanes * (products + size.taps * 16 + 2 * SUM_BITS + requantize)
    reads = (size.simd + 2 * size.lanes) * 8 * size.banks / 3
    writes = size.banks * (size.lanes * 8 + 24)
    luts = ARITHMETIC_FACTOR * (matrix + vector) + weight_fill + reads + writes + 2 * CONTROL_LUTS
    return Cost(lut=luts, dsp=ceil(size.products / 2) + size.lanes * (in_dsp // 2))


def _memories(design: Design) -> Cost:
    size = design.size
    sums = memory_cost(Memory("sums", size.positions, size.lanes * SUM_BITS))
    total = sums + sums + memory_cost(Memory("stream", MATRIX_ROWS, 8 * size.row_bytes // 36 * 36))
    if not design.uram:
        part = memory_cost(Memory("maps", ceil(size.bank_words / size.words), 8 * size.simd))
        for _ in range(size.banks * size.words):
            total = total + part
    return total


def _memory_luts(size: EngineSize) -> int:
    """LUTs that are memory, and have no flip-flops: tables, the vector array's FIFO, and what block RAM leaves of the matrix array's."""
    bits = 8 * size.row_bytes
    fifos = ceil(VECTOR_ROWS / LUT_BITS) * bits + ceil(MATRIX_ROWS / LUT_BITS) * (bits % 36)
    return 2 * size.lanes * LUTS_OF_A_TABLE + 2 * fifos + FIFO_LUTS


def _urams(size: EngineSize) -> int:
    part = ceil(8 * size.simd / URAM_BITS) * ceil(size.bank_words / size.words / URAM_WORDS)
    return size.banks * size.words * part


def over(design: Design, board: Board) -> dict[str, float]:
    """What exceeds the board's planned shares: resource -> how many times what may be used."""
    has, may = resources(design), board.part.planned
    shares = {name: getattr(has, name) / max(getattr(may, name), 1e-9) for name in ("lut", "ff", "bram36", "dsp", "uram")}
    return {name: share for name, share in shares.items() if share > 1 and getattr(has, name)}
