"""Reads a float Keras model (or one quantized by other qkeras quantizers) as verbs of the vocabulary, batch norm folded.

`replay(model, layers)` speaks the verbs to QKerasLayers and collects the folded weights under the same names; so any functional
or sequential model of the supported layers gets a quantized twin as the zoo's networks do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import UnsupportedLayer
from edgekit.graph import Padding, same_padding
from edgekit.graph.ir import Pair
from edgekit.keras_models.qkeras_layers import QKerasLayers
from edgekit.keras_models.vocabulary import LINEAR, NO_PADDING, Act

TABLE_FUNCTIONS = ("sigmoid", "tanh", "swish", "silu", "gelu", "hard_sigmoid", "elu", "selu", "softplus", "softsign", "exponential", "mish")
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FoldedWeights:
    """A layer's float kernel, in its Keras shape, and bias with the batch norm that followed it."""

    kernel: Floats
    bias: Floats


@dataclass(frozen=True)
class _Pending:
    """A weighted op, or a sum, whose batch norm and activation may still follow."""

    name: str
    emit: Callable[[Act], Any]
    weights: FoldedWeights | None = None


@dataclass(frozen=True)
class _Padded:
    """A map with cells of zeros around it, which the next convolution takes in."""

    value: Any
    padding: Padding
    name: str


@dataclass
class _Reading:
    layers: QKerasLayers
    weights: dict[str, FoldedWeights] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    pooled: list[Any] = field(default_factory=list)

    def settle(self, value: Any, activation: Act = LINEAR) -> Any:
        """A tensor of the vocabulary, ended by `activation`."""
        if isinstance(value, _Padded):
            raise UnsupportedLayer(f"layer '{value.name}' (ZeroPadding2D) is supported in front of a convolution or pooling only.")
        if not isinstance(value, _Pending):
            return value if activation is LINEAR else self.layers.activate(value, activation)
        if value.weights is not None:
            self.weights[value.name] = value.weights
        return value.emit(activation)


def replay(model: Any, layers: QKerasLayers) -> tuple[Any, dict[str, FoldedWeights], list[str]]:
    """The model that `layers` builds, the folded float weights by layer name, and what the user should be told.

    Raises:
        UnsupportedLayer: names the layer, its class and what is supported.
    """
    nodes = nodes_of(model)
    reading = _Reading(layers)
    uses = Counter(key_of(tensor) for node in nodes for tensor in node.keras_inputs)
    uses.update(key_of(tensor) for tensor in model.outputs)
    values: dict[Any, Any] = {}
    source: Any = None
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UnsupportedLayer(
            f"model '{model.name}' has {len(model.inputs)} inputs and {len(model.outputs)} outputs; one of each is supported."
        )
    for node in nodes:
        layer, output = node.layer, key_of(node.outputs)
        if not node.keras_inputs:
            source = layers.input(tuple(node.outputs.shape[1:]))
            values[output] = source
            continue
        read = READERS.get(type(layer).__name__)
        if read is None:
            raise UnsupportedLayer(f"layer '{layer.name}' is a {type(layer).__name__}. Supported: {', '.join(sorted(READERS))}.")
        inputs = [values[key_of(tensor)] for tensor in node.keras_inputs]
        value = read(reading, layer, *inputs)
        shared = uses[output] > 1
        values[output] = reading.settle(value) if shared and isinstance(value, _Pending) else value
    end = reading.settle(values[key_of(model.outputs[0])])
    wanted = tuple(model.outputs[0].shape[1:])
    if end.gain != 1.0:
        reading.notes.append(f"the exact network's outputs are {end.gain:.4g} times the float model's; their order is the same")
    if layers.shape(end) != wanted:
        end = layers.reshape(end, "output_reshape", wanted)
    return layers.model(source, end, model.name), reading.weights, reading.notes


