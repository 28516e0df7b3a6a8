"""Runs a program on a memory of bytes, job by job, in integers: slow and obvious, but for loops that numpy runs at once.

Jobs run in the order in which they start, as each array has one table at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np

from edgekit.arrays import Array, Int64
from edgekit.graph import IntegerGraph
from edgekit.hls.engine.program import Kind, Loops, MatrixJob, Program, VectorJob, View, Weights, passes_of
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.engine.stream import read_constants, read_table, read_weights


@dataclass
class Machine:
    """The map memory, uint8 (words, simd); the weight stream, (rows, row_bytes); the image, (rows, bytes a row); results as they come.

    passed: what was looked up on its way to each word of the memory. tables: uint8 (256,), of the matrix array (True) and the vector array,
        once a job has brought one.
    """

    size: EngineSize
    memory: Array
    stream: Array
    image: Array
    results: list[Array] = field(default_factory=list)
    passed: Array = field(default_factory=lambda: np.zeros((0, 0), np.uint8))
    tables: dict[bool, Array] = field(default_factory=dict)
    unpacked: dict[tuple[int, int, int, int], Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.passed = np.zeros_like(self.memory)

    def weights(self, job: MatrixJob | VectorJob, passes: int, words: Sequence[int]) -> tuple[Array, Int64, Int64]:
        """Weights (groups, passes, words of the first group, simd), biases and codes (groups, lanes) of a job.

        words: of simd weights, of each group's passes.
        """
        size, read = self.size, passes_of(job, self.size)
        first = job.weights + read.table
        if (first, len(words), passes, words[0]) not in self.unpacked:
            block = self.stream[first : job.weights + read.rows]
            ends = np.cumsum([0, *(size.constant_rows + passes * size.weight_rows(one) for one in words)])
            blocks = [block[start:end] for start, end in pairwise(ends)]
            weights = np.zeros((len(words), passes, words[0], size.simd), np.int8)
            for number, (one, rows) in enumerate(zip(words, blocks, strict=True)):
                weights[number, :, :one] = read_weights(rows[size.constant_rows :], one, size)
            sets = [read_constants(rows[: size.constant_rows], size) for rows in blocks]
            biases, codes = (np.stack(values) for values in zip(*sets, strict=True))
            self.unpacked[first, len(words), passes, words[0]] = (weights, biases, codes)
        return self.unpacked[first, len(words), passes, words[0]]

    def read(self, view: View, rows: Int64, cols: Int64, first: int, words: int) -> Int64:
        """Words of pixels: int64 (len(rows), len(cols), words * simd), 0 outside the map."""
        inside = ((rows >= 0) & (rows < view.rows))[:, np.newaxis] & ((cols >= 0) & (cols < view.cols))
        address = view.base + (rows % view.ring)[:, np.newaxis] * view.row_words + np.clip(cols, 0, view.cols - 1) * view.pixel + first
        found = self.memory[address[:, :, np.newaxis] + np.arange(words)]
        values = found.view(np.int8 if view.signed else np.uint8).astype(np.int64).reshape(len(rows), len(cols), -1)
        return np.where(inside[:, :, np.newaxis], values, 0)

    def write(self, view: View, rows: Int64, cols: Int64, first: int, values: Int64, table: Array | None = None) -> None:
        """Words of pixels, from int64 (len(rows), len(cols), words * simd), looked up in `table`, uint8 (256,), if there is one."""
        words = values.shape[-1] // self.size.simd
        address = view.base + (rows % view.ring)[:, np.newaxis] * view.row_words + cols * view.pixel + first
        shape = (len(rows), len(cols), words, self.size.simd)
        made, places = values.astype(np.uint8).reshape(shape), address[:, :, np.newaxis] + np.arange(words)
        self.passed[places] = made
        self.memory[places] = made if table is None else table[made]

    def table(self, job: MatrixJob | VectorJob) -> Array | None:
        """What the job looks its outputs up in."""
        return self.tables[isinstance(job, MatrixJob)] if job.table else None


def interpret(program: Program, graph: IntegerGraph, image: Array) -> dict[str, Array]:
    """Every tensor of the graph for one image of the input's shape, as edgekit.graph.run gives it for a batch: (1, *shape)."""
    size, tensor = program.size, graph.tensors[program.input]
    stream = np.frombuffer(program.stream, np.uint8).reshape(-1, size.row_bytes)
    lines = np.ascontiguousarray(image.astype(tensor.dtype)).view(np.uint8)
    lines = lines.reshape(tensor.shape[0] if len(tensor.shape) > 1 else 1, -1)
    machine = Machine(size, np.zeros((size.map_words, size.simd), np.uint8), stream, lines)
    machine.memory[:] = 0xA5  # nothing may rest on what was there before
    taken = {name: np.zeros((view.rows, view.cols, len(places)), np.uint8) for name, (view, places) in program.views.items()}
    for step in sorted(program.steps, key=lambda one: one.start):
        for job in step.jobs:
            run_job(machine, job)
        if step.tensor:
            view, places = program.views[step.tensor]
            rows = np.arange(step.first_row, step.first_row + step.rows)
            found = machine.read(view, rows, np.arange(view.cols), 0, view.pixel)
            taken[step.tensor][rows] = found[:, :, np.array(places)].astype(np.uint8)
            if step.passed:
                memory, machine.memory = machine.memory, machine.passed
                found = machine.read(view, rows, np.arange(view.cols), 0, view.pixel)
                taken[step.passed][rows] = found[:, :, np.array(places)].astype(np.uint8)
                machine.memory = memory
    made = {name: values.view(graph.tensors[name].dtype).reshape(1, *graph.tensors[name].shape) for name, values in taken.items()}
    made[program.input] = image.astype(tensor.dtype)[np.newaxis]
    for name, source in program.same.items():
        made.setdefault(name, made[source].reshape(1, *graph.tensors[name].shape))
    return made


