"""What integers a tensor may hold, from the op that writes it."""

from __future__ import annotations

from edgekit.graph.ir import Activation, Concat, IntegerGraph, Lookup, MaxPool, Reshape, Slice, clamp_range, op_inputs


def lowest(graph: IntegerGraph, name: str) -> int:
    """No integer of the tensor is below it, whatever the graph's input is."""
    producers = {op.output: op for op in graph.ops}
    if name not in producers:
        return graph.tensors[name].low
    op = producers[name]
    if isinstance(op, Lookup):
        return int(op.table.min())
    if isinstance(op, Concat | MaxPool | Reshape | Slice):
        return min(lowest(graph, source) for source in op_inputs(op))
    return clamp_range(getattr(op, "activation", Activation.NONE), graph.tensors[name])[0]