def nodes_of(model: Any) -> list[Any]:
    depths = getattr(model, "_nodes_by_depth", None)
    if not depths:
        raise UnsupportedLayer(
            f"model '{getattr(model, 'name', model)}' is neither functional nor a built Sequential; make it one of them."
        )
    nodes = [node for depth in sorted(depths, reverse=True) for node in depths[depth]]
    calls = Counter(id(node.layer) for node in nodes)
    for node in nodes:
        if calls[id(node.layer)] > 1:
            raise UnsupportedLayer(f"layer '{node.layer.name}' is used {calls[id(node.layer)]} times; give each place a layer of its own.")
    return nodes


def key_of(tensor: Any) -> tuple[str, int, int]:
    history = tensor._keras_history
    return history.layer.name, history.node_index, history.tensor_index


# --- what each Keras layer becomes -----------------------------------------------------------------------------------------


def _window(reading: _Reading, layer: Any, x: Any, kernel: Pair, strides: Pair, dilation: Pair = (1, 1)) -> tuple[Any, Padding]:
    """The map that a window runs over, and the cells around it."""
    if isinstance(x, _Padded):
        if layer.padding != "valid":
            raise UnsupportedLayer(f"layer '{layer.name}' pads a map that is padded already by '{x.name}'.")
        return x.value, x.padding
    x = _as_map(reading, layer, reading.settle(x))
    if layer.padding == "valid":
        return x, NO_PADDING
    rows, columns = reading.layers.shape(x)[:2]
    return x, same_padding((rows, columns), kernel, strides, dilation)


def _as_map(reading: _Reading, layer: Any, x: Any) -> Any:
    """A vector as one cell, which a convolution can take."""
    shape = reading.layers.shape(x)
    return reading.layers.reshape(x, f"{layer.name}_map", (1, 1, *shape)) if len(shape) == 1 else x


def _alike(reading: _Reading, layer: Any, values: Any) -> list[Any]:
    """Settled values of one rank: a pooled vector is kept as (1, 1, channels), another as (channels,)."""
    settled = [reading.settle(value) for value in values]
    if len({len(reading.layers.shape(x)) for x in settled}) == 1:
        return settled
    return [
        reading.layers.reshape(x, f"{layer.name}_vector_{i}", shape[2:]) if (shape := reading.layers.shape(x))[:2] == (1, 1) else x
        for i, x in enumerate(settled)
    ]


def _refuse(layer: Any, what: str) -> UnsupportedLayer:
    return UnsupportedLayer(f"layer '{layer.name}' ({type(layer).__name__}) has {what}, which is not supported.")


def _require(layer: Any, **options: Any) -> None:
    for name, value in options.items():
        if getattr(layer, name) != value:
            raise _refuse(layer, f"{name}={getattr(layer, name)}")


def _kernel_of(layer: Any, attribute: str, quantizer: str) -> Floats:
    kernel = getattr(layer, attribute)
    quantize = getattr(layer, quantizer, None)
    return np.asarray(quantize(kernel) if quantize is not None else kernel, np.float32)


def _bias_of(layer: Any, channels: int) -> Floats:
    if not layer.use_bias:
        return np.zeros(channels, np.float32)
    quantize = getattr(layer, "bias_quantizer_internal", None)
    return np.asarray(quantize(layer.bias) if quantize is not None else layer.bias, np.float32)


def _end(reading: _Reading, layer: Any, pending: _Pending) -> Any:
    """Takes in the `activation=` argument of a layer."""
    activation = _activation(layer, layer.activation, f"{layer.name}_{_function_name(layer.activation)}")
    if activation is None:
        return _drop_softmax(reading, layer, pending)
    return pending if activation is LINEAR else reading.settle(pending, activation)


