"""How deep the FIFO of each stream has to be so that the network takes an image every so many cycles, and nothing stalls for good.

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

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from edgekit.hls.dataflow import Dataflow
from edgekit.hls.kernels.base import FIFO_DEPTH, TINY, Line, Pace, Stage, Stream

FIFO_SLACK = 16
"""Tokens more where one input waits for another one, for what lies in pipeline registers on the other's way."""


def slowest(flow: Dataflow) -> int:
    """The most cycles of a stage: the least interval there can be."""
    return max((stage.cycles for stage in flow.stages), default=1)


def fifo_depths(flow: Dataflow, interval: int | None = None) -> dict[str, int]:
    """Depth of each stream's FIFO. Those of the network's own inputs and outputs, whose other ends are always ready, are short.

    `interval`: cycles a frame, at least those of the slowest stage, and those if it is None.
    """
    interval = max(interval or 1, slowest(flow))
    inputs = flow.map_inputs
    starts: dict[str, float] = {}
    paces: dict[str, Pace] = {}
    depths = {stream.name: stream.least_depth for stream in flow.streams}
    for stage in flow.stages:
        sources = [stream.producer for stream in inputs[stage.name]]
        spans = [_span(paces[source].writes) for source in sources if source in paces]
        pace = _pace(stage, interval, max(spans, default=float(interval)))
        before = paces.get(sources[0]) if sources else None
        if pace.follows and before is not None and before.leads:
            pace = Pace(reads=(before.writes,), bursts=(1.0,), writes=before.writes, late=1.0)
        paces[stage.name] = pace
        inner = [(index, stream) for index, stream in enumerate(inputs[stage.name]) if stream.producer]
        waits = [starts[stream.producer] + _wait(paces[stream.producer], pace, index, stream) for index, stream in inner]
        starts[stage.name] = start = max(waits, default=0.0)
        for (index, stream), wait in zip(inner, waits, strict=True):
            producer = stream.producer
            most = _most(paces[producer].writes, pace.reads[index], start - starts[producer], interval, stream.tokens)
            depths[stream.name] = max(FIFO_DEPTH, most) + (FIFO_SLACK if wait < start else 0)
    return depths


def _wait(producer: Pace, consumer: Pace, index: int, stream: Stream) -> float:
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
def _pace(stage: Stage, interval: int, span: float) -> Pace:
    return stage.pace(interval, span)
