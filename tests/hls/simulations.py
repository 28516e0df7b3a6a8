"""C simulations that tests look into: every tensor, the iterations of every stage, and every stage a thread of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
from projects import write
from random_graphs import random_inputs

from edgekit.graph import IntegerGraph, check, run
from edgekit.hls.dataflow import dataflow_of
from edgekit.hls.folding import Folding, FoldingPlan
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.simulation.csim import FLAGS, NATIVE, open_simulation
from edgekit.targets.boards import find_board
from edgekit.tools import GXX, require

BOUNDED = Path(__file__).parent / "bounded"
DEADLOCK = 4


def check_folded(graph: IntegerGraph, plan: FoldingPlan, rng: np.random.Generator, folder: Path) -> None:
    check(graph)
    inputs = random_inputs(rng, graph)
    project = write(plan_simulation(graph, find_board("ultra96"), plan), folder / "project")
    with open_simulation(project, lambda _: None) as execute:
        native = execute(inputs)
    assert_equal(graph, inputs, native)
    stages = dataflow_of(graph, plan).stages
    assert iterations(project, folder) == {stage.name: stage.cycles for stage in stages}
    shutil.rmtree(project / NATIVE)
    with open_simulation(project, lambda _: None) as execute:
        exact = execute(inputs)
    assert native.keys() == exact.keys()
    for name in native:
        np.testing.assert_array_equal(native[name], exact[name], err_msg=name)


def assert_equal(graph: IntegerGraph, inputs: np.ndarray, actual: dict[str, np.ndarray]) -> None:
    expected = run(graph, inputs)
    assert set(graph.outputs) <= set(actual)
    for name, values in actual.items():
        assert values.dtype == expected[name].dtype
        np.testing.assert_array_equal(values, expected[name], err_msg=name)


def iterations(project: Path, folder: Path) -> dict[str, int]:
    """Stage -> how often its pipelined loops iterate for one frame, counted in the running C++."""
    program = folder / "count"
    sources = ("firmware/edgekit_network.cpp", "count.cpp")
    command = [str(require(GXX)), *FLAGS, "-O1", "-isystem", NATIVE, "-DEDGEKIT_COUNT", *sources, "-o", str(program)]
    subprocess.run(command, cwd=project, check=True)
    printed = subprocess.run([str(program)], cwd=project, check=True, capture_output=True, text=True).stdout
    return {name: int(count) for name, count in (line.split() for line in printed.splitlines())}


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
