"""The exact TFLite file of an integer graph.

A graph tensor becomes an int8 tensor of the same name, batch 1, scale 2**-f. An unsigned one is stored minus 128 with zero_point -128,
so `stored - zero_point` is the graph's integer and every accumulator is the one that the contract speaks of.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from edgekit.graph import (
    Activation,
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    IntegerGraph,
    Lookup,
    MaxPool,
    Padding,
    Reshape,
    Tensor,
    check,
    clamp_range,
    same_padding,
)
from edgekit.graph.ir import ConvOp, IntArray, WeightedOp
from edgekit.tflite.flatbuffer import ModelBuilder, OpKind

# The lowest versions that take int8 (the schema's comments and the runtimes' registrations agree on them).
ADD = OpKind("ADD", 2)
ADD_INT32 = OpKind("ADD", 1)
CAST = OpKind("CAST", 3, (2, 8, 0))
CONCATENATION = OpKind("CONCATENATION", 2)
CONV_2D = OpKind("CONV_2D", 3)
DEPTHWISE_CONV_2D = OpKind("DEPTHWISE_CONV_2D", 3)
FULLY_CONNECTED = OpKind("FULLY_CONNECTED", 4)
GATHER = OpKind("GATHER", 2)
MAX_POOL_2D = OpKind("MAX_POOL_2D", 2)
PAD = OpKind("PAD", 2)
PADV2 = OpKind("PADV2", 2)
RESHAPE = OpKind("RESHAPE", 1)

STORED_LOW = -128
"""What the file holds for a type's lowest integer, signed or unsigned."""


def write_tflite(graph: IntegerGraph) -> bytes:
    """The graph as a TFLite file, the same bytes every time.

    Raises:
        ContractError: the graph breaks the exactness contract, so kernels would differ.
    """
    check(graph)
    return write_unchecked(graph)


def write_unchecked(graph: IntegerGraph) -> bytes:
    """As write_tflite, without the proof that kernels agree: only for showing that they then do not."""
    builder = ModelBuilder()
    for tensor in graph.tensors.values():
        _map_tensor(builder, tensor.name, tensor.shape, tensor)
    for op in graph.ops:
        _LOWER[type(op)](builder, graph, op)
    return builder.pack(graph.name, [graph.input], graph.outputs, "edgekit: equal integers on every kernel")


def stored(tensor: Tensor, values: IntArray) -> IntArray:
    """The graph's integers as the file holds them, int8."""
    return (values.astype(np.int16) + (STORED_LOW - tensor.low)).astype(np.int8)


def logical(tensor: Tensor, values: IntArray) -> IntArray:
    """The inverse of `stored`: int8 or uint8."""
    return (values.astype(np.int16) - (STORED_LOW - tensor.low)).astype(tensor.dtype)


def _quantization(scales: Any, zero_point: int = 0, axis: int = 0) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    scales = np.atleast_1d(np.asarray(scales, np.float32))
    return schema.QuantizationParametersT(scale=scales, zeroPoint=np.full(scales.shape, zero_point, np.int64), quantizedDimension=axis)


def _map_tensor(builder: ModelBuilder, name: str, shape: tuple[int, ...], like: Tensor) -> str:
    """A tensor of another name and shape, of the type of `like`."""
    return builder.tensor(name, (1, *shape), np.int8, _quantization(like.scale, STORED_LOW - like.low))


def _activation(op: WeightedOp | Add, output: Tensor) -> int:
    """ReLU6 whose 6 lies above the type's highest integer is written as ReLU: runtimes refuse a 6 that leaves int32."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.ActivationFunctionType
    if op.activation is Activation.NONE:
        return int(kinds.NONE)
    return int(kinds.RELU6 if clamp_range(op.activation, output)[1] < output.high else kinds.RELU)


def _weights_and_bias(
    builder: ModelBuilder, graph: IntegerGraph, op: WeightedOp, weights: IntArray, axis: int, per_tensor: bool = False
) -> list[str]:
    """The two constants. Their binary points add up with the input's, as in the accumulator."""
    points = np.array(op.weight_binary_points[:1] if per_tensor else op.weight_binary_points)
    bias_points = points + graph.tensors[op.input].binary_point
    return [
        builder.tensor(f"{op.name}/weights", weights.shape, np.int8, _quantization(np.ldexp(1.0, -points), axis=axis), weights),
        builder.tensor(f"{op.name}/bias", op.bias.shape, np.int32, _quantization(np.ldexp(1.0, -bias_points)), op.bias),
    ]


