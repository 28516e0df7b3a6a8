"""How long a program takes on a board: its beats, and the beats in which an array waits for memory.

The model of memory: each array reads its part of the weight stream through a port of its own, in bursts of 128 bytes or more, of which DDR
takes the image and the program, and brings results away. Time is cut into slices; in each, what the steps read is compared with what has
come. Where it has not come, the whole engine waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.hls.engine.cost import MATRIX_ROWS, VECTOR_ROWS, Design
from edgekit.hls.engine.program import JOB_READ_BYTES, Program, Step, busy, map_bytes
from edgekit.hls.engine.size import EngineSize
from edgekit.targets import Board

SLICE = 256
"""Beats of a slice of time."""
START_BEATS = 200
"""From the processor's start to the first beat, and from the last to the end."""


@dataclass(frozen=True)
class EngineEstimate:
    """An estimate before any synthesis.

    Cycles are beats of the program and `waits` for memory. `matrix`, `vector`: beats in which the array has a job. `ddr_share`: of the
    memory's peak. `limit`: what the frame's time is made of most.
    """

    network: str
    board: str
    clock_mhz: float
    beats: int
    waits: int
    matrix: int
    vector: int
    ddr_bytes: int
    ddr_share: float

    @property
    def cycles(self) -> int:
        return self.beats + self.waits + START_BEATS

    @property
    def fps(self) -> float:
        return self.clock_mhz * 1e6 / self.cycles

    @property
    def limit(self) -> str:
        shares = {"the matrix array": self.matrix, "the vector array": self.vector}
        name = max(shares, key=lambda one: shares[one])
        return (
            f"waiting for DDR ({self.waits:,} cycles)"
            if self.waits > self.beats // 4
            else f"{name} ({shares[name] / self.cycles:.0%} busy)"
        )


@dataclass(frozen=True)
class DdrRate:
    """Bytes a beat: through one port, and of the memory through both."""

    port: float
    both: float


def ddr_rate(design: Design, board: Board) -> DdrRate:
    """What a board's memory gives at an engine's clock."""
    port = board.part.processing_system.hp_port_bits / 8
    return DdrRate(port, min(board.ddr_reached_bytes_per_s / (design.clock_mhz * 1e6), 2 * port))


def estimate(program: Program, design: Design, board: Board) -> EngineEstimate:
    """The time of a frame of `program` on a board."""
    waits = memory_waits(program, ddr_rate(design, board))
    cycles = program.beats + waits + START_BEATS
    rate = board.ddr_peak_bytes_per_s / (design.clock_mhz * 1e6)
    return EngineEstimate(
        network=program.network,
        board=board.name,
        clock_mhz=design.clock_mhz,
        beats=program.beats,
        waits=waits,
        matrix=busy(program, True),
        vector=busy(program, False),
        ddr_bytes=program.traffic.total,
        ddr_share=program.traffic.total / cycles / rate,
    )


def fifo_bytes(size: EngineSize) -> tuple[int, int]:
    """Of the matrix array's weights, and of the vector array's."""
    return MATRIX_ROWS * size.row_bytes, VECTOR_ROWS * size.row_bytes


def memory_waits(program: Program, rate: DdrRate) -> int:
    """Beats in which the engine waits for what it reads. The C simulation counts them burst by burst."""
    rooms, port, both = fifo_bytes(program.size), rate.port, rate.both
    waits, matrix, vector = 0.0, 0.0, 0.0  # bytes that the FIFOs hold
    for matrix_takes, vector_takes in zip(demand(program, True), demand(program, False), strict=True):
        matrix, vector = _filled(matrix - matrix_takes, vector - vector_takes, rooms, rate, SLICE)
        if matrix < 0 or vector < 0:
            short = max(0.0, -matrix), max(0.0, -vector)
            time = max(max(short) / port, sum(short) / both)
            matrix, vector = _filled(matrix, vector, rooms, rate, time)
            waits += time
    return round(waits)


def _filled(matrix: float, vector: float, rooms: tuple[int, int], rate: DdrRate, beats: float) -> tuple[float, float]:
    """FIFOs after some beats: memory gives to both, what one has no room for to the other."""
    most, all_given = rate.port * beats, rate.both * beats
    matrix_room, vector_room = min(rooms[0] - matrix, most), min(rooms[1] - vector, most)
    given = min(matrix_room, max(all_given / 2, all_given - vector_room))
    return matrix + given, vector + min(vector_room, all_given - given)


def demand(program: Program, matrix: bool) -> list[float]:
    """Bytes that an array's steps move in each slice of time, evenly over each step."""
    slices = [0.0] * (program.beats // SLICE + 2)
    for step in program.steps:
        if step.matrix == matrix:
            _spread(slices, step, ddr_bytes(step, program))
    return slices


def ddr_bytes(step: Step, program: Program) -> int:
    """Bytes that a step moves between DDR and the chip."""
    found = step.passes.rows * program.size.row_bytes + JOB_READ_BYTES * len(step.jobs)
    return found + sum(map_bytes(job) for job in step.jobs)


def _spread(slices: list[float], step: Step, bytes_moved: int) -> None:
    end = max(step.end, step.start + 1)
    for number in range(step.start // SLICE, max(step.start, step.end - 1) // SLICE + 1):
        beats = min(end, (number + 1) * SLICE) - max(step.start, number * SLICE)
        slices[number] += bytes_moved * beats / (end - step.start)
