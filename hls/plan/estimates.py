"""Estimates of a planned network before any synthesis: cycles, latency, frames a second, resources. Per layer and in total.

    interval     the most cycles that a stage takes for a frame: a dataflow is as fast as its slowest stage
    frames/s     clock / interval, or memory bandwidth / bytes a frame where that is less
    latency      of one frame alone: each stage starts when its first window, vector or map is there, and ends no sooner than
                 its last input and what it has to do after it

Cycles are those of the kernels' loops, which the C simulation counts; resources are rules of thumb (resources.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import ceil, prod
from typing import Any

from edgekit.graph import IntegerGraph
from edgekit.hls.dataflow import Dataflow, dataflow_of
from edgekit.hls.folding import FoldingPlan
from edgekit.hls.kernels.base import Cost, Stage
from edgekit.hls.ops import row_of
from edgekit.hls.plan.fifos import fifo_depths, slowest
from edgekit.hls.plan.resources import SYSTEM, fifo_cost, stage_cost
from edgekit.targets import Board, Resources

STAGE_CYCLES = 12
"""From a stage's input to its output through its pipeline registers."""


PAUSES = (1.0, 1.1, 1.25, 1.6, 2.5)
"""Intervals that are tried, as multiples of the slowest stage's cycles: with time to pause all stages wait for each other, and FIFOs
that bridge the pauses of windows are short."""
PAUSES_WORTH = 0.01


@dataclass(frozen=True)
class LayerEstimate:
    """`cycles`: of the layer's slowest stage. `pe`, `simd`, `weights`: the folding."""

    name: str
    kind: str
    pe: int
    simd: int
    weights: str
    cycles: int
    latency_ms: float
    lut: int
    ff: int
    bram36: float
    dsp: int
    ddr_bytes: int


@dataclass(frozen=True)
class Estimates:
    """`share`: of each of the board's resources, 0..1. `planned_share`: the part of it that a plan may use. `fifo_depths` by stream."""

    network: str
    board: str
    part: str
    clock_mhz: float
    interval_cycles: int
    slowest_layer: str
    latency_ms: float
    fps: float
    limited_by: str
    lut: int
    ff: int
    bram36: float
    dsp: int
    ddr_bytes_per_frame: int
    ddr_bytes_per_s: float
    share: Mapping[str, float]
    planned_share: Mapping[str, float]
    layers: tuple[LayerEstimate, ...]
    fifo_depths: Mapping[str, int]

    def to_json(self) -> dict[str, Any]:
        return {"what": "estimates, made before any synthesis", **asdict(self)}


def estimate(graph: IntegerGraph, plan: FoldingPlan, board: Board) -> Estimates:
    """Raises ContractError, EdgekitError: the graph or the plan is not one that has a dataflow."""
    return estimate_dataflow(graph, plan, dataflow_of(graph, plan), board)


def estimate_dataflow(graph: IntegerGraph, plan: FoldingPlan, flow: Dataflow, board: Board) -> Estimates:
    """With the shortest interval of PAUSES whose FIFOs fit the board. Where not even the longest one's do, it is the longest if that
    lowers what is exceeded by PAUSES_WORTH, else the shortest."""
    finished, least = _finishing_cycles(flow), slowest(flow)

    def at(pause: float) -> tuple[float, Estimates]:
        one = _estimate_at(graph, plan, flow, board, ceil(least * pause), finished)
        return max(over_budget(one, board.part.planned).values(), default=0.0), one

    excess, shortest = at(PAUSES[0])
    if not excess:
        return shortest
    rest, longest = at(PAUSES[-1])
    if rest:
        return longest if rest < excess * (1 - PAUSES_WORTH) else shortest
    return next((found for excess, found in map(at, PAUSES[1:-1]) if not excess), longest)


