"""A project's RTL against the reference, and its cycles and FIFOs against the estimate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from projects import write

from edgekit.graph import IntegerGraph, run
from edgekit.hls.dataflow import Dataflow, dataflow_of
from edgekit.hls.folding import Folding
from edgekit.hls.plan.fifos import fifo_depths, slowest
from edgekit.hls.project.calls import variables
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.rtl.simulation import RtlRun, open_rtl
from edgekit.targets.boards import find_board


def planned(graph: IntegerGraph, plan: Mapping[str, Folding], folder: Path) -> tuple[Path, Dataflow, dict[str, int]]:
    """A project with FIFOs as they are planned, its dataflow, and the depths by the dataflow's streams."""
    flow = dataflow_of(graph, dict(plan))
    depths = fifo_depths(flow, slowest(flow))
    return write(plan_simulation(graph, find_board("ultra96"), dict(plan), depths), folder), flow, depths


def check_rtl(graph: IntegerGraph, plan: Mapping[str, Folding], inputs: np.ndarray, folder: Path) -> RtlRun:
    """Every tensor equal; every stage as many iterations as its cycles; the slowest one's interval; no FIFO fuller than it is deep."""
    project, flow, depths = planned(graph, plan, folder)
    with open_rtl(project, lambda _: None) as simulation:
        found = simulation.run(inputs)
    assert_equal(graph, inputs, found)
    counted = [stage.iterations for stage in simulation.rtl.stages]
    assert counted == [stage.cycles for stage in flow.stages]
    assert len(found.frame_ends) == len(inputs)
    assert found.interval == slowest(flow)
    names = variables(flow)
    expected = {names.get(name, name): depth for name, depth in depths.items()}
    for fifo in found.fifos:
        assert fifo.high <= fifo.depth
        assert fifo.depth in expected.values()
    return found


def assert_equal(graph: IntegerGraph, inputs: np.ndarray, found: RtlRun) -> None:
    expected = run(graph, inputs)
    assert set(graph.outputs) <= set(found.values)
    differ = {name: int(np.count_nonzero(values != expected[name])) for name, values in found.values.items()}
    assert differ == dict.fromkeys(differ, 0)
    assert all(values.dtype == expected[name].dtype for name, values in found.values.items())
