"""How deep the FIFO of each stream has to be so that the pipeline takes an image every so many cycles, and nothing stalls for good.

A stage that waits only for tokens and for room runs at least as fast as in any schedule that the FIFOs allow (more room or an
earlier token never makes anything later). So it is enough to write down one schedule with the interval T, which is that of the
slowest stage or longer:

    pace      a stage keeps step with the tokens that come to it, if it is fast enough, and else spreads its frame over what time
              there is. A window reads nothing in the time of its last rows; what is before it, in step with it, then pauses too
    start     the earliest at which no stage reads a token that is not written yet
    depth     the most tokens that are then written and not yet read

Reads and writes are taken as lines between the corners of the loops (rows of a window, a map that is loaded), which a stage may
be ahead of, when it reads, or behind, when it writes, by the tokens of one burst (the vector of a position).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.hls.dataflow import FIFO_DEPTH, Pipeline, Stream
from edgekit.hls.kernels.base import Cut, HeldMatVec, Join, Largest, MatVec, Stage, Sum, WeightReader
from edgekit.hls.kernels.products import Gate, HeldProduct, Product
from edgekit.hls.kernels.taps import Depthwise, MapSums, Upsample
from edgekit.hls.kernels.window import Window

Line: TypeAlias = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""Corners of what is read or written of a frame: cycles from the stage's start, ascending, and the share of the frame's tokens by then."""
TINY = 1e-9
FIFO_SLACK = 16
"""Tokens more where one input waits for another one, for what lies in pipeline registers on the other's way."""


@dataclass(frozen=True)
class _Pace:
    """`reads`, `bursts`: for each input that is a map, its line, and the tokens that may be read before the line has them. The same
    of `writes` and `late`, the tokens that may be written after the line has them."""

    reads: tuple[Line, ...]
    bursts: tuple[float, ...]
    writes: Line
    late: float


def slowest(pipe: Pipeline) -> int:
    """The most cycles of a stage: the least interval there can be."""
    return max((stage.cycles for stage in pipe.stages), default=1)


def fifo_depths(pipe: Pipeline, interval: int | None = None) -> dict[str, int]:
    """Depth of each stream's FIFO. Those of the network's own inputs and outputs, whose other ends are always ready, are short.

    `interval`: cycles a frame, at least those of the slowest stage, and those if it is None.
    """
    interval = max(interval or 1, slowest(pipe))
    inputs, stages = map_inputs(pipe), {stage.name: stage for stage in pipe.stages}
    starts: dict[str, float] = {}
    paces: dict[str, _Pace] = {}
    depths = {stream.name: FIFO_DEPTH for stream in pipe.streams} | _weight_depths(pipe)
    for stage in pipe.stages:
        sources = [stream.producer for stream in inputs[stage.name]]
        spans = [_span(paces[source].writes) for source in sources if source in paces]
        pace = _pace(stage, interval, max(spans, default=float(interval)))
        if isinstance(stages.get(sources[0] if sources else ""), Window) and _reads_always(stage):
            under = paces[sources[0]].writes
            pace = _Pace((under,), (1.0,), under, 1.0)
        paces[stage.name] = pace
        inner = [(index, stream) for index, stream in enumerate(inputs[stage.name]) if stream.producer]
        waits = [starts[stream.producer] + _wait(paces[stream.producer], pace, index, stream) for index, stream in inner]
        starts[stage.name] = start = max(waits, default=0.0)
        for (index, stream), wait in zip(inner, waits, strict=True):
            producer = stream.producer
            most = _most(paces[producer].writes, pace.reads[index], start - starts[producer], interval, stream.tokens)
            depths[stream.name] = max(FIFO_DEPTH, most) + (FIFO_SLACK if wait < start else 0)
    return depths


def map_inputs(pipe: Pipeline) -> dict[str, list[Stream]]:
    """Stage -> the streams that it reads, in order, but for weights."""
    readers = {stage.name for stage in pipe.stages if isinstance(stage, WeightReader)}
    found: dict[str, list[Stream]] = {stage.name: [] for stage in pipe.stages}
    for stream in pipe.streams:
        if stream.consumer and stream.producer not in readers:
            found[stream.consumer].append(stream)
    return found


def _weight_depths(pipe: Pipeline) -> dict[str, int]:
    """A group of weights ahead of the sums."""
    stages: Mapping[str, Stage] = {stage.name: stage for stage in pipe.stages}
    found = {}
    for stream in pipe.streams:
        producer, consumer = stages.get(stream.producer), stages.get(stream.consumer)
        if isinstance(producer, WeightReader) and isinstance(consumer, HeldMatVec):
            found[stream.name] = consumer.input_groups
    return found


def _wait(producer: _Pace, consumer: _Pace, index: int, stream: Stream) -> float:
    """The least cycles from the producer's start to the consumer's."""
    (written_at, written), (read_at, read) = producer.writes, consumer.reads[index]
    ahead = (producer.late + consumer.bursts[index] + 1) / stream.tokens
    shares = np.concatenate([read, np.maximum(0.0, written - ahead)]) + 2 * TINY  # of tokens behind a pause, not of the last before it
    there, read_then = np.interp(np.minimum(1.0, shares + ahead), written, written_at), np.interp(shares, read, read_at)
    return max(0.0, float((there - read_then).max()))


