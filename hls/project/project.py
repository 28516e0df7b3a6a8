"""The HLS project of a network as a plan: relative file name -> bytes. The same arguments always give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any, TypeAlias

import numpy as np

from edgekit.graph import IntegerGraph, Tensor, run
from edgekit.graph.ir import IntArray
from edgekit.hls.dataflow import Dataflow, ample_depths, dataflow_of
from edgekit.hls.folding import FoldingPlan
from edgekit.hls.project.calls import lower_dataflow
from edgekit.hls.project.description import FILE_NAME, Description, describe, to_json
from edgekit.hls.project.model import network_to_hls4ml, set_fifo_depths
from edgekit.hls.project.top import TopFunction, WeightMemory
from edgekit.scratch import scratch_folder
from edgekit.targets import Board
from edgekit.version import __version__

Plan: TypeAlias = dict[str, bytes]

TEST_SEED = 96


def plan_project(graph: IntegerGraph, board: Board, foldings: FoldingPlan, depths: Mapping[str, int] | None = None) -> Plan:
    """Everything that `make csim` and `make ip` need, in a folder that can be moved.

    Args:
        foldings: of every op but reshapes.
        depths: of the FIFOs, by the name of the dataflow's stream; by default `ample_depths`.

    Raises:
        ContractError: the graph breaks the contract.
        EdgekitError: an op has no kernel, or cannot be folded so.
    """
    return _finished(graph, board, plan_simulation(graph, board, foldings, depths), {})


def plan_accelerated_project(
    graph: IntegerGraph, board: Board, foldings: FoldingPlan, depths: Mapping[str, int] | None = None
) -> tuple[Plan, TopFunction]:
    """The same, where `make ip` builds the function edgekit_accelerator of an accelerator.cpp that is yet to be added, around the
    network's top function, which is described."""
    simulation, top = _simulation(graph, board, foldings, depths)
    return _finished(graph, board, simulation, ACCELERATOR_BUILD), top


NETWORK_BUILD = {"top": "edgekit_network", "sources": "firmware/edgekit_network.cpp", "testbench": "testbench.cpp"}
ACCELERATOR_BUILD = {
    "top": "edgekit_accelerator",
    "sources": "firmware/edgekit_network.cpp accelerator.cpp",
    "testbench": "testbench_accelerator.cpp",
}
"""What build_ip.tcl synthesizes."""


def _finished(graph: IntegerGraph, board: Board, simulation: Plan, build: Mapping[str, str]) -> Plan:
    tokens = "A token holds as many channels as the layer at that end works on side by side (the types are in firmware/defines.h)"
    words = {"types": "native", "optimize": "-O2 -march=native -fvect-cost-model=dynamic", "tokens": tokens, **build}
    return complete(graph, board, simulation, words)


def plan_simulation(graph: IntegerGraph, board: Board, foldings: FoldingPlan, depths: Mapping[str, int] | None = None) -> Plan:
    """The part of the project that the C simulation needs."""
    return _simulation(graph, board, foldings, depths)[0]


def _simulation(graph: IntegerGraph, board: Board, foldings: FoldingPlan, depths: Mapping[str, int] | None) -> tuple[Plan, TopFunction]:
    flow = dataflow_of(graph, foldings)
    depths = depths or ample_depths(flow)
    network = lower_dataflow(graph, flow, depths)

    def write(folder: Path) -> Any:
        from edgekit.hls.project.hls4ml_layers import register
        from edgekit.hls.project.writer import write_folded_sources

        register()
        model = network_to_hls4ml(network, board, folder)
        set_fifo_depths(model, flow, depths)
        write_folded_sources(model, folder)
        return model

    model, plan = written(write)
    description = describe(graph, network)
    plan[FILE_NAME] = to_json(description)
    plan["network_io.h"] = _network_io(model, flow, description).encode()
    plan["simulate.cpp"] = template("templates/simulate.cpp").template.encode()
    plan["count.cpp"] = template("templates/count.cpp").substitute(stage_count=len(flow.stages)).encode()
    return plan, _top(model)


