"""thaw: an IntegerGraph becomes a QFXModel again: the qkeras layers and quantizers that a network is trained with.

It is how the integers of a file are compared with Keras, and how training goes on from one.

Layers compute in float32, which holds every number of a graph that was trained so. Of the others (`_in_double`) layer and requantize
are in double, and weights settled: products, sums and biases of int32 accumulators times a power of two have fewer than 53 bits, so all
of it is exact, and so is what float32 makes of the 8-bit result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

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
    Op,
    Reshape,
    Slice,
    Window,
    op_inputs,
    product_bound,
    shifts_of,
)
from edgekit.graph.check import SHIFT_ALWAYS_EXACT, sum_leaves_float32
from edgekit.graph.ir import ConvOp, MovingOp, ProductOp, WeightedOp
from edgekit.graph.ranges import FLOAT32_INTEGERS
from edgekit.keras_models.layers.backend import qkeras, tf_keras
from edgekit.keras_models.layers.custom_layers import CUSTOM_LAYERS
from edgekit.keras_models.layers.padding import keras_padding
from edgekit.keras_models.qfx.binary_point import BinaryPoint
from edgekit.keras_models.qfx.layers import padded, zero_padding
from edgekit.keras_models.qfx.model import QActivation, QFXModel
from edgekit.keras_models.qfx.products import QDepthwiseConv2DTranspose, QMatMul
from edgekit.keras_models.qfx.quantizers import (
    QFXActivation,
    QFXBias,
    QFXInput,
    QFXProduct,
    QFXProductBias,
    QFXSettled,
    QFXTable,
    QFXWeight,
)


@dataclass(frozen=True)
class _Thawing:
    """`points`: of each tensor of the graph, by name."""

    graph: IntegerGraph
    points: dict[str, BinaryPoint]

    def shape(self, name: str) -> tuple[int, ...]:
        return self.graph.tensors[name].shape

    def dtype(self, op: Op) -> str:
        """What its layers compute in."""
        return "float64" if _in_double(self.graph, op) else "float32"

    def requantized(self, op: WeightedOp | Add, accumulator: Any) -> Any:
        quantizer = QFXActivation(self.points[op.output], self.graph.tensors[op.output].signed, op.activation)
        return self._clamped(op, op.activation, quantizer, accumulator)

    def requantized_product(self, op: ProductOp, accumulator: Any) -> Any:
        activation = getattr(op, "activation", Activation.NONE)
        x, y = (self.points[name] for name in op.inputs)
        quantizer = QFXProduct(self.points[op.output], x, y, self.graph.tensors[op.output].signed, activation)
        return self._clamped(op, activation, quantizer, accumulator)

    def _clamped(self, op: WeightedOp | Add | ProductOp, activation: Activation, quantizer: Any, accumulator: Any) -> Any:
        name = f"{op.name}_{'quantize' if activation is Activation.NONE else activation.value}"
        return QActivation(quantizer, name=name, dtype=self.dtype(op))(accumulator)


def _in_double(graph: IntegerGraph, op: Op) -> bool:
    """Whether an accumulator may leave float32, or QFX quantizers would change the op's integers."""
    if isinstance(op, ProductOp):
        return product_bound(graph, op) > FLOAT32_INTEGERS
    if isinstance(op, WeightedOp):
        bias = int(np.abs(op.bias.astype(np.int64)).max())
        return max(shifts_of(graph, op)) > SHIFT_ALWAYS_EXACT or bias >= FLOAT32_INTEGERS or sum_leaves_float32(graph, op)
    return False


