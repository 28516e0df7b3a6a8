"""Tables of the engine: each array has one, and a job brings its own only where another one, or none, is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from engine_runs import SIZES, TINY, WIDE, machine_for, results_in_order
from hand_graphs import Builder

from edgekit.graph import IntegerGraph, Lookup, run
from edgekit.hls.engine.compiler import compile_graph
from edgekit.hls.engine.descriptor import BRINGS, FIELDS, TABLE, descriptors, job_starts
from edgekit.hls.engine.interpret import interpret
from edgekit.hls.engine.program import (
    JOB_BEATS,
    LATENCY,
    NOWHERE,
    Job,
    Kind,
    Loops,
    MatrixJob,
    Program,
    Step,
    VectorJob,
    View,
    chain_beats,
    gap_beats,
    passes_of,
)
from edgekit.hls.engine.schedule import Access, Span, scheduled
from edgekit.hls.engine.size import TABLE_BYTES_MAX, EngineSize
from edgekit.hls.engine.stream import read_table, table_rows
from edgekit.hls.engine.tables import brought, with_tables
from edgekit.hls.simulation.engine import compile_engine, simulate, write_program

NONE, A, B = 0, 1, 2


def matrix(table: int, row: int = 0) -> MatrixJob:
    return MatrixJob(Loops(0, 3, 20), NOWHERE, 0, 2, NOWHERE, 0, 2, 0, 255, weights=row, table=table)


def vector(table: int, row: int = 0) -> VectorJob:
    return VectorJob(Kind.COPY, Loops(0, 3, 20), NOWHERE, 2, table=table, weights=row)


def steps_of(jobs: list[Job], size: EngineSize = WIDE) -> list[Step]:
    return [Step(f"{number}", (job,), chain_beats((job,), size), "", 0, 1) for number, job in enumerate(jobs)]


def brings(steps: list[Step] | tuple[Step, ...]) -> list[bool]:
    return [job.brings for step in steps for job in step.jobs]


def in_any_order(steps: list[Step], size: EngineSize = WIDE) -> list[Step]:
    """Scheduled where no step reads what another one writes."""
    found = scheduled(steps, [Access((), ())] * len(steps), {}, size)
    assert found is not None
    return found[0]


def in_this_order(steps: list[Step], size: EngineSize = WIDE) -> list[Step]:
    """Scheduled where each step of an array reads what the one before it there writes."""
    accesses, views, last = [], {}, {True: (), False: ()}
    for number, step in enumerate(steps):
        views[step.op] = View(number * size.bank_words, 1, 1, 1, 1, False)
        written = (Span(step.op, 0, 1),)
        accesses.append(Access(last[step.matrix], written))
        last[step.matrix] = written
    found = scheduled(steps, accesses, views, replace(size, banks=len(steps)))
    assert found is not None
    return found[0]


@pytest.mark.parametrize(
    ("tables", "held", "bring", "then"),
    [
        ([A, A, B, A], NONE, [True, False, True, True], A),
        ([A, NONE, A, B, NONE], NONE, [True, False, False, True, False], B),  # a job without a table leaves the one that is there
        ([A, B], A, [False, True], B),
        ([NONE], B, [False], B),
    ],
)
def test_a_job_brings_its_table_where_another_one_is_there(tables: list[int], held: int, bring: list[bool], then: int) -> None:
    jobs, found = brought([matrix(table) for table in tables], held)
    assert ([job.brings for job in jobs], found) == (bring, then)


def test_each_array_has_a_table_of_its_own_and_a_program_starts_with_none() -> None:
    steps = in_this_order(steps_of([matrix(A), vector(A), matrix(A), vector(B), matrix(B), vector(B), matrix(A)]))
    assert brings(steps[0::2]) == [True, False, True, True]
    assert brings(steps[1::2]) == [True, True, False]
    again = in_this_order(steps_of([matrix(A), vector(A)]))
    assert brings(again) == [True, True]


def test_a_step_whose_table_is_there_overtakes_one_that_would_wait_for_its_own() -> None:
    first, second, third = in_any_order(steps_of([matrix(A), matrix(B), matrix(A)]))
    assert first.start < third.start < second.start
    assert brings([first, third, second]) == [True, False, True]


def test_jobs_of_one_step_bring_tables_too_and_the_step_behind_them_knows() -> None:
    jobs = (matrix(NONE), matrix(A), matrix(A), matrix(B))
    step = Step("many", jobs, chain_beats(jobs, WIDE), "", 0, 1)
    many, last = in_this_order([step, *steps_of([matrix(B)])])
    assert brings([many]) == [False, True, False, True] and brings([last]) == [False]
    assert many.passes == chain_beats(many.jobs, WIDE) and many.end - many.start == many.passes.beats
    starts = job_starts(many.jobs, many.start, WIDE)
    assert starts[-1] + passes_of(many.jobs[-1], WIDE).beats == many.end


def test_a_table_comes_before_the_job_and_not_while_the_one_before_looks_up() -> None:
    plain, uses, other = (passes_of(job, WIDE) for job in (matrix(NONE), matrix(A), replace(matrix(B), brings=True)))
    front = WIDE.table_rows + other.head
    assert (other.table, other.rows, other.beats) == (WIDE.table_rows, uses.rows + WIDE.table_rows, uses.beats)
    assert gap_beats(plain, other) == max(JOB_BEATS, front - plain.last) < front == gap_beats(uses, other)
    assert gap_beats(uses, uses) == JOB_BEATS
    first, second, third, last = in_this_order(steps_of([matrix(A), matrix(B), matrix(NONE), matrix(A)]))
    assert (first.start, second.start - first.end, third.start - second.end) == (front, front, LATENCY)
    assert last.start - third.end == max(LATENCY, front - plain.last)


@pytest.mark.parametrize("size", [*SIZES, replace(TINY, simd=4, row_words=1)])
def test_rows_of_a_table_have_a_power_of_two_of_entries(size: EngineSize) -> None:
    """Whatever a row has: that of the last engine is three bytes."""
    table = np.random.default_rng(0).integers(0, 255, 256, endpoint=True)
    rows = table_rows(table, size)
    assert size.table_bytes == max(2**n for n in range(9) if 2**n <= min(TABLE_BYTES_MAX, size.row_bytes))
    assert rows.shape == (size.table_rows, size.row_bytes) and size.table_rows * size.table_bytes == 256
    assert not rows[:, size.table_bytes :].any()
    np.testing.assert_array_equal(read_table(rows, size), table)


def test_the_stream_has_the_tables_that_are_brought_and_no_others() -> None:
    """Of three tasks of five rows each, the second has two steps, of which one brings the table."""
    streams = [np.full((5, WIDE.row_bytes), number, np.uint8) for number in range(3)]
    tables = [np.full(256, 40, np.uint8), np.full(256, 50, np.uint8)]
    steps = steps_of([matrix(NONE), replace(matrix(B, 5), brings=True), matrix(A, 10), matrix(B, 5)])
    moved, stream = with_tables(steps, [0, 1, 2, 1], streams, tables, WIDE)
    count = WIDE.table_rows
    assert [step.jobs[0].weights for step in moved] == [0, 5, 10 + count, 5 + count]
    np.testing.assert_array_equal(stream[:, 0], [0] * 5 + [50] * count + [1] * 5 + [2] * 5)


def switching(rng: np.random.Generator) -> IntegerGraph:
    """Five convolutions with tables A, A, B, A, B one behind the other, and a depthwise convolution and a table alone, with A and B."""
    b = Builder(rng)
    x = b.tensor("x", (6, 5, 9), signed=True, binary_point=3)
    x = b.lookup("first", b.conv("c0", x, (1, 1), 9), signed=True)
    kinds = [b.made.ops[-1].table, rng.permutation(256).astype(np.uint8).view(np.int8)]

    def looked_up(name: str, source: str, table: int) -> str:
        return b.made.write(Lookup(name, source, name, kinds[table - 1]), signed=True, binary_point=3)

    for number, table in enumerate((A, B, A, B)):
        x = looked_up(f"t{number}", b.conv(f"c{number + 1}", x, (1, 1), 9), table)
    x = looked_up("t_d", b.depthwise("d", x, (3, 3)), A)
    return b.graph(looked_up("t_p", b.max_pool("p", x, (2, 2), (1, 1)), B))


def jobs_with_a_table(program: Program, array: bool) -> list[tuple[int, bool]]:
    steps = sorted((step for step in program.steps if step.matrix == array), key=lambda step: step.start)
    return [(job.table, job.brings) for step in steps for job in step.jobs if job.table]


@pytest.mark.parametrize("size", [TINY, WIDE], ids=["tiny", "wide"])
def test_a_program_brings_a_table_where_it_changes(size: EngineSize, rng: np.random.Generator) -> None:
    graph = switching(rng)
    program = compile_graph(graph, size)
    held, loads = {True: 0, False: 0}, 0
    for array in (True, False):
        for table, brought_here in jobs_with_a_table(program, array):
            assert brought_here == (table != held[array])
            held[array] = table
            loads += brought_here
    flags = [name for name, bits in FIELDS for _ in range(bits // 16)].index("flags")
    words = np.concatenate([descriptors(program, array)[:, flags] for array in (True, False)])
    assert (np.count_nonzero(words & BRINGS), np.count_nonzero(words & TABLE)) == (
        loads,
        sum(job.table > 0 for step in program.steps for job in step.jobs),
    )
    image = rng.integers(-128, 127, (6, 5, 9)).astype(np.int8)
    wanted, found = run(graph, image[np.newaxis]), interpret(program, graph, image)
    for name in graph.tensors:
        np.testing.assert_array_equal(found[name], wanted[name], err_msg=name)


def test_a_table_that_is_not_brought_is_missed(rng: np.random.Generator) -> None:
    """By the interpreter, as by the circuit: it looks up in what is there."""
    graph = switching(rng)
    program = compile_graph(graph, WIDE)
    image = rng.integers(-128, 127, (6, 5, 9)).astype(np.int8)
    steps = sorted(program.steps, key=lambda step: step.start)
    wanted = results_in_order(program, machine_for(program, graph, image), steps)
    loads = [number for number, step in enumerate(steps) if step.jobs[0].brings]
    assert len(loads) >= 6
    for number in loads:
        job = steps[number].jobs[0]
        without = replace(job, brings=False, weights=job.weights + WIDE.table_rows)
        fewer = [*steps[:number], replace(steps[number], jobs=(without,)), *steps[number + 1 :]]
        try:
            assert results_in_order(program, machine_for(program, graph, image), fewer) != wanted
        except KeyError:
            assert not any(step.jobs[0].brings and step.matrix == steps[number].matrix for step in steps[:number])


@pytest.mark.csim
@needs_compiler
def test_frames_one_after_the_other_find_their_first_table(tmp_path: Path, rng: np.random.Generator) -> None:
    """The circuit keeps what the frame before left: the last table of either array is not the first one."""
    graph = switching(rng)
    program = compile_graph(graph, WIDE)
    executable = compile_engine(WIDE, tmp_path)
    write_program(program, tmp_path)
    images = rng.integers(-128, 127, (3, 6, 5, 9)).astype(np.int8)
    found, wanted = simulate(program, graph, executable, tmp_path, images), run(graph, images)
    for name in graph.tensors:
        np.testing.assert_array_equal(found.values[name], wanted[name], err_msg=name)
    assert [counts.broken for counts in found.counts] == [0, 0, 0]
    for array in (True, False):
        (first, _), *_, (last, _) = jobs_with_a_table(program, array)
        assert first != last
