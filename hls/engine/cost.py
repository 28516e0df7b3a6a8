"""What an engine takes of a chip, by the rules of hls/plan/resources.py, and the engine of each board.

Counted from the sizes; nothing was synthesized. What the matrix array's arithmetic, a requantize and a column of a kernel take is what
Yosys maps for 7-series chips without wide LUTs (a slow test maps parts; docs/engine.md has which); all else is a rule of thumb. A
product of the matrix array is half a DSP slice: two that share an input, 8 bits each, lie 17 bits apart in one multiplier of 25 x 18
bits. So are two columns of a kernel of the vector array, or a product of two maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from edgekit.errors import EdgekitError
from edgekit.hls.engine.program import JOB_BYTES
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.kernels.base import Cost, Memory
from edgekit.hls.plan.resources import LUT_BITS, SYSTEM, memory_cost
from edgekit.targets import Board, Resources

SUM_BITS = 32
PRODUCTS_ADDED = 4
"""Products of bytes that are added in DSP slices before packed sums are taken apart."""
LUTS_OF_FOUR_PRODUCTS = 25
"""Taking the fields of such a sum apart, and adding them: of a lane. 50 LUTs were mapped for 8 inputs, 100 for 16."""
LUTS_OF_AN_INPUT = 16
"""What the sum of four inputs takes, by which the lower fields of all lanes start: of an input."""
LUTS_OF_A_REQUANTIZE = 121
"""A shifter of 41 bits by data to the 9 that count, whether the others are a sign, and two clamps that are data."""
LUTS_OF_A_COLUMN = 42
"""A product of 9 x 6 bits added to 17 bits, without a multiplier: three subtractions that choose a multiple in their own LUTs."""
LUTS_OF_MULTIPLES = 20
"""The input times -1 and -3, which a lane's columns share."""
LUTS_OF_A_VECTOR_LANE = 209
"""The rest of a lane of the vector array: words of x and y, what is multiplied or kept, the choice among sums of columns, the larger of
two, and the sum that is requantized. A rule of thumb: it was not mapped since the kernel has its present form."""
CHOSEN_BY_A_LUT = 4
"""Bits among which a LUT chooses one; another LUT chooses among what two of them have chosen."""
CONTROL_LUTS = 1_500
"""Of an array: nine counters and their ends, three addresses, the fields of a job. A folded kernel's control is 200 (hls/kernels)."""
JOB_BITS = 8 * JOB_BYTES + 12 * 32
"""Of an array's next job with the extent of its loops, in registers, beside the one that runs."""
FIFO_LUTS = 2 * (2 * 128 + 112) + 13 * 16 + 5 * 16 + 32
"""FIFOs to the beat loop: of either array parts of jobs (32 of 128 bits) and rows to fill (4 of 112 bits, a LUT a bit); to what brings the
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
        ff=ceil(total.ff) + weight_registers + 2 * size.lanes * 8 * size.table_bytes + 2 * JOB_BITS,  # a word behind each table
        bram36=ceil(total.bram36),
        dsp=total.dsp,
        uram=_urams(size) if design.uram else 0,
    )


def dot_luts(simd: int) -> int:
    """Of a lane of the matrix array, beside its DSP slices."""
    return ceil(simd / PRODUCTS_ADDED) * LUTS_OF_FOUR_PRODUCTS


def table_luts(size: EngineSize) -> int:
    """Of a lane's table: one memory, of words of which a byte's lower bits choose an entry."""
    memory = memory_cost(Memory("table", size.table_rows, 8 * size.table_bytes))
    choosing = ceil(size.table_bytes / CHOSEN_BY_A_LUT) + (size.table_bytes > CHOSEN_BY_A_LUT)
    return ceil(memory.lut) + 8 * choosing


def _arrays(size: EngineSize) -> Cost:
    """A product that has no DSP slice is a column of the vector array beyond the first two."""
    chosen = SUM_BITS  # a lane's bias or its sum
    matrix = size.lanes * (chosen + dot_luts(size.simd) + LUTS_OF_A_REQUANTIZE) + LUTS_OF_AN_INPUT * size.simd
    columns = LUTS_OF_MULTIPLES + (size.taps - 2) * LUTS_OF_A_COLUMN if size.taps > 2 else 0
    vector = size.lanes * (columns + LUTS_OF_A_VECTOR_LANE + LUTS_OF_A_REQUANTIZE)
    weight_fill = size.products * 8 / 2  # a row, or a column of a map: one more input on each register, two registers a LUT
    reads = (size.simd + 2 * size.lanes) * 8 * size.banks / 3
    writes = size.banks * (size.lanes * 8 + 24)
    luts = matrix + vector + weight_fill + reads + writes + 2 * CONTROL_LUTS
    return Cost(lut=luts, dsp=ceil(size.products / 2) + size.lanes)


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
    return 2 * size.lanes * table_luts(size) + 2 * fifos + FIFO_LUTS


def _urams(size: EngineSize) -> int:
    part = ceil(8 * size.simd / URAM_BITS) * ceil(size.bank_words / size.words / URAM_WORDS)
    return size.banks * size.words * part


def over(design: Design, board: Board) -> dict[str, float]:
    """What exceeds the board's planned shares: resource -> how many times what may be used."""
    has, may = resources(design), board.part.planned
    shares = {name: getattr(has, name) / max(getattr(may, name), 1e-9) for name in ("lut", "ff", "bram36", "dsp", "uram")}
    return {name: share for name, share in shares.items() if share > 1 and getattr(has, name)}
