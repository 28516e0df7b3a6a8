"""Random integer graphs through hls4ml and g++: every tensor equals the reference. A small sample, because each is a compilation."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import random_graph, random_inputs

from edgekit.executor import Artifact
from edgekit.graph import check, run
from edgekit.hls.csim import compiler, missing_compiler
from edgekit.hls.executors import EXECUTORS

pytestmark = [pytest.mark.csim, pytest.mark.skipif(compiler() is None, reason=missing_compiler())]


@pytest.mark.parametrize("number", range(3))
def test_a_random_graph_is_equal_in_the_c_simulation(number: int, rng: np.random.Generator) -> None:
    compare(rng, 14)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(40))
def test_more_random_graphs_are_equal_in_the_c_simulation(number: int, rng: np.random.Generator) -> None:
    compare(rng, 24)


def compare(rng: np.random.Generator, length: int) -> None:
    graph = random_graph(rng, length=length)
    check(graph)
    inputs = random_inputs(rng, graph)
    expected = run(graph, inputs)
    with EXECUTORS[0].open(Artifact(graph), lambda _: None) as execute:
        actual = execute(inputs)
    assert set(graph.outputs) <= set(actual)
    for name, values in actual.items():
        assert values.dtype == expected[name].dtype
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
