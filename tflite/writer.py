"""The exact TFLite file of an integer graph, op by op; products of activations are in products.py, tables in tables.py.

How tensors are stored, tensors.py says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from edgekit.graph import (
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
    Multiply,
    Op,
    Padding,
    Reshape,
    Slice,
    Tensor,
    check,
    same_padding,
)
from edgekit.graph.ir import ConvOp, IntArray, WeightedOp
from edgekit.tflite import schema
from edgekit.tflite.flatbuffer import ModelBuilder, OpKind
from edgekit.tflite.products import matmul, multiply
from edgekit.tflite.tables import lookup
from edgekit.tflite.tensors import (
    STORED_LOW,
    constant_int32,
    fused_activation,
    map_tensor,
    quantization,
    reshape,
    reshape_to,
    transpose_to,
)

# The lowest versions that take int8 (the schema's comments and the runtimes' registrations agree on them).
ADD = OpKind("ADD", 2)
CONCATENATION = OpKind("CONCATENATION", 2)
CONV_2D = OpKind("CONV_2D", 3)
DEPTHWISE_CONV_2D = OpKind("DEPTHWISE_CONV_2D", 3)
DEPTH_TO_SPACE = OpKind("DEPTH_TO_SPACE", 1, (2, 1, 0))
FULLY_CONNECTED = OpKind("FULLY_CONNECTED", 4)
MAX_POOL_2D = OpKind("MAX_POOL_2D", 2)
PAD = OpKind("PAD", 2)
PADV2 = OpKind("PADV2", 2)
SLICE = OpKind("SLICE", 2)


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
        map_tensor(builder, tensor.name, tensor.shape, tensor)
    for op in graph.ops:
        LOWER[type(op)](builder, graph, op)
    return builder.pack(graph.name, [graph.input], graph.outputs, "edgekit: equal integers on every kernel")


def _weights_and_bias(
    builder: ModelBuilder, graph: IntegerGraph, op: WeightedOp, weights: IntArray, axis: int, per_tensor: bool = False
) -> list[str]:
    """The two constants. Their binary points add up with the input's, as in the accumulator."""
    points = np.array(op.weight_binary_points[:1] if per_tensor else op.weight_binary_points)
    bias_points = points + graph.tensors[op.input].binary_point
    return [
        builder.tensor(f"{op.name}/weights", weights.shape, np.int8, quantization(np.ldexp(1.0, -points), axis=axis), weights),
        builder.tensor(f"{op.name}/bias", op.bias.shape, np.int32, quantization(np.ldexp(1.0, -bias_points)), op.bias),
    ]


def _pad(builder: ModelBuilder, source: Tensor, op: ConvOp | MaxPool, kind: OpKind) -> str:
    """An explicit padding op in front of `op`; the name of its output."""
    rows, columns, channels = source.shape
    pad = op.padding
    shape = (rows + pad.top + pad.bottom, columns + pad.left + pad.right, channels)
    output = map_tensor(builder, f"{op.name}/padded", shape, source)
    amounts = np.array([[0, 0], [pad.top, pad.bottom], [pad.left, pad.right], [0, 0]])
    inputs = [source.name, builder.tensor(f"{op.name}/padding", amounts.shape, np.int32, data=amounts)]
    if kind is PAD:
        builder.operator(PAD, inputs, output, schema.PadOptionsT())
    else:  # the lowest integer loses against every cell of a window
        points = quantization(source.scale, STORED_LOW - source.low)
        inputs.append(builder.tensor(f"{op.name}/lowest", (1,), np.int8, points, np.array([STORED_LOW])))
        builder.operator(PADV2, inputs, output, schema.PadV2OptionsT())
    return output


def _padded_input(builder: ModelBuilder, source: Tensor, op: ConvOp | MaxPool, same: Padding, kind: OpKind) -> tuple[str, int]:
    """The map that `op` reads and the padding mode it has left to do. TFLite's SAME is same_padding."""
    if op.padding == Padding():
        return source.name, int(schema.Padding.VALID)
    if op.padding == same:
        return source.name, int(schema.Padding.SAME)
    return _pad(builder, source, op, kind), int(schema.Padding.VALID)


def _conv(builder: ModelBuilder, graph: IntegerGraph, op: ConvOp) -> None:
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
        "fusedActivationFunction": fused_activation(op.activation, output),
    }
    if isinstance(op, Conv2D):
        constants = _weights_and_bias(builder, graph, op, op.weights.transpose(3, 0, 1, 2), axis=0)
        builder.operator(CONV_2D, [x, *constants], op.output, schema.Conv2DOptionsT(**common))
    else:
        constants = _weights_and_bias(builder, graph, op, op.weights[np.newaxis], axis=3)
        builder.operator(DEPTHWISE_CONV_2D, [x, *constants], op.output, schema.DepthwiseConv2DOptionsT(depthMultiplier=1, **common))


