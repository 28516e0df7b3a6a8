"""Whole networks as RTL: every value, every cycle, every FIFO; and what the C simulation with native integers does not see."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from foldings import random_plan
from hand_graphs import Builder, extreme_images, residual
from random_graphs import graph_of_every_op, random_inputs
from rtl_checks import check_rtl, fifos_of, planned
from rtl_tools import needs_verilator
from token_flow import frame_ends

from edgekit.graph import DepthwiseConv2D, GraphBuilder, IntegerGraph, Padding, run
from edgekit.hls.dataflow import Dataflow
from edgekit.hls.folding import Folding
from edgekit.hls.ops import moderate_foldings
from edgekit.hls.plan.fifos import FIFO_SLACK, slowest
from edgekit.hls.plan.planner import plan_foldings
from edgekit.hls.rtl.simulation import RtlSimulation, open_rtl
from edgekit.hls.simulation.csim import open_simulation
from edgekit.targets.boards import find_board

pytestmark = needs_verilator


def test_a_network_with_a_branch_computes_the_references_integers_in_the_estimates_cycles(tmp_path: Path) -> None:
    graph, plan, inputs = branch()
    found = check_rtl(graph, plan, inputs, tmp_path, skip_of_the_branch)
    assert set(found.values) == set(graph.tensors)


def test_sums_that_begin_with_biases_as_wide_as_they_are_themselves(tmp_path: Path) -> None:
    """Clang then loads from whichever of the two arrays it is, by a chosen address."""
    rng = np.random.default_rng(3)
    made = GraphBuilder("wide_biases")
    x = made.input("x", (5, 5, 8), signed=True, binary_point=4)
    weights = (4 * rng.integers(-31, 32, (5, 5, 8))).astype(np.int8)
    bias = (4 * rng.integers(-90_000, 90_000, 8) + 2).astype(np.int32)
    made.write(DepthwiseConv2D("y", x, "y", weights, bias, (7, 8, 9, 10, 11, 7, 8, 9)), signed=True, binary_point=4)
    graph = made.graph("y")
    check_rtl(graph, {"y": Folding(1)}, random_inputs(rng, graph, 3), tmp_path)


def skip_of_the_branch(simulation: RtlSimulation, inputs: np.ndarray, flow: Dataflow, depths: Mapping[str, int]) -> None:
    """The FIFO beside the window: with the fewest tokens that keep the interval it is kept, with one fewer it is not. So says the flow of
    tokens, too, and the plan has so many and what may lie in pipeline registers."""
    skip = "layer2_out_1"
    name = fifos_of(simulation.rtl, flow)[skip]

    def kept(room: int) -> bool:
        return simulation.run(inputs[:3], (skip, room)).interval == slowest(flow)

    least = bisect_left(range(2, depths[name] + 1), True, key=kept) + 2
    assert 2 < least <= depths[name] - FIFO_SLACK
    assert kept(least) and not kept(least - 1)
    for room, keeps in ((least, True), (least - 1, False)):
        ends = frame_ends(flow, {**depths, name: room}, frames=3)
        assert (ends is not None and ends[-1] - ends[-2] == slowest(flow)) == keeps


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_kernel_in_random_foldings(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    graph = graph_of_every_op(rng)
    plan = random_plan(graph, rng)
    found = check_rtl(graph, plan, random_inputs(rng, graph, 3), tmp_path)
    print(f"\nseed {seed}: {sum(values.size for values in found.values.values())} values, first {found.frame_ends[0]}, {found.interval}")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "alpha"), [("mobilenet_v1", 0.25), ("mobilenet_v2", 0.35)])
def test_networks_of_the_zoo_as_they_are_planned(name: str, alpha: float, tmp_path: Path) -> None:
    from test_hls_networks import zoo

    graph, _ = zoo(name, alpha, 32)
    found_plan = plan_foldings(graph, find_board("ultra96"))
    inputs = extreme_images(graph.tensors[graph.input], np.random.default_rng(5), noise=2)[:3]
    found = check_rtl(graph, found_plan.folding, inputs, tmp_path, estimates=found_plan.estimates)
    print(f"\n{name}: {sum(values.size for values in found.values.values())} values, first {found.frame_ends[0]}, {found.interval}")
    print(f"estimated {found_plan.estimates.latency_ms * found_plan.estimates.clock_mhz * 1e3:.0f}, {found_plan.estimates.interval_cycles}")


def replaced(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new, 1)

    return change


def other_weight(text: str) -> str:
    """The first weight that synthesis reads is another one."""
    head, values = text.split("= {")
    first, rest = values.split(",", 1)
    return f"{head}= {{{-int(first) or 31},{rest}"


ARITHMETIC = "nnet_utils/edgekit_arithmetic.h"
MUTATIONS = {
    "a product type 4 bits too narrow": (ARITHMETIC, replaced("typedef ap_int<14> product_t;", "typedef ap_int<10> product_t;")),
    "a result 2 bits too narrow": (ARITHMETIC, replaced("ap_int<9> requantize_channel(", "ap_int<7> requantize_channel(")),
    "a weight of synthesis alone": ("weights/weight*.h", other_weight),
    "a constant of packed products": (ARITHMETIC, replaced("unsigned field = 18;", "unsigned field = 12;")),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_what_native_integers_do_not_see_is_found(name: str, tmp_path: Path) -> None:
    """The C simulation of the same project stays equal; the RTL does not."""
    graph, plan, inputs = two_sums()
    project, _, _ = planned(graph, plan, tmp_path)
    file, change = MUTATIONS[name]
    path = sorted((project / "firmware").glob(file))[0]
    path.write_text(change(path.read_text()))
    expected = run(graph, inputs)
    with open_simulation(project, lambda _: None) as execute:
        assert all(np.array_equal(values, expected[tensor]) for tensor, values in execute(inputs).items())
    with open_rtl(project, lambda _: None) as simulation:
        found = simulation.run(inputs)
    assert len(found.frame_ends) == len(inputs)
    assert any(not np.array_equal(values, expected[tensor]) for tensor, values in found.values.items())


def two_sums() -> tuple[IntegerGraph, dict[str, Folding], np.ndarray]:
    """A depthwise sum, whose products have a multiplier each, and a matrix with two of them in one."""
    b = Builder(np.random.default_rng(3))
    x = b.tensor("x", (4, 4, 4), signed=True, binary_point=3)
    graph = b.graph(b.conv("matrix", b.depthwise("depth", x, (3, 3), padding=Padding(1, 1, 1, 1)), (1, 1), 4))
    plan = {"depth": Folding(2, 1), "matrix": Folding(2, 2)}
    return graph, plan, extreme_images(graph.tensors[graph.input], np.random.default_rng(4), noise=3)


def branch() -> tuple[IntegerGraph, dict[str, Folding], np.ndarray]:
    graph = residual(np.random.default_rng(3))
    return graph, moderate_foldings(graph), extreme_images(graph.tensors[graph.input], np.random.default_rng(4), noise=1)
