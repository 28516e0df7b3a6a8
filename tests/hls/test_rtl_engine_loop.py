"""The engine's beat loop as RTL, whole: jobs, rows and images come by its streams, results go, all values and all beats are compared."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from engine_runs import TINY
from random_graphs import random_graph, random_inputs
from rtl_bench import byte_values, simulated
from rtl_engine_stage import engine_stage, vector_stage
from rtl_tools import needs_verilator, needs_yosys

from edgekit.arrays import Int64
from edgekit.executor import Values
from edgekit.graph import IntegerGraph, run
from edgekit.graph.ir import OP_TYPES
from edgekit.hls.engine.compiler import compile_graph
from edgekit.hls.engine.program import Kind, Program, Step, VectorJob
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.rtl.mapping import map_stages
from edgekit.hls.simulation.engine import kernel_sources, native_types, result_words, write_program
from edgekit.tools import GXX, require

TOKENS = "engine_tokens.cpp"
BEFORE = 2 + 11 + 11
"""Cycles from a frame's call to its first beat: that of the call, here of two, and the parts of each array's first job."""
FIRST = 1
"""A cycle after reset."""


@dataclass(frozen=True)
class Frame:
    """A program, what its streams bring, and what the reference makes of the same image."""

    program: Program
    graph: IntegerGraph
    streams: tuple[Int64, ...]
    wanted: Values


def compile_tokens(size: EngineSize, folder: Path) -> Path:
    for name, content in (kernel_sources(size) | native_types()).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / TOKENS).write_text((Path(__file__).parent / TOKENS).read_text())
    flags = ["-O1", "-std=c++17", "-DEDGEKIT_NATIVE", "-isystem", "native"]
    subprocess.run([str(require(GXX)), *flags, TOKENS, "-o", "tokens"], cwd=folder, check=True)
    return folder / "tokens"


def frame_of(seed: int, size: EngineSize, executable: Path) -> Frame:
    """Of a random graph of which every tensor is a result."""
    rng, folder = np.random.default_rng(seed), executable.parent
    graph = random_graph(rng, OP_TYPES, length=6)
    graph = replace(graph, outputs=tuple(dict.fromkeys(op.output for op in graph.ops)))
    program, image = compile_graph(graph, size), random_inputs(rng, graph, noise=1)[-1:]
    write_program(program, folder)
    (folder / "images.bin").write_bytes(image.astype(graph.tensors[graph.input].dtype).tobytes())
    subprocess.run([str(executable), str(folder)], check=True)
    widths = (16, 24, size.row_bytes, 16, 24, size.row_bytes, size.lanes)
    streams = [np.fromfile(folder / f"{number}.tokens", np.uint8).reshape(-1, width) for number, width in enumerate(widths)]
    jobs = [sum(len(step.jobs) for step in program.steps if step.matrix == matrix) for matrix in (True, False)]
    start = np.array([program.beats, *jobs], "<i4").view(np.uint8)
    return Frame(program, graph, tuple(one.astype(np.int64) for one in (*streams, np.stack([start, start]))), run(graph, image))


def stores(program: Program) -> list[tuple[Step, VectorJob]]:
    found = [(step, job) for step in program.steps for job in step.jobs if isinstance(job, VectorJob) and job.kind is Kind.STORE]
    assert all(len(step.jobs) == 1 for step, _ in found)
    return sorted(found, key=lambda one: one[0].start)


@pytest.mark.slow
@needs_compiler
@needs_verilator
def test_the_beat_loop_computes_every_value_at_its_beat(tmp_path: Path) -> None:
    """Programs one after the other on one circuit, which keeps what the one before left in its memories and registers."""
    size = TINY
    native, rtl = tmp_path / "native", tmp_path / "rtl"
    native.mkdir()
    rtl.mkdir()
    executable = compile_tokens(size, native)
    frames = [frame_of(seed, size, executable) for seed in range(6)]
    streams = tuple(np.concatenate(parts) for parts in zip(*(frame.streams for frame in frames), strict=True))
    cycles = FIRST + sum(BEFORE + frame.program.beats for frame in frames) + 4
    said = simulated({"engine": engine_stage(size, rtl)}, {"engine": (streams, size.lanes)}, cycles, rtl)["engine"]
    place, begun, values, kinds = 0, FIRST, 0, set()
    for frame in frames:
        program = frame.program
        results = np.zeros((result_words(program), size.simd), np.uint8)
        for step, job in stores(program):
            count, at = job.loops.rows * job.out.row_words, job.out.base + job.loops.first_row * job.out.row_words
            tokens = said[place : place + count]
            place += count
            first = begun + BEFORE + step.start
            assert [cycle for _, cycle in tokens] == list(range(first, first + count))
            words = np.array([byte_values(word, size.lanes) for word, _ in tokens], np.int8)
            results[at : at + count] = words.view(np.uint8)
        begun += BEFORE + program.beats
        at = 0
        for name in dict.fromkeys(program.outputs):
            view, places = program.views[name]
            count = view.rows * view.row_words
            pixels = results[at : at + count].reshape(view.rows, view.cols, -1)[:, :, np.array(places)]
            at += count
            wanted = frame.wanted[name]
            np.testing.assert_array_equal(pixels.view(wanted.dtype).reshape(wanted.shape), wanted, err_msg=name)
            values += wanted.size
        kinds |= {type(op).__name__ for op in frame.graph.ops}
    assert place == len(said)
    print(f"\n{len(frames)} programs, {begun - FIRST} cycles, {values} values of {', '.join(sorted(kinds))}")


@pytest.mark.slow
@needs_yosys
def test_the_vector_arrays_arithmetic_is_as_narrow_as_bytes(tmp_path: Path) -> None:
    """A multiplier a lane, for two columns of a kernel or a product of maps; the rest is as the rule has it; sums are a memory."""
    size = EngineSize(simd=6, words=1, banks=2, bank_words=64, positions=512, taps=5)
    (found,) = map_stages([vector_stage(size, tmp_path)], "xc7", wide_luts=False)
    print(f"\n{size}: {found}")
    assert found.total.dsp == size.lanes
    assert found.memories
