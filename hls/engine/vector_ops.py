"""What each channel does alone, copies, and what comes from and goes to DDR, as tasks of the vector array."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from math import ceil, lcm, prod
from typing import Any

import numpy as np

from edgekit.arrays import Array, Int64
from edgekit.graph import (
    Add,
    Concat,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    Lookup,
    MaxPool,
    Multiply,
    Reshape,
    Slice,
    clamp_range,
    product_shift,
    requantize_of,
)
from edgekit.hls.engine.lower import Make, Read, Store, Task, Views
from edgekit.hls.engine.lowering import Lowering, only_flattened
from edgekit.hls.engine.maps import map_shape
from edgekit.hls.engine.program import NOWHERE, PASS_BEATS_MIN, Job, Kind, Loops, VectorJob, View, banks_of
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.engine.stream import depthwise_rows, quarter_constants


def _add_task(here: Lowering, op: str, output: str, reads: tuple[Read, ...], make: Make, stream: Array | None = None) -> None:
    """A task that goes through the rows of its output."""
    store = here.store(output)
    rows = np.zeros((0, here.size.row_bytes), np.uint8) if stream is None else stream
    tensor = output if output in here.graph.tensors else ""
    here.lowered.tasks.append(Task(op, False, reads, output, store.rows, store.cols, make, rows, tensor))


def _change_last(here: Lowering, **fields: Any) -> None:
    here.lowered.tasks[-1] = replace(here.lowered.tasks[-1], **fields)


def taps_of(kernel: tuple[int, int], store: Store, stride: int, dilation: int, most: int) -> tuple[int, int]:
    """How many neighbouring columns of a kernel are best taken a pass, and the columns that a row of the pass reads."""
    cols = store.cols

    def walk(taps: int) -> int:
        return cols if taps == 1 else (cols - 1) * stride + taps

    choices = range(1, min(most, kernel[1]) + 1) if dilation == 1 else (1,)
    best = min(choices, key=lambda taps: (ceil(kernel[1] / taps) * max(walk(taps) * store.rows, PASS_BEATS_MIN), taps))
    return best, walk(best)


def depthwise(here: Lowering, op: DepthwiseConv2D) -> None:
    layout, tensor = here.layouts[op.output], here.graph.tensors[op.output]
    kernel = (op.weights.shape[0], op.weights.shape[1])
    pad = (op.padding.top, op.padding.left)
    placed = np.zeros((*kernel, layout.pixel * here.size.simd), np.int8)
    placed[:, :, layout.bytes] = op.weights // 4
    output, table = here.written(op.output), here.table(op.output)
    taps, walk = taps_of(kernel, here.store(output), op.strides[1], op.dilation[1], here.size.taps)
    biases, codes = (here.spread(values, layout) for values in quarter_constants(here.graph, op))
    low, high = clamp_range(op.activation, tensor)

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        out = views[output]
        loops = Loops(first, rows, out.cols, kernel, op.strides, pad, op.dilation)
        x = here.view(views, op.input)
        job = VectorJob(Kind.DEPTHWISE, loops, out, layout.pixel, x, taps=taps, walk=walk, low=low, high=high, weights=row)
        return (replace(job, table=table),)

    read = here.read(op.input, op.dilation[0] * (kernel[0] - 1) + 1, op.strides[0], pad[0])
    _add_task(here, op.name, output, (read,), make, depthwise_rows(placed, biases, codes, taps, here.size))
    _change_last(here, passed=op.output if table else "")


def upsample(here: Lowering, op: DepthwiseConv2DTranspose) -> None:
    """A job for each cell of the kernel, whose outputs lie a kernel apart."""
    layout = here.layouts[op.output]
    kernel_h, kernel_w, _ = op.weights.shape
    biases, codes = (here.spread(values, layout) for values in quarter_constants(here.graph, op))
    low, high = clamp_range(op.activation, here.graph.tensors[op.output])
    rows, cols = here.shapes[op.input]
    parts = []
    for weights in (op.weights // 4).reshape(-1, 1, 1, op.weights.shape[2]):
        placed = np.zeros((1, 1, layout.pixel * here.size.simd), np.int8)
        placed[:, :, layout.bytes] = weights
        parts.append(depthwise_rows(placed, biases, codes, 1, here.size))

    def make(views: Views, row: int, first: int, count: int) -> tuple[Job, ...]:
        x, out, loops = here.view(views, op.input), views[op.output], Loops(first, count, cols)
        fixed = {"walk": cols, "out_step": (kernel_h, kernel_w), "low": low, "high": high}
        cells = [(i, j) for i in range(kernel_h) for j in range(kernel_w)]
        return tuple(
            VectorJob(Kind.DEPTHWISE, loops, out, layout.pixel, x, out_first=cell, weights=row + number * len(parts[0]), **fixed)  # type: ignore[arg-type]
            for number, cell in enumerate(cells)
        )

    stream = np.concatenate(parts)
    _add_task(here, op.name, op.output, (here.read(op.input),), make, stream)
    _change_last(here, rows=rows, cols=cols, out_rows=kernel_h)


def side_by_side(job: VectorJob, size: EngineSize) -> VectorJob:
    """The same job on pixels that are taken together, where those of a row fill groups of words better: all maps have the same pixels."""
    pixel, cols = job.out.pixel, job.loops.cols
    if pixel % size.words == 0 or job.count != pixel or any(view.words and view.pixel != pixel for view in (job.x, job.y)):
        return job
    factors = [n for n in range(1, min(cols, size.words) + 1) if cols % n == 0]
    many = min(factors, key=lambda n: (ceil(n * pixel / size.words) * (cols // n), n))
    wide = {name: replace(view, cols=view.cols // many, pixel=pixel * many) for name, view in (("x", job.x), ("y", job.y)) if view.words}
    out = replace(job.out, cols=cols // many, pixel=pixel * many)
    return replace(job, loops=replace(job.loops, cols=cols // many), out=out, count=pixel * many, **wide)  # type: ignore[arg-type]


def _apart(x: View, y: View, size: EngineSize) -> bool:
    """Whether two maps can be read in one beat."""
    return not set(banks_of(x, size)) & set(banks_of(y, size))


def add(here: Lowering, op: Add) -> None:
    low, high = clamp_range(op.activation, here.graph.tensors[op.output])

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        out = views[op.output]
        x, y = (here.view(views, name) for name in op.inputs)
        pair = _apart(x, y, here.size)
        job = VectorJob(Kind.ADD, Loops(first, rows, out.cols), out, out.pixel, x, y, pair=pair, low=low, high=high)
        return (side_by_side(job, here.size),)

    _add_task(here, op.name, op.output, tuple(here.read(name) for name in op.inputs), make)


def multiply(here: Lowering, op: Multiply) -> None:
    requantize = requantize_of(here.graph, op)
    x_name, y_name = op.inputs
    gate = here.shapes[y_name] != here.shapes[x_name] or here.graph.tensors[y_name].shape != here.graph.tensors[x_name].shape
    shift = product_shift(here.graph, op)

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        out = views[op.output]
        x, y = (here.view(views, name) for name in op.inputs)
        limits = {"low": requantize.low, "high": requantize.high, "shift": shift, "y_cell": gate}
        limits["pair"] = not gate and _apart(x, y, here.size)
        return (VectorJob(Kind.MULTIPLY, Loops(first, rows, out.cols), out, out.pixel, x, y, **limits),)  # type: ignore[arg-type]

    _add_task(here, op.name, op.output, (here.read(x_name), here.read_all(y_name) if gate else here.read(y_name)), make)


def max_pool(here: Lowering, op: MaxPool) -> None:
    pad, tensor = (op.padding.top, op.padding.left), here.graph.tensors[op.output]

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        out = views[op.output]
        loops = Loops(first, rows, out.cols, op.pool, op.strides, pad)
        return (VectorJob(Kind.MAX, loops, out, out.pixel, here.view(views, op.input), low=tensor.low, high=tensor.high),)

    _add_task(here, op.name, op.output, (here.read(op.input, op.pool[0], op.strides[0], pad[0]),), make)


def lookup(here: Lowering, op: Lookup) -> None:
    if op.input in here.looked_up:
        return

    table = here.table_number(op)

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        out = views[op.output]
        x = here.view(views, op.input)
        job = VectorJob(Kind.COPY, Loops(first, rows, out.cols), out, out.pixel, x, table=table, weights=row)
        return (side_by_side(job, here.size),)

    _add_task(here, op.name, op.output, (here.read(op.input),), make)


def concat(here: Lowering, op: Concat) -> None:
    to = here.layouts[op.output].bytes
    ends = np.cumsum([0, *(here.layouts[name].channels for name in op.inputs)])

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        jobs: list[Job] = []
        for name, low, high in zip(op.inputs, ends, ends[1:], strict=False):
            jobs += copies(here, here.view(views, name), views[op.output], here.layouts[name].bytes, to[low:high], first, rows)
        return tuple(jobs)

    _add_task(here, op.name, op.output, tuple(here.read(name) for name in op.inputs), make)


def cut(here: Lowering, op: Slice) -> None:
    layout = here.layouts[op.output]
    taken = here.layouts[op.input].bytes[op.start : op.start + layout.channels]

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        return tuple(copies(here, here.view(views, op.input), views[op.output], taken, layout.bytes, first, rows))

    _add_task(here, op.name, op.output, (here.read(op.input),), make)


def copied(here: Lowering, op: str, source: str, output: str) -> None:
    """The same tensor in another layout."""
    taken, given = here.layouts[source].bytes, here.layouts[output].bytes

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        return tuple(copies(here, here.view(views, source), views[output], taken, given, first, rows))

    _add_task(here, op, output, (here.read(source),), make)


def copies(here: Lowering, x: View, out: View, taken: Int64, given: Int64, first: int, rows: int) -> Iterator[VectorJob]:
    """Bytes `taken` of each pixel of x become bytes `given` of the output's: whole words where they fall on words, else byte by byte."""
    simd = here.size.simd
    step = given - taken
    if (step == step[0]).all() and taken[0] % simd == 0 and given[0] % simd == 0:
        count = ceil((int(taken[-1]) + 1) / simd) - int(taken[0]) // simd
        words = {"x_word": int(taken[0]) // simd, "out_word": int(given[0]) // simd}
        yield VectorJob(Kind.COPY, Loops(first, rows, out.cols), out, count, x, **words)  # type: ignore[arg-type]
        return
    for start, count in _runs(taken, given):
        moved = (out.cols, count, int(taken[start]), x.pixel * simd, int(given[start]), out.pixel * simd)
        yield VectorJob(Kind.MOVE, Loops(first, rows, out.cols), out, 0, x, moved=moved)


def _runs(taken: Int64, given: Int64) -> Iterator[tuple[int, int]]:
    """Starts and lengths of stretches in which both go up by one."""
    breaks = np.flatnonzero((np.diff(taken) != 1) | (np.diff(given) != 1)) + 1
    edges = [0, *breaks.tolist(), len(taken)]
    for start, end in pairwise(edges):
        yield start, end - start


def reshape(here: Lowering, op: Reshape) -> None:
    """Nothing, where cells keep their channels or only dense layers read it; else a copy byte by byte."""
    before, after = here.layouts[op.input], here.layouts[op.output]
    here.lowered.same[op.output] = op.input
    if op.input == here.graph.input and here.gathers:
        return
    if np.array_equal(before.bytes, after.bytes) and before.pixel == after.pixel:
        here.carrier[op.output] = here.store(op.input).name
        here.hold(op.input)
    elif not only_flattened(here.graph, op.output):
        _reshaped(here, op)


def _reshaped(here: Lowering, op: Reshape) -> None:
    simd = here.size.simd
    before, after = here.layouts[op.input], here.layouts[op.output]
    total = prod(here.graph.tensors[op.output].shape)
    period = min(lcm(before.channels, after.channels), total)
    flat = np.arange(total)
    taken = flat // before.channels * before.pixel * simd + before.bytes[flat % before.channels]
    given = flat // after.channels * after.pixel * simd + after.bytes[flat % after.channels]
    periods = total // period
    steps = (period // before.channels * before.pixel * simd, period // after.channels * after.pixel * simd)
    moves = [(periods, start, count) for start, count in _runs(taken[:period], given[:period])]
    moves += [(1, periods * period + start, count) for start, count in _runs(taken[periods * period :], given[periods * period :])]

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        x, out = here.view(views, op.input), views[op.output]
        flat_x, flat_out = (View(one.base, 1, one.rows * one.cols, one.pixel, 1, one.signed) for one in (x, out))
        return tuple(
            VectorJob(
                Kind.MOVE,
                Loops(0, 1, flat_out.cols),
                flat_out,
                0,
                flat_x,
                moved=(repeats, count, int(taken[start]), steps[0], int(given[start]), steps[1]),
            )
            for repeats, start, count in moves
            if count
        )

    rows = here.store(op.output).rows
    _add_task(here, op.name, op.output, (here.read_all(op.input),), make)
    _change_last(here, rows=1, cols=1, out_rows=rows)
    here.hold(op.output)


def load(here: Lowering) -> None:
    """The image: pixels, or what lies under the rows of the kernel that gathers it."""
    name = here.graph.input
    tensor = here.graph.tensors[name]
    height, width, channels = map_shape(tensor)
    if len(tensor.shape) == 2:
        width = 1
    step, start, count, window = channels, 0, channels, {}
    if here.gathers:
        op = next(op for op in here.graph.ops if op.output == here.gathers)
        step, start, count = op.strides[1] * channels, -op.padding.left * channels, op.weights.shape[1] * channels  # type: ignore[union-attr]
        if here.input_lines > 1:
            window = {"kernel": (here.input_lines, 1), "strides": (op.strides[0], 1), "pad": (op.padding.top, 0)}  # type: ignore[union-attr]

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        out = views[name]
        loops = Loops(first, rows, out.cols, **window)
        image = replace(NOWHERE, rows=height)
        return (VectorJob(Kind.LOAD, loops, out, out.pixel, image, line=width * channels, columns=(step, start, count)),)

    _add_task(here, "input", name, (), make)
    _change_last(here, tensor="" if here.gathers else name)


def keep(here: Lowering, name: str) -> None:
    """A result: the pixels of a tensor, all their words."""
    store = here.store(name)
    line = store.row_words * here.size.simd
    place = here.result_words
    here.result_words += store.rows * store.row_words

    def make(views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        x = views[store.name]
        out = View(place, x.rows, x.cols, x.pixel, x.rows, x.signed)
        return (VectorJob(Kind.STORE, Loops(first, rows, x.cols), out, x.pixel, x, line=line),)

    rows = np.zeros((0, here.size.row_bytes), np.uint8)
    read = Read(store.name, store.rows)
    here.lowered.tasks.append(Task(f"output {name}", False, (read,), "", store.rows, store.cols, make, rows))
