"""Random integer graphs at random legal foldings: every tensor equals the reference, with the processor's own integers and with
ap_int, and every stage's loops iterate as often as its `cycles` say. A small sample, because each is a compilation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from foldings import random_plan
from projects import EVERY_STAGE, plan_with_memory
from random_graphs import random_graph, random_inputs
from simulations import assert_equal, check_folded

from edgekit.executor import Artifact
from edgekit.graph import IntegerGraph
from edgekit.hls.simulation.executors import EXECUTORS

pytestmark = [pytest.mark.csim, needs_compiler]
HLS4ML = EXECUTORS[2]


@pytest.mark.parametrize("make", EVERY_STAGE)
def test_every_stage_of_the_registry(make: Callable[[], IntegerGraph], rng: np.random.Generator, tmp_path: Path) -> None:
    graph = make()
    check_folded(graph, plan_with_memory(graph), rng, tmp_path)


@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in (1, 2))])
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