def _top(model: Any) -> TopFunction:
    memories = [layer.weights["memory"] for layer in model.get_layers() if layer.get_attr("reader")]
    return TopFunction(
        input_type=model.get_input_variables()[0].type.name,
        output_types=tuple(variable.type.name for variable in model.get_output_variables()),
        memories=tuple(
            WeightMemory(name=one.name, cpp_type=one.type.name, words=one.data_length, word_bytes=one.type.precision.width // 8)
            for one in memories
        ),
    )


def written(write: Callable[[Path], Any]) -> tuple[Any, Plan]:
    """What `write` returns, and the files that it wrote into the folder that it is given."""
    with scratch_folder("hls") as folder:
        model = write(folder)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return model, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def complete(graph: IntegerGraph, board: Board, simulation: Plan, words: Mapping[str, str]) -> Plan:
    """A simulation's files with test data, test bench and scripts. `words`: more of what the scripts' templates ask for."""
    plan = dict(simulation)
    inputs = test_inputs(graph.tensors[graph.input])
    values = run(graph, inputs)
    expected = [values[name][image].tobytes() for image in range(len(inputs)) for name in graph.outputs]
    plan["tb_data/inputs.bin"] = inputs.tobytes()
    plan["tb_data/expected.bin"] = b"".join(expected)
    known = {
        "network": graph.name,
        "version": __version__,
        "board": board.title,
        "part": board.part.name,
        "clock_period_ns": f"{board.clock_period_ns:g}",
        "interface": "\n".join(interface_rows(graph)),
        **NETWORK_BUILD,
    }
    for name in ("Makefile", "build_ip.tcl", "README.md"):
        plan[name] = template(f"templates/{name}").substitute({**known, **words}).encode()
    plan["testbench.cpp"] = template("templates/testbench.cpp").template.encode()
    return dict(sorted(plan.items()))


def test_inputs(tensor: Tensor) -> IntArray:
    """Two images: noise, and a checkerboard of the extreme values."""
    noise = np.random.default_rng(TEST_SEED).integers(tensor.low, tensor.high, tensor.shape, endpoint=True)
    checkerboard = np.where(np.indices(tensor.shape).sum(axis=0) % 2 == 0, tensor.low, tensor.high)
    return np.stack([noise, checkerboard]).astype(tensor.dtype)


def template(path: str) -> Template:
    """`path`: in the package edgekit.hls."""
    return Template(resources.files("edgekit.hls").joinpath(path).read_text())


def words_of_io(model: Any, description: Description) -> dict[str, str]:
    """What the header that tells the simulation programs the network's types and sizes has, whatever the kernels."""
    source, outputs = description.input, description.outputs
    types = [variable.type.name for variable in model.get_output_variables()]
    return {
        "input_values": str(source.values),
        "input_type": model.get_input_variables()[0].type.name,
        "input_signed": "true" if source.signed else "false",
        "declare_outputs": "\n".join(f'    hls::stream<{kind}> output{i}("output{i}");' for i, kind in enumerate(types)),
        "outputs": ", ".join(f"output{i}" for i in range(len(types))),
        "take_outputs": "\n".join(f"    take(output{i}, {output.values}, values);" for i, output in enumerate(outputs)),
    }


def _network_io(model: Any, flow: Dataflow, description: Description) -> str:
    memories = [layer.weights["memory"] for layer in model.get_layers() if layer.get_attr("reader")]
    return template("templates/folded_io.h").substitute(
        words_of_io(model, description),
        stages=", ".join(f'"{stage.name}"' for stage in flow.stages),
        traced=", ".join(f'"{layer.name}"' for layer in description.layers),
        load_memories="\n".join(_load(memory) for memory in memories),
        memories="".join(f", {memory.name}.data()" for memory in memories),
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


def interface_rows(graph: IntegerGraph) -> list[str]:
    """A table for a page: the input and the outputs."""
    rows = ["| | tensor | shape | type | real value of one LSB |", "| --- | --- | --- | --- | --- |"]
    for role, name in [("input", graph.input), *(("output", name) for name in graph.outputs)]:
        tensor = graph.tensors[name]
        shape = " x ".join(map(str, tensor.shape))
        rows.append(f"| {role} | {name} | {shape} | {tensor.dtype} | 2^{-tensor.binary_point} |")
    return rows
