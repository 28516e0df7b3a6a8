"""The executor around the RTL: what it says of cycles and FIFOs, when it cannot run, and when the pipeline stops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hand_graphs import Builder, extreme_images, residual
from projects import every_kernel
from rtl_tools import needs_verilator

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Observed
from edgekit.graph import IntegerGraph, run
from edgekit.hls.ops import moderate_foldings
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.rtl.executor import EXECUTORS
from edgekit.hls.rtl.sources import prepare, read_top
from edgekit.targets.boards import find_board
from edgekit.verify.executors import NAMES, RTL_VALUES, executors_for

EXECUTOR, _ = EXECUTORS


def small() -> IntegerGraph:
    b = Builder(np.random.default_rng(1))
    x = b.tensor("x", (3, 3, 2), signed=True, binary_point=3)
    return b.graph(b.conv("y", b.max_pool("pooled", x, (2, 2), (1, 1)), (1, 1), 3))


@needs_verilator
def test_it_computes_the_references_integers_and_tells_of_cycles_and_fifos() -> None:
    graph = small()
    inputs = extreme_images(graph.tensors[graph.input], np.random.default_rng(2), noise=2)
    with EXECUTOR.open(Artifact(graph=graph), lambda _: None) as execute:
        found = execute(inputs)
    expected = run(graph, inputs)
    assert {name: int(np.count_nonzero(values != expected[name])) for name, values in found.items()} == dict.fromkeys(graph.tensors, 0)
    assert isinstance(found, Observed)
    frames, fifos = found.remarks
    assert "the first frame ends after" in frames and "the slowest stage takes" in frames
    assert "FIFOs" in fifos and "tokens, full for" in fifos


@pytest.mark.slow
@needs_verilator
def test_a_pipeline_that_stops_says_where() -> None:
    """The skip's FIFO has room for two tokens, where the window beside it needs more than a row before it gives one."""
    graph = residual(np.random.default_rng(3))
    project = plan_simulation(graph, find_board("ultra96"), moderate_foldings(graph))
    file = "firmware/edgekit_network.cpp"
    text = project[file].decode()
    for name, depth in read_top(text).depths.items():
        text = text.replace(f"variable={name} depth={depth}\n", f"variable={name} depth=2\n")
    project[file] = text.encode()
    inputs = extreme_images(graph.tensors[graph.input], np.random.default_rng(2), noise=1)
    said = r"stands still for good in cycle \d+, after 0 of 6 frames; FIFOs that were full: layer2_out_1 \(2 tokens\)"
    with EXECUTOR.open(Artifact(graph=graph, hls_project=project), lambda _: None) as execute, pytest.raises(EdgekitError, match=said):
        execute(inputs)


def test_without_a_tool_it_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEKIT_CLANG", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = "clang is not installed: apt install clang-16; or set EDGEKIT_CLANG to its path"
    assert EXECUTOR.missing(Artifact(graph=every_kernel())) == wanted
    assert EXECUTOR.missing(Artifact(tflite=b"")) == "it needs an HLS project or an integer graph"


def test_it_runs_unasked_for_small_projects_alone() -> None:
    assert "hls-rtl" in NAMES

    def names(graph: IntegerGraph, project: dict[str, bytes] | None) -> set[str]:
        return {one.name for one in executors_for(Artifact(graph=graph, hls_project=project))}

    few, many = small(), residual(np.random.default_rng(1))
    assert sum(np.prod(one.shape) for one in many.tensors.values()) < RTL_VALUES
    b = Builder(np.random.default_rng(1))
    large = b.graph(b.lookup("y", b.tensor("x", (40, 40, 1), signed=True, binary_point=0), signed=True))
    assert "hls-rtl" in names(few, {}) and "hls-rtl" in names(many, {})
    assert "hls-rtl" not in names(few, None) | names(large, {})


def test_a_folder_without_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match="name a folder that 'edgekit hls' wrote"):
        prepare(tmp_path, tmp_path / "made")
    with pytest.raises(EdgekitError, match="has no function edgekit_network"):
        read_top("int main() {}")