def thaw(graph: IntegerGraph) -> tuple[QFXModel, dict[str, Any]]:
    """The model, and its Keras tensor for each tensor of the graph.

    The graph must keep the contract. Weights are the graph's integers times 2**-f, which the quantizers leave as they are.
    """
    points = {name: BinaryPoint(name, float(tensor.binary_point)) for name, tensor in graph.tensors.items()}
    for op in graph.ops:
        if isinstance(op, Add | MovingOp):
            for name in op_inputs(op):
                points[name].share(points[op.output])
    source = graph.tensors[graph.input]
    inputs = tf_keras.Input(source.shape, name="input")
    quantize = QActivation(QFXInput(points[graph.input], source.signed), name="input_quantize", trainable=False)
    values = {graph.input: quantize(inputs)}
    state = _Thawing(graph, points)
    for op in graph.ops:
        values[op.output] = THAW[type(op)](state, op, [values[name] for name in op_inputs(op)])
    return QFXModel(inputs, [values[name] for name in graph.outputs], name=graph.name), values


def _conv(state: _Thawing, op: ConvOp, operands: list[Any]) -> Any:
    """Keras has no strides together with dilation: then all cells are computed, and those in between left out."""
    window = Window((op.weights.shape[0], op.weights.shape[1]), op.strides, op.padding, op.dilation)
    if max(op.strides) > 1 and max(op.dilation) > 1:
        x = zero_padding(operands[0], op.name, op.padding)
        every = _plain_conv(state, op, x, replace(window, strides=(1, 1)), "valid")
        return tf_keras.layers.MaxPooling2D((1, 1), strides=op.strides, name=f"{op.name}_strides")(every)
    x, padding = padded(operands[0], op.name, window)
    return _plain_conv(state, op, x, window, padding)


def _plain_conv(state: _Thawing, op: ConvOp, x: Any, window: Window, padding: str) -> Any:
    common = _common(state, op) | {"strides": window.strides, "dilation_rate": window.dilation, "padding": padding}
    if isinstance(op, Conv2D):
        weight, bias = _quantizers(state, op, channel_axis=3)
        layer = qkeras.QConv2D(op.weights.shape[3], window.kernel, kernel_quantizer=weight, bias_quantizer=bias, **common)
    else:
        weight, bias = _quantizers(state, op, channel_axis=2)
        layer = qkeras.QDepthwiseConv2D(window.kernel, depthwise_quantizer=weight, bias_quantizer=bias, **common)
    return _with_weights(state, op, layer, x)


def _common(state: _Thawing, op: Op) -> dict[str, Any]:
    return {"name": op.name, "dtype": state.dtype(op)}


def _depthwise_transpose(state: _Thawing, op: DepthwiseConv2DTranspose, operands: list[Any]) -> Any:
    weight, bias = _quantizers(state, op, channel_axis=2)
    layer = QDepthwiseConv2DTranspose((op.weights.shape[0], op.weights.shape[1]), weight, bias, **_common(state, op))
    return _with_weights(state, op, layer, operands[0])


def _dense(state: _Thawing, op: Dense, operands: list[Any]) -> Any:
    weight, bias = _quantizers(state, op, channel_axis=None if len(set(op.weight_binary_points)) == 1 else 1)
    x = operands[0]
    if len(x.shape) > 2:
        x = tf_keras.layers.Flatten(name=f"{op.name}_flatten")(x)
    layer = qkeras.QDense(op.weights.shape[1], kernel_quantizer=weight, bias_quantizer=bias, **_common(state, op))
    return _with_weights(state, op, layer, x)


def _quantizers(state: _Thawing, op: WeightedOp, channel_axis: int | None) -> tuple[Any, Any]:
    """Of weights and bias, with a binary point for each channel, or the first one for all where there is no axis."""
    if _in_double(state.graph, op):
        return QFXSettled(), QFXSettled()
    each = np.array(op.weight_binary_points, np.float32)
    kernel = BinaryPoint(f"{op.name}/kernel", each[0] if channel_axis is None else each)
    x, output = state.points[op.input], state.points[op.output]
    return QFXWeight(kernel, x, output, channel_axis), QFXBias(kernel, x, output)


