"""What of a graph becomes hardware: the ops that some output depends on, what carries a reshaped tensor, and names in C++."""

from __future__ import annotations

import re

from edgekit.graph import IntegerGraph, Op, Reshape, op_inputs

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


def carriers(graph: IntegerGraph) -> dict[str, str]:
    """A reshaped tensor -> the one whose stream carries it: a reshape is no hardware."""
    found: dict[str, str] = {}
    for op in graph.ops:
        if isinstance(op, Reshape):
            found[op.output] = found.get(op.input, op.input)
    return found


def cpp_name(number: int, op: str) -> str:
    """An identifier for the op of this name, which is the `number`th that becomes hardware."""
    return f"n{number}_{re.sub('[^A-Za-z0-9]+', '_', op).strip('_').lower()[:NAME_MAX]}"
