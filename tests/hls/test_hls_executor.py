"""The executor around the simulation: what it says when it cannot run, and that a failing child stays a child."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from hand_graphs import Builder, extreme_images
from projects import every_kernel, plan_folded, write

from edgekit.errors import ContractError, EdgekitError
from edgekit.executor import Artifact, Executor
from edgekit.graph import IntegerGraph, run
from edgekit.hls.hls4ml_kernels.lower import lower
from edgekit.hls.simulation.csim import open_simulation
from edgekit.hls.simulation.executors import EXECUTORS
from edgekit.targets.boards import find_board

CSIM, EXACT, HLS4ML = EXECUTORS


def broken() -> IntegerGraph:
    """A weight that is no multiple of 4."""
    graph = every_kernel()
    graph.ops[0].weights[0, 0, 0, 0] = 5  # type: ignore[union-attr]
    return graph


def test_without_a_compiler_it_says_which_variable_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("EDGEKIT_CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    artifact = Artifact(graph=every_kernel())
    assert CSIM.missing(artifact) == "g++ is not installed: apt install g++; or set EDGEKIT_CXX to its path"
    monkeypatch.setenv("EDGEKIT_CXX", "/no/such/compiler")
    assert "EDGEKIT_CXX is '/no/such/compiler', which is no program that can be run" in str(CSIM.missing(artifact))


@pytest.mark.csim
@pytest.mark.skipif(shutil.which("clang++") is None, reason="no clang++")
@pytest.mark.parametrize(
    "executor", [CSIM, *(pytest.param(one, marks=pytest.mark.slow) for one in (EXACT, HLS4ML))], ids=lambda executor: executor.name
)
def test_where_clang_is_the_only_compiler_it_computes_the_same(executor: Executor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `edgekit doctor` says: the simulation needs g++ or clang++."""
    program = Path(str(shutil.which("clang++"))).resolve()
    (tmp_path / "clang++").symlink_to(program)
    for name in ("ld", "as"):
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    monkeypatch.delenv("EDGEKIT_CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    graph = every_kernel()
    assert executor.missing(Artifact(graph=graph)) is None
    inputs = extreme_images(graph.tensors[graph.input], np.random.default_rng(2), noise=2)
    with executor.open(Artifact(graph=graph), lambda _: None) as simulate:
        computed = simulate(inputs)
    expected = run(graph, inputs)
    assert {name: int(np.count_nonzero(values != expected[name])) for name, values in computed.items()} == dict.fromkeys(expected, 0)


def test_what_cannot_be_simulated_is_said() -> None:
    assert CSIM.missing(Artifact(tflite=b"")) == "it needs an HLS project or an integer graph"
    assert HLS4ML.missing(Artifact(hls_project={})) == "it needs an integer graph"
    assert "breaks rule 1: weight 5" in str(CSIM.missing(Artifact(graph=broken())))


def test_a_graph_that_breaks_the_contract_is_refused() -> None:
    with pytest.raises(ContractError, match="weight 5"):
        plan_folded(broken(), find_board("ultra96"))


def test_too_many_readers_are_refused_where_hls4ml_copies_the_stream() -> None:
    """hls4ml copies a stream 7 times: seven ops may read one tensor, eight may not."""

    def graph(readers: int) -> IntegerGraph:
        b = Builder(np.random.default_rng(0))
        x = b.tensor("x", (1, 1, 1), signed=True, binary_point=0)
        return b.graph(*(b.lookup(f"y{i}", x, signed=True) for i in range(readers)))

    assert len(lower(graph(7)).outputs) == 7
    with pytest.raises(EdgekitError, match="tensor 'x' of 'hand made' is read 8 times"):
        lower(graph(8))


@pytest.mark.parametrize("content", [None, b"", b"[]", b"{}", b'{"graph": "g", "input": 1}', b"\xff"])
def test_files_that_are_no_project_are_refused(content: bytes | None) -> None:
    project = {} if content is None else {"network.json": content}
    with pytest.raises(EdgekitError, match="is no HLS project of edgekit"), CSIM.open(Artifact(hls_project=project), lambda _: None):
        pass


@pytest.mark.csim
@needs_compiler
def test_a_project_that_does_not_compile_is_reported() -> None:
    project = {**plan_folded(every_kernel(), find_board("ultra96")), "simulate.cpp": b"this is not C++"}
    with pytest.raises(EdgekitError, match="does not compile"), CSIM.open(Artifact(hls_project=project), lambda _: None):
        pass


@pytest.mark.csim
@needs_compiler
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("__builtin_trap();", "was killed by signal"),
        ('std::fprintf(stderr, "lost"); return 3;', "ended with code 3: lost"),
        ("return 0;", "wrote 0 bytes for"),
    ],
)
def test_a_simulation_that_crashes_is_reported(body: str, message: str) -> None:
    """The program is replaced by one that fails: what the network's own C++ would do, were it wrong."""
    plan = {"network.json": plan_folded(every_kernel(), find_board("ultra96"))["network.json"], "firmware/edgekit_network.cpp": b""}
    program = '#include <cstdio>\nint main(int, char **a) { std::fclose(std::fopen(a[2], "wb")); ' + body + " }\n"
    project = {**plan, "simulate.cpp": program.encode()}
    with CSIM.open(Artifact(hls_project=project), lambda _: None) as simulate, pytest.raises(EdgekitError, match=message):
        simulate(np.zeros((3, 4, 4, 2), np.int8))


@pytest.mark.csim
@needs_compiler
def test_a_project_is_simulated_as_it_stands(tmp_path: Path) -> None:
    """A project whose weights were changed computes other integers than the graph: the files are what runs. A folder is only read."""
    graph = every_kernel()
    project = write(plan_folded(graph, find_board("ultra96")), tmp_path)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    inputs = np.random.default_rng(1).integers(-128, 127, (2, 4, 4, 2)).astype(np.int8)
    notes: list[str] = []
    with open_simulation(project, notes.append) as simulate:
        first = simulate(inputs)
        weights = min((tmp_path / "firmware" / "weights").glob("weight*.txt"), key=lambda path: int(path.stem.removeprefix("weight")))
        weights.write_text(", ".join("0" for _ in weights.read_text().split(",")))
        second = simulate(inputs)
    assert notes == ["compiling the C simulation"]
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before
    changed = json.loads((tmp_path / "network.json").read_bytes())["layers"][0]["tensors"][0]["name"]
    assert np.any(first[changed] != second[changed])
    files = {path.relative_to(tmp_path).as_posix(): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with CSIM.open(Artifact(graph=graph, hls_project=files), lambda _: None) as simulate:
        third = simulate(inputs)
    assert all(np.array_equal(second[name], third[name]) for name in second)
