"""thaw: an IntegerGraph becomes a QFXModel again: the qkeras layers and quantizers that a network is trained with.

It is how the integers of a file are compared with Keras, and how training goes on from one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.graph import (
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
    Multiply,
    Padding,
    Reshape,
    Slice,
    op_inputs,
    same_padding,
)
from edgekit.graph.ir import ConvOp, ProductOp, WeightedOp
from edgekit.keras_models.layers.backend import qkeras, tf_keras
from edgekit.keras_models.layers.custom_layers import CUSTOM_LAYERS
from edgekit.keras_models.qfx.binary_point import BinaryPoint
from edgekit.keras_models.qfx.layers import zero_padding
from edgekit.keras_models.qfx.model import QActivation, QFXModel
from edgekit.keras_models.qfx.products import QDepthwiseConv2DTranspose, QMatMul
from edgekit.keras_models.qfx.quantizers import QFXActivation, QFXBias, QFXInput, QFXProduct, QFXProductBias, QFXTable, QFXWeight


def thaw(graph: IntegerGraph) -> tuple[QFXModel, dict[str, Any]]:
    """The model, and its Keras tensor for each tensor of the graph.

    The graph must keep the contract. Weights are the graph's integers times 2**-f, which the quantizers leave as they are.
    """
    points = {name: BinaryPoint(name, float(tensor.binary_point)) for name, tensor in graph.tensors.items()}
    for op in graph.ops:
        if isinstance(op, Add | Concat | MaxPool | Reshape | Slice):
            for name in op_inputs(op):
                points[name].share(points[op.output])
    source = graph.tensors[graph.input]
    inputs = tf_keras.Input(source.shape, name="input")
    quantize = QActivation(QFXInput(points[graph.input], source.signed), name="input_quantize", trainable=False)
    values = {graph.input: quantize(inputs)}
    for op in graph.ops:
        x = values[op_inputs(op)[0]]
        output = graph.tensors[op.output]
        if isinstance(op, WeightedOp):
            values[op.output] = _requantized(graph, op, points, _weighted(graph, op, points, x))
        elif isinstance(op, Add):
            total = tf_keras.layers.Add(name=op.name)([values[name] for name in op.inputs])
            values[op.output] = _requantized(graph, op, points, total)
        elif isinstance(op, Multiply):
            product = tf_keras.layers.Multiply(name=op.name)([values[name] for name in op.inputs])
            values[op.output] = _requantized_product(graph, op, points, product)
        elif isinstance(op, MatMul):
            product = _matmul(graph, op, points, [values[name] for name in op.inputs])
            values[op.output] = _requantized_product(graph, op, points, product)
        elif isinstance(op, Slice):
            values[op.output] = CUSTOM_LAYERS["ChannelSlice"](op.start, output.shape[-1], name=op.name)(x)
        elif isinstance(op, Concat):
            values[op.output] = tf_keras.layers.Concatenate(name=op.name)([values[name] for name in op.inputs])
        elif isinstance(op, MaxPool):
            values[op.output] = _max_pool(graph, op, x)
        elif isinstance(op, Lookup):
            read = graph.tensors[op.input]
            table = QFXTable(points[op.input], read.signed, points[op.output], output.signed, op.table.tolist())
            values[op.output] = QActivation(table, name=op.name)(x)
        else:
            values[op.output] = tf_keras.layers.Reshape(output.shape, name=op.name)(x)
    return QFXModel(inputs, [values[name] for name in graph.outputs], name=graph.name), values


def _requantized(graph: IntegerGraph, op: WeightedOp | Add, points: dict[str, BinaryPoint], accumulator: Any) -> Any:
    output = graph.tensors[op.output]
    quantizer = QFXActivation(points[op.output], output.signed, op.activation.value)
    return QActivation(quantizer, name=f"{op.name}_{'quantize' if op.activation is Activation.NONE else op.activation.value}")(accumulator)


def _requantized_product(graph: IntegerGraph, op: ProductOp, points: dict[str, BinaryPoint], accumulator: Any) -> Any:
    output, activation = graph.tensors[op.output], getattr(op, "activation", Activation.NONE)
    x, y = (points[name] for name in op.inputs)
    quantizer = QFXProduct(points[op.output], x, y, output.signed, activation.value)
    return QActivation(quantizer, name=f"{op.name}_{'quantize' if activation is Activation.NONE else activation.value}")(accumulator)


def _matmul(graph: IntegerGraph, op: MatMul, points: dict[str, BinaryPoint], operands: list[Any]) -> Any:
    if op.bias.shape == (1, 1, 1) and not op.bias.any():
        return QMatMul(op.heads, op.transpose_y, name=op.name)(operands)
    x, y = op.inputs
    layer = QMatMul(op.heads, op.transpose_y, QFXProductBias(points[x], points[y]), op.bias.shape, name=op.name)
    result = layer(operands)
    point = graph.tensors[x].binary_point + graph.tensors[y].binary_point
    layer.set_weights([np.ldexp(np.float32(op.bias), -point)])
    return result


def _weighted(graph: IntegerGraph, op: WeightedOp, points: dict[str, BinaryPoint], x: Any) -> Any:
    of_dense = None if len(set(op.weight_binary_points)) == 1 else 1
    channel_axis = {Conv2D: 3, DepthwiseConv2D: 2, DepthwiseConv2DTranspose: 2, Dense: of_dense}[type(op)]
    each = np.array(op.weight_binary_points, np.float32)
    kernel = BinaryPoint(f"{op.name}/kernel", each if channel_axis is not None else each[0])
    weight = QFXWeight(kernel, points[op.input], points[op.output], channel_axis)
    bias = QFXBias(kernel, points[op.input], points[op.output])
    if isinstance(op, Dense):
        if len(x.shape) > 2:
            x = tf_keras.layers.Flatten(name=f"{op.name}_flatten")(x)
        layer = qkeras.QDense(op.weights.shape[1], kernel_quantizer=weight, bias_quantizer=bias, name=op.name)
    elif isinstance(op, DepthwiseConv2DTranspose):
        layer = QDepthwiseConv2DTranspose((op.weights.shape[0], op.weights.shape[1]), weight, bias, name=op.name)
    else:
        layer, x = _convolution(graph, op, weight, bias, x)
    result = layer(x)
    real = np.ldexp(np.float32(op.weights), -each.astype(np.int32))
    accumulator_points = each.astype(np.int32) + graph.tensors[op.input].binary_point
    layer.set_weights([real.reshape(layer.get_weights()[0].shape), np.ldexp(np.float32(op.bias), -accumulator_points)])
    return result


def _convolution(graph: IntegerGraph, op: ConvOp, weight: QFXWeight, bias: QFXBias, x: Any) -> tuple[Any, Any]:
    rows, columns = graph.tensors[op.input].shape[:2]
    kernel = (op.weights.shape[0], op.weights.shape[1])
    padding = "valid"
    if op.padding != Padding():
        if op.padding == same_padding((rows, columns), kernel, op.strides, op.dilation):
            padding = "same"
        else:
            x = zero_padding(x, op.name, op.padding)
    window: dict[str, Any] = {"strides": op.strides, "dilation_rate": op.dilation, "padding": padding, "name": op.name}
    if isinstance(op, Conv2D):
        return qkeras.QConv2D(op.weights.shape[3], kernel, kernel_quantizer=weight, bias_quantizer=bias, **window), x
    return qkeras.QDepthwiseConv2D(kernel, depthwise_quantizer=weight, bias_quantizer=bias, **window), x


def _max_pool(graph: IntegerGraph, op: MaxPool, x: Any) -> Any:
    tensor = graph.tensors[op.input]
    padding = "valid"
    if op.padding != Padding():
        if op.padding == same_padding(tensor.shape[:2], op.pool, op.strides):  # type: ignore[arg-type]
            padding = "same"
        else:  # Keras pads with zeros: lift the values so that the lowest one is zero, and lower them afterwards
            lift = float(np.ldexp(-tensor.low, -tensor.binary_point))
            x = zero_padding(tf_keras.layers.Rescaling(1.0, lift, name=f"{op.name}_lift")(x), op.name, op.padding)
            x = tf_keras.layers.MaxPooling2D(op.pool, strides=op.strides, name=op.name)(x)
            return tf_keras.layers.Rescaling(1.0, -lift, name=f"{op.name}_lower")(x)
    return tf_keras.layers.MaxPooling2D(op.pool, strides=op.strides, padding=padding, name=op.name)(x)
