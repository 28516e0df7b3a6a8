"""How tokens flow through a dataflow with FIFOs of given depths, iteration by iteration, without their values.

Each kernel's loop nest is written out once more, as the streams that each iteration reads and writes: what stages say of their cycles
and of their pace is checked against it. In a cycle every stage makes an iteration, if what it reads is there and what it writes has room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any, TypeAlias

from edgekit.hls.dataflow import Dataflow
from edgekit.hls.kernels import matmul, matvec, products, taps, tokens, upsample, window
from edgekit.hls.kernels.base import Stage

Loops: TypeAlias = Iterator[tuple[bool | tuple[bool, ...], bool]]
"""For each iteration: what of its inputs is read (one truth for all of them, or one for each), and whether a token is written."""
READ, NOT = True, False


def frame_ends(flow: Dataflow, depths: Mapping[str, int], frames: int = 2, cycles_max: int = 10**7) -> list[int] | None:
    """The cycle at which each frame's last token has left the last stage; None where nothing moves any more before that.

    The network's input always has a token, its outputs always have room.
    """
    waiting = {stream.name: 0 for stream in flow.streams}
    outside = {stream.name for stream in flow.streams if not stream.producer or not stream.consumer}
    room = {stream.name: depths[stream.name] for stream in flow.streams}
    running = {stage.name: _iterations(flow, stage, frames) for stage in flow.stages}
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
        if ended == len(flow.stages):
            return ends
        if not moved:
            return None
    raise AssertionError("it moves for too long")


def _iterations(flow: Dataflow, stage: Stage, frames: int) -> Iterator[tuple[int, list[str], list[str]]]:
    inputs, outs = flow.inputs(stage), [stream.name for stream in flow.outputs(stage)]
    ins = [stream.name for stream in inputs if not stream.carries_weights] + [stream.name for stream in inputs if stream.carries_weights]
    for frame in range(frames):
        for reads, writes in LOOPS[type(stage)](stage):
            given = [ins[i] for i, read in enumerate(reads) if read] if isinstance(reads, tuple) else ins if reads else []
            yield frame, given, outs if writes else []


def _window(stage: window.Window) -> Loops:
    for _ in range(stage.fill):
        yield READ, NOT
    due = stage.reach - stage.window.padding.top * stage.columns * stage.groups
    for _ in range(stage.places[0]):
        for cycle in range(stage.row_cycles):
            comes = (cycle + 1) * stage.row_tokens // stage.row_cycles > cycle * stage.row_tokens // stage.row_cycles
            yield comes and 0 <= due < stage.map_tokens, cycle < stage.read_cycles
            due += comes


def _matvec(stage: matvec.MatVec) -> Loops:
    for _, o, i in product(range(stage.positions), range(stage.output_groups), range(stage.input_groups)):
        yield o == 0, i + 1 == stage.input_groups


def _held_matvec(stage: matvec.HeldMatVec) -> Loops:
    for o, position, _ in product(range(stage.output_groups), range(stage.positions), range(stage.input_groups)):
        yield (o == 0, position == 0), NOT
    for _ in range(stage.positions * stage.output_groups):
        yield NOT, True


def _weight_reader(stage: matvec.WeightReader) -> Loops:
    for _ in range(stage.words):
        yield NOT, True


def _over_taps(stage: taps.Depthwise | taps.Largest) -> Loops:
    for _, tap in product(range(stage.positions * stage.channels // stage.pe), range(stage.taps)):
        yield READ, tap + 1 == stage.taps


def _map_sums(stage: taps.MapSums) -> Loops:
    for _ in range(stage.taps * stage.groups):
        yield READ, NOT
    for _ in range(stage.groups):
        yield NOT, True


def _upsample(stage: upsample.Upsample) -> Loops:
    rows, columns = product(range(stage.rows), range(stage.kernel[0])), [range(stage.columns), range(stage.kernel[1])]
    for (_, i), (_, j), _ in product(rows, list(product(*columns)), range(stage.groups)):
        yield i == 0 and j == 0, True


def _product(stage: products.Product) -> Loops:
    for _ in range(stage.positions * stage.groups):
        yield READ, True


def _gate(stage: products.Gate) -> Loops:
    for position, _ in product(range(stage.positions), range(stage.groups)):
        yield (READ, position == 0), True


def _matmul(stage: matmul.MatMul) -> Loops:
    for _ in range(stage.load_cycles):
        yield (NOT, READ), NOT
    for _, o, t in product(range(stage.x_cells * stage.heads), range(stage.output_groups), range(stage.term_groups)):
        yield (o == 0, NOT), t + 1 == stage.term_groups


def _each_token(stage: tokens.TokenStage) -> Loops:
    for _ in range(stage.tokens):
        yield READ, True


def _concat(stage: tokens.Concat) -> Loops:
    for i in range(stage.tokens):
        left = i % (stage.left + stage.right) < stage.left
        yield (left, not left), True


def _slice(stage: tokens.Slice) -> Loops:
    for _, place in product(range(stage.positions), range(stage.cell)):
        yield READ, stage.begin <= place < stage.begin + stage.count


def _resize(stage: tokens.Resize) -> Loops:
    unit = stage.values // stage.cycles
    for i in range(stage.cycles):
        yield i * unit % stage.token_in == 0, (i + 1) * unit % stage.token_out == 0


LOOPS: Mapping[type[Stage], Callable[[Any], Loops]] = {
    window.Window: _window,
    matvec.MatVec: _matvec,
    matvec.HeldMatVec: _held_matvec,
    matvec.WeightReader: _weight_reader,
    taps.Depthwise: _over_taps,
    taps.MapSums: _map_sums,
    taps.Largest: _over_taps,
    upsample.Upsample: _upsample,
    products.Product: _product,
    products.Gate: _gate,
    matmul.MatMul: _matmul,
    tokens.Add: _each_token,
    tokens.Lookup: _each_token,
    tokens.Fork: _each_token,
    tokens.Concat: _concat,
    tokens.Slice: _slice,
    tokens.Resize: _resize,
}
"""A loop nest for each stage of the registry, which a test compares this table with."""
