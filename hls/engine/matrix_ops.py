"""Convolutions, dense layers and products of maps, as tasks of the matrix array."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TypeAlias

import numpy as np

from edgekit.arrays import Array, Int64
from edgekit.graph import Conv2D, Dense, MatMul, clamp_range
from edgekit.graph.ir import IntArray, Pair
from edgekit.hls.engine.lower import Task, Views
from edgekit.hls.engine.lowering import Lowering
from edgekit.hls.engine.maps import Layout, head_segments, map_shape
from edgekit.hls.engine.program import Job, Loops, MatrixJob, Weights
from edgekit.hls.engine.stream import bias_rows, matrix_rows, product_constants, quarter_constants
from edgekit.hls.engine.vector_ops import copied

WindowLoops: TypeAlias = tuple[Pair, Pair, Pair, Pair]
"""Kernel, strides, padding above and to the left, dilation."""
POINTWISE: WindowLoops = ((1, 1), (1, 1), (0, 0), (1, 1))


def conv(here: Lowering, op: Conv2D) -> None:
    kernel_h, kernel_w, channels, _ = op.weights.shape
    if here.gathers == op.output:  # the image is loaded as the bytes under the kernel, or each row of it
        lines = here.input_lines
        weights = op.weights.reshape(kernel_h // lines, lines * kernel_w * channels, -1)
        loops = ((kernel_h, 1), (op.strides[0], 1), (op.padding.top, 0), (op.dilation[0], 1)) if lines == 1 else POINTWISE
        _sum(here, op, op.input, weights, np.arange(weights.shape[1]), loops)
        return
    weights = op.weights.reshape(kernel_h * kernel_w, channels, -1)
    loops = ((kernel_h, kernel_w), op.strides, (op.padding.top, op.padding.left), op.dilation)
    _sum(here, op, op.input, weights, here.layouts[op.input].bytes, loops)


def dense(here: Lowering, op: Dense) -> None:
    """A convolution whose kernel is the whole map, as it was before it was flattened."""
    name = here.root(op.input)
    rows, cols, channels = map_shape(here.graph.tensors[name])
    weights = op.weights.reshape(rows * cols, channels, -1)
    _sum(here, op, name, weights, here.layouts[name].bytes, ((rows, cols), (1, 1), (0, 0), (1, 1)))


@dataclass(frozen=True)
class _Sum:
    """Makes the jobs of a sum over weights of the stream."""

    source: str
    output: str
    here: Lowering
    x_words: int
    out_words: int
    loops: WindowLoops
    clamp: Pair
    table: int

    def __call__(self, views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        out = views[self.output]
        loops = Loops(first, rows, out.cols, *self.loops)
        x = self.here.view(views, self.source)
        return (MatrixJob(loops, x, 0, self.x_words, out, 0, self.out_words, *self.clamp, weights=row, table=self.table),)


def _sum(here: Lowering, op: Conv2D | Dense, source: str, weights: IntArray, places: Int64, loops: WindowLoops) -> None:
    """weights (taps, inputs, channels); places: the byte of a pixel for each input."""
    size, layout = here.size, here.layouts[op.output]
    x_words = here.input_words if here.gathers == op.output else here.layouts[source].pixel
    taps, _, _ = weights.shape
    placed = np.zeros((taps, x_words * size.simd, layout.pixel * size.simd), np.int8)
    placed[:, places[:, np.newaxis], layout.bytes] = weights // 4
    biases, codes = (here.spread(values, layout) for values in quarter_constants(here.graph, op))
    output, table = here.written(op.output), here.table(op.output)
    store, stream = here.store(output), matrix_rows(placed, biases, codes, size)
    clamp = clamp_range(op.activation, here.graph.tensors[op.output])
    (kernel_h, _), (stride, _), (pad, _), (dilation, _) = loops
    here.lowered.tasks.append(
        Task(
            op=op.name,
            matrix=True,
            reads=(here.read(source, dilation * (kernel_h - 1) + 1, stride, pad),),
            output=output,
            rows=store.rows,
            cols=store.cols,
            make=_Sum(source, output, here, x_words, layout.pixel, loops, clamp, table),
            stream=stream,
            tensor=output,
            passed=op.output if table else "",
        )
    )


def matmul(here: Lowering, op: MatMul) -> None:
    """A job a head; a job a group of outputs where each position has biases of its own."""
    x_name, y_name, output = (
        _in_heads(here, name, op.heads, segment, made=name == op.output)
        for name, segment in zip((*op.inputs, op.output), head_segments(here.graph, op), strict=True)
    )
    product = _Product(here, op, x_name, y_name, output)
    store = here.store(output)
    here.lowered.tasks.append(
        Task(
            op=op.name,
            matrix=True,
            reads=(here.read(x_name), here.read_all(y_name)),
            output=output,
            rows=store.rows,
            cols=store.cols,
            make=product,
            stream=product.rows(),
            tensor=op.output if output == op.output else "",
        )
    )
    if output != op.output:
        copied(here, op.name, output, op.output)


def _in_heads(here: Lowering, name: str, heads: int, segment: int, made: bool) -> str:
    """The tensor's own store where its segments are the heads, else another one; of what is read, a copy."""
    wanted = Layout(heads * segment, segment, here.size.simd)
    if np.array_equal(wanted.bytes, here.layouts[name].bytes) and wanted.pixel == here.layouts[name].pixel:
        return name
    other = f"{name}/heads of {segment}"
    if other not in here.layouts:
        here.layouts[other] = wanted
        here.shapes[other], here.signed[other] = here.shapes[name], here.signed[name]
        if not made:
            copied(here, name, name, other)
    return other


