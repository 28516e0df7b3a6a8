"""FIFOs of ample and of planned depths suffice with every stage a thread, as on hardware every stage runs at the same time; a branch
of less would stop it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from foldings import random_plan
from hand_graphs import residual, small_mobilenet
from random_graphs import random_graph, random_inputs
from simulations import DEADLOCK, simulate

from edgekit.hls.dataflow import ample_depths, dataflow_of
from edgekit.hls.folding import Folding
from edgekit.hls.ops import moderate_foldings
from edgekit.hls.plan.fifos import fifo_depths
from edgekit.hls.plan.planner import plan_foldings
from edgekit.targets.boards import find_board

pytestmark = [pytest.mark.csim, needs_compiler]


@pytest.mark.slow
def test_a_residual_needs_its_rows_and_no_fewer(rng: np.random.Generator, tmp_path: Path) -> None:
    """The branch's window gives its first cell when two rows of four tokens are in: the skip has to hold them meanwhile."""
    graph = residual(rng)
    foldings = {"branch": Folding(1, 1), "sum": Folding(1)}
    flow = dataflow_of(graph, foldings)
    (skip,) = [stream.name for stream in flow.streams if "fork" in stream.producer and "sum" in stream.consumer]
    (branch,) = [stream.name for stream in flow.streams if "fork" in stream.producer and "window" in stream.consumer]
    inputs = random_inputs(rng, graph, 0)[3:]
    depths = {**ample_depths(flow), branch: 2}
    assert simulate(graph, foldings, {**depths, skip: 8 * 8 * 4}, inputs, tmp_path / "ample") == 0
    assert simulate(graph, foldings, {**depths, skip: 2}, inputs, tmp_path / "short") == DEADLOCK


def test_a_small_mobilenet_runs_with_its_default_depths(rng: np.random.Generator, tmp_path: Path) -> None:
    graph = small_mobilenet(rng, size=16)
    foldings = moderate_foldings(graph)
    assert simulate(graph, foldings, ample_depths(dataflow_of(graph, foldings)), random_inputs(rng, graph, 1)[-1:], tmp_path) == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_random_graphs_run_with_their_default_depths(number: int, rng: np.random.Generator, tmp_path: Path) -> None:
    graph = random_graph(rng, length=14)
    foldings = random_plan(graph, rng)
    assert simulate(graph, foldings, ample_depths(dataflow_of(graph, foldings)), random_inputs(rng, graph, 1)[-1:], tmp_path) == 0


@pytest.mark.slow
def test_a_residual_gets_fewer_than_its_map_and_enough(rng: np.random.Generator, tmp_path: Path) -> None:
    graph = residual(rng)
    foldings = {"branch": Folding(1, 1), "sum": Folding(1)}
    flow = dataflow_of(graph, foldings)
    depths, inputs = fifo_depths(flow), random_inputs(rng, graph, 0)[3:]
    (skip,) = [stream.name for stream in flow.streams if "fork" in stream.producer and "sum" in stream.consumer]
    assert depths[skip] < ample_depths(flow)[skip] == 8 * 8 * 4
    assert simulate(graph, foldings, depths, inputs, tmp_path / "planned") == 0
    assert simulate(graph, foldings, {**depths, skip: 8}, inputs, tmp_path / "short") == DEADLOCK


def test_a_planned_mobilenet_runs(rng: np.random.Generator, tmp_path: Path) -> None:
    graph = small_mobilenet(rng, size=16)
    found = plan_foldings(graph, find_board("ultra96"))
    assert simulate(graph, found.folding, found.estimates.fifo_depths, random_inputs(rng, graph, 1)[-1:], tmp_path) == 0


@pytest.mark.parametrize("number", [*range(3), *(pytest.param(number, marks=pytest.mark.slow) for number in range(3, 20))])
def test_random_graphs_run_with_planned_depths(number: int, rng: np.random.Generator, tmp_path: Path) -> None:
    graph = random_graph(rng, length=12)
    foldings = random_plan(graph, rng)
    depths = fifo_depths(dataflow_of(graph, foldings))
    assert simulate(graph, foldings, depths, random_inputs(rng, graph, 1)[-1:], tmp_path) == 0
