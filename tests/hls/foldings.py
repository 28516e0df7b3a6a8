"""Folding plans for tests."""

from __future__ import annotations

import numpy as np

from edgekit.graph import IntegerGraph, Op
from edgekit.hls.folding import Folding
from edgekit.hls.ops import legal_foldings


def random_plan(graph: IntegerGraph, rng: np.random.Generator) -> dict[str, Folding]:
    """A legal folding of every op, each as likely as another: half of the matrices read their weights from memory."""
    return {op.name: _draw(graph, op, rng) for op in graph.ops if any(legal_foldings(graph, op))}


def _draw(graph: IntegerGraph, op: Op, rng: np.random.Generator) -> Folding:
    legal = list(legal_foldings(graph, op))
    return legal[int(rng.integers(len(legal)))]
