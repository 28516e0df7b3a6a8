"""The HLS project of a network as a plan: relative file name -> bytes. The same graph and board always give the same bytes."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, TypeAlias

import numpy as np

from edgekit import __version__
from edgekit.graph import IntegerGraph, Tensor, run
from edgekit.graph.ir import IntArray
from edgekit.hls.convert import network_to_hls4ml, pipeline_to_hls4ml
from edgekit.hls.description import FILE_NAME, Description, describe, to_json
from edgekit.hls.folded import lower_pipeline
from edgekit.hls.folding import FoldingPlan
from edgekit.hls.lower import lower
from edgekit.hls.pipeline import Pipeline, ample_depths, pipeline
from edgekit.hls.top import MEMORY_FOLDER, TopFunction, WeightMemory
from edgekit.targets.boards import Board

Plan: TypeAlias = dict[str, bytes]

TEST_SEED = 96


def plan_project(graph: IntegerGraph, board: Board) -> Plan:
    """Everything that `make csim` and `make ip` need, in a folder that can be moved.

    Raises:
        ContractError: the graph breaks the contract.
        EdgekitError: hls4ml cannot express the graph.
    """
    plan = plan_simulation(graph, board)
    return _with_build(plan, graph, board, NETWORK_BUILD)


def plan_folded_project(
    graph: IntegerGraph, board: Board, foldings: FoldingPlan, depths: Mapping[str, int], *, accelerator: bool
) -> tuple[Plan, TopFunction]:
    """The same of a folded pipeline, and what its top function looks like.

    Args:
        accelerator: `make ip` builds edgekit_accelerator of accelerator.cpp, which is not in this plan, instead of the bare network.

    Raises:
        ContractError, EdgekitError: the graph, or the foldings, do not become a pipeline.
    """
    plan, top = _folded(graph, board, foldings, depths)
    return _with_build(plan, graph, board, ACCELERATOR_BUILD if accelerator else NETWORK_BUILD), top


NETWORK_BUILD = {"top": "edgekit_network", "sources": "firmware/edgekit_network.cpp", "testbench": "testbench.cpp"}
ACCELERATOR_BUILD = {
    "top": "edgekit_accelerator",
    "sources": "firmware/edgekit_network.cpp accelerator.cpp",
    "testbench": "testbench_accelerator.cpp",
}


def _with_build(plan: Plan, graph: IntegerGraph, board: Board, build: Mapping[str, str]) -> Plan:
    """A simulation's plan with test vectors, Makefile and scripts."""
    plan = dict(plan)
    inputs = test_inputs(graph.tensors[graph.input])
    values = run(graph, inputs)
    expected = [values[name][image].tobytes() for image in range(len(inputs)) for name in graph.outputs]
    plan["tb_data/inputs.bin"] = inputs.tobytes()
    plan["tb_data/expected.bin"] = b"".join(expected)
    has_memory = any(name.startswith(f"{MEMORY_FOLDER}/") for name in plan)
    words = {
        "network": graph.name,
        "version": __version__,
        "board": board.title,
        "part": board.part.name,
        "clock_period_ns": f"{board.clock_period_ns:g}",
        "interface": "\n".join(_interface(graph)),
        "memory_files": f"add_files -tb {MEMORY_FOLDER}" if has_memory else "# all weights are on chip",
        **build,
    }
    for name in ("Makefile", "build_ip.tcl", "README.md"):
        plan[name] = _template(name).substitute(words).encode()
    plan["testbench.cpp"] = _template("testbench.cpp").template.encode()
    return dict(sorted(plan.items()))


