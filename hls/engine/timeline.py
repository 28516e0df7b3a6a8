"""Where the time of a frame goes, as a picture: how busy the two arrays are and how much DDR moves, from its beginning to its end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import numpy as np

from edgekit.arrays import Array
from edgekit.hls.engine.cost import Design
from edgekit.hls.engine.estimate import EngineEstimate, ddr_bytes
from edgekit.hls.engine.program import Program, Step, passes_of
from edgekit.targets import Board

SLICES = 240
LEVELS = " ▁▂▃▄▅▆▇█"
LEFT, WIDTH, ROW, TOP, COLOURS = 130, 960, 60, 70, ("#3566a8", "#4f8f5b", "#b5762a")


@dataclass(frozen=True)
class LayerTime:
    """Beats in which an op's jobs are on the matrix or the vector array."""

    op: str
    matrix: int
    vector: int

    @property
    def beats(self) -> int:
        return self.matrix + self.vector


@dataclass(frozen=True)
class Timeline:
    """A frame in SLICES equal parts. `matrix`, `vector`: the share of the part in which the array has a job. `ddr`: the bytes that move,
    of the memory's peak in that time. `layers`: the ops, the longest first."""

    matrix: tuple[float, ...]
    vector: tuple[float, ...]
    ddr: tuple[float, ...]
    layers: tuple[LayerTime, ...]

    @property
    def rows(self) -> tuple[tuple[str, tuple[float, ...]], ...]:
        return (("matrix array", self.matrix), ("vector array", self.vector), ("DDR", self.ddr))


def timeline(program: Program, design: Design, board: Board) -> Timeline:
    """Of the program's beats; what the engine waits for memory is not in it, and lies where DDR is at its peak."""
    length = max(1, program.beats) / SLICES
    peak = board.ddr_peak_bytes_per_s / (design.clock_mhz * 1e6)
    busy = {array: np.zeros(SLICES) for array in (True, False)}
    moved, beats = np.zeros(SLICES), {True: Counter[str](), False: Counter[str]()}
    for step in program.steps:
        taken = sum(passes_of(job, program.size).beats for job in step.jobs)
        beats[step.matrix][step.op] += taken
        _spread(busy[step.matrix], step, taken, length)
        _spread(moved, step, ddr_bytes(step, program), length)
    ops = dict.fromkeys(step.op for step in program.steps)
    layers = sorted((LayerTime(op, beats[True][op], beats[False][op]) for op in ops), key=lambda one: -one.beats)

    def shares(amounts: Array, most: float) -> tuple[float, ...]:
        return tuple(round(float(amount) / most, 4) for amount in amounts)

    return Timeline(shares(busy[True], length), shares(busy[False], length), shares(moved, length * peak), tuple(layers))


def bars(shares: Sequence[float], width: int) -> str:
    """A row of block characters, `width` of them, each as high as the mean of its part of the frame."""
    parts = np.array_split(np.array(shares), width)
    return "".join(LEVELS[round(min(1.0, float(part.mean())) * (len(LEVELS) - 1))] for part in parts)


def timeline_svg(found: Timeline, estimate: EngineEstimate) -> str:
    """One SVG file that needs nothing else."""
    height = TOP + len(found.rows) * (ROW + 20) + 40
    total = LEFT + WIDTH + 20
    milliseconds = estimate.cycles / estimate.clock_mhz / 1e3
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="{height}" viewBox="0 0 {total} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{total}" height="{height}" fill="white"/>',
        _text(10, 20, f"{estimate.network} on the engine of {estimate.board}: a frame, estimated before synthesis", 14),
        _text(
            10,
            40,
            f"{estimate.fps:.1f} frames/s at {estimate.clock_mhz:g} MHz; matrix array {estimate.matrix / estimate.cycles:.0%} busy,"
            f" vector array {estimate.vector / estimate.cycles:.0%}; DDR {estimate.ddr_bytes / 1e6:.1f} MB,"
            f" {estimate.ddr_share:.0%} of its peak",
        ),
    ]
    for number, ((name, shares), colour) in enumerate(zip(found.rows, COLOURS, strict=True)):
        base = TOP + number * (ROW + 20) + ROW
        parts.append(_text(10, base - ROW / 2, name, 12))
        parts.append(f'<rect x="{LEFT}" y="{base - ROW}" width="{WIDTH}" height="{ROW}" fill="#eeeeee"/>')
        each = WIDTH / len(shares)
        for index, share in enumerate(shares):
            high = min(1.0, share) * ROW
            parts.append(
                f'<rect x="{LEFT + index * each:.1f}" y="{base - high:.1f}" width="{each:.2f}" height="{high:.1f}" fill="{colour}"/>'
            )
    base = TOP + len(found.rows) * (ROW + 20)
    for tenth in range(0, 11, 2):
        parts.append(_text(LEFT + WIDTH * tenth / 10 - 12, base + 4, f"{milliseconds * tenth / 10:.2f} ms"))
    return "\n".join([*parts, "</svg>\n"])


def _spread(slices: Array, step: Step, amount: int, length: float) -> None:
    """Adds an amount evenly over the time of a step."""
    first = min(SLICES - 1, int(step.start / length))
    last = min(SLICES - 1, int(max(step.start, step.end - 1) / length))
    edges = np.clip(np.arange(first, last + 2) * length, step.start, max(step.end, step.start + 1))
    if edges[-1] > edges[0]:
        slices[first : last + 1] += amount * np.diff(edges) / (edges[-1] - edges[0])


def _text(x: float, y: float, text: str, size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}">{escape(text)}</text>'
