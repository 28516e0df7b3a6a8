"""A kernel cannot exist untested, nor half: what is in the folder is in the registry, states all that is asked of it, and is run."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from projects import EVERY_STAGE, plan_with_memory
from token_flow import LOOPS

from edgekit.graph import IntegerGraph
from edgekit.hls.dataflow import dataflow_of
from edgekit.hls.kernels.base import Stage
from edgekit.hls.kernels.registry import HEADERS, KERNELS, STAGES, Kernel

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "hls" / "kernels"
SEARCHED = ("hls", "src/edgekit", "fpga_projects", "benchmarks")
STATED = ("sources", "carries", *sorted(Stage.__abstractmethods__))
OF_ITS_OWN = ("sources", "carries", "parts", "held", "memories", "multipliers", "ddr_bytes", "pace", "call")
"""What a stage shares with no other one, of the same kernel either: here a zero or nothing that was inherited would look true."""


def test_every_header_and_module_of_the_folder_is_in_the_registry() -> None:
    assert sorted(path.name for path in FOLDER.glob("*.h")) == sorted(HEADERS)
    modules = {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base", "luts", "registry"}
    assert sorted(f"edgekit_{name}.h" for name in modules) == sorted(HEADERS)


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_every_stage_of_a_module_is_in_the_registry_and_calls_what_is_in_its_header(kernel: Kernel) -> None:
    module = import_module(f"edgekit.hls.kernels.{kernel.name}")
    of_module = {one for _, one in inspect.getmembers(module, inspect.isclass) if one.__module__ == module.__name__}
    bases = {base for one in of_module for base in one.__bases__}
    assert {one for one in of_module - bases if issubclass(one, Stage)} == set(kernel.stages)
    assert all(base not in kernel.stages for base in bases)  # no stage is another one with a difference
    kernels = re.findall(r"\bvoid (\w+)\(hls::stream", (FOLDER / kernel.header).read_text())
    texts = {node.value for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Constant)}
    assert set(kernels) <= texts and len(kernels) == len(kernel.stages)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
def test_every_stage_states_all_that_is_true_of_it(stage: type[Stage]) -> None:
    """In its kernel's module; what could be inherited unseen, itself."""
    own = {name for ancestor in stage.__mro__ if ancestor.__module__ == stage.__module__ for name in vars(ancestor)}
    assert [name for name in STATED if name not in own] == []
    assert [name for name in OF_ITS_OWN if name not in vars(stage)] == []


def test_a_stage_that_lacks_a_statement_cannot_be_made() -> None:
    class Half(Stage):
        held = None

    with pytest.raises(TypeError, match="abstract method"):
        Half("half", "y")  # type: ignore[abstract]


def test_every_stage_has_a_loop_nest_of_its_own_in_the_flow_of_tokens() -> None:
    assert set(LOOPS) == set(STAGES)


@pytest.mark.parametrize("make", EVERY_STAGE)
def test_loop_nests_iterate_read_and_write_as_their_stages_say(make: Callable[[], IntegerGraph]) -> None:
    graph = make()
    flow = dataflow_of(graph, plan_with_memory(graph))
    for stage in flow.stages:
        iterations = list(LOOPS[type(stage)](stage))
        assert len(iterations) == stage.cycles, stage
        assert sum(writes for _, writes in iterations) == stage.written.tokens, stage
        inputs = sorted(flow.inputs(stage), key=lambda stream: stream.carries_weights)
        for slot, stream in enumerate(inputs):
            reads = [one[slot] if isinstance(one, tuple) else one for one, _ in iterations]
            assert sum(reads) == stream.tokens, (stage, stream)


def test_the_graphs_that_are_compiled_and_run_have_every_stage() -> None:
    graphs = [make() for make in EVERY_STAGE]
    assert {type(stage) for graph in graphs for stage in dataflow_of(graph, plan_with_memory(graph)).stages} == set(STAGES)


def test_nobody_but_the_kernels_asks_which_stage_one_is() -> None:
    """A stage says itself what is true of it: whoever asked for its type would have to be found again for the next kernel."""
    found = []
    for path in (path for folder in SEARCHED for path in (ROOT / folder).rglob("*.py") if FOLDER not in path.parents):
        tree = ast.parse(path.read_text())
        kernels = _from_kernels(tree)
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if isinstance(call.func, ast.Name) and call.func.id in ("isinstance", "issubclass"):
                kinds = {node.id for node in ast.walk(call.args[1]) if isinstance(node, ast.Name) and node.id in kernels}
                found += [f"{path.relative_to(ROOT)}:{call.lineno}: {kind}" for kind in kinds]
    assert found == []


def _from_kernels(tree: ast.AST) -> set[str]:
    """Modules, stages and others that are imported from the kernels' package."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    kernels = [node for node in imports if (node.module or "").startswith("edgekit.hls.kernels")]
    return {one.asname or one.name for node in kernels for one in node.names}


def test_that_test_finds_one() -> None:
    tree = ast.parse(
        "from edgekit.hls.kernels import tokens\nfrom edgekit.hls.kernels.matvec import MatVec as Matrix\nfrom x import MatMul"
    )
    assert _from_kernels(tree) == {"tokens", "Matrix"}
