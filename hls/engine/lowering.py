"""A graph while it becomes tasks: which store holds each tensor, and how it is seen there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil

import numpy as np

from edgekit.arrays import Array, Int64
from edgekit.graph import Conv2D, Dense, DepthwiseConv2D, IntegerGraph, Lookup, Op, Reshape, op_inputs
from edgekit.graph.ir import Pair
from edgekit.hls.engine.lower import Lowered, Read, Store, Views
from edgekit.hls.engine.maps import Layout, layouts_of, map_shape
from edgekit.hls.engine.program import View
from edgekit.hls.engine.size import GATHERED_WORDS, LINE_BYTES_MAX, EngineSize


@dataclass
class Lowering:
    """What is known of the tensors so far.

    shapes, signed: rows and columns, and type, of each tensor and of copies of tensors. carrier: of a reshaped tensor that lies where
        another one does. looked_up: by a tensor's name, the table through which it goes on its way to the map memory.
    gathers: the output of the convolution for which the image is loaded as the bytes under its kernel, "" if there is none; `input_words`
        of them, of `input_lines` rows of the kernel. result_words: of all results in DDR, one behind the other.
    """

    graph: IntegerGraph
    size: EngineSize
    layouts: dict[str, Layout]
    shapes: dict[str, Pair]
    signed: dict[str, bool]
    lowered: Lowered = field(default_factory=Lowered)
    carrier: dict[str, str] = field(default_factory=dict)
    flattened: dict[str, str] = field(default_factory=dict)
    looked_up: dict[str, Lookup] = field(default_factory=dict)
    gathers: str = ""
    input_words: int = 0
    input_lines: int = 1
    result_words: int = 0

    def root(self, name: str) -> str:
        """The tensor that a tensor is a reshape of, however often it was reshaped."""
        while name in self.flattened:
            name = self.flattened[name]
        return name

    def store(self, name: str) -> Store:
        """The store that holds a tensor; it is made when it is first asked for."""
        name = self.carrier.get(name, name)
        if name not in self.lowered.stores:
            rows, cols = self.shapes[name]
            self.lowered.stores[name] = Store(name, rows, cols, self.layouts[name], self.signed[name])
        return self.lowered.stores[name]

    def written(self, name: str) -> str:
        """The tensor that is written where an op makes this one."""
        return self.looked_up[name].output if name in self.looked_up else name

    def table(self, name: str) -> int:
        """The number of the table that has what is written for each byte that the op makes, 0 where that is the byte itself."""
        return self.table_number(self.looked_up[name]) if name in self.looked_up else 0

    def table_number(self, op: Lookup) -> int:
        """Of an op's table: those that are alike have one."""
        tables, table = self.lowered.tables, table_of(self.graph, op)
        found = next((number for number, one in enumerate(tables, 1) if np.array_equal(one, table)), 0)
        if not found:
            tables.append(table)
        return found or len(tables)

    def hold(self, name: str) -> None:
        """All rows of the tensor's store have to be held at a time."""
        store = self.store(name)
        self.lowered.stores[store.name] = replace(store, whole=True)

    def view(self, views: Views, name: str) -> View:
        """How a tensor is seen where it lies."""
        store = self.store(name)
        rows, cols = self.shapes[name]
        seen = views[store.name]
        return seen if (rows, cols) == (seen.rows, seen.cols) else replace(seen, rows=rows, cols=cols, ring=rows)

    def read(self, name: str, kernel: int = 1, stride: int = 1, pad: int = 0) -> Read:
        """Rows under a window, or all rows of a tensor that is seen in another shape."""
        store = self.store(name)
        same = self.shapes[name] == (store.rows, store.cols)
        return Read(store.name, store.rows, kernel, stride, pad) if same else self.read_all(name)

    def read_all(self, name: str) -> Read:
        """All rows, which are held."""
        self.hold(name)
        store = self.store(name)
        return Read(store.name, store.rows, 0)

    def spread(self, values: Int64, layout: Layout) -> Array:
        """Values of channels -> of the bytes of a pixel, 0 where there is no channel."""
        found = np.zeros(layout.pixel * self.size.simd, np.int64)
        found[layout.bytes] = values
        return found


