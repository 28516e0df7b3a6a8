"""The engine's C++: its C simulation gives the reference's integers in every tensor, and counts what the estimates claim."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from engine_runs import SIZES, TIGHT, TINY, WIDE
from hand_graphs import every_product, extreme_images, small_mobilenet
from random_graphs import graph_of_every_op, random_graph, random_inputs

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact
from edgekit.graph import Conv2D, Dense, DepthwiseConv2D, IntegerGraph, Lookup, op_inputs, run
from edgekit.graph.ir import OP_TYPES
from edgekit.hls.engine.compiler import compile_graph
from edgekit.hls.engine.cost import design_for
from edgekit.hls.engine.estimate import START_BEATS, DdrRate, ddr_rate, estimate, memory_waits
from edgekit.hls.engine.program import Program, busy
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.simulation.engine import KERNEL, Counts, Simulated, compile_engine, engine_sources, simulate, write_program
from edgekit.targets import find_board
from edgekit.verify.executors import executors_for

pytestmark = [pytest.mark.csim, needs_compiler]
ENGINE = Path(__file__).resolve().parents[2] / "hls" / "engine"
Simulate = Callable[..., Simulated]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Simulate:
    """Runs a program on images; engines are compiled once. The tiny one takes two products in one multiplier, as the hardware does."""
    found: dict[EngineSize, Path] = {}

    def simulate_on(program: Program, graph: IntegerGraph, images: np.ndarray, rate: DdrRate | None = None) -> Simulated:
        size = program.size
        if size not in found:
            flags = ("-DEDGEKIT_ENGINE_PACKED",) if size is TINY else ()
            found[size] = compile_engine(size, tmp_path_factory.mktemp("engine"), *flags)
        folder = tmp_path_factory.mktemp("program")
        write_program(program, folder)
        return simulate(program, graph, found[size], folder, images, rate)

    return simulate_on


def assert_simulates(simulated: Simulate, graph: IntegerGraph, size: EngineSize, images: np.ndarray) -> None:
    """Every tensor; the beats that each array is busy, and the bytes of DDR, of the estimate; and no promise broken."""
    program = compile_graph(graph, size)
    found, wanted = simulated(program, graph, images), run(graph, images)
    assert set(found.values) == set(graph.tensors)
    for name in graph.tensors:
        np.testing.assert_array_equal(found.values[name], wanted[name], err_msg=name)
    moved = program.traffic
    claimed = Counts(busy(program, False), busy(program, True), moved.weights, moved.image, moved.results, 0, moved.program)
    assert found.counts == (claimed,) * len(images)


@pytest.mark.parametrize("size", [TINY, WIDE], ids=["tiny", "wide"])
def test_every_op(simulated: Simulate, size: EngineSize) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        graph = graph_of_every_op(rng) if size is WIDE and seed == 0 else random_graph(rng, OP_TYPES, length=10)
        assert_simulates(simulated, graph, size, random_inputs(rng, graph, noise=1)[-2:])


def test_gates_and_attention(simulated: Simulate) -> None:
    graph = every_product()
    assert_simulates(simulated, graph, WIDE, random_inputs(np.random.default_rng(1), graph, noise=1))


@pytest.mark.slow
def test_many_random_graphs(simulated: Simulate) -> None:
    refused = 0
    for seed in range(300, 500):
        rng = np.random.default_rng(seed)
        graph = random_graph(rng, OP_TYPES, length=10)
        for size in SIZES:
            try:
                assert_simulates(simulated, graph, size, random_inputs(rng, graph, noise=1)[-2:])
            except EdgekitError as error:
                refused += 1
                assert size is not WIDE and ("does not fit" in str(error) or "sums at most" in str(error))
    assert refused < 60


def test_a_mobilenet_whose_memory_is_used_again_and_again(simulated: Simulate, rng: np.random.Generator) -> None:
    graph = small_mobilenet(rng, size=48)
    size = replace(TIGHT, bank_words=480)
    assert_simulates(simulated, graph, size, extreme_images(graph.tensors[graph.input], rng, noise=1))


def test_waits_for_memory_are_those_of_the_estimate(simulated: Simulate, rng: np.random.Generator) -> None:
    """Burst by burst in the simulation, slice by slice in the estimate; and the values do not change."""
    graph = small_mobilenet(rng, size=48)
    program = compile_graph(graph, WIDE)
    image = extreme_images(graph.tensors[graph.input], rng, noise=1)[-1:]
    needed = program.traffic.total / program.beats
    for share in (0.5, 0.9, 1.5):
        rate = DdrRate(share * needed, share * needed)
        found = simulated(program, graph, image, rate)
        np.testing.assert_array_equal(found.values["logits"], run(graph, image)["logits"])
        counted, estimated = found.counts[0].waits, memory_waits(program, rate)
        assert abs(counted - estimated) < 0.1 * program.beats
        assert counted > 0 if share < 1 else counted < 0.5 * program.beats
    assert simulated(program, graph, image).counts[0].waits == 0


def test_a_frame_moves_the_bytes_that_the_estimate_says_and_leaves_memory_a_fifth(simulated: Simulate, rng: np.random.Generator) -> None:
    """On a board's own engine, with waits counted: `make engine-networks` has networks of full width."""
    board = find_board("ultra96")
    design = design_for(board)
    graph = small_mobilenet(rng, size=48)
    program = compile_graph(graph, design.size, ddr_rate(design, board))
    found = estimate(program, design, board)
    image = extreme_images(graph.tensors[graph.input], rng, noise=1)[-1:]
    (counts,) = simulated(program, graph, image, ddr_rate(design, board)).counts
    assert counts.weights + counts.image + counts.results + counts.program == found.ddr_bytes
    seconds = (program.beats + counts.waits + START_BEATS) / (design.clock_mhz * 1e6)
    assert found.ddr_bytes / seconds < 0.8 * board.ddr_peak_bytes_per_s


