"""FIFO depths against the flow of tokens: nothing stalls for good with the planned ones, and a frame takes as long as is estimated."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from foldings import random_plan
from hand_graphs import Builder, attention, residual, small_mobilenet, squeeze_excite
from random_graphs import random_graph, random_inputs
from simulations import simulate
from token_flow import frame_ends

from edgekit.graph import Add, Conv2D, IntegerGraph, Padding, Tensor
from edgekit.graph.ir import OP_TYPES
from edgekit.hls.dataflow import Dataflow, ample_depths, dataflow_of
from edgekit.hls.folding import Folding, WeightPlacement
from edgekit.hls.ops import moderate_foldings
from edgekit.hls.plan.estimates import PAUSES
from edgekit.hls.plan.fifos import fifo_depths, slowest
from edgekit.hls.plan.planner import plan_foldings
from edgekit.targets.boards import find_board

CYCLES_MAX = 20_000
"""Larger graphs are left out: their flow takes seconds."""


def gate_of_a_map(rng: np.random.Generator) -> IntegerGraph:
    b = Builder(rng)
    x = b.tensor("x", (6, 5, 8), signed=True, binary_point=3)
    return b.graph(squeeze_excite(b, "se", x))


def attention_of_a_map(rng: np.random.Generator) -> IntegerGraph:
    b = Builder(rng)
    x = b.tensor("x", (3, 3, 8), signed=True, binary_point=3)
    return b.graph(attention(b, "a", x, heads=2, key=2, value=4))


def product_with_itself(rng: np.random.Generator) -> IntegerGraph:
    b = Builder(rng)
    x = b.tensor("x", (5, 4, 8), signed=True, binary_point=3)
    return b.graph(b.matmul("y", x, x, 2, 6, transpose_y=True))


GRAPHS = [gate_of_a_map, attention_of_a_map, product_with_itself]


def into(flow: Dataflow, stage: str) -> list[str]:
    """The streams that a stage reads, in order."""
    return [stream.name for stream in flow.streams if stream.consumer.endswith(stage)]


def tokens(flow: Dataflow, name: str) -> int:
    return next(stream.tokens for stream in flow.streams if stream.name == name)


def test_a_map_waits_for_its_gate_in_a_fifo_that_holds_it(rng: np.random.Generator) -> None:
    graph = gate_of_a_map(rng)
    flow = dataflow_of(graph, moderate_foldings(graph, 2, 2))
    depths, (waiting, _) = fifo_depths(flow), into(flow, "se_scaled")
    assert depths[waiting] >= tokens(flow, waiting) == 6 * 5 * 8 // 2
    assert frame_ends(flow, depths) is not None
    assert frame_ends(flow, {**depths, waiting: tokens(flow, waiting) - 8}) is None  # the fork and the sums take a few more tokens in


@pytest.mark.parametrize("fork", [product_with_itself, attention_of_a_map])
def test_x_waits_until_y_is_held(rng: np.random.Generator, fork: object) -> None:
    graph = fork(rng)  # type: ignore[operator]
    flow = dataflow_of(graph, moderate_foldings(graph, 2, 2))
    first = next(op.name for op in graph.ops if type(op).__name__ == "MatMul")
    depths, (x, y) = fifo_depths(flow), into(flow, first)
    assert depths[x] >= tokens(flow, x) and depths[y] >= tokens(flow, y) / 2
    assert frame_ends(flow, depths) is not None
    assert frame_ends(flow, {**depths, x: tokens(flow, x) // 2}) is None


def test_an_upsampling_takes_in_no_more_than_its_row(rng: np.random.Generator) -> None:
    """Beside a branch that needs three rows before it gives one: the FIFO behind the upsampling has to hold what the window lags."""
    b = Builder(rng)
    x = b.tensor("x", (6, 8, 2), signed=True, binary_point=3)
    b.upsample("near", x, (3, 1), shifts=(7,))
    b.upsample("far", b.conv("conv", x, (3, 3), 2, padding=Padding(1, 1, 1, 1)), (3, 1), shifts=(7,))
    graph = b.graph(b.add("sum", "near", "far"))
    flow = dataflow_of(graph, moderate_foldings(graph, 1, 1))
    depths, (near, _) = fifo_depths(flow), into(flow, "sum")
    assert tokens(flow, near) / 3 < depths[near] < tokens(flow, near)
    assert frame_ends(flow, depths) is not None and frame_ends(flow, {**depths, near: depths[near] // 4}) is None


def test_scores_need_no_room_for_a_map(rng: np.random.Generator) -> None:
    """v is read while the queries wait, so the second product may take the scores as they come."""
    graph = attention_of_a_map(rng)
    flow = dataflow_of(graph, moderate_foldings(graph, 2, 2))
    scores, v = into(flow, "a_mixed")
    assert fifo_depths(flow)[scores] < tokens(flow, scores) / 2
    assert fifo_depths(flow)[v] >= tokens(flow, v)


@pytest.mark.parametrize("make", GRAPHS)
@pytest.mark.parametrize("parts", [1, 2, 8])
def test_a_frame_follows_in_the_estimated_interval(make: object, parts: int, rng: np.random.Generator) -> None:
    graph = make(rng)  # type: ignore[operator]
    flow = dataflow_of(graph, moderate_foldings(graph, parts, parts))
    assert_interval(flow)


def assert_interval(flow: Dataflow) -> None:
    """A frame is as late after the other as the slowest stage has iterations, but for some handshakes; with the shorter FIFOs of a longer
    interval at most as late as that."""
    for pause in (1.0, PAUSES[2]):
        interval = ceil(pause * slowest(flow))
        ends = frame_ends(flow, fifo_depths(flow, interval), frames=8)
        assert ends is not None
        assert (ends[-1] - ends[-3]) / 2 <= 1.1 * interval + 20, f"FIFOs for {interval} cycles"
        # Two frames are no steady state to the cycle: the last one may catch up with what the ones before it have lost.
        assert (ends[-1] - ends[-3]) / 2 >= 0.9 * slowest(flow) - 20


def chain_of_convolutions(rng: np.random.Generator) -> IntegerGraph:
    """Maps of one cell each: nothing but a map that is held, and its burst of results, keeps their frames apart."""
    b = Builder(rng)
    x = b.tensor("x", (4, 4, 8), signed=True, binary_point=3)
    return b.graph(b.conv("c", b.conv("b", b.conv("a", x, (1, 1), 16), (1, 1), 16), (1, 1), 8))


def block_of_a_mobilenet(rng: np.random.Generator) -> IntegerGraph:
    """Windows that pause at the end of each frame, and a skip that waits for them."""
    b = Builder(rng)
    x = b.tensor("x", (6, 6, 4), signed=True, binary_point=3)
    wide = b.depthwise("depthwise", b.conv("expand", x, (1, 1), 8), (3, 3), padding=Padding(1, 1, 1, 1))
    return b.graph(b.conv("last", b.add("sum", b.conv("project", wide, (1, 1), 4), x), (1, 1), 8))


def from_memory(graph: IntegerGraph, foldings: dict[str, Folding]) -> dict[str, Folding]:
    """A plan with every convolution's weights in memory."""
    convolutions = {op.name for op in graph.ops if isinstance(op, Conv2D)}
    return {name: replace(folding, weights=WeightPlacement.DDR) if name in convolutions else folding for name, folding in foldings.items()}