def _pad(builder: ModelBuilder, source: Tensor, op: ConvOp | MaxPool, kind: OpKind) -> str:
    """An explicit padding op in front of `op`; the name of its output."""
    from ai_edge_litert import schema_py_generated as schema

    rows, columns, channels = source.shape
    pad = op.padding
    shape = (rows + pad.top + pad.bottom, columns + pad.left + pad.right, channels)
    output = _map_tensor(builder, f"{op.name}/padded", shape, source)
    amounts = np.array([[0, 0], [pad.top, pad.bottom], [pad.left, pad.right], [0, 0]])
    inputs = [source.name, builder.tensor(f"{op.name}/padding", amounts.shape, np.int32, data=amounts)]
    if kind is PAD:
        builder.operator(PAD, inputs, output, schema.PadOptionsT())
    else:  # the lowest integer loses against every cell of a window
        quantization = _quantization(source.scale, STORED_LOW - source.low)
        inputs.append(builder.tensor(f"{op.name}/lowest", (1,), np.int8, quantization, np.array([STORED_LOW])))
        builder.operator(PADV2, inputs, output, schema.PadV2OptionsT())
    return output


def _padded_input(builder: ModelBuilder, source: Tensor, op: ConvOp | MaxPool, same: Padding, kind: OpKind) -> tuple[str, int]:
    """The map that `op` reads and the padding mode it has left to do. TFLite's SAME is same_padding."""
    from ai_edge_litert import schema_py_generated as schema

    if op.padding == Padding():
        return source.name, int(schema.Padding.VALID)
    if op.padding == same:
        return source.name, int(schema.Padding.SAME)
    return _pad(builder, source, op, kind), int(schema.Padding.VALID)


def _conv(builder: ModelBuilder, graph: IntegerGraph, op: ConvOp) -> None:
    from ai_edge_litert import schema_py_generated as schema

    source, output = graph.tensors[op.input], graph.tensors[op.output]
    kernel = (op.weights.shape[0], op.weights.shape[1])
    same = same_padding((source.shape[0], source.shape[1]), kernel, op.strides, op.dilation)
    x, padding = _padded_input(builder, source, op, same, PAD)
    common = {
        "padding": padding,
        "strideH": op.strides[0],
        "strideW": op.strides[1],
        "dilationHFactor": op.dilation[0],
        "dilationWFactor": op.dilation[1],
        "fusedActivationFunction": _activation(op, output),
    }
    if isinstance(op, Conv2D):
        constants = _weights_and_bias(builder, graph, op, op.weights.transpose(3, 0, 1, 2), axis=0)
        builder.operator(CONV_2D, [x, *constants], op.output, schema.Conv2DOptionsT(**common))
    else:
        constants = _weights_and_bias(builder, graph, op, op.weights[np.newaxis], axis=3)
        builder.operator(DEPTHWISE_CONV_2D, [x, *constants], op.output, schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **common))


def _dense(builder: ModelBuilder, graph: IntegerGraph, op: Dense) -> None:
    """FULLY_CONNECTED knows one binary point only before version 5, which old runtimes lack; a 1x1 convolution knows one per channel."""
    from ai_edge_litert import schema_py_generated as schema

    source, output = graph.tensors[op.input], graph.tensors[op.output]
    activation = _activation(op, output)
    if len(set(op.weight_binary_points)) == 1:
        constants = _weights_and_bias(builder, graph, op, op.weights.T, axis=0, per_tensor=True)
        options = schema.FullyConnectedOptionsT(fusedActivationFunction=activation)
        builder.operator(FULLY_CONNECTED, [op.input, *constants], op.output, options)
        return
    features, channels = prod(source.shape), op.weights.shape[1]
    x = op.input
    if source.shape != (1, 1, features):
        x = _reshape_to(builder, x, f"{op.name}/features", (1, 1, features), source)
    constants = _weights_and_bias(builder, graph, op, op.weights.T.reshape(channels, 1, 1, features), axis=0)
    result = _map_tensor(builder, f"{op.name}/map", (1, 1, channels), output)
    options = schema.Conv2DOptionsT(padding=schema.Padding.VALID, strideH=1, strideW=1, fusedActivationFunction=activation)
    builder.operator(CONV_2D, [x, *constants], result, options)
    _reshape(builder, op.name, result, op.output, output.shape)


