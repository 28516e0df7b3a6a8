"""What integers a tensor may hold, from the op that writes it."""

from __future__ import annotations

from edgekit.graph.ir import (
    Activation,
    Concat,
    IntegerGraph,
    Lookup,
    MaxPool,
    Multiply,
    ProductOp,
    Reshape,
    Slice,
    clamp_range,
    op_inputs,
)


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


def accumulator_range(graph: IntegerGraph, op: ProductOp) -> tuple[int, int]:
    """The lowest and highest accumulator that any inputs of the types give, bias included."""
    x, y = (graph.tensors[name] for name in op.inputs)
    corners = [a * b for a in (x.low, x.high) for b in (y.low, y.high)]
    if isinstance(op, Multiply):
        return min(corners), max(corners)
    terms = x.shape[-1] // op.heads
    return terms * min(corners) + int(op.bias.min()), terms * max(corners) + int(op.bias.max())
