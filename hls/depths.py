"""How deep the FIFO of each stream has to be so that nothing can stall for good: as the planner builds them.

Where branches of a fork meet again, the one that gives its first tokens sooner has to keep them until the other one gives its own,
or the fork could feed neither. How long that is follows from how far each stage's output is behind its input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from math import ceil
from typing import TypeAlias

from edgekit.hls.depthwise_stages import Depthwise, Upsample
from edgekit.hls.pipeline import FIFO_DEPTH, Pipeline, Stream
from edgekit.hls.product_stages import HeldProduct
from edgekit.hls.stages import Cut, HeldMatVec, Join, Largest, MatVec, Resize, Stage, WeightReader, Window

FIFO_SLACK = 16
"""Tokens more than a branch's lag, for what lies in pipeline registers on the way: so that it need not stop either."""


def fifo_depths(pipe: Pipeline) -> dict[str, int]:
    """Depth of each stream's FIFO.

    For each fork, lags are counted in frames of its output, and add up along the ways from it:

        most     who wrote t of T tokens has read no more than t/T of a frame and this
        least    who cannot write on after t of T tokens has, with the FIFOs on the way, taken at least t/T of a frame and this,
                 or the whole frame

    Where a way from one output of the fork meets a way from the other one, the FIFO in front of the stage that needs both holds
    the other way's `most` less its own `least`. A stream that is held lags by a frame more: its last token comes before anything
    is written.

    The held map of a product has a FIFO as large as itself, so that the next frame's comes in while this one's is multiplied; the
    loops of stage and producer then run side by side, as the interval of the estimates takes them to.
    """
    inputs, depths = map_inputs(pipe), {stream.name: FIFO_DEPTH for stream in pipe.streams} | _weight_depths(pipe)
    outputs: dict[str, list[Stream]] = {}
    for stage in pipe.stages:
        for index, stream in enumerate(inputs[stage.name]):
            outputs.setdefault(stream.producer, []).append(stream)
            if index == stage.held and len(inputs[stage.name]) > 1:
                depths[stream.name] = stream.tokens
            elif isinstance(stage, Join):
                depths[stream.name] = _depth(stage, index, stream, 0.0)
    for place, fork in reversed(list(enumerate(pipe.stages))):  # the inner ones first: what their branches hold counts for the outer ones
        if len(outputs.get(fork.name, ())) > 1:
            _hold_branches(pipe.stages[place + 1 :], inputs, outputs, outputs[fork.name], depths)
    return depths


_Lags: TypeAlias = tuple[tuple[float, float] | None, tuple[float, float] | None]
"""`most` and `least` along the ways from the one and from the other output of a fork; None where there is no way."""


def _hold_branches(
    stages: Sequence[Stage],
    inputs: Mapping[str, list[Stream]],
    outputs: Mapping[str, list[Stream]],
    branches: list[Stream],
    depths: dict[str, int],
) -> None:
    """Deepens the FIFOs in front of the stages, of those behind a fork, in which its branches meet."""
    start = (0.0, 0.0)
    lags: dict[str, _Lags] = {branches[0].name: (start, None), branches[1].name: (None, start)}
    for stage in stages:
        if len(lags) < 2:  # all ways lead through one stream, or have ended: none can meet behind it
            return
        reached = [(index, stream, lags.pop(stream.name)) for index, stream in enumerate(inputs[stage.name]) if stream.name in lags]
        if not reached:
            continue
        for index, stream, own in reached:
            for other_index, _, others in reached:
                for mine, other in ((own[0], others[1]), (own[1], others[0])):
                    if index not in (other_index, stage.held) and mine and other:
                        ahead = other[0] + (other_index == stage.held) - mine[1]
                        depths[stream.name] = max(depths[stream.name], _depth(stage, index, stream, ahead))
        most_more, least_more = _lags(stage)
        written: list[tuple[float, float] | None] = []
        for branch in (0, 1):
            ways = [(index, stream, lag) for index, stream, own in reached if (lag := own[branch])]
            most = max((lag[0] + (index == stage.held) for index, _, lag in ways), default=0.0) + most_more
            least = min((lag[1] + _room(stage, index, stream, depths) for index, stream, lag in ways), default=0.0) + least_more
            written.append((most, least) if ways else None)
        lags |= {stream.name: (written[0], written[1]) for stream in outputs.get(stage.name, ())}


def map_inputs(pipe: Pipeline) -> dict[str, list[Stream]]:
    """Stage -> the streams that it reads, in order, but for weights."""
    readers = {stage.name for stage in pipe.stages if isinstance(stage, WeightReader)}
    found: dict[str, list[Stream]] = {stage.name: [] for stage in pipe.stages}
    for stream in pipe.streams:
        if stream.consumer and stream.producer not in readers:
            found[stream.consumer].append(stream)
    return found


def _depth(stage: Stage, index: int, stream: Stream, lag: float) -> int:
    """Of a FIFO whose stream is ahead by a part of a frame."""
    behind = ceil(stream.tokens * lag - 1e-9) if lag > 0 else 0
    if isinstance(stage, Join):  # while a position of the one input is read, that of the other waits
        behind += (stage.left, stage.right)[index]
    return min(stream.tokens, behind + FIFO_SLACK) if behind >= FIFO_DEPTH else FIFO_DEPTH


def _room(stage: Stage, index: int, stream: Stream, depths: Mapping[str, int]) -> float:
    """What a stream's FIFO, or a stage that holds it, takes in for certain, as a part of a frame."""
    depth = depths[stream.name]
    if index == stage.held or depth >= stream.tokens:
        return 1.0
    return max(0, depth - FIFO_SLACK) / stream.tokens


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
