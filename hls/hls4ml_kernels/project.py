"""The project of hls4ml's own kernels as a plan, for comparison: every channel of a pixel in one token, all weights on chip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.graph import IntegerGraph
from edgekit.hls.hls4ml_kernels.lower import lower
from edgekit.hls.project.description import FILE_NAME, Description, describe, to_json
from edgekit.hls.project.model import network_to_hls4ml
from edgekit.hls.project.project import Plan, template, words_of_io, written
from edgekit.targets import Board


def plan_hls4ml_simulation(graph: IntegerGraph, board: Board) -> Plan:
    """The part of the project that the C simulation needs.

    Raises:
        ContractError: the graph breaks the contract.
        EdgekitError: hls4ml cannot express the graph.
    """
    network = lower(graph)

    def write(folder: Path) -> Any:
        from edgekit.hls.hls4ml_kernels.hls4ml_layers import register
        from edgekit.hls.project.writer import write_sources

        register()
        model = network_to_hls4ml(network, board, folder)
        write_sources(model, folder)
        return model

    model, plan = written(write)
    description = describe(graph, network)
    plan[FILE_NAME] = to_json(description)
    plan["network_io.h"] = _network_io(model, description).encode()
    plan["simulate.cpp"] = template("templates/simulate.cpp").template.encode()
    return plan


def _network_io(model: Any, description: Description) -> str:
    traced = ", ".join(f'{{"{layer.name}", {layer.values}}}' for layer in description.layers)
    return template("hls4ml_kernels/network_io.h").substitute(words_of_io(model, description), traced=traced)
