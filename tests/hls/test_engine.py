"""The shared engine's programs: the interpreter gives the reference's integers, in any order that the schedule allows."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from engine_runs import SIZES, SMALL, TIGHT, TINY, WIDE, machine_for, results_in_order, results_written_late
from hand_graphs import every_product, extreme_images, small_mobilenet
from random_graphs import graph_of_every_op, random_graph, random_inputs

from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph, run
from edgekit.graph.ir import OP_TYPES
from edgekit.hls.engine.compiler import compile_graph
from edgekit.hls.engine.cost import ENGINES, design_for, over
from edgekit.hls.engine.estimate import DdrRate, ddr_bytes, ddr_rate, estimate, memory_waits
from edgekit.hls.engine.interpret import interpret
from edgekit.hls.engine.program import JOB_BEATS, LATENCY, Program, busy, chain_beats
from edgekit.hls.engine.size import EngineSize
from edgekit.targets.boards import BOARDS, find_board


def assert_interprets(graph: IntegerGraph, size: EngineSize, images: np.ndarray) -> None:
    program = compile_graph(graph, size)
    wanted = run(graph, images)
    for number, image in enumerate(images):
        found = interpret(program, graph, image)
        assert set(found) == set(graph.tensors)
        for name in graph.tensors:
            np.testing.assert_array_equal(found[name][0], wanted[name][number], err_msg=name)


@pytest.mark.parametrize("seed", range(6))
def test_random_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = graph_of_every_op(rng) if seed < 2 else random_graph(rng, OP_TYPES, length=10)
    images = random_inputs(rng, graph, noise=1)[-2:]
    for size in (WIDE,) if seed < 2 else SIZES:
        try:
            assert_interprets(graph, size, images)
        except EdgekitError as error:
            assert size is not WIDE and "does not fit" in str(error)


@pytest.mark.slow
def test_many_random_graphs() -> None:
    refused = 0
    for seed in range(100, 300):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng, OP_TYPES, length=10)
        images = random_inputs(rng, graph, noise=1)[-2:]
        for size in SIZES:
            try:
                assert_interprets(graph, size, images)
            except EdgekitError:
                refused += 1
                assert size is not WIDE
    assert refused < 60


@pytest.mark.parametrize("size", [SMALL, TIGHT, WIDE])
def test_a_small_mobilenet_in_every_order_that_its_beats_allow(size: EngineSize, rng: np.random.Generator) -> None:
    """By starts, by ends, and with all that a step writes appearing at its end: so nothing rests on what overlaps."""
    graph = small_mobilenet(rng)
    image = extreme_images(graph.tensors[graph.input], rng, noise=1)[-1]
    assert_interprets(graph, size, image[np.newaxis])
    program = compile_graph(graph, size)
    wanted = results_in_order(program, machine_for(program, graph, image), program.steps)
    by_start = sorted(program.steps, key=lambda step: step.start)
    by_end = sorted(program.steps, key=lambda step: step.end)
    assert by_start != list(program.steps) or size is not WIDE
    for steps in (by_start, by_end):
        assert results_in_order(program, machine_for(program, graph, image), steps) == wanted
    assert results_written_late(program, machine_for(program, graph, image)) == wanted


def test_arrays_have_one_job_at_a_time_and_no_bank_in_common(rng: np.random.Generator) -> None:
    program = compile_graph(small_mobilenet(rng), TIGHT)
    for left, right in combinations(sorted(program.steps, key=lambda step: step.start), 2):
        if left.matrix == right.matrix:
            assert right.start >= left.end + JOB_BEATS
        elif right.start < left.end:
            for one, other in zip(banks(program, left), banks(program, right), strict=True):
                assert not one & other
    assert program.beats == max(step.end for step in program.steps) + LATENCY
    assert (
        max(busy(program, True), busy(program, False))
        < program.beats
        < busy(program, True) + busy(program, False) + 60 * len(program.steps)
    )


def banks(program: Program, step) -> tuple[set[int], set[int]]:  # type: ignore[no-untyped-def]
    """Those that a step reads, and those that it writes."""
    reads, writes = set(), set()
    for job in step.jobs:
        for view, into in ((job.x, reads), (job.y, reads), (job.out, writes)):
            if view.words > 0 and not (view is job.out and getattr(job, "line", 0) and step.op.startswith("output")):
                into.update(range(view.base // program.size.bank_words, (view.base + view.words - 1) // program.size.bank_words + 1))
    return reads, writes


def test_what_does_not_fit_is_refused_with_the_limit(rng: np.random.Generator) -> None:
    graph = small_mobilenet(rng)
    with pytest.raises(EdgekitError, match="720 bytes of map memory: there is no room for"):
        compile_graph(graph, replace(TINY, bank_words=16))
    with pytest.raises(EdgekitError, match=r"rows of \d+ cells; this engine sums at most 4"):
        compile_graph(graph, replace(TINY, positions=4))


def test_every_board_has_an_engine_within_its_shares() -> None:
    for board in BOARDS.values():
        assert over(design_for(board), board) == {}
    assert len({design_for(board).size for board in BOARDS.values()}) == len(ENGINES)


def test_memory_that_is_slow_is_waited_for(rng: np.random.Generator) -> None:
    program = compile_graph(small_mobilenet(rng), WIDE)
    moved = program.traffic
    assert sum(ddr_bytes(step, program) for step in program.steps) == moved.total
    assert moved.weights == WIDE.row_bytes * sum(chain_beats(step.jobs, WIDE).rows for step in program.steps)
    assert memory_waits(program, DdrRate(1e9, 1e9)) == 0
    slow = memory_waits(program, DdrRate(0.5, 1.0))
    assert 0.5 * moved.total < program.beats + slow < 2 * moved.total + program.beats
    board = find_board("ultra96")
    found = estimate(
        compile_graph(small_mobilenet(rng), design_for(board).size, ddr_rate(design_for(board), board)), design_for(board), board
    )
    assert found.fps == pytest.approx(250e6 / found.cycles) and found.ddr_share < 1


def test_gates_and_attention() -> None:
    """No head begins at a word's start in the tensors around it."""
    graph = every_product()
    images = random_inputs(np.random.default_rng(1), graph, noise=1)
    for size in (replace(TINY, bank_words=2000), WIDE):
        assert_interprets(graph, size, images)
