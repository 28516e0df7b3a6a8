"""A project's RTL against the reference, and its cycles and FIFOs against the estimate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from projects import write

from edgekit.graph import IntegerGraph, run
from edgekit.hls.dataflow import Dataflow, dataflow_of
from edgekit.hls.folding import Folding
from edgekit.hls.kernels.base import Stage
from edgekit.hls.kernels.matvec import HeldMatVec
from edgekit.hls.plan.estimates import Estimates
from edgekit.hls.plan.fifos import fifo_depths, slowest
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.rtl.project import ProjectRtl
from edgekit.hls.rtl.simulation import RtlRun, RtlSimulation, open_rtl
from edgekit.targets.boards import find_board

INTERVAL_ERROR = 0.01


def planned(
    graph: IntegerGraph, plan: Mapping[str, Folding], folder: Path, estimates: Estimates | None = None
) -> tuple[Path, Dataflow, dict[str, int]]:
    """A project with FIFOs as they are planned, its dataflow, and the depths by the dataflow's streams."""
    flow = dataflow_of(graph, dict(plan))
    depths = dict(estimates.fifo_depths) if estimates else fifo_depths(flow, slowest(flow))
    return write(plan_simulation(graph, find_board("ultra96"), dict(plan), depths), folder), flow, depths


def check_rtl(
    graph: IntegerGraph,
    plan: Mapping[str, Folding],
    inputs: np.ndarray,
    folder: Path,
    more: Callable[[RtlSimulation, np.ndarray, Dataflow, Mapping[str, int]], None] = lambda *_: None,
    estimates: Estimates | None = None,
) -> RtlRun:
    """Every tensor equal; every stage as many iterations as its cycles; the slowest one's interval; no FIFO fuller than it is deep.

    `more`: what else is to be done with the simulation.
    """
    project, flow, depths = planned(graph, plan, folder, estimates)
    with open_rtl(project, lambda _: None) as simulation:
        found = simulation.run(inputs)
        more(simulation, inputs, flow, depths)
    assert_equal(graph, inputs, found)
    counted = [stage.iterations for stage in simulation.rtl.stages]
    assert counted == [stage.cycles - _merged(stage) for stage in flow.stages]
    assert len(found.frame_ends) == len(inputs)
    assert found.interval is not None
    assert abs(found.interval / slowest(flow) - 1) <= INTERVAL_ERROR
    numbered = fifos_of(simulation.rtl, flow)
    assert {fifo.stream for fifo in found.fifos} == set(numbered)
    for fifo in found.fifos:
        assert fifo.high <= fifo.depth == depths[numbered[fifo.stream]]
    return found


def _merged(stage: Stage) -> int:
    """A loop of one trip is none to clang: what one output token's sum is emitted by is done with the last of its terms."""
    return int(isinstance(stage, HeldMatVec) and stage.positions * stage.outputs == stage.pe)


def fifos_of(rtl: ProjectRtl, flow: Dataflow) -> dict[str, str]:
    """Stream of the generated code -> stream of the dataflow, of those between two stages."""
    made = dict(zip((stage.name for stage in flow.stages), rtl.stages, strict=True))
    names = {number: name for name, number in rtl.top.ports.items()}
    found: dict[str, str] = {}
    for stream in flow.streams:
        if stream.producer and stream.consumer:
            own = [one for one in made[stream.producer].outputs if one in made[stream.consumer].inputs and names[one] not in found]
            found[names[own[0]]] = stream.name
    return found


def assert_equal(graph: IntegerGraph, inputs: np.ndarray, found: RtlRun) -> None:
    expected = run(graph, inputs)
    assert set(graph.outputs) <= set(found.values)
    differ = {name: int(np.count_nonzero(values != expected[name])) for name, values in found.values.items()}
    assert differ == dict.fromkeys(differ, 0)
    assert all(values.dtype == expected[name].dtype for name, values in found.values.items())