def plan_simulation(graph: IntegerGraph, board: Board) -> Plan:
    """The part of the project that the C simulation needs."""
    network = lower(graph)
    with tempfile.TemporaryDirectory(prefix="edgekit-hls-") as name:
        folder = Path(name)
        model = network_to_hls4ml(network, board, folder)
        from edgekit.hls.writer import write_sources

        write_sources(model, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        plan = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    description = describe(graph, network)
    plan[FILE_NAME] = to_json(description)
    plan["network_io.h"] = _network_io(model, description).encode()
    plan["simulate.cpp"] = _template("simulate.cpp").template.encode()
    return plan


def plan_folded_simulation(graph: IntegerGraph, board: Board, foldings: FoldingPlan, depths: Mapping[str, int] | None = None) -> Plan:
    """The part of a folded project that the C simulation needs. `depths` of the FIFOs by stream, by default `ample_depths`."""
    return _folded(graph, board, foldings, depths)[0]


def _folded(graph: IntegerGraph, board: Board, foldings: FoldingPlan, depths: Mapping[str, int] | None) -> tuple[Plan, TopFunction]:
    pipe = pipeline(graph, foldings)
    with tempfile.TemporaryDirectory(prefix="edgekit-hls-") as name:
        folder = Path(name)
        model = pipeline_to_hls4ml(graph, pipe, depths or ample_depths(pipe), board, folder)
        from edgekit.hls.writer import write_folded_sources

        write_folded_sources(model, folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        plan = {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}
    description = describe(graph, lower_pipeline(graph, pipe, depths or ample_depths(pipe)))
    plan[FILE_NAME] = to_json(description)
    plan["network_io.h"] = _folded_io(model, pipe, description).encode()
    plan["simulate.cpp"] = _template("simulate.cpp").template.encode()
    plan["count.cpp"] = _template("count.cpp").substitute(stage_count=len(pipe.stages)).encode()
    return plan, _top(model)


def _top(model: Any) -> TopFunction:
    memories = [layer.weights["memory"] for layer in model.get_layers() if layer.get_attr("reader")]
    return TopFunction(
        model.get_input_variables()[0].type.name,
        tuple(variable.type.name for variable in model.get_output_variables()),
        tuple(WeightMemory(one.name, one.type.name, one.data_length, one.type.precision.width // 8) for one in memories),
    )


def test_inputs(tensor: Tensor) -> IntArray:
    """Two images: noise, and a checkerboard of the extreme values."""
    noise = np.random.default_rng(TEST_SEED).integers(tensor.low, tensor.high, tensor.shape, endpoint=True)
    checkerboard = np.where(np.indices(tensor.shape).sum(axis=0) % 2 == 0, tensor.low, tensor.high)
    return np.stack([noise, checkerboard]).astype(tensor.dtype)


def _template(name: str) -> Template:
    return Template(resources.files("edgekit.hls").joinpath("templates", name).read_text())


def _network_io(model: Any, description: Description) -> str:
    """The header that tells the simulation programs the network's types and sizes."""
    source, outputs = description.input, description.outputs
    types = [variable.type.name for variable in model.get_output_variables()]
    return _template("network_io.h").substitute(
        input_values=source.values,
        input_type=model.get_input_variables()[0].type.name,
        input_signed="true" if source.signed else "false",
        traced=", ".join(f'{{"{layer.name}", {layer.values}}}' for layer in description.layers),
        declare_outputs="\n".join(f'    hls::stream<{kind}> output{i}("output{i}");' for i, kind in enumerate(types)),
        outputs=", ".join(f"output{i}" for i in range(len(types))),
        take_outputs="\n".join(f"    take(output{i}, {output.values}, values);" for i, output in enumerate(outputs)),
    )


def _folded_io(model: Any, pipe: Pipeline, description: Description) -> str:
    """The same of a folded project; weights in memory are arguments too."""
    source, outputs = description.input, description.outputs
    types = [variable.type.name for variable in model.get_output_variables()]
    memories = [layer.weights["memory"] for layer in model.get_layers() if layer.get_attr("reader")]
    return _template("folded_io.h").substitute(
        input_values=source.values,
        input_type=model.get_input_variables()[0].type.name,
        input_signed="true" if source.signed else "false",
        stages=", ".join(f'"{stage.name}"' for stage in pipe.stages),
        traced=", ".join(f'"{layer.name}"' for layer in description.layers),
        memories="\n".join(_load(memory) for memory in memories),
        declare_outputs="\n".join(f'    hls::stream<{kind}> output{i}("output{i}");' for i, kind in enumerate(types)),
        arguments=", ".join([*(f"output{i}" for i in range(len(types))), *(f"{memory.name}.data()" for memory in memories)]),
        take_outputs="\n".join(f"    take(output{i}, {output.values}, values);" for i, output in enumerate(outputs)),
    )


def _load(memory: Any) -> str:
    """C++ that makes an argument's content, once."""
    words, size = memory.data_length, memory.type.precision.width // 8
    return (
        f"    static std::vector<{memory.type.name}> {memory.name};\n"
        f"    if ({memory.name}.empty()) {{\n"
        f"        {memory.name}.resize({words});\n"
        f'        nnet::load_words<{size}>({memory.name}.data(), {words}, "firmware/memory/{memory.name}.bin");\n'
        "    }"
    )


def _interface(graph: IntegerGraph) -> list[str]:
    rows = ["| | tensor | shape | type | real value of one LSB |", "| --- | --- | --- | --- | --- |"]
    for role, name in [("input", graph.input), *(("output", name) for name in graph.outputs)]:
        tensor = graph.tensors[name]
        shape = " x ".join(map(str, tensor.shape))
        rows.append(f"| {role} | {name} | {shape} | {tensor.dtype} | 2^{-tensor.binary_point} |")
    return rows
