"""Products of two activations in TFLite by int32 operations, where float32 cannot hold the accumulators.

BATCH_MATMUL of int8 gives int32, MUL takes it. The half-up requantize of the contract follows as ops:

    ADD (relu)     t = acc + bias + 2**(n-1) - low * 2**n, not below 0
    RIGHT_SHIFT    t >> n, which is max(out, low) - low
    SUB (relu)     u = (high - low) - t, not below 0
    SUB            (high + zero_point) - u
    CAST           to int8

The clamps are fused relus, and stand as such, because kernels run additions of a constant many times faster than MAXIMUM and MINIMUM,
which look every element's index up. A clamp that no input reaches is left out.
"""

from __future__ import annotations

import numpy as np

from edgekit.graph import IntegerGraph, MatMul, Multiply, Tensor, lowest, requantize_of
from edgekit.graph.ir import IntArray, ProductOp
from edgekit.graph.ranges import product_range
from edgekit.tflite import schema
from edgekit.tflite.flatbuffer import ModelBuilder, OpKind
from edgekit.tflite.tensors import ADD_WIDE, CAST, MUL_WIDE, STORED_LOW, constant_int32, map_tensor, quantization, step

BATCH_MATMUL = OpKind("BATCH_MATMUL", 2, (2, 3, 0))
RIGHT_SHIFT = OpKind("RIGHT_SHIFT", 1, (2, 14, 0))
SUB_INT32 = OpKind("SUB", 1)


def multiply(builder: ModelBuilder, graph: IntegerGraph, op: Multiply) -> None:
    factors = [_widen(builder, f"{op.name}/{which}", graph.tensors[name]) for which, name in zip("xy", op.inputs, strict=True)]
    shape = (1, *graph.tensors[op.output].shape)
    product = step(builder, MUL_WIDE, f"{op.name}/product", factors, shape, np.int32, schema.MulOptionsT())
    _requantize(builder, graph, op, product, np.zeros(1, np.int32), op.output)


def matmul(builder: ModelBuilder, graph: IntegerGraph, op: MatMul, x: str, y: str, bias: IntArray, result: str) -> None:
    """x * y^T of matrices, the last two dimensions; all are int8."""
    like, shape, product = graph.tensors[op.inputs[0]], builder.shape(result), f"{op.name}/product"
    scale = like.scale * graph.tensors[op.inputs[1]].scale

    def product_of(name: str, left: str) -> str:
        builder.tensor(name, shape, np.int32, quantization(scale))
        builder.operator(BATCH_MATMUL, [left, y], name, schema.BatchMatMulOptionsT(adjY=True))
        return name

    if all(lowest(graph, name) == STORED_LOW for name in op.inputs):
        raised, below = _apart(builder, f"{op.name}/x", x, like)
        parts = [product_of(f"{product}/raised", raised), product_of(f"{product}/below", below)]
        step(builder, SUB_INT32, product, parts, shape, np.int32, schema.SubOptionsT())
    else:
        product_of(product, x)
    _requantize(builder, graph, op, product, bias, result)


def _apart(builder: ModelBuilder, name: str, x: str, like: Tensor) -> tuple[str, str]:
    """Two int8 tensors whose difference is x: x with -127 for each -128, and 1 where that was, else 0.

    Arm kernels add two neighbouring int8 products in 16 bits, where 2 * -128 * -128 is -2**15: in tflite-runtime 2.14 a BATCH_MATMUL of
    maps that are all -128 is wrong. With -127 in one of them two products are within 2 * 127 * 128.
    """
    types, shape = schema.TensorType, builder.shape(x)
    wide = step(builder, CAST, f"{name}/wide", [x], shape, np.int32, schema.CastOptionsT(types.INT8, types.INT32))
    below = _minus(builder, f"{name}/is_lowest", STORED_LOW + 1, wide, relu=True)
    raised = step(builder, ADD_WIDE, f"{name}/raised", [wide, below], shape, np.int32, schema.AddOptionsT())

    def narrow(value: str) -> str:
        result = map_tensor(builder, f"{value}/int8", shape[1:], like)
        builder.operator(CAST, [value], result, schema.CastOptionsT(types.INT32, types.INT8))
        return result

    return narrow(raised), narrow(below)


def _widen(builder: ModelBuilder, name: str, tensor: Tensor) -> str:
    """The graph's integers as int32: what is stored, minus the zero point."""
    shape, types = builder.shape(tensor.name), schema.TensorType
    wide = step(builder, CAST, name, [tensor.name], shape, np.int32, schema.CastOptionsT(types.INT8, types.INT32))
    return wide if tensor.signed else _plus(builder, f"{name}/integers", wide, np.array([-STORED_LOW]))


def _requantize(builder: ModelBuilder, graph: IntegerGraph, op: ProductOp, accumulators: str, bias: IntArray, result: str) -> None:
    """From int32 `accumulators` without bias to int8 `result`, of one shape."""
    requantize, output = requantize_of(graph, op), graph.tensors[op.output]
    (n,), (rounding,), low, high = requantize.shifts, requantize.rounding_constants, requantize.low, requantize.high
    zero_point = STORED_LOW - output.low
    lowest, highest = ((end + rounding) >> n for end in product_range(graph, op))
    # What the shift gives is the output minus `origin`; where nothing is clamped below, that is what the file holds.
    origin = low if lowest < low else -zero_point
    value, name = accumulators, op.name
    value = _plus(builder, f"{name}/rounded", value, bias.astype(np.int64) + rounding - (origin << n), relu=lowest < low)
    if n:
        shift = constant_int32(builder, f"{name}/shift", n)
        value = step(builder, RIGHT_SHIFT, f"{name}/shifted", [value, shift], builder.shape(value), np.int32, schema.RightShiftOptionsT())
    if highest > high:
        value = _minus(builder, f"{name}/below", high - origin, value, relu=True)
        value = _minus(builder, f"{name}/clamped", high + zero_point, value)
    else:
        value = _plus(builder, f"{name}/clamped", value, np.array([origin + zero_point]))
    types = schema.TensorType
    builder.operator(CAST, [value], result, schema.CastOptionsT(types.INT32, types.INT8))


def _plus(builder: ModelBuilder, name: str, value: str, constant: IntArray, relu: bool = False) -> str:
    """`value` itself where that is the sum."""
    if not relu and not constant.any():
        return value
    inputs = [value, builder.tensor(f"{name}/constant", constant.shape, np.int32, data=constant)]
    return step(builder, ADD_WIDE, name, inputs, builder.shape(value), np.int32, schema.AddOptionsT(fusedActivationFunction=_relu(relu)))


def _minus(builder: ModelBuilder, name: str, constant: int, value: str, relu: bool = False) -> str:
    inputs = [constant_int32(builder, f"{name}/constant", constant), value]
    return step(builder, SUB_INT32, name, inputs, builder.shape(value), np.int32, schema.SubOptionsT(fusedActivationFunction=_relu(relu)))


def _relu(wanted: bool) -> int:
    kinds = schema.ActivationFunctionType
    return int(kinds.RELU if wanted else kinds.NONE)