def _conv2d(reading: _Reading, layer: Any, x: Any) -> Any:
    _require(layer, groups=1, data_format="channels_last")
    kernel = _kernel_of(layer, "kernel", "kernel_quantizer_internal")
    weights = FoldedWeights(kernel, _bias_of(layer, layer.filters))
    settled = x if isinstance(x, _Padded) else reading.settle(x)
    if kernel.shape[:2] == (1, 1) and _is_vector(reading, settled):
        flat = FoldedWeights(kernel.reshape(kernel.shape[2:]), weights.bias)  # a classifier written as a 1x1 convolution
        return _end(reading, layer, _dense_verb(reading, layer.name, settled, flat))
    x, padding = _window(reading, layer, settled, layer.kernel_size, layer.strides, layer.dilation_rate)

    def emit(activation: Act) -> Any:
        return reading.layers.conv(
            x,
            layer.name,
            layer.filters,
            layer.kernel_size,
            strides=layer.strides,
            padding=padding,
            dilation=layer.dilation_rate,
            activation=activation,
        )

    return _end(reading, layer, _Pending(layer.name, emit, weights))


def _is_vector(reading: _Reading, x: Any) -> bool:
    return not isinstance(x, _Padded) and (len(reading.layers.shape(x)) == 1 or any(x is vector for vector in reading.pooled))


def _depthwise(reading: _Reading, layer: Any, x: Any) -> Any:
    _require(layer, depth_multiplier=1, data_format="channels_last")
    kernel = _kernel_of(layer, "depthwise_kernel", "depthwise_quantizer_internal")
    weights = FoldedWeights(kernel, _bias_of(layer, kernel.shape[2]))
    x, padding = _window(reading, layer, x, layer.kernel_size, layer.strides, layer.dilation_rate)
    return _end(reading, layer, _depthwise_verb(reading, layer.name, x, weights, layer.strides, padding, layer.dilation_rate))


def _depthwise_verb(
    reading: _Reading,
    name: str,
    x: Any,
    weights: FoldedWeights,
    strides: Pair = (1, 1),
    padding: Padding = NO_PADDING,
    dilation: Pair = (1, 1),
) -> _Pending:
    def emit(activation: Act) -> Any:
        kernel: Pair = weights.kernel.shape[:2]
        return reading.layers.depthwise(x, name, kernel, strides=strides, padding=padding, dilation=dilation, activation=activation)

    return _Pending(name, emit, weights)


def _separable(reading: _Reading, layer: Any, x: Any) -> Any:
    _require(layer, depth_multiplier=1, data_format="channels_last")
    spatial = np.asarray(layer.depthwise_kernel, np.float32)
    x, padding = _window(reading, layer, x, layer.kernel_size, layer.strides, layer.dilation_rate)
    first = FoldedWeights(spatial, np.zeros(spatial.shape[2], np.float32))
    middle = reading.settle(_depthwise_verb(reading, f"{layer.name}_depthwise", x, first, layer.strides, padding, layer.dilation_rate))

    def emit(activation: Act) -> Any:
        return reading.layers.conv(middle, layer.name, layer.filters, (1, 1), activation=activation)

    second = FoldedWeights(np.asarray(layer.pointwise_kernel, np.float32), _bias_of(layer, layer.filters))
    return _end(reading, layer, _Pending(layer.name, emit, second))


def _dense(reading: _Reading, layer: Any, x: Any) -> Any:
    x = reading.settle(x)
    weights = FoldedWeights(_kernel_of(layer, "kernel", "kernel_quantizer_internal"), _bias_of(layer, layer.units))
    if len(layer.input_shape) == 4 and reading.layers.shape(x)[:2] != (1, 1):  # a Dense of a map is a 1x1 convolution
        pointwise = replace(weights, kernel=weights.kernel.reshape(1, 1, *weights.kernel.shape))
        return _end(
            reading,
            layer,
            _Pending(
                layer.name, lambda activation: reading.layers.conv(x, layer.name, layer.units, (1, 1), activation=activation), pointwise
            ),
        )
    if len(layer.input_shape) not in (2, 4):
        raise _refuse(layer, f"an input of shape {layer.input_shape}")
    return _end(reading, layer, _dense_verb(reading, layer.name, x, weights))


