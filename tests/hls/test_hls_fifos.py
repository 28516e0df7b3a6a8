"""FIFOs of the depths that a project declares, with every stage a thread, as on hardware every stage runs at the same time."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from foldings import random_plan
from hand_graphs import Builder
from random_graphs import random_graph, random_inputs
from test_hls_networks import small_mobilenet
from test_hls_project import write

from edgekit.graph import IntegerGraph, Padding, run
from edgekit.hls.dataflow import ample_depths, pipeline
from edgekit.hls.folding import Folding, moderate_foldings
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.simulation.csim import FLAGS, NATIVE
from edgekit.targets.boards import find_board
from edgekit.tools import GXX, require

pytestmark = [pytest.mark.csim, needs_compiler]
BOUNDED = Path(__file__).parent / "bounded"
DEADLOCK = 4


def residual(rng: np.random.Generator) -> IntegerGraph:
    b = Builder(rng)
    x = b.tensor("x", (8, 8, 4), signed=True, binary_point=3)
    b.conv("branch", x, (3, 3), 4, padding=Padding(1, 1, 1, 1))
    return b.graph(b.add("sum", "branch", x))


def test_a_residual_needs_its_rows_and_no_fewer(rng: np.random.Generator, tmp_path: Path) -> None:
    """The branch's window gives its first cell when two rows of four tokens are in: the skip has to hold them meanwhile."""
    graph = residual(rng)
    plan = {"branch": Folding(1, 1), "sum": Folding(1)}
    pipe = pipeline(graph, plan)
    (skip,) = [stream.name for stream in pipe.streams if "fork" in stream.producer and "sum" in stream.consumer]
    (branch,) = [stream.name for stream in pipe.streams if "fork" in stream.producer and "window" in stream.consumer]
    inputs = random_inputs(rng, graph, 0)[3:]
    depths = {**ample_depths(pipe), branch: 2}
    assert simulate(graph, plan, {**depths, skip: 8 * 8 * 4}, inputs, tmp_path / "ample") == 0
    assert simulate(graph, plan, {**depths, skip: 2}, inputs, tmp_path / "short") == DEADLOCK


def test_a_small_mobilenet_runs_with_its_default_depths(rng: np.random.Generator, tmp_path: Path) -> None:
    graph = small_mobilenet(rng, size=16)
    plan = moderate_foldings(graph)
    assert simulate(graph, plan, ample_depths(pipeline(graph, plan)), random_inputs(rng, graph, 1)[-1:], tmp_path) == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
def test_random_graphs_run_with_their_default_depths(number: int, rng: np.random.Generator, tmp_path: Path) -> None:
    graph = random_graph(rng, length=14)
    plan = random_plan(graph, rng)
    assert simulate(graph, plan, ample_depths(pipeline(graph, plan)), random_inputs(rng, graph, 1)[-1:], tmp_path) == 0


def simulate(graph: IntegerGraph, plan: dict[str, Folding], depths: dict[str, int], inputs: np.ndarray, folder: Path) -> int:
    """The exit code of a run with threads; where it is 0, the outputs were equal to the reference's."""
    project = write(plan_simulation(graph, find_board("ultra96"), plan, depths), folder)
    source = project / "firmware" / "edgekit_network.cpp"
    source.write_text(concurrent(source.read_text()))
    (project / NATIVE / "hls_stream.h").unlink()
    command = [str(require(GXX)), *FLAGS, "-O1", "-pthread", "-isystem", str(BOUNDED), "-isystem", NATIVE]
    sources = ["firmware/edgekit_network.cpp", "simulate.cpp"]
    subprocess.run([*command, *sources, "-o", "simulate"], cwd=project, check=True)
    (project / "inputs").write_bytes(inputs.tobytes())
    done = subprocess.run(["./simulate", "inputs", "outputs"], cwd=project, timeout=300, check=False)
    if done.returncode == 0:
        expected = run(graph, inputs)
        wanted = b"".join(expected[name].tobytes() for name in graph.outputs)
        assert (project / "outputs").read_bytes()[: len(wanted)] == wanted
    return done.returncode


def concurrent(source: str) -> str:
    """The top function with a thread for each kernel's call and the declared depths given to the streams; nothing traced."""
    text = re.sub(r"^ *nnet::save_layer_output.*\n", "", source, flags=re.MULTILINE)
    text = re.sub(r"#pragma HLS STREAM variable=(\w+) depth=(\d+)", r"\1.depth = \2;", text)
    text, calls = re.subn(r"^ *(nnet::\w+<config\w+>\(.*\);)", r"    threads.emplace_back([&] { \1 });", text, flags=re.MULTILINE)
    assert calls > 1
    text = text.replace("#pragma HLS DATAFLOW", "std::vector<std::thread> threads;")
    head, end = text.rsplit("}", 1)
    return f"#include <thread>\n#include <vector>\n{head}    for (std::thread &thread : threads) thread.join();\n}}{end}"