def run_job(machine: Machine, job: MatrixJob | VectorJob) -> None:
    if job.brings:
        rows = machine.stream[job.weights : job.weights + machine.size.table_rows]
        machine.tables[isinstance(job, MatrixJob)] = read_table(rows, machine.size)
    if isinstance(job, MatrixJob):
        _matrix(machine, job)
    else:
        RUN[job.kind](machine, job)


def _at(loops: Loops, i: int, j: int) -> tuple[Int64, Int64]:
    """The rows and columns under tap (i, j), for the positions."""
    rows = (loops.first_row + np.arange(loops.rows)) * loops.strides[0] - loops.pad[0] + i * loops.dilation[0]
    return rows, np.arange(loops.cols) * loops.strides[1] - loops.pad[1] + j * loops.dilation[1]


def _requantized(sums: Int64, codes: Int64, low: int, high: int) -> Int64:
    """One shift to the right for both directions: engine_requantize has the reason."""
    return np.clip(((2 * sums + 1) << 8) >> (codes + 9), low, high)


def _matrix(machine: Machine, job: MatrixJob) -> None:
    """sums (rows, cols, groups * lanes) += inputs (rows, cols, simd) @ weights (simd, groups * lanes), pass by pass."""
    size, loops = machine.size, job.loops
    groups = ceil(job.out_words / size.words)
    taps = [(i, j) for i in range(loops.kernel[0]) for j in range(loops.kernel[1])]
    passes = len(taps) * job.x_words
    if job.source is Weights.STREAM:
        words = [size.simd * min(size.words, job.out_words - group * size.words) for group in range(groups)]
        packed, biases, codes = machine.weights(job, passes, words)
        whole = np.zeros((groups, passes, size.lanes, size.simd), np.int8)
        whole[:, :, : packed.shape[2]] = packed
        weights = whole.transpose(1, 3, 0, 2)
        sums, shifts = biases.reshape(-1), codes.reshape(-1)
    else:
        weights, (sums, shifts) = _from_map(machine, job, groups), _constants(machine, job, groups)
    columns = np.concatenate([machine.read(job.x, *_at(loops, i, j), job.x_word, job.x_words) for i, j in taps], axis=-1)
    flat = columns.reshape(loops.positions, -1).astype(np.float64) @ weights.reshape(passes * size.simd, -1).astype(np.float64)
    total = flat.astype(np.int64).reshape(loops.rows, loops.cols, -1) + sums
    out = _requantized(total, shifts, job.low, job.high)[:, :, : job.out_words * size.simd]
    rows = loops.first_row + np.arange(loops.rows)
    machine.write(job.out, rows, np.arange(loops.cols), job.out_word, out, machine.table(job))