def _reshape_to(builder: ModelBuilder, source: str, name: str, shape: tuple[int, ...], like: Tensor) -> str:
    _map_tensor(builder, name, shape, like)
    _reshape(builder, name, source, name, shape)
    return name


def _reshape(builder: ModelBuilder, name: str, source: str, output: str, shape: tuple[int, ...]) -> None:
    from ai_edge_litert import schema_py_generated as schema

    target = np.array((1, *shape), np.int32)
    inputs = [source, builder.tensor(f"{name}/shape", target.shape, np.int32, data=target)]
    builder.operator(RESHAPE, inputs, output, schema.ReshapeOptionsT(newShape=target))


def _add(builder: ModelBuilder, graph: IntegerGraph, op: Add) -> None:
    from ai_edge_litert import schema_py_generated as schema

    options = schema.AddOptionsT(fusedActivationFunction=_activation(op, graph.tensors[op.output]))
    builder.operator(ADD, op.inputs, op.output, options)


def _concat(builder: ModelBuilder, graph: IntegerGraph, op: Concat) -> None:
    from ai_edge_litert import schema_py_generated as schema

    builder.operator(CONCATENATION, op.inputs, op.output, schema.ConcatenationOptionsT(axis=len(graph.tensors[op.output].shape)))


def _max_pool(builder: ModelBuilder, graph: IntegerGraph, op: MaxPool) -> None:
    from ai_edge_litert import schema_py_generated as schema

    source = graph.tensors[op.input]
    same = same_padding((source.shape[0], source.shape[1]), op.pool, op.strides)
    x, padding = _padded_input(builder, source, op, same, PADV2)
    options = schema.Pool2DOptionsT(padding, strideH=op.strides[0], strideW=op.strides[1], filterHeight=op.pool[0], filterWidth=op.pool[1])
    builder.operator(MAX_POOL_2D, [x], op.output, options)


def _lookup(builder: ModelBuilder, graph: IntegerGraph, op: Lookup) -> None:
    """table[stored + 128]: integer ops, the same on every kernel set."""
    from ai_edge_litert import schema_py_generated as schema

    source, output = graph.tensors[op.input], graph.tensors[op.output]
    types = schema.TensorType
    wide = builder.tensor(f"{op.name}/int32", (1, *source.shape), np.int32)
    builder.operator(CAST, [op.input], wide, schema.CastOptionsT(types.INT8, types.INT32))
    first = builder.tensor(f"{op.name}/first", (1,), np.int32, data=np.array([-STORED_LOW]))
    index = builder.tensor(f"{op.name}/index", (1, *source.shape), np.int32)
    builder.operator(ADD_INT32, [wide, first], index, schema.AddOptionsT())
    quantization = _quantization(output.scale, STORED_LOW - output.low)
    table = builder.tensor(f"{op.name}/table", op.table.shape, np.int8, quantization, stored(output, op.table))
    builder.operator(GATHER, [table, index], op.output, schema.GatherOptionsT(axis=0))


def _reshape_op(builder: ModelBuilder, graph: IntegerGraph, op: Reshape) -> None:
    _reshape(builder, op.name, op.input, op.output, graph.tensors[op.output].shape)


_LOWER: dict[type, Callable[[ModelBuilder, IntegerGraph, Any], None]] = {
    Conv2D: _conv,
    DepthwiseConv2D: _conv,
    Dense: _dense,
    Add: _add,
    Concat: _concat,
    MaxPool: _max_pool,
    Lookup: _lookup,
    Reshape: _reshape_op,
}