def _with_weights(state: _Thawing, op: WeightedOp, layer: Any, x: Any) -> Any:
    result = layer(x)
    points = np.array(op.weight_binary_points, np.int32)
    real = np.ldexp(np.float64(op.weights), -points)
    accumulator_points = points + state.graph.tensors[op.input].binary_point
    layer.set_weights([real.reshape(layer.get_weights()[0].shape), np.ldexp(np.float64(op.bias), -accumulator_points)])
    return state.requantized(op, result)


def _add(state: _Thawing, op: Add, operands: list[Any]) -> Any:
    return state.requantized(op, tf_keras.layers.Add(name=op.name)(operands))


def _multiply(state: _Thawing, op: Multiply, operands: list[Any]) -> Any:
    return state.requantized_product(op, tf_keras.layers.Multiply(name=op.name)(operands))


def _matmul(state: _Thawing, op: MatMul, operands: list[Any]) -> Any:
    if op.bias.shape == (1, 1, 1) and not op.bias.any():
        return state.requantized_product(op, QMatMul(op.heads, op.transpose_y, **_common(state, op))(operands))
    x, y = op.inputs
    bias = QFXSettled() if _in_double(state.graph, op) else QFXProductBias(state.points[x], state.points[y])
    layer = QMatMul(op.heads, op.transpose_y, bias, op.bias.shape, **_common(state, op))
    result = layer(operands)
    point = state.graph.tensors[x].binary_point + state.graph.tensors[y].binary_point
    layer.set_weights([np.ldexp(np.float64(op.bias), -point)])
    return state.requantized_product(op, result)


def _concat(state: _Thawing, op: Concat, operands: list[Any]) -> Any:
    return tf_keras.layers.Concatenate(name=op.name)(operands)


def _slice(state: _Thawing, op: Slice, operands: list[Any]) -> Any:
    return CUSTOM_LAYERS["ChannelSlice"](op.start, state.shape(op.output)[-1], name=op.name)(operands[0])


def _max_pool(state: _Thawing, op: MaxPool, operands: list[Any]) -> Any:
    """Keras pads with zeros, which must not win: values are lifted so that the lowest one is zero, and lowered afterwards."""
    x, tensor = operands[0], state.graph.tensors[op.input]
    if (padding := keras_padding(Window(op.pool, op.strides, op.padding), (x.shape[1], x.shape[2]))) is not None:
        return tf_keras.layers.MaxPooling2D(op.pool, strides=op.strides, padding=padding, name=op.name)(x)
    lift = float(np.ldexp(-tensor.low, -tensor.binary_point))
    x = zero_padding(tf_keras.layers.Rescaling(1.0, lift, name=f"{op.name}_lift")(x), op.name, op.padding)
    x = tf_keras.layers.MaxPooling2D(op.pool, strides=op.strides, name=op.name)(x)
    return tf_keras.layers.Rescaling(1.0, -lift, name=f"{op.name}_lower")(x)


def _lookup(state: _Thawing, op: Lookup, operands: list[Any]) -> Any:
    read, output = state.graph.tensors[op.input], state.graph.tensors[op.output]
    table = QFXTable(state.points[op.input], read.signed, state.points[op.output], output.signed, op.table.tolist())
    return QActivation(table, name=op.name)(operands[0])


def _reshape(state: _Thawing, op: Reshape, operands: list[Any]) -> Any:
    return tf_keras.layers.Reshape(state.shape(op.output), name=op.name)(operands[0])


_Thaw: TypeAlias = Callable[[_Thawing, Any, list[Any]], Any]

THAW: Mapping[type[Op], _Thaw] = {
    Conv2D: _conv,
    DepthwiseConv2D: _conv,
    DepthwiseConv2DTranspose: _depthwise_transpose,
    Dense: _dense,
    Add: _add,
    Multiply: _multiply,
    MatMul: _matmul,
    Concat: _concat,
    Slice: _slice,
    MaxPool: _max_pool,
    Lookup: _lookup,
    Reshape: _reshape,
}
"""The layers of an op on the Keras tensors that it reads; gives the Keras tensor of what it writes."""