def _from_map(machine: Machine, job: MatrixJob, groups: int) -> Array:
    """The second factor out of y: (passes, simd, groups, lanes)."""
    size, y = machine.size, job.y
    cells = machine.memory[y.base : y.base + y.rows * y.cols * y.pixel].reshape(y.rows * y.cols, y.pixel, size.simd)
    values = cells.view(np.int8 if y.signed else np.uint8).astype(np.int64)
    if job.source is Weights.ROWS:
        found = np.zeros((groups * size.lanes, job.x_words, size.simd), np.int64)
        some = values[job.y_first : job.y_first + groups * size.lanes, job.y_word : job.y_word + job.x_words].copy()
        some[:, -1, job.y_lanes :] = 0
        found[: len(some)] = some
        return found.reshape(groups, size.lanes, job.x_words, size.simd).transpose(2, 3, 0, 1)
    found = np.zeros((job.x_words * size.simd, groups * size.words, size.simd), np.int64)
    some = values[:, job.y_word : job.y_word + job.out_words]
    found[: len(some), : job.out_words] = some
    return found.reshape(job.x_words, size.simd, groups, size.lanes)


def _constants(machine: Machine, job: MatrixJob, groups: int) -> tuple[Int64, Int64]:
    """Biases and codes of a product of maps: (groups * lanes,), or biases (rows, cols, lanes) of its one group."""
    size, loops = machine.size, job.loops
    sets = loops.positions if job.own_bias else groups
    block = machine.stream[job.weights : job.weights + sets * size.constant_rows].reshape(sets, size.constant_rows, -1)
    biases, codes = (np.stack(values) for values in zip(*(read_constants(one, size) for one in block), strict=True))
    if job.own_bias:
        return biases.reshape(loops.rows, loops.cols, size.lanes), codes[0]
    return biases.reshape(-1), codes.reshape(-1)


def _written(machine: Machine, job: VectorJob, values: Int64) -> None:
    """`values` int64 (rows, cols, bytes): the first `count` words of each go to their places."""
    loops = job.loops
    rows = job.out_first[0] + (loops.first_row + np.arange(loops.rows)) * job.out_step[0]
    cols = job.out_first[1] + np.arange(loops.cols) * job.out_step[1]
    some = values[:, :, : job.count * machine.size.simd]
    machine.write(job.out, rows, cols, job.out_word, some, machine.table(job))


def _depthwise(machine: Machine, job: VectorJob) -> None:
    size, loops = machine.size, job.loops
    groups, (kernel_h, kernel_w) = ceil(job.count / size.words), loops.kernel
    steps = ceil(kernel_w / job.taps)
    packed, biases, codes = machine.weights(job, kernel_h * steps, [job.taps * size.words] * groups)
    weights = packed.reshape(groups, kernel_h, steps * job.taps, size.lanes).astype(np.int64)
    weights = weights.transpose(1, 2, 0, 3).reshape(kernel_h, steps * job.taps, -1)[:, :, : job.count * size.simd]
    width = job.count * size.simd
    sums = np.zeros((loops.rows, loops.cols, width), np.int64) + biases.reshape(-1)[:width]
    for i in range(kernel_h):
        for j in range(kernel_w):
            sums += machine.read(job.x, *_at(loops, i, j), job.x_word, job.count) * weights[i, j]
    _written(machine, job, _requantized(sums, codes.reshape(-1)[:width], job.low, job.high))