def _estimate_at(
    graph: IntegerGraph, plan: FoldingPlan, flow: Dataflow, board: Board, least: int, finished: Mapping[str, float]
) -> Estimates:
    """`least`: cycles a frame, if memory does not take longer. `finished`: by stage, which does not depend on FIFOs."""
    depths = fifo_depths(flow, least)
    clock_hz = board.clock_mhz * 1e6
    costs = stage_costs(flow, depths)
    total = sum(costs.values(), SYSTEM + Cost(ddr_bytes=io_bytes(graph)))
    longest = max(flow.stages, key=lambda stage: stage.cycles)
    by_memory = cycles_by_memory(total.ddr_bytes, board)
    interval = max(least, ceil(by_memory))
    lut, ff = ceil(total.lut), ceil(total.ff)
    used = {"lut": lut, "ff": ff, "bram36": total.bram36, "dsp": total.dsp}
    have, may = board.part.resources, board.part.planned
    return Estimates(
        network=graph.name,
        board=board.name,
        part=board.part.name,
        clock_mhz=board.clock_mhz,
        interval_cycles=interval,
        slowest_layer=longest.op,
        latency_ms=1e3 * max(finished.values()) / clock_hz,
        fps=clock_hz / interval,
        limited_by="ddr" if by_memory > least else "cycles",
        lut=lut,
        ff=ff,
        bram36=total.bram36,
        dsp=total.dsp,
        ddr_bytes_per_frame=total.ddr_bytes,
        ddr_bytes_per_s=total.ddr_bytes * clock_hz / interval,
        share={name: value / getattr(have, name) for name, value in used.items()},
        planned_share={name: getattr(may, name) / getattr(have, name) for name in used},
        layers=tuple(_layers(graph, plan, flow, costs, finished, clock_hz)),
        fifo_depths=depths,
    )


def cycles_by_memory(ddr_bytes: float, board: Board) -> float:
    """That memory needs for so many bytes, at the board's clock."""
    return ddr_bytes / board.ddr_bytes_per_s * board.clock_mhz * 1e6


def io_bytes(graph: IntegerGraph) -> int:
    """Bytes of an image and its results."""
    return sum(prod(graph.tensors[name].shape) for name in (graph.input, *graph.outputs))


def stage_costs(flow: Dataflow, depths: Mapping[str, int]) -> dict[str, Cost]:
    """Stage name -> its cost, with the FIFOs that it reads."""
    costs = {stage.name: stage_cost(stage) for stage in flow.stages}
    for stream in flow.streams:
        if stream.consumer:
            costs[stream.consumer] += fifo_cost(stream, depths[stream.name])
    return costs


def over_budget(found: Estimates, budget: Resources) -> dict[str, float]:
    """Resource -> how many times the budget is used, of those that are exceeded."""
    ratios = {field.name: getattr(found, field.name) / getattr(budget, field.name) for field in fields(Resources) if field.name != "uram"}
    return {name: ratio for name, ratio in ratios.items() if ratio > 1}


def _finishing_cycles(flow: Dataflow) -> dict[str, float]:
    """Stage -> the cycle at which its last token of one frame leaves, the first pixel coming at cycle 0."""
    inputs = flow.map_inputs
    first, last = {"": 0.0}, {"": 0.0}
    for stage in flow.stages:
        latency, start, end = stage.latency, 0.0, 0.0
        for index, source in enumerate(stream.producer for stream in inputs[stage.name]):
            held = index == stage.held
            start = max(start, last[source] if held else first[source] + latency.first_needs * (last[source] - first[source]))
            end = max(end, last[source] + STAGE_CYCLES + (latency.after_held if held else latency.tail))
        first[stage.name] = start + STAGE_CYCLES + latency.head
        last[stage.name] = max(start + STAGE_CYCLES + stage.cycles, end)
    return {name: cycle for name, cycle in last.items() if name}


def _layers(
    graph: IntegerGraph, plan: FoldingPlan, flow: Dataflow, costs: Mapping[str, Cost], finished: Mapping[str, float], clock_hz: float
) -> list[LayerEstimate]:
    """A row for each op that is hardware, in order; forks and resizes count for the op whose output they carry."""
    owner = {op.output: op.name for op in graph.ops} | {op.name: op.name for op in graph.ops}
    stages: dict[str, list[Stage]] = {}
    for stage in flow.stages:
        stages.setdefault(owner.get(stage.op, graph.input), []).append(stage)
    rows = []
    kinds = {op.name: type(op).__name__ for op in graph.ops}
    weighted = {op.name for op in graph.ops if op.name in plan and row_of(op).from_memory}
    for name in (name for name in dict.fromkeys((graph.input, *kinds)) if name in stages):
        own = stages[name]
        cost = sum((costs[stage.name] for stage in own), Cost())
        folding = plan.get(name)
        begin = min(finished[stage.name] - stage.cycles for stage in own)
        end = max(finished[stage.name] for stage in own)
        rows.append(
            LayerEstimate(
                name=name,
                kind=kinds.get(name, "Input"),
                pe=folding.pe if folding else 0,
                simd=folding.simd if folding else 0,
                weights=folding.weights.value if folding and name in weighted else "",
                cycles=max(stage.cycles for stage in own),
                latency_ms=1e3 * max(0.0, end - begin) / clock_hz,
                lut=ceil(cost.lut),
                ff=ceil(cost.ff),
                bram36=cost.bram36,
                dsp=cost.dsp,
                ddr_bytes=cost.ddr_bytes,
            )
        )
    return rows