def _dense_verb(reading: _Reading, name: str, x: Any, weights: FoldedWeights) -> _Pending:
    return _Pending(name, lambda activation: reading.layers.dense(x, name, weights.kernel.shape[1], activation=activation), weights)


def _batch_norm(reading: _Reading, layer: Any, x: Any) -> Any:
    """y = (x - mean) * gamma / sqrt(variance + epsilon) + beta, folded into the weights in front of it (arXiv 1712.05877, section 3.2)."""
    mean, variance = np.asarray(layer.moving_mean, np.float64), np.asarray(layer.moving_variance, np.float64)
    if list(layer.axis) != [len(layer.input_shape) - 1]:
        raise _refuse(layer, f"axis {list(layer.axis)}")
    scale = (np.asarray(layer.gamma, np.float64) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    shift = (np.asarray(layer.beta, np.float64) if layer.center else 0.0) - mean * scale
    return _affine(reading, layer, x, scale, shift)


def _rescaling(reading: _Reading, layer: Any, x: Any) -> Any:
    channels = layer.input_shape[-1]
    return _affine(
        reading, layer, x, np.broadcast_to(np.float64(layer.scale), channels), np.broadcast_to(np.float64(layer.offset), channels)
    )


def _affine(reading: _Reading, layer: Any, x: Any, scale: Any, shift: Any) -> Any:
    """y = x * scale + shift a channel: into the pending weights, or a 1x1 depthwise convolution of its own."""
    if isinstance(x, _Pending) and x.weights is not None:
        kernel, bias = x.weights.kernel, x.weights.bias
        depthwise = kernel.shape[2:] == (len(bias), 1)  # (rows, columns, channels, 1); the others end with their output channels
        along = scale[:, None] if depthwise else scale
        return replace(x, weights=FoldedWeights((kernel * along).astype(np.float32), (bias * scale + shift).astype(np.float32)))
    x = _as_map(reading, layer, reading.settle(x))
    if len(reading.layers.shape(x)) != 3:
        raise _refuse(layer, "no convolution or dense layer in front of it to fold into")
    own = FoldedWeights(scale.reshape(1, 1, -1, 1).astype(np.float32), np.asarray(shift, np.float32))
    return _depthwise_verb(reading, layer.name, x, own)


def _relu(reading: _Reading, layer: Any, x: Any) -> Any:
    if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6, 6.0):
        raise _refuse(layer, f"max_value={layer.max_value}, negative_slope={layer.negative_slope}, threshold={layer.threshold}")
    return _activated(reading, layer, x, Act("relu" if layer.max_value is None else "relu6", layer.name))


def _activation_layer(reading: _Reading, layer: Any, x: Any) -> Any:
    function = getattr(layer, "quantizer", None) or layer.activation
    activation = _activation(layer, function, layer.name)
    return _drop_softmax(reading, layer, x) if activation is None else _activated(reading, layer, x, activation)


def _activated(reading: _Reading, layer: Any, x: Any, activation: Act) -> Any:
    if activation is LINEAR:
        return x
    if not isinstance(x, _Pending) and activation.kind.startswith("relu"):
        x = _as_map(reading, layer, reading.settle(x))  # a clamp on its own needs an op that carries it
        if len(reading.layers.shape(x)) != 3:
            raise _refuse(layer, "no op in front of it that could carry the clamp")
        channels = reading.layers.shape(x)[-1]
        x = _depthwise_verb(
            reading, f"{layer.name}_identity", x, FoldedWeights(np.ones((1, 1, channels, 1), np.float32), np.zeros(channels, np.float32))
        )
    return reading.settle(x, activation)


def _function_name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _activation(layer: Any, function: Any, name: str) -> Act | None:
    """The vocabulary's name of an activation function or of a qkeras quantizer; None for softmax."""
    kind = _function_name(function)
    kind = {"quantized_relu": "relu", "quantized_bits": "linear", "quantized_tanh": "tanh", "quantized_sigmoid": "sigmoid"}.get(kind, kind)
    if kind == "softmax":
        return None
    if kind == "linear":
        return LINEAR
    if kind in ("relu", "relu6", *TABLE_FUNCTIONS):
        return Act(kind, name)
    raise _refuse(layer, f"the activation '{kind}'")