def begin(graph: IntegerGraph, size: EngineSize) -> Lowering:
    """Before the first op: layouts, shapes, and whether the image is gathered."""
    shapes = {name: map_shape(tensor)[:2] for name, tensor in graph.tensors.items()}
    signed = {name: tensor.signed for name, tensor in graph.tensors.items()}
    here = Lowering(graph, size, layouts_of(graph, size), shapes, signed)
    here.flattened.update({op.output: op.input for op in graph.ops if isinstance(op, Reshape)})
    here.looked_up.update({op.input: op for op in graph.ops if isinstance(op, Lookup) and _passes(graph, op)})
    first = _gathering(graph, size)
    if first is not None:
        _, kernel_w, channels, _ = first.weights.shape
        here.gathers, here.input_lines = first.output, _lines(graph, first, size)
        gathered = here.input_lines * kernel_w * channels
        here.input_words = ceil(gathered / size.simd)
        rows, cols = shapes[graph.input][0] if here.input_lines == 1 else shapes[first.output][0], shapes[first.output][1]
        here.shapes[graph.input] = (rows, cols)
        here.layouts[graph.input] = Layout(gathered, gathered, size.simd)
    return here


def table_of(graph: IntegerGraph, op: Lookup) -> Array:
    """uint8 (256,): the output's byte for each byte of the input, whether they are signed or not."""
    byte, tensor = np.arange(256, dtype=np.uint8), graph.tensors[op.input]
    value = byte.view(np.int8).astype(np.int64) if tensor.signed else byte.astype(np.int64)
    return op.table.astype(np.int64)[value - tensor.low].astype(np.uint8)


def readers(graph: IntegerGraph, name: str) -> list[Op]:
    """Ops that read a tensor."""
    return [op for op in graph.ops if name in op_inputs(op)]


def only_flattened(graph: IntegerGraph, name: str) -> bool:
    """Whether a reshaped tensor is read by dense layers alone, which take it in any shape."""
    return all(isinstance(op, Dense) or (isinstance(op, Reshape) and only_flattened(graph, op.output)) for op in readers(graph, name))


def _passes(graph: IntegerGraph, op: Lookup) -> bool:
    """Whether nothing but the table reads what a sum over weights makes, so that it need not lie anywhere."""
    maker = next((one for one in graph.ops if one.output == op.input), None)
    summed = isinstance(maker, (Conv2D, Dense, DepthwiseConv2D))
    return summed and readers(graph, op.input) == [op] and op.input not in graph.outputs


def _lines(graph: IntegerGraph, op: Conv2D, size: EngineSize) -> int:
    """Rows of the first convolution's kernel under which the image is gathered together: all, where that makes fewer words."""
    kernel_h, kernel_w, channels, _ = op.weights.shape
    words = ceil(kernel_h * kernel_w * channels / size.simd)
    fewer = words < kernel_h * ceil(kernel_w * channels / size.simd)
    bytes_held = kernel_h * graph.tensors[op.input].shape[1] * channels
    fits = words <= GATHERED_WORDS and bytes_held <= LINE_BYTES_MAX
    return kernel_h if fewer and fits and op.dilation[0] == 1 else 1


def _gathering(graph: IntegerGraph, size: EngineSize) -> Conv2D | None:
    """The convolution that alone reads the image, if fewer words hold the bytes under a row of its kernel than hold its columns."""
    found = readers(graph, graph.input)
    if len(found) != 1 or not isinstance(found[0], Conv2D) or graph.input in graph.outputs:
        return None
    op = found[0]
    _, kernel_w, channels, _ = op.weights.shape
    fewer = ceil(kernel_w * channels / size.simd) < kernel_w * ceil(channels / size.simd)
    return op if fewer and op.dilation[1] == 1 else None