def _most(writes: Line, reads: Line, later: float, interval: int, tokens: int) -> int:
    """The most tokens in a FIFO whose consumer starts so many cycles after its producer, once frames follow each other."""
    times = np.concatenate([writes[0], reads[0] + later])
    waiting = _by(writes, times, interval) - _by(reads, times - later, interval)
    return int(np.ceil(float(waiting.max()) * tokens - 1e-3)) + 1


def _by(line: Line, times: npt.NDArray[np.float64], interval: int) -> npt.NDArray[np.float64]:
    """Frames read or written by some times, a frame starting every interval for all time."""
    frames = np.floor(times / interval)
    return frames + np.interp(times - frames * interval, *line)


def _span(line: Line) -> float:
    """Cycles from the first token to the last."""
    times, shares = line
    return float(times[-1] - times[shares <= 2 * TINY][-1])


@lru_cache(maxsize=1 << 14)
def _pace(stage: Stage, interval: int, span: float) -> _Pace:
    """`span`: the cycles over which the tokens come that a stage reads. It keeps step with them as far as it can."""
    if isinstance(stage, Window):
        return _window_pace(stage, interval, span)
    cycles = float(min(max(stage.cycles, span), interval))
    even = _line((0, 0), (cycles, 1))
    if isinstance(stage, HeldMatVec):
        load, emit = _load_and_emit(stage)
        spare = (interval - stage.cycles) / 2  # for whom it reads from, and for whom it writes to
        return _Pace((_line((0, 0), (load + spare, 1)),), (1.0,), _line((interval - emit - spare, 0), (interval, 1)), 1.0)
    if isinstance(stage, MapSums):
        load, emit = _load_and_emit(stage)
        return _Pace((_line((0, 0), (load + cycles - stage.cycles, 1)),), (1.0,), _line((cycles - emit, 0), (cycles, 1)), 1.0)
    if isinstance(stage, MatVec):
        if stage.positions == 1:
            return _Pace((_line((0, 0), (cycles / stage.output_groups, 1)),), (1.0,), even, 1.0)
        return _Pace((even,), (1.0 + stage.input_groups * (1 - 1 / stage.output_groups),), even, 1.0)
    if isinstance(stage, HeldProduct):
        loaded = stage.load_cycles * cycles / stage.cycles
        rest = _line((loaded, 0), (cycles, 1))
        return _Pace((rest, _line((0, 0), (loaded, 1))), (1.0 + stage.term_groups * (1 - 1 / stage.output_groups), 1.0), rest, 1.0)
    if isinstance(stage, Gate):
        return _Pace((even, _line((0, 0), (cycles / stage.positions, 1))), (1.0, 1.0), even, 1.0)
    if isinstance(stage, Join):
        return _Pace((even, even), (float(stage.left), 1.0), even, 1.0)
    if isinstance(stage, Upsample):
        return _Pace((even,), (1.0 + stage.columns * stage.groups * (1 - 1 / stage.kernel[0]),), even, 1.0)
    if isinstance(stage, Cut):
        return _Pace((even,), (1.0,), even, float(stage.count))
    inputs = 2 if isinstance(stage, Sum | Product) else 1
    return _Pace((even,) * inputs, (1.0,) * inputs, even, 1.0)


def _load_and_emit(stage: HeldMatVec | MapSums) -> tuple[int, int]:
    """Cycles at its begin in which a stage reads, and at its end in which it writes."""
    if isinstance(stage, HeldMatVec):
        return stage.positions * stage.input_groups, stage.positions * stage.output_groups
    return stage.taps * stage.groups, stage.groups


def _reads_always(stage: Stage) -> bool:
    """Whether each iteration reads a token, so that a stage can keep step with whatever writes them."""
    if isinstance(stage, MatVec):
        return stage.output_groups == 1 and not isinstance(stage, HeldMatVec)
    return isinstance(stage, Depthwise | Largest) and not isinstance(stage, MapSums)


def _window_pace(stage: Window, interval: int, span: float) -> _Pace:
    """A window reads at one pace until the map ends, and then writes its last row or so from what it has.

    It keeps step with the tokens that come, so that it is silent at the end when they are, where the interval has the time for that.
    """
    fill_rows = stage.fill / stage.row_tokens
    in_step = min(span * stage.row_tokens / stage.tokens, interval / (fill_rows + stage.out_rows))
    row = max(float(stage.row_cycles), in_step)
    fill = min(max(float(stage.fill), in_step * fill_rows), interval - row * stage.out_rows)
    share = stage.fill / stage.tokens
    come, from_row = stage.coming_rows, stage.coming_rows - (1 - share) * stage.tokens / stage.row_tokens
    reads = [(0.0, 0.0), (fill, share), (fill + from_row * row, share), (fill + come * row, 1.0)]
    writes = [(0.0, 0.0), (fill, 0.0)]
    for y in range(stage.out_rows):
        begin = fill + y * row
        writes += [(begin, y), (begin + stage.read_cycles * row / stage.row_cycles, y + 1)]
    return _Pace((_line(*reads),), (1.0,), _line(*((at, rows / stage.out_rows) for at, rows in writes)), 1.0)


def _line(*corners: tuple[float, float]) -> Line:
    """Shares ascend strictly by a little, so that the tokens on both sides of a pause have times of their own."""
    times, shares = (np.array(values, np.float64) for values in zip(*corners, strict=True))
    return times, shares + np.arange(len(shares)) * TINY
