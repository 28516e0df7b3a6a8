"""How deep the FIFO of each stream has to be so that nothing can stall for good: as the planner builds them.

Where branches of a fork meet again, the one that gives its first tokens sooner has to keep them until the other one gives its own,
or the fork could feed neither. How long that is follows from how far each stage's output is behind its input.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from math import ceil, inf

from edgekit.hls.pipeline import FIFO_DEPTH, Pipeline, Stream
from edgekit.hls.product_stages import HeldProduct
from edgekit.hls.stages import Cut, Depthwise, HeldMatVec, Join, Largest, MatVec, Resize, Stage, Upsample, WeightReader, Window

FIFO_SLACK = 16
"""Tokens more than a branch's lag, for what lies in pipeline registers on the way: so that it need not stop either."""


def fifo_depths(pipe: Pipeline) -> dict[str, int]:
    """Depth of each stream's FIFO.

    Lags are counted in frames from the last place where all data went through one stage, and add up along a way:

        most     who wrote t of T tokens has read no more than t/T of a frame and this
        least    who cannot write on after t of T tokens has, with the FIFOs on the way, taken at least t/T of a frame and this,
                 or the whole frame

    A stage that needs token t of two branches gets it if, for each of them, the FIFO in front of it holds the other one's `most`
    less the branch's own `least`. A stream that is held lags by a frame more: its last token comes before anything is written.

    The held map of a product has a FIFO as large as itself, so that the next frame's comes in while this one's is multiplied; the
    loops of stage and producer then run side by side, as the interval of the estimates takes them to.
    """
    inputs = map_inputs(pipe)
    open_ends = {stream.name for stream in pipe.streams if not stream.producer}
    most, least, depths = {"": 0.0}, {"": 0.0}, _weight_depths(pipe)
    written: dict[str, list[str]] = {}
    for streams in inputs.values():
        for stream in streams:
            written.setdefault(stream.producer, []).append(stream.name)
    for stage in pipe.stages:
        streams = inputs[stage.name]
        lags = [most[stream.producer] + (index == stage.held) for index, stream in enumerate(streams)]
        rooms = []
        for index, stream in enumerate(streams):
            if index == stage.held:
                depths[stream.name], room = stream.tokens if len(streams) > 1 else FIFO_DEPTH, 1.0
            else:
                others = max((lag for other, lag in enumerate(lags) if other != index), default=-inf)
                depths[stream.name], room = _depth(stage, index, stream, others - least[stream.producer])
            rooms.append(least[stream.producer] + room)
        open_ends -= {stream.name for stream in streams}
        if open_ends or not streams:
            ahead, behind = _lags(stage)
            most[stage.name], least[stage.name] = max(lags, default=0.0) + ahead, min(rooms, default=0.0) + behind
        else:
            most[stage.name] = least[stage.name] = 0.0
        open_ends.update(written.get(stage.name, ()))
    return {stream.name: depths.get(stream.name, FIFO_DEPTH) for stream in pipe.streams}


def map_inputs(pipe: Pipeline) -> dict[str, list[Stream]]:
    """Stage -> the streams that it reads, in order, but for weights."""
    readers = {stage.name for stage in pipe.stages if isinstance(stage, WeightReader)}
    found: dict[str, list[Stream]] = {stage.name: [] for stage in pipe.stages}
    for stream in pipe.streams:
        if stream.consumer and stream.producer not in readers:
            found[stream.consumer].append(stream)
    return found


def _depth(stage: Stage, index: int, stream: Stream, lag: float) -> tuple[int, float]:
    """Depth of a FIFO whose stream is ahead by a part of a frame, and the part that it holds."""
    behind = ceil(stream.tokens * lag - 1e-9) if lag > 0 else 0
    if isinstance(stage, Join):  # while a position of the one input is read, that of the other waits
        behind += (stage.left, stage.right)[index]
    if behind <= 0:
        return FIFO_DEPTH, 0.0
    if behind + FIFO_SLACK >= stream.tokens:
        return stream.tokens, 1.0
    return behind + FIFO_SLACK, behind / stream.tokens


def _weight_depths(pipe: Pipeline) -> dict[str, int]:
    """A group of weights ahead of the sums."""
    stages: Mapping[str, Stage] = {stage.name: stage for stage in pipe.stages}
    found = {}
    for stream in pipe.streams:
        producer, consumer = stages.get(stream.producer), stages.get(stream.consumer)
        if isinstance(producer, WeightReader) and isinstance(consumer, HeldMatVec):
            found[stream.name] = consumer.input_groups
    return found


def _lags(stage: Stage) -> tuple[float, float]:
    """What a stage adds to `most` and `least`, beside what it holds."""
    if isinstance(stage, Window):
        return _window_lags(stage)
    if isinstance(stage, MatVec):
        return (0.0 if isinstance(stage, HeldMatVec) else 1.0 / stage.positions), 0.0
    if isinstance(stage, Depthwise | Largest):
        return stage.pe / (stage.positions * stage.channels), 0.0
    if isinstance(stage, Resize):
        return max(stage.token_in, stage.token_out) / stage.values, 0.0
    if isinstance(stage, Join):
        return (stage.left + stage.right) / stage.tokens, -stage.left / stage.tokens
    if isinstance(stage, Cut):  # the last channel of a position may be kept while those behind it are not read yet
        return 1.0 / stage.positions, ((stage.begin + stage.count) / stage.cell - 1) / stage.positions
    if isinstance(stage, Upsample):
        return 1.0 / stage.rows, 0.0
    if isinstance(stage, HeldProduct):
        return 1.0 / (stage.x_cells * stage.heads), 0.0
    return (1.0 / stage.cycles, 1.0 / stage.cycles) if stage.cycles else (0.0, 0.0)


def _window_lags(stage: Window) -> tuple[float, float]:
    """A window reads the rows that row y + 1 of windows needs while it writes row y: at most a token for each one that it writes.

    `most`: the rows for y + 1 are there when row y begins. `least`: row y begins, or ends, as soon as it can; a frame that is
    read to the end cannot lack.
    """
    needed = [min(stage.rows, max(0, y * stage.strides[0] - stage.padding.top + stage.span)) for y in range(stage.out_rows + 1)]
    most = max(later / stage.rows - y / stage.out_rows for y, later in enumerate(needed[1:]))
    row = stage.out_columns * stage.taps / stage.columns  # of windows, as rows of tokens
    least = 1.0
    for y, (now, later) in enumerate(pairwise(needed)):
        for read, end in ((now, y), (min(later, now + row), y + 1)):
            if read < stage.rows:
                least = min(least, read / stage.rows - end / stage.out_rows)
    return min(1.0, most), least