@pytest.mark.parametrize("make", [chain_of_convolutions, block_of_a_mobilenet])
@pytest.mark.parametrize("parts", [(1, 1), (4, 1), (2, 4)])
def test_layers_with_weights_in_memory_keep_the_interval(make: object, parts: tuple[int, int], rng: np.random.Generator) -> None:
    graph = make(rng)  # type: ignore[operator]
    assert_interval(dataflow_of(graph, from_memory(graph, moderate_foldings(graph, *parts))))


@pytest.mark.parametrize("number", range(6))
def test_they_do_at_random_foldings(number: int, rng: np.random.Generator) -> None:
    graph = block_of_a_mobilenet(rng)
    assert_interval(dataflow_of(graph, from_memory(graph, random_plan(graph, rng))))


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_layers_with_weights_on_chip_keep_the_interval(parts: int, rng: np.random.Generator) -> None:
    graph = block_of_a_mobilenet(rng)
    assert_interval(dataflow_of(graph, moderate_foldings(graph, parts, parts)))


@pytest.mark.parametrize("seed", [*range(25), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(25, 400))])
def test_random_graphs_flow(seed: int) -> None:
    """In the interval, at random foldings: half of the matrices read their weights from memory."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, op_types=OP_TYPES, length=14)
    flow = dataflow_of(graph, random_plan(graph, rng))
    if sum(stage.cycles for stage in flow.stages) > CYCLES_MAX:
        return
    assert frame_ends(flow, ample_depths(flow)) is not None
    assert_interval(flow)


def test_a_planned_mobilenet_keeps_the_interval(rng: np.random.Generator) -> None:
    graph = small_mobilenet(rng, size=8)
    assert_interval(dataflow_of(graph, plan_foldings(graph, find_board("pynq_z2")).folding))


def test_a_residual_needs_its_rows_here_too(rng: np.random.Generator) -> None:
    """What the threads of test_fifos_threads.py find: the flow can tell a FIFO that is too short."""
    flow = dataflow_of(residual(rng), {"branch": Folding(1, 1), "sum": Folding(1)})
    depths = fifo_depths(flow)
    (skip,) = [stream.name for stream in flow.streams if "fork" in stream.producer and "sum" in stream.consumer]
    assert frame_ends(flow, depths) is not None and frame_ends(flow, {**depths, skip: 8}) is None


def test_fifos_on_the_shorter_way_hold_what_the_longer_one_lags() -> None:
    """x + conv3x3(x): the sum's first token needs two rows, and while it is made the window reads on: 2 rows of 9 lie in the FIFO of x,
    with what it takes that none need stop, but not 6."""
    tensors = {name: Tensor(name, (9, 8, 4), True, 4) for name in ("x", "a", "y")}
    weights = np.full((3, 3, 4, 4), 4, np.int8)
    conv = Conv2D("conv", "x", "a", weights, np.full(4, 2, np.int32), (8,) * 4, padding=Padding(1, 1, 1, 1))
    graph = IntegerGraph("skip", tensors, (conv, Add("sum", ("a", "x"), "y")), "x", ("y",))
    flow = dataflow_of(graph, {"conv": Folding(4, 4), "sum": Folding(4)})
    depths = fifo_depths(flow)
    (skip,) = [stream for stream in flow.streams if stream.consumer == "n1_sum" and "fork" in stream.producer]
    assert 2 * 8 < depths[skip.name] < 6 * 8 < ample_depths(flow)[skip.name]
    assert max(depth for name, depth in depths.items() if name != skip.name) < 3 * 8  # the rows that the window reads at once


@pytest.mark.csim
@needs_compiler
def test_a_gate_and_an_attention_run_with_planned_depths(rng: np.random.Generator, tmp_path: Path) -> None:
    """The C++ with a thread a stage."""
    b = Builder(rng)
    x = b.tensor("x", (3, 3, 8), signed=True, binary_point=3)
    graph = b.graph(attention(b, "a", squeeze_excite(b, "se", x), heads=2, key=2, value=4))
    foldings = moderate_foldings(graph, 2, 2)
    depths = fifo_depths(dataflow_of(graph, foldings))
    assert simulate(graph, foldings, depths, random_inputs(rng, graph, 1)[-2:], tmp_path) == 0