def _operand(machine: Machine, job: VectorJob) -> Int64:
    if job.y_cell:
        return machine.read(job.y, np.zeros(1, np.int64), np.zeros(1, np.int64), 0, job.count)
    return machine.read(job.y, *_at(job.loops, 0, 0), 0, job.count)


def _add(machine: Machine, job: VectorJob) -> None:
    sums = machine.read(job.x, *_at(job.loops, 0, 0), 0, job.count) + _operand(machine, job)
    _written(machine, job, np.clip(sums, job.low, job.high))


def _multiply(machine: Machine, job: VectorJob) -> None:
    product = machine.read(job.x, *_at(job.loops, 0, 0), 0, job.count) * _operand(machine, job)
    rounding = 1 << (job.shift - 1) if job.shift else 0
    _written(machine, job, np.clip((product + rounding) >> job.shift, job.low, job.high))


def _max(machine: Machine, job: VectorJob) -> None:
    """Cells outside the map take no part."""
    loops = job.loops
    best = np.full((loops.rows, loops.cols, job.count * machine.size.simd), job.low, np.int64)
    for i in range(loops.kernel[0]):
        for j in range(loops.kernel[1]):
            rows, cols = _at(loops, i, j)
            inside = ((rows >= 0) & (rows < job.x.rows))[:, np.newaxis] & ((cols >= 0) & (cols < job.x.cols))
            cells = machine.read(job.x, rows, cols, job.x_word, job.count)
            best = np.where(inside[:, :, np.newaxis], np.maximum(best, cells), best)
    _written(machine, job, best)


def _copy(machine: Machine, job: VectorJob) -> None:
    _written(machine, job, machine.read(job.x, *_at(job.loops, 0, 0), job.x_word, job.count))


def _move(machine: Machine, job: VectorJob) -> None:
    """Bytes of a row of x to bytes of a row of the output."""
    steps, count, x_first, x_step, out_first, out_step = job.moved
    flat = machine.memory.reshape(-1)
    for row in job.loops.first_row + np.arange(job.loops.rows):
        x, out = ((view.base + row % view.ring * view.row_words) * machine.size.simd for view in (job.x, job.out))
        step, byte = np.arange(steps)[:, np.newaxis], np.arange(count)
        flat[out + out_first + step * out_step + byte] = flat[x + x_first + step * x_step + byte]


def _load(machine: Machine, job: VectorJob) -> None:
    """Bytes of each line of the image under the window's rows, 0 outside of it."""
    loops, (step, first, count) = job.loops, job.columns
    start = first + np.arange(loops.cols) * step
    byte = start[:, np.newaxis] + np.arange(count)
    pixels = np.zeros((loops.rows, loops.cols, job.count * machine.size.simd), np.int64)
    for number in range(loops.kernel[0]):
        rows = (loops.first_row + np.arange(loops.rows)) * loops.strides[0] - loops.pad[0] + number
        inside = ((rows >= 0) & (rows < job.x.rows))[:, np.newaxis, np.newaxis] & (byte >= 0) & (byte < job.line)
        lines = machine.image[np.clip(rows, 0, job.x.rows - 1)]
        pixels[:, :, number * count : (number + 1) * count] = np.where(inside, lines[:, np.clip(byte, 0, job.line - 1)], 0)
    _written(machine, job, pixels)


def _store(machine: Machine, job: VectorJob) -> None:
    rows = job.loops.first_row + np.arange(job.loops.rows)
    machine.results.append(machine.read(job.x, rows, np.arange(job.loops.cols), 0, job.count).astype(np.uint8))


RUN: Mapping[Kind, Callable[[Machine, Any], None]] = {
    Kind.DEPTHWISE: _depthwise,
    Kind.ADD: _add,
    Kind.MULTIPLY: _multiply,
    Kind.MAX: _max,
    Kind.COPY: _copy,
    Kind.LOAD: _load,
    Kind.STORE: _store,
    Kind.MOVE: _move,
}
