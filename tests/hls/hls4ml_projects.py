"""Whole projects of hls4ml's own kernels, as edgekit would write them: it takes their simulation only, to compare with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekit.graph import IntegerGraph
from edgekit.hls.hls4ml_kernels.lower import lower
from edgekit.hls.hls4ml_kernels.project import plan_hls4ml_simulation
from edgekit.hls.project.model import network_to_hls4ml
from edgekit.hls.project.project import complete
from edgekit.targets.boards import Board


def plan_hls4ml_project(graph: IntegerGraph, board: Board) -> dict[str, bytes]:
    """Everything that `make csim` and `make ip` need, in a folder that can be moved."""
    words = {"types": "ap_types", "optimize": "-O2", "tokens": "A token holds all channels of a position"}
    return complete(graph, board, plan_hls4ml_simulation(graph, board), words)


def to_hls4ml(graph: IntegerGraph, board: Board, folder: Path) -> Any:
    """hls4ml's ModelGraph of an integer graph. `folder`: where hls4ml would write the project; nothing is written yet."""
    from edgekit.hls.hls4ml_kernels.hls4ml_layers import register

    register()
    return network_to_hls4ml(lower(graph), board, folder)
