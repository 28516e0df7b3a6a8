"""The contract checker: proves, without running anything, that every executor will compute the same integers.

The rule numbers are those of docs/numerics.md. Rule 0 is what makes the graph a graph: names, shapes, types and order. `RULES` has
those of each op.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from edgekit.errors import ContractError
from edgekit.graph.ir import (
    Activation,
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    MovingOp,
    Multiply,
    Op,
    ProductOp,
    Reshape,
    Slice,
    WeightedOp,
    op_inputs,
)
from edgekit.graph.names import unusable_names
from edgekit.graph.ranges import FLOAT32_INTEGERS, accumulator_bound, product_bound
from edgekit.graph.requantize import SHIFT_MAX, SHIFT_MIN, product_shift, requantize_of, shifts_of
from edgekit.graph.shapes import BINARY_POINT_MAX, ShapeError, output_shape

WEIGHT_STEP, WEIGHT_MAX = 4, 124
BIAS_MODULUS, BIAS_REMAINDER = 4, 2
SHIFT_NEVER = 2
SHIFT_ALWAYS_EXACT = 16
ACCUMULATOR_FLOAT32 = 2 * FLOAT32_INTEGERS
"""Under rule 1 accumulators, and their partial sums in any order, are even: float32 holds all that are below this."""
ACCUMULATOR_MAX = 1 << 31
RANK_MAX = 5
"""Dimensions without the batch: XNNPACK's tensors have at most six (XNN_MAX_TENSOR_DIMS)."""
CLAMP_ROOM = 128
"""LSBs of an output between 0 and its lowest integer, -128, or what it is stored minus, 128."""


@dataclass(frozen=True)
class Violation:
    tensor: str
    rule: int
    message: str

    def __str__(self) -> str:
        return f"tensor '{self.tensor}' breaks rule {self.rule}: {self.message}"


def check(graph: IntegerGraph) -> None:
    """Raises ContractError naming the tensors and the rules that fail."""
    found = list(violations(graph))
    if found:
        more = f"\n... and {len(found) - 5} more" if len(found) > 5 else ""
        raise ContractError("\n".join(str(v) for v in found[:5]) + more)


def violations(graph: IntegerGraph) -> Iterator[Violation]:
    """Every breach, in graph order. Numeric rules are looked at only in a well-formed graph."""
    structural = list(_structure(graph))
    if structural:
        yield from structural
        return
    for op in graph.ops:
        for rule in RULES[type(op)]:
            yield from rule(graph, op)


def sum_leaves_float32(graph: IntegerGraph, op: WeightedOp) -> bool:
    """Whether an accumulator, or a part of its sum, may be a number that float32 does not hold."""
    return int(accumulator_bound(graph, op).max()) >= ACCUMULATOR_FLOAT32


def _structure(graph: IntegerGraph) -> Iterator[Violation]:
    for name, tensor in graph.tensors.items():
        if tensor.name != name:
            yield Violation(name, 0, f"is stored under another name, '{tensor.name}'")
        if tensor.bits != 8:
            yield Violation(name, 0, f"activations have 8 bits, not {tensor.bits}")
        if not tensor.shape or min(tensor.shape) < 1:
            yield Violation(name, 0, f"shape {tensor.shape} is empty")
        if len(tensor.shape) > RANK_MAX:
            yield Violation(name, 0, f"has {len(tensor.shape)} dimensions, more than {RANK_MAX}")
        if abs(tensor.binary_point) > BINARY_POINT_MAX:
            yield Violation(name, 0, f"binary point {tensor.binary_point} is outside +-{BINARY_POINT_MAX}")
    yield from (Violation(name, 0, problem) for name, problem in unusable_names(graph))
    if graph.input in graph.outputs:
        yield Violation(graph.input, 0, "is the input; an output has to be computed by an op")
    ready = {graph.input}
    for name in (graph.input, *graph.outputs):
        if name not in graph.tensors:
            yield Violation(name, 0, "is an input or output of the graph but not one of its tensors")
            return
    for op in graph.ops:
        missing = [name for name in op_inputs(op) if name not in ready]
        if missing or op.output not in graph.tensors:
            yield Violation(op.output, 0, f"op '{op.name}' reads {missing} before they are computed, or writes no tensor of the graph")
            return
        if op.output in ready:
            yield Violation(op.output, 0, f"op '{op.name}' writes it a second time")
        ready.add(op.output)
        problem = _shape_problem(graph, op)
        if problem:
            yield Violation(op.output, 0, f"op '{op.name}': {problem}")
    for name in graph.tensors:
        if name not in ready:
            yield Violation(name, 0, "no op computes it")
    if not graph.outputs or len(set(graph.outputs)) != len(graph.outputs):
        yield Violation(graph.input, 0, "the graph needs outputs, each once")
    if len({op.name for op in graph.ops}) != len(graph.ops):
        yield Violation(graph.input, 0, "two ops have the same name")


def _shape_problem(graph: IntegerGraph, op: Op) -> str | None:
    """What is wrong with the shapes and types around one op, or None."""
    output = graph.tensors[op.output]
    try:
        shape = output_shape(op, [graph.tensors[name] for name in op_inputs(op)], output.shape)
    except ShapeError as error:
        return str(error)
    return None if shape == output.shape else f"gives shape {shape}, the tensor has {output.shape}"


