"""freeze: a trained QFXModel becomes an IntegerGraph. Integers are read out of the quantizers; nothing is rounded again."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError, UnsupportedLayer
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
    Padding,
    Reshape,
    Slice,
    Tensor,
    check,
    same_padding,
)
from edgekit.graph.ir import ProductOp, WeightedOp
from edgekit.keras_models.qfx.quantizers import QFXActivation, QFXLookup, QFXTable, QFXWeight
from edgekit.keras_models.reading.replay import key_of, nodes_of


@dataclass(frozen=True)
class _Accumulator:
    """An op whose requantize, the QActivation behind it, has not been met yet."""

    op: WeightedOp | ProductOp | Add


@dataclass(frozen=True)
class _Padded:
    tensor: str
    padding: Padding


@dataclass
class _Freezing:
    tensors: dict[str, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)

    def write(self, op: Op, tensor: Tensor) -> str:
        self.tensors[tensor.name] = tensor
        self.ops.append(op)
        return tensor.name


def freeze(model: Any, name: str | None = None) -> IntegerGraph:
    """The integer graph that computes what the model computes; its contract is checked.

    Tensors have the names of the layers with weights, sums, pools and tables that write them; the input's is "input".

    Raises:
        UnsupportedLayer: a layer that QKerasLayers does not make.
        ContractError: never for a model made by QKerasLayers.
    """
    state = _Freezing()
    values: dict[Any, Any] = {}
    source = ""
    nodes = nodes_of(model)
    uses = Counter(key_of(tensor) for node in nodes for tensor in node.keras_inputs)
    for node in nodes:
        output = key_of(node.outputs)
        if not node.keras_inputs:
            continue
        inputs = [values.get(key_of(tensor)) for tensor in node.keras_inputs]
        if inputs == [None]:
            source = _input(state, node.layer)
            values[output] = source
            continue
        if any(
            isinstance(value, _Accumulator | _Padded) and uses[key_of(t)] > 1 for value, t in zip(inputs, node.keras_inputs, strict=True)
        ):
            raise UnsupportedLayer(
                f"layer '{node.layer.name}' shares an accumulator with another layer; quantize it with a QActivation first."
            )
        freezer = _FREEZERS.get(type(node.layer).__name__)
        if freezer is None:
            raise UnsupportedLayer(f"layer '{node.layer.name}' is a {type(node.layer).__name__}, which a QFX model cannot hold.")
        values[output] = freezer(state, node.layer, *inputs)
    outputs = tuple(values[key_of(tensor)] for tensor in model.outputs)
    if any(not isinstance(value, str) for value in outputs):
        raise UnsupportedLayer("the model ends without a QActivation; its output is an accumulator.")
    graph = IntegerGraph(name or model.name, state.tensors, tuple(state.ops), source, outputs)
    check(graph)
    return graph


def _shape(layer: Any) -> tuple[int, ...]:
    return tuple(int(n) for n in layer.output_shape[1:])


def _input(state: _Freezing, layer: Any) -> str:
    quantizer = getattr(layer, "quantizer", None)
    if not isinstance(quantizer, QFXActivation):
        raise UnsupportedLayer(f"layer '{layer.name}' takes the input; a QFX model quantizes it with a QActivation first.")
    state.tensors["input"] = Tensor("input", _shape(layer), quantizer.signed, _integer(quantizer.point))
    return "input"


def _integer(point: Any) -> int:
    return int(point.rounded().numpy())


def _read_weights(state: _Freezing, layer: Any, source: str, weight: QFXWeight, bias: Any) -> tuple[Any, Any, tuple[int, ...]]:
    """int8 kernel in its Keras shape, int32 bias, binary points."""
    kernel_values, bias_values = layer.get_weights()
    channels = len(bias_values)
    points = np.broadcast_to(weight.binary_point().numpy().astype(np.int64), (channels,))
    along = [1] * kernel_values.ndim
    along[-1 if weight.channel_axis is None else weight.channel_axis] = channels
    kernel = _integers(weight(kernel_values).numpy(), points.reshape(along), layer.name)
    f_in = state.tensors[source].binary_point
    biases = _integers(bias(bias_values).numpy(), points + f_in, layer.name)
    return kernel.astype(np.int8), biases.astype(np.int32), tuple(int(f) for f in points)


def _integers(real: npt.NDArray[Any], binary_point: Any, name: str) -> npt.NDArray[np.int64]:
    scaled = np.ldexp(np.float64(real), binary_point)
    if not np.array_equal(scaled, np.rint(scaled)):
        raise EdgekitError(
            f"layer '{name}' holds weights that are no integers at their binary point; its quantizers are not QFX quantizers"
        )
    return scaled.astype(np.int64)


def _window(
    layer: Any, x: str | _Padded, kernel: tuple[int, int], state: _Freezing, dilation: tuple[int, int] = (1, 1)
) -> tuple[str, Padding]:
    if isinstance(x, _Padded):
        return x.tensor, x.padding
    if layer.padding == "valid":
        return x, Padding()
    rows, columns = state.tensors[x].shape[:2]
    return x, same_padding((rows, columns), kernel, layer.strides, dilation)


def _conv2d(state: _Freezing, layer: Any, x: Any) -> _Accumulator:
    source, padding = _window(layer, x, layer.kernel_size, state, layer.dilation_rate)
    weights, bias, points = _read_weights(state, layer, source, layer.kernel_quantizer_internal, layer.bias_quantizer_internal)
    return _Accumulator(Conv2D(layer.name, source, "", weights, bias, points, tuple(layer.strides), padding, tuple(layer.dilation_rate)))


def _depthwise(state: _Freezing, layer: Any, x: Any) -> _Accumulator:
    source, padding = _window(layer, x, layer.kernel_size, state, layer.dilation_rate)
    weights, bias, points = _read_weights(state, layer, source, layer.depthwise_quantizer_internal, layer.bias_quantizer_internal)
    op = DepthwiseConv2D(layer.name, source, "", weights[..., 0], bias, points, tuple(layer.strides), padding, tuple(layer.dilation_rate))
    return _Accumulator(op)


def _depthwise_transpose(state: _Freezing, layer: Any, x: str) -> _Accumulator:
    weights, bias, points = _read_weights(state, layer, x, layer.depthwise_quantizer_internal, layer.bias_quantizer_internal)
    return _Accumulator(DepthwiseConv2DTranspose(layer.name, x, "", weights[..., 0], bias, points))


def _dense(state: _Freezing, layer: Any, x: str) -> _Accumulator:
    flattened = state.ops[-1] if state.ops and state.ops[-1].output == x else None
    if isinstance(flattened, Reshape) and flattened.name.endswith("_flatten"):  # Dense flattens by itself
        state.ops.pop()
        del state.tensors[x]
        x = flattened.input
    weights, bias, points = _read_weights(state, layer, x, layer.kernel_quantizer_internal, layer.bias_quantizer_internal)
    return _Accumulator(Dense(layer.name, x, "", weights, bias, points))


def _add(state: _Freezing, layer: Any, x: str, y: str) -> _Accumulator:
    return _Accumulator(Add(layer.name, (x, y), ""))


def _multiply(state: _Freezing, layer: Any, x: str, y: str) -> _Accumulator:
    return _Accumulator(Multiply(layer.name, (x, y), ""))


def _matmul(state: _Freezing, layer: Any, x: str, y: str) -> _Accumulator:
    bias = np.zeros((1, 1, 1), np.int32)
    real = layer.quantized_bias()
    if real is not None:
        point = state.tensors[x].binary_point + state.tensors[y].binary_point
        bias = _integers(real.numpy(), point, layer.name).astype(np.int32)
    return _Accumulator(MatMul(layer.name, (x, y), "", layer.heads, layer.transpose_y, bias))


def _channels(state: _Freezing, layer: Any, x: str) -> str:
    tensor = replace(state.tensors[x], name=layer.name, shape=_shape(layer))
    return state.write(Slice(layer.name, x, layer.name, layer.start), tensor)


def _activation(state: _Freezing, layer: Any, x: Any) -> str:
    quantizer = layer.quantizer
    if isinstance(quantizer, QFXLookup | QFXTable):
        source = state.tensors[x]
        inputs = np.arange(source.low, source.high + 1)
        real = layer(np.ldexp(np.float32(inputs), -source.binary_point)).numpy()
        tensor = Tensor(layer.name, _shape(layer), quantizer.signed, _integer(quantizer.point))
        table = _integers(real, tensor.binary_point, layer.name).astype(tensor.dtype)
        return state.write(Lookup(layer.name, x, layer.name, table), tensor)
    if not isinstance(quantizer, QFXActivation) or not isinstance(x, _Accumulator):
        raise UnsupportedLayer(f"layer '{layer.name}' does not end a layer with weights or a sum with a QFX quantizer.")
    activation, point = Activation(quantizer.clamp), _integer(quantizer.point)
    name = x.op.name
    op = replace(x.op, output=name) if isinstance(x.op, Multiply) else replace(x.op, output=name, activation=activation)
    return state.write(op, Tensor(name, _shape(layer), quantizer.signed, point))


def _concat(state: _Freezing, layer: Any, *inputs: str) -> str:
    return state.write(Concat(layer.name, inputs, layer.name), replace(state.tensors[inputs[0]], name=layer.name, shape=_shape(layer)))


def _zero_padding(state: _Freezing, layer: Any, x: str) -> _Padded:
    (top, bottom), (left, right) = layer.padding
    return _Padded(x, Padding(top, bottom, left, right))


def _max_pool(state: _Freezing, layer: Any, x: Any) -> str:
    source, padding = _window(layer, x, layer.pool_size, state)
    op = MaxPool(layer.name, source, layer.name, tuple(layer.pool_size), tuple(layer.strides), padding)
    return state.write(op, replace(state.tensors[source], name=layer.name, shape=_shape(layer)))


def _reshape(state: _Freezing, layer: Any, x: str) -> str:
    return state.write(Reshape(layer.name, x, layer.name), replace(state.tensors[x], name=layer.name, shape=_shape(layer)))


_FREEZERS: dict[str, Any] = {
    "QConv2D": _conv2d,
    "QDepthwiseConv2D": _depthwise,
    "QDepthwiseConv2DTranspose": _depthwise_transpose,
    "QDense": _dense,
    "QMatMul": _matmul,
    "QAttentionScores": _matmul,
    "ChannelSlice": _channels,
    "Add": _add,
    "Multiply": _multiply,
    "QActivation": _activation,
    "Concatenate": _concat,
    "ZeroPadding2D": _zero_padding,
    "MaxPooling2D": _max_pool,
    "Reshape": _reshape,
    "Flatten": _reshape,
}
