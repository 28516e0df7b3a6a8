"""From a graph and a folding plan to the dataflow: the stages of each op, forks, resizes, and the streams between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from math import prod

from edgekit.graph import IntegerGraph, Op, Reshape, check, op_inputs
from edgekit.hls.folding import FoldingPlan
from edgekit.hls.kernels.base import Stage, Stream
from edgekit.hls.kernels.tokens import Fork, Resize
from edgekit.hls.needed import carriers, cpp_name, needed
from edgekit.hls.ops import check_plan, op_stages, row_of


@dataclass(frozen=True)
class Dataflow:
    """`stages` in an order in which they can run; `streams` by name, in the order of their producers."""

    stages: tuple[Stage, ...]
    streams: tuple[Stream, ...]

    def inputs(self, stage: Stage) -> tuple[Stream, ...]:
        return tuple(stream for stream in self.streams if stream.consumer == stage.name)

    def outputs(self, stage: Stage) -> tuple[Stream, ...]:
        return tuple(stream for stream in self.streams if stream.producer == stage.name)

    @property
    def map_inputs(self) -> dict[str, list[Stream]]:
        """Stage -> the streams that it reads, in order, but for weights."""
        found: dict[str, list[Stream]] = {stage.name: [] for stage in self.stages}
        for stream in self.streams:
            if stream.consumer and not stream.carries_weights:
                found[stream.consumer].append(stream)
        return found

    @property
    def forks(self) -> set[str]:
        """Stages that write several streams."""
        written = Counter(stream.producer for stream in self.streams if stream.producer)
        return {name for name, streams in written.items() if streams > 1}


def dataflow_of(graph: IntegerGraph, plan: FoldingPlan) -> Dataflow:
    """The whole network. Ops that no output needs are left out.

    Raises:
        ContractError: the graph breaks the contract, on which the kernels' truncating shifts rely.
        EdgekitError: an op has no kernel, or the plan does not fit the graph; the message says what would.
    """
    check(graph)
    check_plan(graph, plan)
    return build(graph, plan)


def build(graph: IntegerGraph, plan: FoldingPlan) -> Dataflow:
    """The same for a graph that is checked already, and a plan of legal foldings: the planner builds hundreds."""
    return _Growing(graph, plan).grow()


def ample_depths(flow: Dataflow) -> dict[str, int]:
    """FIFO depths by stream with which nothing can stall for good: whole maps behind forks, a group of weights ahead of the sums.

    A plan may take fewer where it shows that they suffice.
    """
    forks = flow.forks
    return {stream.name: stream.tokens if stream.producer in forks else stream.least_depth for stream in flow.streams}


@dataclass
class _Growing:
    graph: IntegerGraph
    plan: FoldingPlan
    stages: list[Stage] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    ends: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """Tensor that a stage writes -> for each reader yet to come, in order: producing stage and its token."""

    forks: set[str] = field(default_factory=set)

    def grow(self) -> Dataflow:
        graph, carrier = self.graph, carriers(self.graph)
        hardware = [op for op in needed(graph) if not isinstance(op, Reshape)]
        readers: dict[str, list[int]] = {}
        """Carrier -> the token that each of its readers wants, 0 for the network's outputs, in order of reading."""
        for op in hardware:
            for source, token in zip(op_inputs(op), row_of(op).reads(op, self.plan[op.name]), strict=True):
                readers.setdefault(carrier.get(source, source), []).append(token)
        for output in graph.outputs:
            readers.setdefault(carrier.get(output, output), []).append(0)
        self._fork(graph.input, "", readers[graph.input][0] or graph.tensors[graph.input].shape[-1], len(readers[graph.input]))
        for index, op in enumerate(hardware):
            name = cpp_name(index, op.name)
            self._op(op, name, [carrier.get(source, source) for source in op_inputs(op)])
            self._fork(op.output, name, self.plan[op.name].pe, len(readers[op.output]))
        for index, output in enumerate(graph.outputs):
            source = carrier.get(output, output)
            producer, token = self.ends[source].pop(0)
            if not producer or producer in self.forks:  # an output is, to hls4ml, the one output of a layer
                producer = self._resize(f"output{index}", source, producer, token, token)
            self._connect(output, producer, "", token, f"output{index}")
        return Dataflow(tuple(self.stages), tuple(self.streams))

    def _values(self, tensor: str) -> int:
        return prod(self.graph.tensors[tensor].shape)

    def _connect(self, tensor: str, producer: str, consumer: str, token: int, name: str = "") -> None:
        label = name or f"{producer or 'input'}_to_{consumer}"
        if any(stream.name == label for stream in self.streams):
            label += "_again"
        stream = Stream(self._values(tensor) // token, token, name=label, producer=producer, consumer=consumer, tensor=tensor)
        self.streams.append(stream)

    def _fork(self, tensor: str, producer: str, token: int, readers: int) -> None:
        """A chain of forks, one fewer than there are readers."""
        ends, origin = [], producer or "input"
        for index in range(readers - 1):
            fork = Fork(f"{origin}_fork{index}", tensor, tokens=self._values(tensor) // token, pe=token)
            self._connect(tensor, producer, fork.name, token)
            self.stages.append(fork)
            self.forks.add(fork.name)
            ends.append((fork.name, token))
            producer = fork.name
        self.ends[tensor] = [*ends, (producer, token)]

    def _resize(self, name: str, tensor: str, producer: str, token: int, wanted: int) -> str:
        resize = Resize(name, tensor, values=self._values(tensor), token_in=token, token_out=wanted)
        self._connect(tensor, producer, name, token)
        self.stages.append(resize)
        return name

    def _read(self, tensor: str, consumer: str, wanted: int, slot: int) -> None:
        producer, token = self.ends[tensor].pop(0)
        if token != wanted:
            producer = self._resize(f"{consumer}_resize{slot}", tensor, producer, token, wanted)
        self._connect(tensor, producer, consumer, wanted)

    def _op(self, op: Op, name: str, sources: list[str]) -> None:
        """A stage reads what the stages before it write, and the rest from the op's inputs, in order."""
        folding = self.plan[op.name]
        inputs = iter(enumerate(zip(sources, row_of(op).reads(op, folding), strict=True)))
        runs = _runs(op_stages(self.graph, op, folding, name))
        for index, (*alone, stage) in enumerate(runs):
            before = len(alone) + (1 if index else 0)
            for slot, (source, wanted) in islice(inputs, stage.sources - before):
                self._read(source, stage.name, wanted, slot)
            for reader in alone:
                self._place(reader, stage)
            self._place(stage, runs[index + 1][-1] if index + 1 < len(runs) else None)

    def _place(self, stage: Stage, follower: Stage | None) -> None:
        """`follower`: who reads it within the op."""
        self.stages.append(stage)
        if follower is not None:
            out, ends = stage.written, {"producer": stage.name, "consumer": follower.name}
            label = f"{stage.name}_to_{follower.name}"
            self.streams.append(Stream(out.tokens, out.token, out.value_bits, out.least_depth, name=label, tensor="", **ends))


def _runs(stages: tuple[Stage, ...]) -> list[list[Stage]]:
    """Stages cut behind each that reads a stream: a reader of weights lies with the stage that it reads for."""
    runs: list[list[Stage]] = [[]]
    for stage in stages:
        runs[-1].append(stage)
        if stage.sources:
            runs.append([])
    return runs[:-1]