def _accumulator_rules(graph: IntegerGraph, op: WeightedOp) -> Iterator[Violation]:
    name = op.output
    wide = op.weights.astype(np.int64)
    bad = np.argwhere((wide % WEIGHT_STEP != 0) | (np.abs(wide) > WEIGHT_MAX))
    if len(bad):
        at = tuple(int(i) for i in bad[0])
        yield Violation(
            name, 1, f"weight {wide[at]} at {at} of '{op.name}' is no multiple of 4 in -124..124 ({len(bad)} of {wide.size} weights)"
        )
    odd = np.flatnonzero(op.bias.astype(np.int64) % BIAS_MODULUS != BIAS_REMAINDER)
    if len(odd):
        yield Violation(name, 1, f"bias {op.bias[odd[0]]} of channel {odd[0]} of '{op.name}' is not 2 modulo 4")
    bounds = accumulator_bound(graph, op)
    for channel, (n, bound) in enumerate(zip(shifts_of(graph, op), bounds.tolist(), strict=True)):
        where = f"channel {channel} of '{op.name}'"
        if n == SHIFT_NEVER:
            yield Violation(name, 2, f"{where} shifts by 2, where roundings differ")
        elif not SHIFT_MIN <= n <= SHIFT_MAX:
            yield Violation(name, 2, f"{where} shifts by {n}, outside {SHIFT_MIN}..{SHIFT_MAX}")
        elif n > SHIFT_ALWAYS_EXACT and bound >= ACCUMULATOR_FLOAT32:
            yield Violation(name, 3, f"{where} shifts by {n} > 16 and its accumulator may reach {bound} >= 2**25")
        elif bound << _left_shift(n) >= ACCUMULATOR_MAX:
            yield Violation(name, 3, f"{where}: its accumulator may reach {bound}, {2 ** _left_shift(n)} times which leaves int32")


def _product_rules(graph: IntegerGraph, op: ProductOp) -> Iterator[Violation]:
    """The requantize of a product is int32 arithmetic: it is exact as long as nothing leaves int32.

    That is the accumulator, half an output LSB, and the 128 LSBs between 0 and the lowest integer or TFLite's zero point: an executor
    may clamp, or subtract the zero point, before it shifts.
    """
    n, bound = product_shift(graph, op), product_bound(graph, op)
    if not 0 <= n <= SHIFT_MAX:
        yield Violation(op.output, 8, f"'{op.name}' shifts by {n}, outside 0..{SHIFT_MAX}")
    elif bound + requantize_of(graph, op).rounding_constants[0] + (CLAMP_ROOM << n) >= ACCUMULATOR_MAX:
        yield Violation(op.output, 8, f"the accumulator of '{op.name}' may reach {bound}; rounded and clamped it leaves int32")


def _signed_factors(graph: IntegerGraph, op: MatMul) -> Iterator[Violation]:
    for source in (graph.tensors[name] for name in op.inputs):
        if not source.signed:
            yield Violation(op.output, 8, f"'{op.name}' reads '{source.name}', which is unsigned; TFLite's product knows no zero point")


def _one_binary_point(graph: IntegerGraph, op: Add) -> Iterator[Violation]:
    output = graph.tensors[op.output]
    for source in (graph.tensors[name] for name in op.inputs):
        if source.binary_point != output.binary_point:
            problem = f"adds '{source.name}' with binary point {source.binary_point} into binary point {output.binary_point}"
            yield Violation(output.name, 4, problem)


def _same_type(graph: IntegerGraph, op: MovingOp) -> Iterator[Violation]:
    output = graph.tensors[op.output]
    for source in (graph.tensors[name] for name in op_inputs(op)):
        if (source.signed, source.binary_point) != (output.signed, output.binary_point):
            yield Violation(output.name, 6, f"'{op.name}' does not change a type, but '{source.name}' has another one")


def _whole_table(graph: IntegerGraph, op: Lookup) -> Iterator[Violation]:
    output, table = graph.tensors[op.output], op.table
    if table.shape != (256,) or table.dtype != output.dtype or table.min() < output.low or table.max() > output.high:
        yield Violation(output.name, 7, f"the table of '{op.name}' is not 256 integers of type {output.dtype}")


def _whole_six(graph: IntegerGraph, op: WeightedOp | Add | MatMul) -> Iterator[Violation]:
    output = graph.tensors[op.output]
    if op.activation is Activation.RELU6 and output.binary_point < -1:
        yield Violation(output.name, 6, f"6 is no integer at binary point {output.binary_point}; use a plain ReLU")


def _left_shift(n: int) -> int:
    """How far TFLite shifts an accumulator left, in int32, before it multiplies.

    Its multiplier lies in [1/2, 1): 2**-n is 1/2 * 2**(1-n), so already n = 0 doubles. A depthwise convolution with weight 4, bias
    2**30 + 2 and n = 0 gives 127 in XNNPACK and, the sign bit being reached, -128 in the reference and optimized kernels.
    """
    return max(0, 1 - n)


_Rule: TypeAlias = Callable[[IntegerGraph, Any], Iterator[Violation]]

RULES: Mapping[type[Op], tuple[_Rule, ...]] = {
    Conv2D: (_accumulator_rules, _whole_six),
    DepthwiseConv2D: (_accumulator_rules, _whole_six),
    DepthwiseConv2DTranspose: (_accumulator_rules, _whole_six),
    Dense: (_accumulator_rules, _whole_six),
    Add: (_one_binary_point, _whole_six),
    Multiply: (_product_rules,),
    MatMul: (_product_rules, _signed_factors, _whole_six),
    Concat: (_same_type,),
    Slice: (_same_type,),
    MaxPool: (_same_type,),
    Lookup: (_whole_table,),
    Reshape: (_same_type,),
}
"""What is asked of the numbers of each op, once the graph is well formed."""
