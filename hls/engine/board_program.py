"""The program of a network for the engine of a board, made once a run: writing, checking and simulating a project ask for the same one."""

from __future__ import annotations

from functools import lru_cache

from edgekit.graph import IntegerGraph
from edgekit.hls.engine.compiler import compile_graph
from edgekit.hls.engine.cost import Design
from edgekit.hls.engine.estimate import ddr_rate
from edgekit.hls.engine.program import Program
from edgekit.targets import Board

ENGINE_FACTS = "engine.json"
"""The file by which a project is known as one of an engine."""


@lru_cache(maxsize=4)
def program_for(graph: IntegerGraph, design: Design, board: Board) -> Program:
    """Raises EdgekitError: the network does not fit the engine."""
    return compile_graph(graph, design.size, ddr_rate(design, board))