def test_a_table_behind_a_sum_is_part_of_its_job(simulated: Simulate, rng: np.random.Generator) -> None:
    """No job of its own, and the tensor in front of it is compared all the same."""
    graph = graph_of_every_op(rng)
    program = compile_graph(graph, WIDE)
    passed = {step.passed for step in program.steps if step.passed}
    makers = (Conv2D, Dense, DepthwiseConv2D)
    lone = {op.output for op in graph.ops if isinstance(op, makers)} - set(graph.outputs)
    tables = {op.input for op in graph.ops if isinstance(op, Lookup)}
    assert passed == {name for name in lone & tables if sum(name in op_inputs(op) for op in graph.ops) == 1}
    assert passed <= set(simulated(program, graph, random_inputs(rng, graph, noise=1)[-1:]).values)


def test_a_program_that_breaks_a_promise_is_seen(simulated: Simulate, rng: np.random.Generator) -> None:
    """A step whose weights cannot be there, one that starts while its array is busy, and one that reads what is not there yet."""
    graph = small_mobilenet(rng)
    program = compile_graph(graph, WIDE)
    image = extreme_images(graph.tensors[graph.input], rng, noise=1)[-1:]
    wanted = run(graph, image)
    last = max(number for number, step in enumerate(program.steps) if step.matrix)
    for beats in (40, 400):
        early = [*program.steps]
        early[last] = replace(early[last], start=early[last].start - beats, end=early[last].end - beats)
        found = simulated(replace(program, steps=tuple(early)), graph, image)
        assert found.counts[0].broken > 0 or not np.array_equal(found.values["logits"], wanted["logits"])


def test_the_executor_runs_a_graph(rng: np.random.Generator) -> None:
    graph = every_product()
    (available,) = executors_for(Artifact(graph=graph), ["hls-engine-csim"])
    assert available.executor is not None, available.reason
    images = random_inputs(rng, graph, noise=1)
    with available.executor.open(Artifact(graph=graph), lambda _: None) as execute:
        found, wanted = execute(images), run(graph, images)
    assert all(np.array_equal(found[name], wanted[name]) for name in graph.tensors)
    (available,) = executors_for(Artifact(), ["hls-engine-csim"])
    assert available.executor is None and available.reason == "it needs an integer graph"


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
def test_it_compiles_without_a_warning(compiler: str, tmp_path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"no {compiler}")
    for name, content in engine_sources(TINY).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    strict = ("-std=c++14", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-label", "-fsyntax-only", "-isystem", "native")
    done = subprocess.run([compiler, *strict, "simulate_engine.cpp"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", KERNEL)
def test_nothing_is_allocated_and_every_loop_has_a_bound(name: str) -> None:
    text = re.sub(r"//.*", "", (ENGINE / name).read_text())
    assert re.findall(r"\b(?:new|delete|malloc|free|while|do|goto|std)\b", text) == []
    constants = r"SIZE_T::|BANKS\b|WORDS\b|SIMD\b|LANES\b|NUMBER\b|lanes\b|simd\b|taps\b|chunks\b|engine_\w+\b|\d\b"
    of_words = r"word_halves\b|job_words\b|word_bytes\b|row_bytes\b|span_words\b"
    of_program = r"job\.|job_count\b|beats\b|steps\b|count\b"  # rows of weights of a job, tokens of one
    bound = rf"(?:\w+ \+ 1 < |\w+ < )(?:{constants}|{of_words}|{of_program})"
    loops = re.findall(r"for \(\w+ \w+ = [^;]+; (.*?);", text)
    assert len(loops) == text.count("for (")
    assert [loop for loop in loops if not re.match(bound, loop)] == []


def test_the_beat_loop_meets_memory_in_streams_alone_and_each_bank_at_one_place() -> None:
    """An interval of 1 needs it: a pointer to memory, or a second read or write of a bank, is a wait in the loop."""
    text = re.sub(r"//.*", "", "".join((ENGINE / name).read_text() for name in KERNEL))
    (parameters,) = re.findall(r"void run_engine\((.*?)\) \{", text, re.DOTALL)
    assert "*" not in parameters and parameters.count("hls::stream<") == 8
    assert re.findall(r"bank(\[\w+\]\[\w+\])\[", text.replace("SIZE_T::", "")) == ["[banks][words]", "[b][w]", "[b][w]"]
    for array in ("matrix", "vector"):
        code = re.sub(r"//.*", "", (ENGINE / f"edgekit_engine_{array}.h").read_text())
        assert len(re.findall(r"[^.\w]sums\[step\.number\]\[p\](?! =)", code)) == 1
        assert len(re.findall(r"[^.\w]sums\[step\.number\]\[p\] =", code)) == 1