def _drop_softmax(reading: _Reading, layer: Any, x: Any) -> Any:
    if any(node.layer is not None for node in layer.outbound_nodes):
        raise _refuse(layer, "a softmax that is not the last layer")
    reading.notes.append(f"the softmax of layer '{layer.name}' is left out: the exact network returns logits, whose order is the same")
    return x


def _add(reading: _Reading, layer: Any, *inputs: Any) -> Any:
    if len(inputs) != 2:
        raise _refuse(layer, f"{len(inputs)} inputs")
    x, y = _alike(reading, layer, inputs)
    return _Pending(layer.name, lambda activation: reading.layers.add(x, y, layer.name, activation))


def _concat(reading: _Reading, layer: Any, *inputs: Any) -> Any:
    rank = len(layer.input_shape[0])
    if layer.axis not in (-1, rank - 1):
        raise _refuse(layer, f"axis {layer.axis}")
    return reading.layers.concat(_alike(reading, layer, inputs), layer.name)


def _zero_padding(reading: _Reading, layer: Any, x: Any) -> Any:
    (top, bottom), (left, right) = layer.padding
    return _Padded(reading.settle(x), Padding(top, bottom, left, right), layer.name)


def _global_pool(reading: _Reading, layer: Any, x: Any) -> Any:
    value = reading.layers.global_pool(reading.settle(x), layer.name)
    reading.pooled.append(value)
    return value


def _average_pool(reading: _Reading, layer: Any, x: Any) -> Any:
    x, padding = _window(reading, layer, x, layer.pool_size, layer.strides)
    if padding != NO_PADDING:
        raise _refuse(layer, "padding")
    return reading.layers.average_pool(x, layer.name, layer.pool_size, strides=layer.strides)


def _max_pool(reading: _Reading, layer: Any, x: Any) -> Any:
    x, padding = _window(reading, layer, x, layer.pool_size, layer.strides)
    return reading.layers.max_pool(x, layer.name, layer.pool_size, strides=layer.strides, padding=padding)


def _global_max_pool(reading: _Reading, layer: Any, x: Any) -> Any:
    x = _as_map(reading, layer, reading.settle(x))
    rows, columns = reading.layers.shape(x)[:2]
    value = reading.layers.max_pool(x, layer.name, (rows, columns), strides=(1, 1))
    reading.pooled.append(value)
    return value


def _reshape(reading: _Reading, layer: Any, x: Any) -> Any:
    x = reading.settle(x)
    shape = tuple(layer.output_shape[1:])
    current = reading.layers.shape(x)
    one_by_one = current[:-1] in ((), (1, 1)) and shape[-1] == current[-1]
    return x if shape == current or (one_by_one and len(shape) == 1) else reading.layers.reshape(x, layer.name, shape)


def _same(reading: _Reading, layer: Any, x: Any) -> Any:
    return x


READERS: dict[str, Callable[..., Any]] = {
    "Conv2D": _conv2d,
    "QConv2D": _conv2d,
    "DepthwiseConv2D": _depthwise,
    "QDepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "QDense": _dense,
    "BatchNormalization": _batch_norm,
    "Rescaling": _rescaling,
    "ReLU": _relu,
    "Activation": _activation_layer,
    "QActivation": _activation_layer,
    "Softmax": _drop_softmax,
    "Add": _add,
    "Concatenate": _concat,
    "ZeroPadding2D": _zero_padding,
    "GlobalAveragePooling2D": _global_pool,
    "GlobalMaxPooling2D": _global_max_pool,
    "AveragePooling2D": _average_pool,
    "MaxPooling2D": _max_pool,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Dropout": _same,
    "SpatialDropout2D": _same,
    "GaussianNoise": _same,
}
