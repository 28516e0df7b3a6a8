"""HLS projects for tests: a graph in which each kernel of both paths occurs, its plan, and a plan written to disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from hand_graphs import Builder, every_product

from edgekit.graph import Conv2D, IntegerGraph, Padding
from edgekit.hls.folding import Folding, WeightPlacement
from edgekit.hls.ops import moderate_foldings
from edgekit.hls.project.project import plan_project
from edgekit.targets.boards import Board


def every_kernel(seed: int = 5) -> IntegerGraph:
    """A graph in which each of our kernels occurs."""
    b = Builder(np.random.default_rng(seed))
    x = b.tensor("image/0:\"'\n", (4, 4, 2), signed=True, binary_point=4)
    same = b.conv("block 1/conv; int main", x, (3, 3), 2, padding=Padding(1, 1, 1, 1), binary_point=4, shifts=(8, 9))
    total = b.add("sum", same, x)
    pooled = b.max_pool("pooled", total, (2, 2), (2, 2))
    wide = b.reshape("wide", b.lookup("curve", pooled, signed=False), (2, 1, 4))
    return b.graph(b.conv("last", wide, (1, 1), 3, shifts=(8,)))


def branches(seed: int = 7) -> IntegerGraph:
    """A depthwise window, and streams that are joined one after the other."""
    b = Builder(np.random.default_rng(seed))
    x = b.tensor("x", (4, 3, 4), signed=True, binary_point=3)
    deep = b.depthwise("deep", x, (3, 3), padding=Padding(1, 1, 1, 1), shifts=(7, 8))
    return b.graph(b.concat("joined", deep, x, b.conv("conv", x, (1, 1), 8)))


def plan_with_memory(graph: IntegerGraph) -> dict[str, Folding]:
    """Moderate foldings; the first convolution reads its weights from memory."""
    plan = moderate_foldings(graph)
    first = next(op.name for op in graph.ops if isinstance(op, Conv2D))
    return {**plan, first: replace(plan[first], weights=WeightPlacement.DDR)}


EVERY_STAGE = (every_kernel, every_product, branches)
"""Graphs in which, so folded, each stage of the registry occurs: those are compiled and run."""


def plan_folded(graph: IntegerGraph, target: Board) -> dict[str, bytes]:
    return plan_project(graph, target, moderate_foldings(graph))


def write(plan: dict[str, bytes], folder: Path) -> Path:
    for name, content in plan.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder
