"""Whole mobile networks through the folded kernels: equal to the reference, and many times faster than hls4ml's own kernels."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from hand_graphs import extreme_images, small_mobilenet
from projects import write

from edgekit.executor import Artifact, Executor
from edgekit.graph import Conv2D, Dense, IntegerGraph, run
from edgekit.hls.folding import WeightPlacement
from edgekit.hls.ops import moderate_foldings
from edgekit.hls.plan.estimates import over_budget
from edgekit.hls.plan.planner import plan_foldings
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.simulation.csim import open_simulation
from edgekit.hls.simulation.executors import EXECUTORS
from edgekit.targets.boards import find_board

pytestmark = [pytest.mark.csim, needs_compiler]
FOLDED, _, HLS4ML = EXECUTORS
TIMES_FASTER = 20
SMALL = (("mobilenet_v1", 0.25), ("mobilenet_v1", 0.5), ("mobilenet_v2", 0.35))


def test_a_small_mobilenet_with_weights_on_chip_and_in_memory(rng: np.random.Generator, tmp_path: Path) -> None:
    """The last layers, which have most of the weights, read them from memory."""
    graph = small_mobilenet(rng)
    inputs = extreme_images(graph.tensors[graph.input], rng, noise=4)
    foldings = moderate_foldings(graph)
    large = [op.name for op in graph.ops if isinstance(op, Conv2D | Dense) and op.weights.size >= 1024]
    foldings |= {name: replace(foldings[name], weights=WeightPlacement.DDR) for name in (*large, "logits")}
    with open_simulation(write(plan_simulation(graph, find_board("ultra96"), foldings), tmp_path), lambda _: None) as execute:
        assert_equal(graph, inputs, execute(inputs))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "alpha", "size"),
    [
        ("mobilenet_v1", 0.25, 96),
        ("mobilenet_v1", 0.5, 128),
        ("mobilenet_v2", 0.35, 96),
        ("mobilenet_v2", 0.35, 128),
        ("mobilenet_v1", 1.0, 224),
        ("mobilenet_v2", 1.0, 224),
    ],
)
def test_networks_of_the_zoo_on_photographs_and_extremes(name: str, alpha: float, size: int) -> None:
    from edgekit.verify.inputs import graph_input, make_inputs

    graph, preprocessing = zoo(name, alpha, size)
    inputs = make_inputs(graph_input(graph), preprocessing, count=8, seed=0).values
    with FOLDED.open(Artifact(graph), lambda _: None) as execute:
        assert_equal(graph, inputs, execute(inputs))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "alpha", "size", "board_name"),
    [
        *((*network, size, name) for network in SMALL for size in (96, 128) for name in ("ultra96", "pynq_z2")),
        ("mobilenet_v1", 1.0, 224, "zcu102"),
        ("mobilenet_v2", 1.0, 224, "zcu102"),
    ],
)
def test_planned_networks_hold_the_shares_and_are_exact(name: str, alpha: float, size: int, board_name: str, tmp_path: Path) -> None:
    """By our estimate; `plan_foldings` raises where they do not."""
    from edgekit.verify.inputs import graph_input, make_inputs

    graph, preprocessing = zoo(name, alpha, size)
    place = find_board(board_name)
    found = plan_foldings(graph, place)
    assert not over_budget(found.estimates, place.part.planned)
    inputs = make_inputs(graph_input(graph), preprocessing, count=8, seed=0).values
    with open_simulation(write(plan_simulation(graph, place, found.folding), tmp_path), lambda _: None) as execute:
        assert_equal(graph, inputs, execute(inputs))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "images"), [("mobilenet_v2", 96, 12), ("mobilenet_v1", 224, 4)])
def test_simulation_is_many_times_faster_than_hls4mls_own(name: str, size: int, images: int) -> None:
    """Processor time an image, since other work on the machine shares its clock time; on all processors both are run alike."""
    graph, _ = zoo(name, 1.0, size)
    tensor = graph.tensors[graph.input]
    inputs = np.random.default_rng(0).integers(tensor.low, tensor.high, (images, *tensor.shape), endpoint=True).astype(tensor.dtype)
    (folded, folded_start), (hls4ml, hls4ml_start) = (seconds_an_image(executor, graph, inputs) for executor in (FOLDED, HLS4ML))
    print(f"{name} 1.0 at {size}: {folded:.3f} s an image after {folded_start:.0f} s; hls4ml {hls4ml:.3f} s after {hls4ml_start:.0f} s")
    assert hls4ml / folded >= TIMES_FASTER


def seconds_an_image(executor: Executor, graph: IntegerGraph, inputs: np.ndarray) -> tuple[float, float]:
    """An image, without the start of the programs; and what comes before the first: writing and compiling the project."""

    def spent(action: Callable[[], object]) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        action()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime

    start = time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    with executor.open(Artifact(graph), lambda _: None) as execute:
        started = time.process_time() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - start
        few = os.cpu_count() or 1  # as many images as programs are started for any number
        return (spent(lambda: execute(inputs)) - spent(lambda: execute(inputs[:few]))) / (len(inputs) - few), started


def zoo(name: str, alpha: float, size: int) -> tuple[IntegerGraph, object]:
    from edgekit.jobs import ModelRequest, load_source
    from edgekit.jobs.integer_graph import integer_graph

    request = ModelRequest(name, alpha, size, None, None, None, 0)
    source = load_source(request)
    return integer_graph(source, request, lambda _: None).graph, source.preprocessing


def assert_equal(graph: IntegerGraph, inputs: np.ndarray, computed: dict[str, np.ndarray]) -> None:
    """Every tensor that no fused op hides is shown, varies, and is equal."""
    expected = run(graph, inputs)
    assert set(computed) == set(graph.tensors)
    for name, values in computed.items():
        assert expected[name].min() < expected[name].max(), name
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