@dataclass(frozen=True)
class _Product:
    """Makes the jobs of a product of maps, and their constants."""

    here: Lowering
    op: MatMul
    x: str
    y: str
    output: str

    @property
    def own_bias(self) -> bool:
        return self.op.bias.size > 1

    @property
    def parts(self) -> int:
        """Jobs a head."""
        return ceil(self.here.layouts[self.output].segment_words / self.here.size.words) if self.own_bias else 1

    def rows(self) -> Array:
        """Of each head, of each job: the constants of each of its groups, or of each position."""
        here, layout, heads = self.here, self.here.layouts[self.output], self.op.heads
        biases, code = product_constants(here.graph, self.op)
        width = layout.segment_words * here.size.simd
        cells = here.store(self.output).rows * here.store(self.output).cols if self.own_bias else 1
        wide = np.zeros((heads, cells, width), np.int64)
        wide[:, :, : layout.segment] = (
            np.broadcast_to(biases, (*biases.shape[:2], layout.channels)).reshape(cells, heads, -1).swapaxes(0, 1)
        )
        codes = np.full(width, code, np.int64)
        return np.concatenate([bias_rows(head, codes, here.size) for head in wide])

    def __call__(self, views: Views, row: int, first: int, rows: int) -> tuple[Job, ...]:
        here, op, size = self.here, self.op, self.here.size
        x, y, out = (here.layouts[name] for name in (self.x, self.y, self.output))
        clamp = clamp_range(op.activation, here.graph.tensors[op.output])
        store = here.store(self.output)
        constants = size.constant_rows
        jobs = []
        for head in range(op.heads):
            for part in range(self.parts):
                start = part * size.words
                words = min(size.words, out.segment_words - start) if self.own_bias else out.segment_words
                if self.own_bias:
                    offset = ((head * self.parts + part) * store.rows + first) * store.cols * constants
                else:
                    offset = head * ceil(out.segment_words / size.words) * constants
                source = Weights.ROWS if op.transpose_y else Weights.COLUMNS
                y_view = here.view(views, self.y)
                jobs.append(
                    MatrixJob(
                        loops=Loops(first, rows, store.cols),
                        x=here.view(views, self.x),
                        x_word=head * x.segment_words,
                        x_words=x.segment_words,
                        out=views[self.output],
                        out_word=head * out.segment_words + start,
                        out_words=words,
                        low=clamp[0],
                        high=clamp[1],
                        weights=row + offset,
                        source=source,
                        y=y_view,
                        y_word=head * y.segment_words + (0 if op.transpose_y else start),
                        y_first=start * size.simd if op.transpose_y else 0,
                        y_lanes=y.last_lanes,
                        own_bias=self.own_bias,
                    )
                )
        return tuple(jobs)
