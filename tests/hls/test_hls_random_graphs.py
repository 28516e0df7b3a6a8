"""Random integer graphs at random legal foldings: every tensor equals the reference, with the processor's own integers and with
ap_int, and every stage's loops iterate as often as its `cycles` say. A small sample, because each is a compilation.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from foldings import random_plan
from random_graphs import random_graph, random_inputs
from test_hls_project import write

from edgekit.executor import Artifact
from edgekit.graph import IntegerGraph, check, run
from edgekit.hls.dataflow import pipeline
from edgekit.hls.folding import FoldingPlan
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.simulation.csim import FLAGS, NATIVE, open_simulation
from edgekit.hls.simulation.executors import EXECUTORS
from edgekit.targets.boards import find_board
from edgekit.tools import GXX, require

pytestmark = [pytest.mark.csim, needs_compiler]
HLS4ML = EXECUTORS[1]


@pytest.mark.parametrize("number", range(3))
def test_a_random_graph_at_random_foldings(number: int, rng: np.random.Generator, tmp_path: Path) -> None:
    graph = random_graph(rng, length=14)
    check_folded(graph, random_plan(graph, rng), rng, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(20))
def test_more_random_graphs_at_random_foldings(number: int, rng: np.random.Generator, tmp_path: Path) -> None:
    graph = random_graph(rng, length=24, channels=24)
    check_folded(graph, random_plan(graph, rng), rng, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_random_graphs_through_the_kernels_of_hls4ml(number: int, rng: np.random.Generator) -> None:
    """The folded kernels equal the reference above, so equality here is equality of both paths."""
    graph = random_graph(rng, length=24)
    inputs = random_inputs(rng, graph)
    with HLS4ML.open(Artifact(graph), lambda _: None) as execute:
        assert_equal(graph, inputs, execute(inputs))


def check_folded(graph: IntegerGraph, plan: FoldingPlan, rng: np.random.Generator, folder: Path) -> None:
    check(graph)
    inputs = random_inputs(rng, graph)
    project = write(plan_simulation(graph, find_board("ultra96"), plan), folder / "project")
    with open_simulation(project, lambda _: None) as execute:
        native = execute(inputs)
    assert_equal(graph, inputs, native)
    stages = pipeline(graph, plan).stages
    assert iterations(project, folder) == {stage.name: stage.cycles for stage in stages}
    shutil.rmtree(project / NATIVE)
    with open_simulation(project, lambda _: None) as execute:
        exact = execute(inputs)
    assert native.keys() == exact.keys()
    for name in native:
        np.testing.assert_array_equal(native[name], exact[name], err_msg=name)


def assert_equal(graph: IntegerGraph, inputs: np.ndarray, actual: dict[str, np.ndarray]) -> None:
    expected = run(graph, inputs)
    assert set(graph.outputs) <= set(actual)
    for name, values in actual.items():
        assert values.dtype == expected[name].dtype
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def iterations(project: Path, folder: Path) -> dict[str, int]:
    """Stage -> how often its pipelined loops iterate for one frame, counted in the running C++."""
    program = folder / "count"
    sources = ("firmware/edgekit_network.cpp", "count.cpp")
    command = [str(require(GXX)), *FLAGS, "-O1", "-isystem", NATIVE, "-DEDGEKIT_COUNT", *sources, "-o", str(program)]
    subprocess.run(command, cwd=project, check=True)
    printed = subprocess.run([str(program)], cwd=project, check=True, capture_output=True, text=True).stdout
    return {name: int(count) for name, count in (line.split() for line in printed.splitlines())}
