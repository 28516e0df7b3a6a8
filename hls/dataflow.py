"""From a graph and a folding plan to the dataflow pipeline: the stages of each op, forks, resizes, and the streams between."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod

from edgekit.errors import EdgekitError
from edgekit.graph import (
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Op,
    Padding,
    Reshape,
    Slice,
    check,
    op_inputs,
)
from edgekit.graph.ir import WeightedOp
from edgekit.hls.folding import Folding, FoldingPlan, WeightPlacement, check_plan, read_tokens, refusal
from edgekit.hls.kernels.arithmetic import sums_of
from edgekit.hls.kernels.base import (
    VALUE_BITS,
    Arithmetic,
    Cut,
    Fork,
    HeldMatVec,
    Join,
    Largest,
    MatVec,
    Resize,
    Stage,
    Sum,
    Table,
    WeightReader,
)
from edgekit.hls.kernels.products import product_stages
from edgekit.hls.kernels.taps import Depthwise, MapSums, Upsample
from edgekit.hls.kernels.window import Window
from edgekit.hls.needed import cpp_name, needed

FIFO_DEPTH = 2
WITH_KERNEL = (Conv2D, DepthwiseConv2D, DepthwiseConv2DTranspose, Dense, Add, Multiply, MatMul, Concat, Slice, MaxPool, Lookup)
"""Ops that become stages; a reshape is no hardware."""


@dataclass(frozen=True)
class Stream:
    """Tokens of `token` values of `value_bits` each, `tokens` of them a frame.

    `producer`, `consumer`: names of stages; "" is the network's own input or output. `tensor`: the tensor of the graph that
    it carries, "" if it is none (the cells under a window, weights).
    """

    name: str
    producer: str
    consumer: str
    tensor: str
    tokens: int
    token: int
    value_bits: int = VALUE_BITS

    @property
    def token_bits(self) -> int:
        return self.token * self.value_bits


@dataclass(frozen=True)
class Pipeline:
    """`stages` in an order in which they can run; `streams` by name, in the order of their producers."""

    stages: tuple[Stage, ...]
    streams: tuple[Stream, ...]

    def inputs(self, stage: Stage) -> tuple[Stream, ...]:
        return tuple(stream for stream in self.streams if stream.consumer == stage.name)

    def outputs(self, stage: Stage) -> tuple[Stream, ...]:
        return tuple(stream for stream in self.streams if stream.producer == stage.name)


def op_stages(graph: IntegerGraph, op: Op, folding: Folding, name: str = "") -> tuple[Stage, ...]:
    """The stages that one op becomes, in order; the last one writes its output. `name`: of the last stage, by default the op's.

    Raises EdgekitError: the op has no kernel, or cannot be folded so.
    """
    name = name or op.name
    if isinstance(op, Reshape):
        return ()
    if not isinstance(op, WITH_KERNEL):
        raise EdgekitError(f"op '{op.name}': there is no HLS kernel for a {type(op).__name__}")
    reason = refusal(graph, op, folding)
    if reason is not None:
        raise EdgekitError(reason)
    shape = graph.tensors[op.output].shape
    tokens = prod(shape) // folding.pe
    positions = prod(shape[:-1])
    if isinstance(op, Conv2D | Dense):
        return (*_window(graph, op, folding.simd, name), *_matvec(graph, op, folding, name))
    if isinstance(op, DepthwiseConv2D):
        taps = prod(op.weights.shape[:2])
        bits = _weighted(graph, op, packable=False)
        if taps > 1 and op.weights.shape[:2] == graph.tensors[op.input].shape[:2] and op.padding == Padding():
            alike = bool((op.weights == op.weights[0, 0]).all())
            return (MapSums(name, op.name, positions, shape[-1], taps, folding.pe, *bits, 1 if alike else taps),)
        return (*_window(graph, op, folding.pe, name), Depthwise(name, op.name, positions, shape[-1], taps, folding.pe, *bits))
    if isinstance(op, DepthwiseConv2DTranspose):
        bits, (rows, columns, channels) = _weighted(graph, op, packable=False), graph.tensors[op.input].shape
        kernel = (op.weights.shape[0], op.weights.shape[1])
        return (Upsample(name, op.name, rows, columns, channels, kernel, folding.pe, *bits),)
    if isinstance(op, Multiply | MatMul):
        return product_stages(graph, op, folding, name)
    if isinstance(op, Slice):
        cell, begin, count = (length // folding.pe for length in (graph.tensors[op.input].shape[-1], op.start, shape[-1]))
        return (Cut(name, op.name, positions, cell, begin, count, folding.pe),)
    if isinstance(op, MaxPool):
        largest = Largest(name, op.name, positions, shape[-1], prod(op.pool), folding.pe)
        return (*_window(graph, op, folding.pe, name), largest)
    if isinstance(op, Concat):
        groups = [graph.tensors[source].shape[-1] // folding.pe for source in op.inputs]
        last = len(groups) - 2
        joins = [(f"{name}_{i}" if i < last else name, sum(groups[: i + 1]), groups[i + 1]) for i in range(last + 1)]
        return tuple(Join(label, op.name, positions * (left + right), folding.pe, left, right) for label, left, right in joins)
    return ((Sum if isinstance(op, Add) else Table)(name, op.name, tokens, folding.pe),)


def pipeline(graph: IntegerGraph, plan: FoldingPlan) -> Pipeline:
    """The whole network. Ops that no output needs are left out.

    Raises:
        ContractError: the graph breaks the contract, on which the kernels' truncating shifts rely.
        EdgekitError: an op has no kernel, or the plan does not fit the graph; the message says what would.
    """
    check(graph)
    check_plan(graph, plan)
    return build(graph, plan)


def build(graph: IntegerGraph, plan: FoldingPlan) -> Pipeline:
    """The same for a graph that is checked already, and a plan of legal foldings: the planner builds hundreds."""
    return _Growing(graph, plan).grow()


def _weighted(graph: IntegerGraph, op: WeightedOp, packable: bool) -> tuple[Arithmetic, int, int, int, int]:
    """Arithmetic, and the bits of a weight, an accumulator, a bias and a shift."""
    sums = sums_of(graph, op, packable)
    return sums.arithmetic, sums.weight_bits, sums.accumulator_bits, sums.bias_bits, sums.shift_bits


def _window(graph: IntegerGraph, op: Op, token: int, name: str) -> tuple[Window, ...]:
    """Nothing where each window is one cell, in order."""
    if isinstance(op, MaxPool):
        kernel, dilation, pad_value = op.pool, (1, 1), graph.tensors[op.input].low
    elif isinstance(op, Conv2D | DepthwiseConv2D):
        kernel, dilation, pad_value = (op.weights.shape[0], op.weights.shape[1]), op.dilation, 0
    else:
        return ()
    if kernel == (1, 1) and op.strides == (1, 1) and op.padding == Padding():
        return ()
    source, (out_rows, out_columns, _) = graph.tensors[op.input], graph.tensors[op.output].shape
    rows, columns, channels = source.shape
    shape = (rows, columns, channels, token, kernel, op.strides, dilation, op.padding, out_rows, out_columns)
    return (Window(f"{name}_window", op.name, *shape, pad_value),)


def _matvec(graph: IntegerGraph, op: Conv2D | Dense, folding: Folding, name: str) -> tuple[Stage, ...]:
    inputs, outputs = prod(op.weights.shape[:-1]), op.weights.shape[-1]
    positions = prod(graph.tensors[op.output].shape[:-1])
    bits = _weighted(graph, op, packable=folding.pe % 2 == 0)
    fields = (name, op.name, positions, inputs, outputs, folding.pe, folding.simd, *bits)
    if folding.weights is WeightPlacement.ROM:
        return (MatVec(*fields),)
    held = HeldMatVec(*fields)
    word = 1 << max(3, (held.weight_word_bits - 1).bit_length())
    return (WeightReader(f"{name}_weights", op.name, held.weight_words, word), held)


@dataclass
class _Growing:
    graph: IntegerGraph
    plan: FoldingPlan
    stages: list[Stage] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    ends: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Tensor that a stage writes -> for each reader yet to come, in order: producing stage and its token."""

    forks: set[str] = field(default_factory=set)

    def grow(self) -> Pipeline:
        graph, ops = self.graph, needed(self.graph)
        carrier = {name: name for name in graph.tensors} | self._carriers(ops)
        readers: dict[str, list[int]] = {}
        """Carrier -> the token that each of its readers wants, 0 for the network's outputs, in order of reading."""
        hardware = [op for op in ops if not isinstance(op, Reshape)]
        for op in hardware:
            for source, token in zip(op_inputs(op), read_tokens(op, self.plan[op.name]), strict=True):
                readers.setdefault(carrier[source], []).append(token)
        for output in graph.outputs:
            readers.setdefault(carrier[output], []).append(0)
        self._fork(graph.input, "", readers[graph.input][0] or graph.tensors[graph.input].shape[-1], readers[graph.input])
        for index, op in enumerate(hardware):
            name = cpp_name(index, op.name)
            self._op(op, name, [carrier[source] for source in op_inputs(op)])
            self._fork(op.output, name, self.plan[op.name].pe, readers[op.output])
        for index, output in enumerate(graph.outputs):
            source = carrier[output]
            producer, token = self.ends[source].pop(0)
            if not producer or producer in self.forks:  # an output is, to hls4ml, the one output of a layer
                copy = Resize(f"output{index}", source, prod(graph.tensors[output].shape), token, token)
                self._connect(source, producer, copy.name, token)
                self.stages.append(copy)
                producer = copy.name
            self._connect(output, producer, "", token, f"output{index}")
        return Pipeline(tuple(self.stages), tuple(self.streams))

    def _carriers(self, ops: tuple[Op, ...]) -> dict[str, str]:
        """A reshaped tensor is carried by the stream of what was reshaped."""
        found: dict[str, str] = {}
        for op in ops:
            if isinstance(op, Reshape):
                found[op.output] = found.get(op.input, op.input)
        return found

    def _connect(self, tensor: str, producer: str, consumer: str, token: int, name: str = "") -> None:
        values = prod(self.graph.tensors[tensor].shape)
        label = name or f"{producer or 'input'}_to_{consumer}"
        if any(stream.name == label for stream in self.streams):
            label += "_again"
        self.streams.append(Stream(label, producer, consumer, tensor, values // token, token))

    def _fork(self, tensor: str, producer: str, token: int, readers: list[int]) -> None:
        """A chain of forks, one fewer than there are readers."""
        ends, origin = [], producer or "input"
        values = prod(self.graph.tensors[tensor].shape)
        for index in range(len(readers) - 1):
            fork = Fork(f"{origin}_fork{index}", tensor, values // token, token)
            self._connect(tensor, producer, fork.name, token)
            self.stages.append(fork)
            self.forks.add(fork.name)
            ends.append((fork.name, token))
            producer = fork.name
        self.ends[tensor] = [*ends, (producer, token)]

    def _read(self, tensor: str, consumer: str, wanted: int, slot: int) -> None:
        producer, token = self.ends[tensor].pop(0)
        if token != wanted:
            resize = Resize(f"{consumer}_resize{slot}", tensor, prod(self.graph.tensors[tensor].shape), token, wanted)
            self._connect(tensor, producer, resize.name, token)
            self.stages.append(resize)
            producer = resize.name
        self._connect(tensor, producer, consumer, wanted)

    def _op(self, op: Op, name: str, sources: list[str]) -> None:
        folding = self.plan[op.name]
        stages = op_stages(self.graph, op, folding, name)
        if isinstance(op, Concat):
            self._read(sources[0], stages[0].name, folding.pe, 0)
            for slot, (source, stage) in enumerate(zip(sources[1:], stages, strict=True)):
                assert isinstance(stage, Join)
                self._read(source, stage.name, folding.pe, slot + 1)
                self.stages.append(stage)
                if stage.name != name:
                    follower = stages[slot + 1].name
                    self.streams.append(Stream(f"{stage.name}_to_{follower}", stage.name, follower, "", stage.tokens, folding.pe))
            return
        first = stages[0].name if isinstance(stages[0], Window) else name
        for slot, (source, wanted) in enumerate(zip(sources, read_tokens(op, folding), strict=True)):
            self._read(source, first, wanted, slot)
        for stage in stages:
            self.stages.append(stage)
            if isinstance(stage, Window):
                cells = stage.out_rows * stage.out_columns * stage.groups * stage.taps
                self.streams.append(Stream(f"{stage.name}_to_{name}", stage.name, name, "", cells, stage.token))
            elif isinstance(stage, WeightReader):
                held = stages[-1]
                assert isinstance(held, HeldMatVec)
                lanes = held.pe * held.simd
                self.streams.append(Stream(f"{stage.name}_to_{name}", stage.name, name, "", stage.words, lanes, held.weight_bits))


def ample_depths(pipe: Pipeline) -> dict[str, int]:
    """FIFO depths by stream with which nothing can stall for good: whole maps behind forks, a group of weights ahead of the sums.

    A plan may take fewer where it shows that they suffice.
    """
    return dict(_ample(pipe))


def _ample(pipe: Pipeline) -> Iterator[tuple[str, int]]:
    stages = {stage.name: stage for stage in pipe.stages}
    for stream in pipe.streams:
        producer, consumer = stages.get(stream.producer), stages.get(stream.consumer)
        if isinstance(producer, WeightReader) and isinstance(consumer, HeldMatVec):
            yield stream.name, consumer.input_groups
        elif isinstance(producer, Fork):
            yield stream.name, stream.tokens
        else:
            yield stream.name, FIFO_DEPTH
