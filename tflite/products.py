"""Products of two activations in TFLite: int32 operations that every kernel set computes alike.

An int8 MUL or BATCH_MATMUL requantizes, and rounds, in a way of its own in each kernel set. So the product is taken in int32, and
the half-up requantize of the contract follows as ops:

    ADD (relu)     t = acc + bias + 2**(n-1) - low * 2**n, not below 0
    RIGHT_SHIFT    t >> n, which is max(out, low) - low
    SUB (relu)     u = (high - low) - t, not below 0
    SUB            (high + zero_point) - u
    CAST           to int8

The clamps are fused relus, and stand as such, because kernels run additions of a constant many times faster than MAXIMUM and MINIMUM,
which look every element's index up. A clamp that no input reaches is left out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.graph import IntegerGraph, MatMul, Multiply, Tensor, lowest, requantize_of
from edgekit.graph.ir import IntArray, ProductOp
from edgekit.tflite.flatbuffer import ModelBuilder, OpKind
from edgekit.tflite.tensors import ADD_INT32, CAST, STORED_LOW, constant_int32, map_tensor, quantization, reshape, reshape_to, transpose_to

BATCH_MATMUL = OpKind("BATCH_MATMUL", 2, (2, 3, 0))
MUL_INT32 = OpKind("MUL", 1)
RIGHT_SHIFT = OpKind("RIGHT_SHIFT", 1, (2, 14, 0))
SUB_INT32 = OpKind("SUB", 1)


def multiply(builder: ModelBuilder, graph: IntegerGraph, op: Multiply) -> None:
    from ai_edge_litert import schema_py_generated as schema

    output = graph.tensors[op.output]
    factors = [_widen(builder, f"{op.name}/{which}", graph.tensors[name]) for which, name in zip("xy", op.inputs, strict=True)]
    product = _step(builder, MUL_INT32, f"{op.name}/product", factors, (1, *output.shape), schema.MulOptionsT())
    _requantize(builder, graph, op, product, np.zeros(1, np.int32), op.output)


def matmul(builder: ModelBuilder, graph: IntegerGraph, op: MatMul) -> None:
    """Heads become a dimension in front of the cells, (1, heads, cells, columns), for the inputs and back for the output.

    BATCH_MATMUL multiplies rows by rows: with adj_y it takes y as it lies, without it transposes y in memory of its own. So y has its
    cells as rows for x * y^T, and as columns for x * y.
    """
    from ai_edge_litert import schema_py_generated as schema

    (x, y), output = (graph.tensors[name] for name in op.inputs), graph.tensors[op.output]
    factors = [_heads(builder, x, op.heads, "rows"), _heads(builder, y, op.heads, "rows" if op.transpose_y else "columns")]
    rows, columns = builder.shape(factors[0])[2], builder.shape(factors[1])[2]
    shape = (op.heads, rows, columns)

    def product_of(name: str, left: str) -> str:
        builder.tensor(name, (1, *shape), np.int32, quantization(x.scale * y.scale))
        builder.operator(BATCH_MATMUL, [left, factors[1]], name, schema.BatchMatMulOptionsT(adjY=True))
        return name

    product = f"{op.name}/product"
    if all(lowest(graph, name) == STORED_LOW for name in op.inputs):
        raised, below = _apart(builder, f"{op.name}/x", factors[0], x)
        parts = [product_of(f"{product}/raised", raised), product_of(f"{product}/below", below)]
        _step(builder, SUB_INT32, product, parts, (1, *shape), schema.SubOptionsT())
    else:
        product_of(product, factors[0])
    bias = op.bias
    if bias.size > 1:
        bias = bias.reshape(1, rows, op.heads, columns).transpose(0, 2, 1, 3)
    # The heads are kept: a product that reads this one, as the second of attention does, needs no transposition of it.
    heads = map_tensor(builder, f"{op.name}/heads", shape, output)
    builder.layouts[output.name, op.heads, "rows"] = heads
    _requantize(builder, graph, op, product, bias.reshape(-1) if bias.size == 1 else bias, heads)
    if op.heads > 1:
        heads = transpose_to(builder, heads, f"{op.name}/cells", (0, 2, 1, 3), output)
    reshape(builder, op.name, heads, op.output, output.shape)


def _apart(builder: ModelBuilder, name: str, x: str, like: Tensor) -> tuple[str, str]:
    """Two int8 tensors whose difference is x: x with -127 for each -128, and 1 where that was, else 0.

    Arm kernels add two neighbouring int8 products in 16 bits, where 2 * -128 * -128 is -2**15: in tflite-runtime 2.14 a BATCH_MATMUL of
    maps that are all -128 is wrong. With -127 in one of them two products are within 2 * 127 * 128.
    """
    from ai_edge_litert import schema_py_generated as schema

    types, shape = schema.TensorType, builder.shape(x)
    wide = _step(builder, CAST, f"{name}/wide", [x], shape, schema.CastOptionsT(types.INT8, types.INT32))
    below = _minus(builder, f"{name}/is_lowest", STORED_LOW + 1, wide, relu=True)
    raised = _step(builder, ADD_INT32, f"{name}/raised", [wide, below], shape, schema.AddOptionsT())

    def narrow(value: str) -> str:
        result = map_tensor(builder, f"{value}/int8", shape[1:], like)
        builder.operator(CAST, [value], result, schema.CastOptionsT(types.INT32, types.INT8))
        return result

    return narrow(raised), narrow(below)


def _widen(builder: ModelBuilder, name: str, tensor: Tensor) -> str:
    """The graph's integers as int32: what is stored, minus the zero point."""
    from ai_edge_litert import schema_py_generated as schema

    shape, types = builder.shape(tensor.name), schema.TensorType
    wide = _step(builder, CAST, name, [tensor.name], shape, schema.CastOptionsT(types.INT8, types.INT32))
    return wide if tensor.signed else _plus(builder, f"{name}/integers", wide, np.array([-STORED_LOW]))


