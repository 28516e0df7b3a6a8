"""The HLS project of a network as a plan: relative file name -> bytes. The same graph and board always give the same bytes."""

from __future__ import annotations

import json
import tempfile
from importlib import resources
from math import prod
from pathlib import Path
from string import Template
from typing import Any, TypeAlias

import numpy as np

from edgekit import __version__
from edgekit.graph import IntegerGraph, Tensor, run
from edgekit.graph.ir import IntArray
from edgekit.hls.convert import network_to_hls4ml
from edgekit.hls.lower import Network, lower
from edgekit.targets.boards import Board

Plan: TypeAlias = dict[str, bytes]

DESCRIPTION = "network.json"
"""Names the tensors that the simulation shows, in the order in which it writes them."""
TEST_SEED = 96


def plan_project(graph: IntegerGraph, board: Board) -> Plan:
    """Everything that `make csim` and `make ip` need, in a folder that can be moved.

    Raises:
        ContractError: the graph breaks the contract.
        EdgekitError: hls4ml cannot express the graph.
    """
    plan = plan_simulation(graph, board)
    inputs = test_inputs(graph.tensors[graph.input])
    values = run(graph, inputs)
    expected = [values[name][image].tobytes() for image in range(len(inputs)) for name in graph.outputs]
    plan["tb_data/inputs.bin"] = inputs.tobytes()
    plan["tb_data/expected.bin"] = b"".join(expected)
    words = {
        "network": graph.name,
        "version": __version__,
        "board": board.title,
        "part": board.part.name,
        "clock_period_ns": f"{board.clock_period_ns:g}",
        "interface": "\n".join(_interface(graph)),
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
    description = _describe(graph, network)
    plan[DESCRIPTION] = (json.dumps(description, indent=1) + "\n").encode()
    plan["network_io.h"] = _network_io(graph, model, description).encode()
    plan["simulate.cpp"] = _template("simulate.cpp").template.encode()
    return plan


def test_inputs(tensor: Tensor) -> IntArray:
    """Two images: noise, and a checkerboard of the extreme values."""
    noise = np.random.default_rng(TEST_SEED).integers(tensor.low, tensor.high, tensor.shape, endpoint=True)
    checkerboard = np.where(np.indices(tensor.shape).sum(axis=0) % 2 == 0, tensor.low, tensor.high)
    return np.stack([noise, checkerboard]).astype(tensor.dtype)


def _template(name: str) -> Template:
    return Template(resources.files("edgekit.hls").joinpath("templates", name).read_text())


def _describe(graph: IntegerGraph, network: Network) -> dict[str, Any]:
    """The graph's tensors as the simulation writes them: the outputs, then each traced layer, with the tensors that it carries."""

    def entry(name: str) -> dict[str, Any]:
        tensor = graph.tensors[name]
        return {"name": name, "shape": list(tensor.shape), "signed": tensor.signed}

    traced = [layer["name"] for layer in network.layers if layer.get("trace")]
    carried = {layer: [entry(name) for name, carrier in network.tensors.items() if carrier == layer] for layer in traced}
    return {
        "graph": graph.name,
        "input": entry(graph.input),
        "outputs": [entry(name) for name in graph.outputs],
        "layers": [{"name": layer, "values": prod(network.shapes[layer]), "tensors": tensors} for layer, tensors in carried.items()],
    }


def _network_io(graph: IntegerGraph, model: Any, description: dict[str, Any]) -> str:
    """The header that tells the simulation programs the network's types and sizes."""
    source = graph.tensors[graph.input]
    types = [variable.type.name for variable in model.get_output_variables()]
    sizes = [prod(graph.tensors[name].shape) for name in graph.outputs]
    return _template("network_io.h").substitute(
        input_values=prod(source.shape),
        input_type=model.get_input_variables()[0].type.name,
        input_signed="true" if source.signed else "false",
        traced=", ".join(f'{{"{layer["name"]}", {layer["values"]}}}' for layer in description["layers"]),
        declare_outputs="\n".join(f'    hls::stream<{kind}> output{i}("output{i}");' for i, kind in enumerate(types)),
        outputs=", ".join(f"output{i}" for i in range(len(types))),
        take_outputs="\n".join(f"    take(output{i}, {size}, values);" for i, size in enumerate(sizes)),
    )


def _interface(graph: IntegerGraph) -> list[str]:
    rows = ["| | tensor | shape | type | real value of one LSB |", "| --- | --- | --- | --- | --- |"]
    for role, name in [("input", graph.input), *(("output", name) for name in graph.outputs)]:
        tensor = graph.tensors[name]
        shape = " x ".join(map(str, tensor.shape))
        rows.append(f"| {role} | {name} | {shape} | {tensor.dtype} | 2^{-tensor.binary_point} |")
    return rows
