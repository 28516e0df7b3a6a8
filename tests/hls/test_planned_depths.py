"""The FIFO depths of a plan suffice: the pipeline runs with them, every stage a thread, and a branch of less would stop it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from foldings import random_plan
from random_graphs import random_graph, random_inputs
from test_hls_fifos import DEADLOCK, residual, simulate
from test_hls_networks import small_mobilenet

from edgekit.hls.dataflow import ample_depths, pipeline
from edgekit.hls.folding import Folding
from edgekit.hls.plan.estimates import fifo_depths
from edgekit.hls.plan.planner import plan
from edgekit.targets.boards import find_board

pytestmark = [pytest.mark.csim, needs_compiler]


def test_a_residual_gets_fewer_than_its_map_and_enough(rng: np.random.Generator, tmp_path: Path) -> None:
    graph = residual(rng)
    foldings = {"branch": Folding(1, 1), "sum": Folding(1)}
    pipe = pipeline(graph, foldings)
    depths, inputs = fifo_depths(pipe), random_inputs(rng, graph, 0)[3:]
    (skip,) = [stream.name for stream in pipe.streams if "fork" in stream.producer and "sum" in stream.consumer]
    assert depths[skip] < ample_depths(pipe)[skip] == 8 * 8 * 4
    assert simulate(graph, foldings, depths, inputs, tmp_path / "planned") == 0
    assert simulate(graph, foldings, {**depths, skip: 8}, inputs, tmp_path / "short") == DEADLOCK


def test_a_planned_mobilenet_runs(rng: np.random.Generator, tmp_path: Path) -> None:
    graph = small_mobilenet(rng, size=16)
    found = plan(graph, find_board("ultra96"))
    assert simulate(graph, found.folding, found.estimates.fifo_depths, random_inputs(rng, graph, 1)[-1:], tmp_path) == 0


@pytest.mark.parametrize("number", [*range(3), *(pytest.param(number, marks=pytest.mark.slow) for number in range(3, 20))])
def test_random_graphs_run_with_planned_depths(number: int, rng: np.random.Generator, tmp_path: Path) -> None:
    graph = random_graph(rng, length=12)
    foldings = random_plan(graph, rng)
    depths = fifo_depths(pipeline(graph, foldings))
    assert simulate(graph, foldings, depths, random_inputs(rng, graph, 1)[-1:], tmp_path) == 0
