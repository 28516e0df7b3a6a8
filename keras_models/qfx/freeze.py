"""freeze: a trained QFXModel becomes an IntegerGraph. Integers are read out of the quantizers; nothing is rounded again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.errors import UnsupportedLayer
from edgekit.graph import (
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    GraphBuilder,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Op,
    Padding,
    Reshape,
    Slice,
    same_padding,
)
from edgekit.graph.ir import ProductOp, WeightedOp
from edgekit.keras_models.qfx.integers import integers_at
from edgekit.keras_models.qfx.quantizers import QFXActivation, QFXLookup, QFXTable, QFXWeight
from edgekit.keras_models.reading.nodes import key_of, nodes_of


@dataclass(frozen=True)
class _Accumulator:
    """An op whose requantize, the QActivation behind it, has not been met yet."""

    op: WeightedOp | ProductOp | Add


@dataclass(frozen=True)
class _Padded:
    tensor: str
    padding: Padding


@dataclass(frozen=True)
class _Flattened:
    """What a Flatten gives. A Dense takes `tensor` as it is; anything else reads the Reshape that `name` and `shape` make."""

    tensor: str
    name: str
    shape: tuple[int, ...]


def freeze(model: Any, name: str | None = None) -> IntegerGraph:
    """The integer graph that computes what the model computes; its contract is checked.

    Tensors have the names of the layers with weights, sums, pools and tables that write them; the input's is "input".

    Raises:
        UnsupportedLayer: a layer that QKerasLayers does not make.
        ContractError: never for a model made by QKerasLayers.
    """
    graph = GraphBuilder(name or model.name)
    values: dict[Any, Any] = {}
    nodes = nodes_of(model)
    uses = Counter(key_of(tensor) for node in nodes for tensor in node.keras_inputs)
    for node in nodes:
        output = key_of(node.outputs)
        if not node.keras_inputs:
            continue
        inputs = [values.get(key_of(tensor)) for tensor in node.keras_inputs]
        if inputs == [None]:
            values[output] = _input(graph, node.layer)
            continue
        if any(
            isinstance(value, _Accumulator | _Padded) and uses[key_of(t)] > 1 for value, t in zip(inputs, node.keras_inputs, strict=True)
        ):
            raise UnsupportedLayer(
                f"layer '{node.layer.name}' shares an accumulator with another layer; quantize it with a QActivation first."
            )
        row = FREEZE.get(type(node.layer).__name__)
        if row is None:
            raise UnsupportedLayer(f"layer '{node.layer.name}' is a {type(node.layer).__name__}, which a QFX model cannot hold.")
        if Dense not in row.ops:
            inputs = [_reshaped(graph, value) if isinstance(value, _Flattened) else value for value in inputs]
        values[output] = row.freeze(graph, node.layer, *inputs)
    found = [values[key_of(tensor)] for tensor in model.outputs]
    outputs = [_reshaped(graph, value) if isinstance(value, _Flattened) else value for value in found]
    if any(not isinstance(value, str) for value in outputs):
        raise UnsupportedLayer("the model ends without a QActivation; its output is an accumulator.")
    return graph.graph(*outputs)


def _shape(layer: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in layer.output_shape[1:])


def _input(graph: GraphBuilder, layer: Any) -> str:
    quantizer = getattr(layer, "quantizer", None)
    if not isinstance(quantizer, QFXActivation):
        raise UnsupportedLayer(f"layer '{layer.name}' takes the input; a QFX model quantizes it with a QActivation first.")
    return graph.input("input", _shape(layer), signed=quantizer.signed, binary_point=_integer(quantizer.point))


def _reshaped(graph: GraphBuilder, flattened: _Flattened) -> str:
    """The Reshape that a Flatten is, written where it is first read."""
    if flattened.name in graph.tensors:
        return flattened.name
    return graph.write(Reshape(flattened.name, flattened.tensor, flattened.name), shape=flattened.shape)


def _integer(point: Any) -> int:
    return int(point.rounded().numpy())


def _read_weights(graph: GraphBuilder, layer: Any, source: str, weight: QFXWeight, bias: Any) -> tuple[Any, Any, tuple[int, ...]]:
    """int8 kernel in its Keras shape, int32 bias, binary points."""
    if not isinstance(weight, QFXWeight):
        raise UnsupportedLayer(f"layer '{layer.name}' has no QFXWeight as its quantizer, but a {type(weight).__name__}.")
    kernel_values, bias_values = layer.get_weights()
    channels = len(bias_values)
    points = np.broadcast_to(weight.binary_point().numpy().astype(np.int64), (channels,))
    along = [1] * kernel_values.ndim
    along[-1 if weight.channel_axis is None else weight.channel_axis] = channels
    kernel = _integers(weight(kernel_values).numpy(), points.reshape(along), layer.name)
    f_in = graph.tensors[source].binary_point
    biases = _integers(bias(bias_values).numpy(), points + f_in, layer.name)
    return kernel.astype(np.int8), biases.astype(np.int32), tuple(int(f) for f in points)


def _integers(real: npt.NDArray[Any], binary_point: Any, name: str) -> npt.NDArray[np.int64]:
    otherwise = f"layer '{name}' holds weights that are no integers at their binary point; its quantizers are not QFX quantizers"
    return integers_at(binary_point, real, otherwise)


def _window(
    layer: Any, x: str | _Padded, kernel: tuple[int, int], graph: GraphBuilder, dilation: tuple[int, int] = (1, 1)
) -> tuple[str, Padding]:
    if isinstance(x, _Padded):
        return x.tensor, x.padding
    if layer.padding == "valid":
        return x, Padding()
    rows, columns = graph.tensors[x].shape[:2]
    return x, same_padding((rows, columns), kernel, layer.strides, dilation)


def _conv2d(graph: GraphBuilder, layer: Any, x: Any) -> _Accumulator:
    source, padding = _window(layer, x, layer.kernel_size, graph, layer.dilation_rate)
    weights, bias, points = _read_weights(graph, layer, source, layer.kernel_quantizer_internal, layer.bias_quantizer_internal)
    return _Accumulator(Conv2D(layer.name, source, "", weights, bias, points, tuple(layer.strides), padding, tuple(layer.dilation_rate)))


def _depthwise(graph: GraphBuilder, layer: Any, x: Any) -> _Accumulator:
    source, padding = _window(layer, x, layer.kernel_size, graph, layer.dilation_rate)
    weights, bias, points = _read_weights(graph, layer, source, layer.depthwise_quantizer_internal, layer.bias_quantizer_internal)
    op = DepthwiseConv2D(layer.name, source, "", weights[..., 0], bias, points, tuple(layer.strides), padding, tuple(layer.dilation_rate))
    return _Accumulator(op)


def _depthwise_transpose(graph: GraphBuilder, layer: Any, x: str) -> _Accumulator:
    weights, bias, points = _read_weights(graph, layer, x, layer.depthwise_quantizer_internal, layer.bias_quantizer_internal)
    return _Accumulator(DepthwiseConv2DTranspose(layer.name, x, "", weights[..., 0], bias, points))


def _dense(graph: GraphBuilder, layer: Any, x: str | _Flattened) -> _Accumulator:
    if isinstance(x, _Flattened):  # Dense flattens by itself
        x = x.tensor
    weights, bias, points = _read_weights(graph, layer, x, layer.kernel_quantizer_internal, layer.bias_quantizer_internal)
    return _Accumulator(Dense(layer.name, x, "", weights, bias, points))


def _add(graph: GraphBuilder, layer: Any, x: str, y: str) -> _Accumulator:
    return _Accumulator(Add(layer.name, (x, y), ""))


def _multiply(graph: GraphBuilder, layer: Any, x: str, y: str) -> _Accumulator:
    return _Accumulator(Multiply(layer.name, (x, y), ""))


def _matmul(graph: GraphBuilder, layer: Any, x: str, y: str) -> _Accumulator:
    bias = np.zeros((1, 1, 1), np.int32)
    real = layer.quantized_bias()
    if real is not None:
        point = graph.tensors[x].binary_point + graph.tensors[y].binary_point
        bias = _integers(real.numpy(), point, layer.name).astype(np.int32)
    return _Accumulator(MatMul(layer.name, (x, y), "", layer.heads, layer.transpose_y, bias))


def _channels(graph: GraphBuilder, layer: Any, x: str) -> str:
    return graph.write(Slice(layer.name, x, layer.name, layer.start), shape=_shape(layer))


def _activation(graph: GraphBuilder, layer: Any, x: Any) -> str:
    quantizer = layer.quantizer
    if isinstance(quantizer, QFXLookup | QFXTable):
        source = graph.tensors[x]
        inputs = np.arange(source.low, source.high + 1)
        real = layer(np.ldexp(np.float32(inputs), -source.binary_point)).numpy()
        point = _integer(quantizer.point)
        table = _integers(real, point, layer.name).astype(np.int8 if quantizer.signed else np.uint8)
        return graph.write(Lookup(layer.name, x, layer.name, table), signed=quantizer.signed, binary_point=point)
    if not isinstance(quantizer, QFXActivation) or not isinstance(x, _Accumulator):
        raise UnsupportedLayer(f"layer '{layer.name}' does not end a layer with weights or a sum with a QFX quantizer.")
    activation, point = quantizer.clamp, _integer(quantizer.point)
    name = x.op.name
    op = replace(x.op, output=name) if isinstance(x.op, Multiply) else replace(x.op, output=name, activation=activation)
    return graph.write(op, signed=quantizer.signed, binary_point=point)


def _concat(graph: GraphBuilder, layer: Any, *inputs: str) -> str:
    return graph.write(Concat(layer.name, inputs, layer.name))


def _zero_padding(graph: GraphBuilder, layer: Any, x: str) -> _Padded:
    (top, bottom), (left, right) = layer.padding
    return _Padded(x, Padding(top, bottom, left, right))


def _max_pool(graph: GraphBuilder, layer: Any, x: Any) -> str:
    source, padding = _window(layer, x, layer.pool_size, graph)
    return graph.write(MaxPool(layer.name, source, layer.name, tuple(layer.pool_size), tuple(layer.strides), padding))


def _reshape(graph: GraphBuilder, layer: Any, x: str) -> str:
    return graph.write(Reshape(layer.name, x, layer.name), shape=_shape(layer))


def _flatten(graph: GraphBuilder, layer: Any, x: str) -> _Flattened:
    return _Flattened(x, layer.name, _shape(layer))


_Value: TypeAlias = str | _Accumulator | _Padded | _Flattened


@dataclass(frozen=True)
class Row:
    """What becomes of a kind of layer: the ops that it may write, and what reads it."""

    ops: tuple[type[Op], ...]
    freeze: Callable[..., _Value]


FREEZE: Mapping[str, Row] = {
    "QConv2D": Row((Conv2D,), _conv2d),
    "QDepthwiseConv2D": Row((DepthwiseConv2D,), _depthwise),
    "QDepthwiseConv2DTranspose": Row((DepthwiseConv2DTranspose,), _depthwise_transpose),
    "QDense": Row((Dense,), _dense),
    "QMatMul": Row((MatMul,), _matmul),
    "QAttentionScores": Row((MatMul,), _matmul),
    "ChannelSlice": Row((Slice,), _channels),
    "Add": Row((Add,), _add),
    "Multiply": Row((Multiply,), _multiply),
    "QActivation": Row((Lookup,), _activation),
    "Concatenate": Row((Concat,), _concat),
    "ZeroPadding2D": Row((), _zero_padding),
    "MaxPooling2D": Row((MaxPool,), _max_pool),
    "Reshape": Row((Reshape,), _reshape),
    "Flatten": Row((Reshape,), _flatten),
}
"""By the name of a layer's class, of Keras, qkeras or edgekit."""
