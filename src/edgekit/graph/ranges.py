"""What integers a tensor may hold, from the op that writes it."""

from __future__ import annotations

from edgekit.graph.ir import Activation, Concat, IntegerGraph, Lookup, MaxPool, Reshape, Slice, clamp_range, op_inputs


def lowest(graph: IntegerGraph, name: str) -> int:
    """No integer of the tensor is below it, whatever the graph's input is."""
    found = {graph.input: graph.tensors[graph.input].low}
    for op in graph.ops:
        if isinstance(op, Lookup):
            found[op.output] = int(op.table.min())
        elif isinstance(op, Concat | MaxPool | Reshape | Slice):
            found[op.output] = min(found[source] for source in op_inputs(op))
        else:
            found[op.output] = clamp_range(getattr(op, "activation", Activation.NONE), graph.tensors[op.output])[0]
    return found[name]