def _heads(builder: ModelBuilder, tensor: Tensor, heads: int, cells: str) -> str:
    """A map as matrices, one a head, with its cells as "rows" or "columns": made where it is first needed."""
    layout = (tensor.name, heads, cells)
    if layout not in builder.layouts:
        builder.layouts[layout] = _split_heads(builder, tensor, heads, cells)
    return builder.layouts[layout]


def _split_heads(builder: ModelBuilder, tensor: Tensor, heads: int, cells: str) -> str:
    name = f"{tensor.name}/{heads} heads, cells as {cells}"
    rows, columns, channels = tensor.shape
    if heads == 1 and cells == "rows":
        return reshape_to(builder, tensor.name, name, (1, rows * columns, channels), tensor)
    split = reshape_to(builder, tensor.name, f"{name}/split", (rows * columns, heads, channels // heads), tensor)
    return transpose_to(builder, split, name, (0, 2, 1, 3) if cells == "rows" else (0, 2, 3, 1), tensor)


def _requantize(builder: ModelBuilder, graph: IntegerGraph, op: ProductOp, accumulators: str, bias: IntArray, result: str) -> None:
    """From int32 `accumulators` without bias to int8 `result`, of one shape."""
    from ai_edge_litert import schema_py_generated as schema

    requantize, output = requantize_of(graph, op), graph.tensors[op.output]
    (n,), (rounding,), low, high = requantize.shifts, requantize.rounding_constants, requantize.low, requantize.high
    zero_point = STORED_LOW - output.low
    lowest, highest = ((end + rounding) >> n for end in _accumulator_range(graph, op))
    # What the shift gives is the output minus `origin`; where nothing is clamped below, that is what the file holds.
    origin = low if lowest < low else -zero_point
    value, name = accumulators, op.name
    value = _plus(builder, f"{name}/rounded", value, bias.astype(np.int64) + rounding - (origin << n), relu=lowest < low)
    if n:
        shift = constant_int32(builder, f"{name}/shift", n)
        value = _step(builder, RIGHT_SHIFT, f"{name}/shifted", [value, shift], builder.shape(value), schema.RightShiftOptionsT())
    if highest > high:
        value = _minus(builder, f"{name}/below", high - origin, value, relu=True)
        value = _minus(builder, f"{name}/clamped", high + zero_point, value)
    else:
        value = _plus(builder, f"{name}/clamped", value, np.array([origin + zero_point]))
    types = schema.TensorType
    builder.operator(CAST, [value], result, schema.CastOptionsT(types.INT32, types.INT8))


def _accumulator_range(graph: IntegerGraph, op: ProductOp) -> tuple[int, int]:
    """Lowest and highest accumulator that any inputs give, bias included."""
    x, y = (graph.tensors[name] for name in op.inputs)
    corners = [a * b for a in (x.low, x.high) for b in (y.low, y.high)]
    if isinstance(op, Multiply):
        return min(corners), max(corners)
    terms = x.shape[-1] // op.heads
    return terms * min(corners) + int(op.bias.min()), terms * max(corners) + int(op.bias.max())


def _plus(builder: ModelBuilder, name: str, value: str, constant: IntArray, relu: bool = False) -> str:
    """`value` itself where that is the sum."""
    from ai_edge_litert import schema_py_generated as schema

    if not relu and not constant.any():
        return value
    inputs = [value, builder.tensor(f"{name}/constant", constant.shape, np.int32, data=constant)]
    return _step(builder, ADD_INT32, name, inputs, builder.shape(value), schema.AddOptionsT(fusedActivationFunction=_relu(relu)))


def _minus(builder: ModelBuilder, name: str, constant: int, value: str, relu: bool = False) -> str:
    from ai_edge_litert import schema_py_generated as schema

    inputs = [constant_int32(builder, f"{name}/constant", constant), value]
    return _step(builder, SUB_INT32, name, inputs, builder.shape(value), schema.SubOptionsT(fusedActivationFunction=_relu(relu)))


def _relu(wanted: bool) -> int:
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.ActivationFunctionType
    return int(kinds.RELU if wanted else kinds.NONE)


def _step(builder: ModelBuilder, kind: OpKind, name: str, inputs: list[str], shape: tuple[int, ...], options: Any) -> str:
    """An op whose output is a new int32 tensor of the given shape, batch included."""
    builder.operator(kind, inputs, builder.tensor(name, shape, np.int32), options)
    return name