def _depthwise_transpose(builder: ModelBuilder, graph: IntegerGraph, op: DepthwiseConv2DTranspose) -> None:
    """A copy of the map for each weight of the kernel, side by side; a 1x1 depthwise convolution; then channels move into the map.

    Channel (a * kernel_w + b) * channels + c goes to row a, column b, channel c of a cell's block. The columns of one row are so
    in place already; rows change places with the cells' columns. DEPTH_TO_SPACE does both, for blocks that are square.
    """
    source, output = graph.tensors[op.input], graph.tensors[op.output]
    (rows, columns, channels), (kernel_h, kernel_w, _) = source.shape, op.weights.shape
    taps = kernel_h * kernel_w
    shape = (rows, columns, taps * channels)
    x = op.input
    if taps > 1:
        x = map_tensor(builder, f"{op.name}/copies", shape, source)
        builder.operator(CONCATENATION, [op.input] * taps, x, schema.ConcatenationOptionsT(axis=3))
    constants = _weights_and_bias(builder, graph, _side_by_side(op), op.weights.reshape(1, 1, 1, -1), axis=3)
    options = schema.DepthwiseConv2DOptionsT(
        padding=schema.Padding.VALID,
        strideH=1,
        strideW=1,
        depthMultiplier=1,
        fusedActivationFunction=fused_activation(op.activation, output),
    )
    blocks = op.output if taps == 1 else map_tensor(builder, f"{op.name}/blocks", shape, output)
    builder.operator(DEPTHWISE_CONV_2D, [x, *constants], blocks, options)
    if taps == 1:
        return
    if kernel_h == kernel_w:
        builder.operator(DEPTH_TO_SPACE, [blocks], op.output, schema.DepthToSpaceOptionsT(blockSize=kernel_h))
        return
    if kernel_h > 1:
        x = reshape_to(builder, blocks, f"{op.name}/cells", (rows, columns, kernel_h, kernel_w * channels), output)
        blocks = transpose_to(builder, x, f"{op.name}/rows", (0, 1, 3, 2, 4), output)
    reshape(builder, op.name, blocks, op.output, output.shape)


def _side_by_side(op: DepthwiseConv2DTranspose) -> DepthwiseConv2DTranspose:
    """Bias and binary points repeated for each weight of the kernel."""
    taps = op.weights.shape[0] * op.weights.shape[1]
    return replace(op, bias=np.tile(op.bias, taps), weight_binary_points=op.weight_binary_points * taps)


def _dense(builder: ModelBuilder, graph: IntegerGraph, op: Dense) -> None:
    """FULLY_CONNECTED knows one binary point only before version 5, which old runtimes lack; a 1x1 convolution knows one per channel."""
    source, output = graph.tensors[op.input], graph.tensors[op.output]
    activation = fused_activation(op.activation, output)
    if len(set(op.weight_binary_points)) == 1:
        constants = _weights_and_bias(builder, graph, op, op.weights.T, axis=0, per_tensor=True)
        options = schema.FullyConnectedOptionsT(fusedActivationFunction=activation)
        builder.operator(FULLY_CONNECTED, [op.input, *constants], op.output, options)
        return
    features, channels = prod(source.shape), op.weights.shape[1]
    x = op.input
    if source.shape != (1, 1, features):
        x = reshape_to(builder, x, f"{op.name}/features", (1, 1, features), source)
    constants = _weights_and_bias(builder, graph, op, op.weights.T.reshape(channels, 1, 1, features), axis=0)
    result = map_tensor(builder, f"{op.name}/map", (1, 1, channels), output)
    options = schema.Conv2DOptionsT(padding=schema.Padding.VALID, strideH=1, strideW=1, fusedActivationFunction=activation)
    builder.operator(CONV_2D, [x, *constants], result, options)
    reshape(builder, op.name, result, op.output, output.shape)


def _add(builder: ModelBuilder, graph: IntegerGraph, op: Add) -> None:
    options = schema.AddOptionsT(fusedActivationFunction=fused_activation(op.activation, graph.tensors[op.output]))
    builder.operator(ADD, op.inputs, op.output, options)


def _concat(builder: ModelBuilder, graph: IntegerGraph, op: Concat) -> None:
    builder.operator(CONCATENATION, op.inputs, op.output, schema.ConcatenationOptionsT(axis=len(graph.tensors[op.output].shape)))


def _slice(builder: ModelBuilder, graph: IntegerGraph, op: Slice) -> None:
    shape = graph.tensors[op.output].shape
    begin = constant_int32(builder, f"{op.name}/begin", *[0] * len(shape), op.start)
    size = constant_int32(builder, f"{op.name}/size", 1, *shape)
    builder.operator(SLICE, [op.input, begin, size], op.output, schema.SliceOptionsT())


def _max_pool(builder: ModelBuilder, graph: IntegerGraph, op: MaxPool) -> None:
    source = graph.tensors[op.input]
    same = same_padding((source.shape[0], source.shape[1]), op.pool, op.strides)
    x, padding = _padded_input(builder, source, op, same, PADV2)
    options = schema.Pool2DOptionsT(padding, strideH=op.strides[0], strideW=op.strides[1], filterHeight=op.pool[0], filterWidth=op.pool[1])
    builder.operator(MAX_POOL_2D, [x], op.output, options)


def _reshape_op(builder: ModelBuilder, graph: IntegerGraph, op: Reshape) -> None:
    reshape(builder, op.name, op.input, op.output, graph.tensors[op.output].shape)


LOWER: Mapping[type[Op], Callable[[ModelBuilder, IntegerGraph, Any], None]] = {
    Conv2D: _conv,
    DepthwiseConv2D: _conv,
    DepthwiseConv2DTranspose: _depthwise_transpose,
    Dense: _dense,
    Add: _add,
    Multiply: multiply,
    MatMul: matmul,
    Concat: _concat,
    Slice: _slice,
    MaxPool: _max_pool,
    Lookup: lookup,
    Reshape: _reshape_op,
}
