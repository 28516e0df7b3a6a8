"""How tokens flow through a pipeline with FIFOs of given depths, iteration by iteration, without their values.

Each kernel's loop nest is written out once more, as the streams that each iteration reads and writes. In a cycle every stage makes an
iteration, if what it reads is there and what it writes has room.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from edgekit.hls.dataflow import Pipeline
from edgekit.hls.kernels.base import Cut, HeldMatVec, Join, Largest, MatVec, Resize, Stage, WeightReader
from edgekit.hls.kernels.products import Gate, HeldProduct
from edgekit.hls.kernels.taps import Depthwise, MapSums, Upsample
from edgekit.hls.kernels.window import Window

READ, NOT = True, False


def flow(pipe: Pipeline, depths: Mapping[str, int], frames: int = 2, cycles_max: int = 10**7) -> list[int] | None:
    """The cycle at which each frame's last token has left the last stage; None where nothing moves any more before that.

    The network's input always has a token, its outputs always have room.
    """
    waiting = {stream.name: 0 for stream in pipe.streams}
    outside = {stream.name for stream in pipe.streams if not stream.producer or not stream.consumer}
    room = {stream.name: depths[stream.name] for stream in pipe.streams}
    running = {stage.name: _iterations(pipe, stage, frames) for stage in pipe.stages}
    todo = {name: next(steps) for name, steps in running.items()}
    ends, ended = [0] * frames, 0
    for cycle in range(1, cycles_max):
        moved = False
        before = dict(waiting)
        for name in list(todo):
            frame, reads, writes = todo[name]
            if all(stream in outside or before[stream] for stream in reads) and all(
                stream in outside or before[stream] < room[stream] for stream in writes
            ):
                for stream in reads:
                    waiting[stream] -= stream not in outside
                for stream in writes:
                    waiting[stream] += stream not in outside
                moved = True
                ends[frame] = max(ends[frame], cycle)
                following = next(running[name], None)
                if following is None:
                    del todo[name]
                    ended += 1
                else:
                    todo[name] = following
        if ended == len(pipe.stages):
            return ends
        if not moved:
            return None
    raise AssertionError("it moves for too long")


def _iterations(pipe: Pipeline, stage: Stage, frames: int) -> Iterator[tuple[int, list[str], list[str]]]:
    ins, outs = [stream.name for stream in pipe.inputs(stage)], [stream.name for stream in pipe.outputs(stage)]
    readers = {other.name for other in pipe.stages if isinstance(other, WeightReader)}
    weights = [stream.name for stream in pipe.inputs(stage) if stream.producer in readers]
    ins = [name for name in ins if name not in weights] + weights
    for frame in range(frames):
        for reads, writes in _loops(stage):
            given = [ins[i] for i, read in enumerate(reads) if read] if isinstance(reads, tuple) else ins if reads else []
            yield frame, given, outs if writes else []


def _loops(stage: Stage) -> Iterator[tuple[bool | tuple[bool, ...], bool]]:
    """For each iteration: what of its inputs is read (one truth for all of them, or one for each), and whether a token is written."""
    if isinstance(stage, Window):
        yield from _window(stage)
    elif isinstance(stage, HeldMatVec):
        for o, position, _ in product(range(stage.output_groups), range(stage.positions), range(stage.input_groups)):
            yield (o == 0, position == 0), NOT
        for _ in range(stage.positions * stage.output_groups):
            yield NOT, True
    elif isinstance(stage, MatVec):
        for _, o, i in product(range(stage.positions), range(stage.output_groups), range(stage.input_groups)):
            yield o == 0, i + 1 == stage.input_groups
    elif isinstance(stage, MapSums):
        for i in range(stage.cycles):
            yield i < stage.taps * stage.groups, i >= stage.taps * stage.groups
    elif isinstance(stage, Depthwise | Largest):
        for _, tap in product(range(stage.positions * stage.channels // stage.pe), range(stage.taps)):
            yield READ, tap + 1 == stage.taps
    elif isinstance(stage, Gate):
        for position, _ in product(range(stage.positions), range(stage.groups)):
            yield (READ, position == 0), True
    elif isinstance(stage, HeldProduct):
        for _ in range(stage.load_cycles):
            yield (NOT, READ), NOT
        for _, o, t in product(range(stage.x_cells * stage.heads), range(stage.output_groups), range(stage.term_groups)):
            yield (o == 0, NOT), t + 1 == stage.term_groups
    elif isinstance(stage, Upsample):
        rows, columns = product(range(stage.rows), range(stage.kernel[0])), [range(stage.columns), range(stage.kernel[1])]
        for (_, i), (_, j), _ in product(rows, list(product(*columns)), range(stage.groups)):
            yield i == 0 and j == 0, True
    elif isinstance(stage, Join):
        for i in range(stage.tokens):
            left = i % (stage.left + stage.right) < stage.left
            yield (left, not left), True
    elif isinstance(stage, Cut):
        for _, place in product(range(stage.positions), range(stage.cell)):
            yield READ, stage.begin <= place < stage.begin + stage.count
    elif isinstance(stage, Resize):
        unit = stage.values // stage.cycles
        for i in range(stage.cycles):
            yield i * unit % stage.token_in == 0, (i + 1) * unit % stage.token_out == 0
    elif isinstance(stage, WeightReader):
        for _ in range(stage.words):
            yield NOT, True
    else:  # one token in from each stream, one out to each
        for _ in range(stage.cycles):
            yield READ, True


def _window(stage: Window) -> Iterator[tuple[bool, bool]]:
    for _ in range(stage.fill):
        yield READ, NOT
    due = stage.reach - stage.padding.top * stage.columns * stage.groups
    for _ in range(stage.out_rows):
        for cycle in range(stage.row_cycles):
            comes = (cycle + 1) * stage.row_tokens // stage.row_cycles > cycle * stage.row_tokens // stage.row_cycles
            yield comes and 0 <= due < stage.tokens, cycle < stage.read_cycles
            due += comes
