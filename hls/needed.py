"""What of a graph becomes hardware: the ops that some output depends on, and what they are called in C++."""

from __future__ import annotations

import re

from edgekit.graph import IntegerGraph, Op, op_inputs

NAME_MAX = 48
"""Longer names of ops are cut in the C++; the number before them keeps them apart."""


def needed(graph: IntegerGraph) -> tuple[Op, ...]:
    """Ops that some output depends on: a stream that nobody reads would stall the hardware."""
    wanted, found = set(graph.outputs), []
    for op in reversed(graph.ops):
        if op.output in wanted:
            wanted.update(op_inputs(op))
            found.append(op)
    return tuple(reversed(found))


def cpp_name(number: int, op: str) -> str:
    """An identifier for the op of this name, which is the `number`th that becomes hardware."""
    return f"n{number}_{re.sub('[^A-Za-z0-9]+', '_', op).strip('_').lower()[:NAME_MAX]}"
