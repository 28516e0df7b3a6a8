"""What each Keras layer becomes in verbs of the vocabulary: a function (reading, layer, inputs) -> value, by the layer's class.

Products, norms, attention and our own layers are in transformer_readers.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from edgekit.errors import UnsupportedLayer
from edgekit.graph import Padding, same_padding
from edgekit.graph.ir import Pair
from edgekit.keras_models.reading.pending import Floats, FoldedWeights, Normed, Padded, Pending, Reading
from edgekit.keras_models.zoo.vocabulary import LINEAR, NO_PADDING, Act, symmetric

TABLE_FUNCTIONS = (
    *("sigmoid", "tanh", "swish", "silu", "gelu", "hard_sigmoid", "hard_swish", "relu6_sigmoid", "elu", "selu", "softplus"),
    *("softsign", "exponential", "mish"),
)


def _window(reading: Reading, layer: Any, x: Any, kernel: Pair, strides: Pair, dilation: Pair = (1, 1)) -> tuple[Any, Padding]:
    """The map that a window runs over, and the cells around it."""
    if isinstance(x, Padded):
        if layer.padding != "valid":
            raise UnsupportedLayer(f"layer '{layer.name}' pads a map that is padded already by '{x.name}'.")
        return x.value, x.padding
    x = _as_map(reading, layer, reading.settle(x))
    if layer.padding == "valid":
        return x, NO_PADDING
    rows, columns = reading.layers.shape(x)[:2]
    return x, same_padding((rows, columns), kernel, strides, dilation)


def _as_map(reading: Reading, layer: Any, x: Any) -> Any:
    """A vector as one cell, which a convolution can take."""
    shape = reading.layers.shape(x)
    return reading.layers.reshape(x, f"{layer.name}_map", (1, 1, *shape)) if len(shape) == 1 else x


def _alike(reading: Reading, layer: Any, values: Any) -> list[Any]:
    """Settled values of one rank: a pooled vector is kept as (1, 1, channels), another as (channels,)."""
    settled = [reading.settle(value) for value in values]
    if len({len(reading.layers.shape(x)) for x in settled}) == 1:
        return settled
    return [
        reading.layers.reshape(x, f"{layer.name}_vector_{i}", shape[2:]) if (shape := reading.layers.shape(x))[:2] == (1, 1) else x
        for i, x in enumerate(settled)
    ]


def refuse(layer: Any, what: str) -> UnsupportedLayer:
    return UnsupportedLayer(f"layer '{layer.name}' ({type(layer).__name__}) has {what}, which is not supported.")


def _require(layer: Any, **options: Any) -> None:
    for name, value in options.items():
        if getattr(layer, name) != value:
            raise refuse(layer, f"{name}={getattr(layer, name)}")


def _kernel_of(layer: Any, attribute: str, quantizer: str) -> Floats:
    kernel = getattr(layer, attribute)
    quantize = getattr(layer, quantizer, None)
    return np.asarray(quantize(kernel) if quantize is not None else kernel, np.float32)


def _bias_of(layer: Any, channels: int) -> Floats:
    if not layer.use_bias:
        return np.zeros(channels, np.float32)
    quantize = getattr(layer, "bias_quantizer_internal", None)
    return np.asarray(quantize(layer.bias) if quantize is not None else layer.bias, np.float32)


def _end(reading: Reading, layer: Any, pending: Pending) -> Any:
    """Takes in the `activation=` argument of a layer."""
    activation = _activation(layer, layer.activation, f"{layer.name}_{_function_name(layer.activation)}")
    if activation is None:
        return _softmax(reading, layer, pending)
    return pending if activation is LINEAR else reading.settle(pending, activation)


def _conv2d(reading: Reading, layer: Any, x: Any) -> Any:
    _require(layer, groups=1, data_format="channels_last")
    kernel = _kernel_of(layer, "kernel", "kernel_quantizer_internal")
    x, weights = _take_in(reading, x, FoldedWeights(kernel, _bias_of(layer, layer.filters)))
    x = x if isinstance(x, Padded) else reading.settle(x)
    if kernel.shape[:2] == (1, 1) and not isinstance(x, Padded) and (len(reading.layers.shape(x)) == 1 or _gives_logits(layer)):
        flat = FoldedWeights(weights.kernel.reshape(kernel.shape[2:]), weights.bias)
        return _end(reading, layer, _dense_verb(reading, layer.name, x, flat))
    x, padding = _window(reading, layer, x, layer.kernel_size, layer.strides, layer.dilation_rate)
    window = {"strides": layer.strides, "padding": padding, "dilation": layer.dilation_rate}
    return _end(reading, layer, _conv_verb(reading, layer.name, x, weights, window))


def _conv_verb(reading: Reading, name: str, x: Any, weights: FoldedWeights, window: dict[str, Any]) -> Pending:
    rows, columns, _, filters = weights.kernel.shape

    def emit(activation: Act) -> Any:
        return reading.layers.conv(x, name, filters, (rows, columns), activation=activation, use_bias=True, **window)

    def part(part_name: str, start: int, count: int) -> Pending:
        some = slice(start, start + count)
        return _conv_verb(reading, part_name, x, FoldedWeights(weights.kernel[..., some], weights.bias[some]), window)

    def mean(pool_name: str, keep_map: bool) -> Any:
        return reading.layers.pointwise_mean(x, name, filters, pool_name, keep_map=keep_map)

    of_each_cell = (rows, columns, *window.get("strides", (1, 1))) == (1, 1, 1, 1) and window.get("padding", NO_PADDING) == NO_PADDING
    return Pending(name, emit, weights, part=part, mean=mean if of_each_cell else None)


def _take_in(reading: Reading, x: Any, weights: FoldedWeights) -> tuple[Any, FoldedWeights]:
    """The factors and shifts in front of a kernel without rows and columns, a batch norm's or a layer norm's:
    k (s x + t) + b = (k s) x + (k t + b)."""
    if weights.kernel.shape[:-2] not in ((), (1, 1)):
        return x, weights
    if isinstance(x, Normed):
        return reading.normalized(x), _behind(x.scale, x.shift, weights)
    if isinstance(x, Pending) and x.scaled is not None and x.weights is not None:
        return x.scaled, _behind(x.weights.kernel.ravel(), x.weights.bias, weights)
    return x, weights


def _behind(scale: Floats, shift: Floats, weights: FoldedWeights) -> FoldedWeights:
    kernel = weights.kernel.reshape(weights.kernel.shape[-2:]).astype(np.float64)
    scaled = (scale[:, None] * kernel).reshape(weights.kernel.shape).astype(np.float32)
    return FoldedWeights(scaled, (weights.bias + shift @ kernel).astype(np.float32))


def _gives_logits(layer: Any) -> bool:
    """Whether a convolution is a classifier: of a map of one cell, and flattened by what follows."""
    following = [node.layer for node in layer.outbound_nodes]
    return tuple(layer.input_shape[1:3]) == (1, 1) and bool(following) and all(len(one.output_shape) == 2 for one in following)


def _depthwise(reading: Reading, layer: Any, x: Any) -> Any:
    _require(layer, depth_multiplier=1, data_format="channels_last")
    kernel = _kernel_of(layer, "depthwise_kernel", "depthwise_quantizer_internal")
    weights = FoldedWeights(kernel, _bias_of(layer, kernel.shape[2]))
    x, padding = _window(reading, layer, x, layer.kernel_size, layer.strides, layer.dilation_rate)
    return _end(reading, layer, _depthwise_verb(reading, layer.name, x, weights, layer.strides, padding, layer.dilation_rate))


def _depthwise_verb(
    reading: Reading,
    name: str,
    x: Any,
    weights: FoldedWeights,
    strides: Pair = (1, 1),
    padding: Padding = NO_PADDING,
    dilation: Pair = (1, 1),
) -> Pending:
    kernel: Pair = weights.kernel.shape[:2]

    def emit(activation: Act) -> Any:
        return reading.layers.depthwise(
            x, name, kernel, strides=strides, padding=padding, dilation=dilation, activation=activation, use_bias=True
        )

    def encode(add_name: str, activation: Act) -> Any:
        return reading.layers.position_encoding(x, name, kernel, padding=padding, add_name=add_name, activation=activation)

    if strides != (1, 1) or dilation != (1, 1) or padding != symmetric(kernel) or not (kernel[0] % 2 and kernel[1] % 2):
        return Pending(name, emit, weights)
    return Pending(name, emit, weights, input=x, encode=encode)


def _separable(reading: Reading, layer: Any, x: Any) -> Any:
    _require(layer, depth_multiplier=1, data_format="channels_last")
    spatial = np.asarray(layer.depthwise_kernel, np.float32)
    x, padding = _window(reading, layer, x, layer.kernel_size, layer.strides, layer.dilation_rate)
    first = FoldedWeights(spatial, np.zeros(spatial.shape[2], np.float32))
    middle = reading.settle(_depthwise_verb(reading, f"{layer.name}_depthwise", x, first, layer.strides, padding, layer.dilation_rate))

    def emit(activation: Act) -> Any:
        return reading.layers.conv(middle, layer.name, layer.filters, (1, 1), activation=activation, use_bias=True)

    second = FoldedWeights(np.asarray(layer.pointwise_kernel, np.float32), _bias_of(layer, layer.filters))
    return _end(reading, layer, Pending(layer.name, emit, second))


def _dense(reading: Reading, layer: Any, x: Any) -> Any:
    x, weights = _take_in(reading, x, FoldedWeights(_kernel_of(layer, "kernel", "kernel_quantizer_internal"), _bias_of(layer, layer.units)))
    x = reading.settle(x)
    if len(layer.input_shape) == 4 and reading.layers.shape(x)[:2] != (1, 1):  # a Dense of a map is a 1x1 convolution
        pointwise = replace(weights, kernel=weights.kernel.reshape(1, 1, *weights.kernel.shape))
        return _end(reading, layer, _conv_verb(reading, layer.name, x, pointwise, {}))
    if len(layer.input_shape) not in (2, 4):
        raise refuse(layer, f"an input of shape {layer.input_shape}")
    return _end(reading, layer, _dense_verb(reading, layer.name, x, weights))


def _dense_verb(reading: Reading, name: str, x: Any, weights: FoldedWeights) -> Pending:
    def emit(activation: Act) -> Any:
        return reading.layers.dense(x, name, weights.kernel.shape[1], activation=activation)

    return Pending(name, emit, weights, input=x, is_dense=True)


def _refolded(x: Pending, weights: FoldedWeights) -> Pending:
    """A pending layer with other weights; what was made of the former ones, parts and sums with the input, goes."""
    return replace(x, weights=weights, part=None)


def _batch_norm(reading: Reading, layer: Any, x: Any) -> Any:
    """y = (x - mean) * gamma / sqrt(variance + epsilon) + beta, folded into the weights in front of it (arXiv 1712.05877, section 3.2)."""
    mean, variance = np.asarray(layer.moving_mean, np.float64), np.asarray(layer.moving_variance, np.float64)
    if list(layer.axis) != [len(layer.input_shape) - 1]:
        raise refuse(layer, f"axis {list(layer.axis)}")
    scale = (np.asarray(layer.gamma, np.float64) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    shift = (np.asarray(layer.beta, np.float64) if layer.center else 0.0) - mean * scale
    return affine(reading, layer, x, scale, shift)


def _rescaling(reading: Reading, layer: Any, x: Any) -> Any:
    channels = layer.input_shape[-1]
    return affine(
        reading, layer, x, np.broadcast_to(np.float64(layer.scale), channels), np.broadcast_to(np.float64(layer.offset), channels)
    )


def affine(reading: Reading, layer: Any, x: Any, scale: Any, shift: Any, name: str = "") -> Any:
    """y = x * scale + shift a channel: into the pending weights, into those that follow, or a 1x1 depthwise convolution of its own."""
    if isinstance(x, Pending) and x.weights is not None:
        kernel, bias = x.weights.kernel, x.weights.bias
        depthwise = kernel.shape[2:] == (len(bias), 1)  # (rows, columns, channels, 1); the others end with their output channels
        along = scale[:, None] if depthwise else scale
        folded = FoldedWeights((kernel * along).astype(np.float32), (bias * scale + shift).astype(np.float32))
        return _refolded(x, folded)
    scaled, name = reading.settle(x), name or layer.name

    def emit(activation: Act) -> Any:
        cells = _as_map(reading, layer, scaled)
        if len(reading.layers.shape(cells)) != 3:
            raise refuse(layer, "no convolution or dense layer around it to fold into")
        return reading.layers.depthwise(cells, name, (1, 1), activation=activation, use_bias=True)

    own = FoldedWeights(scale.reshape(1, 1, -1, 1).astype(np.float32), np.asarray(shift, np.float32))
    return Pending(name, emit, own, scaled=scaled)


def _relu(reading: Reading, layer: Any, x: Any) -> Any:
    if layer.negative_slope or layer.threshold or layer.max_value not in (None, 6, 6.0):
        raise refuse(layer, f"max_value={layer.max_value}, negative_slope={layer.negative_slope}, threshold={layer.threshold}")
    return _activated(reading, layer, x, Act("relu" if layer.max_value is None else "relu6", layer.name))


def _activation_layer(reading: Reading, layer: Any, x: Any) -> Any:
    function = getattr(layer, "quantizer", None) or layer.activation
    activation = _activation(layer, function, layer.name)
    return _softmax(reading, layer, x) if activation is None else _activated(reading, layer, x, activation)


def _activated(reading: Reading, layer: Any, x: Any, activation: Act) -> Any:
    if activation is LINEAR:
        return x
    if not isinstance(x, Pending) and activation.kind.startswith("relu"):
        x = _as_map(reading, layer, reading.settle(x))  # a clamp on its own needs an op that carries it
        if len(reading.layers.shape(x)) != 3:
            raise refuse(layer, "no op in front of it that could carry the clamp")
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
    raise refuse(layer, f"the activation '{kind}'")


def _softmax(reading: Reading, layer: Any, x: Any) -> Any:
    logits = reading.settle(x)
    value = reading.layers.softmax(logits, f"{layer.name}_softmax")
    if value is logits:
        if layer.outbound_nodes:
            raise refuse(layer, "a softmax that is not the last layer")
        reading.notes.append(f"the softmax of layer '{layer.name}' is left out: the exact network returns logits, whose order is the same")
    return value


def _add(reading: Reading, layer: Any, *inputs: Any) -> Any:
    if len(inputs) != 2:
        raise refuse(layer, f"{len(inputs)} inputs")
    for pending, other in (inputs, inputs[::-1]):
        if isinstance(pending, Pending) and pending.encode is not None and pending.input is other:
            return Pending(pending.name, partial(pending.encode, layer.name), pending.weights)
    x, y = _alike(reading, layer, inputs)
    return Pending(layer.name, lambda activation: reading.layers.add(x, y, layer.name, activation))


def _average(reading: Reading, layer: Any, *inputs: Any) -> Any:
    """Of two classifiers that read one tensor: a classifier with the mean of their weights."""
    heads = [value for value in inputs if isinstance(value, Pending) and value.is_dense]
    both = [head.weights for head in heads if head.weights is not None]
    if len(inputs) != 2 or len(both) != 2 or heads[0].input is not heads[1].input:
        raise refuse(layer, "inputs other than two dense layers of one tensor")
    half = np.float32(0.5)
    mean = FoldedWeights((both[0].kernel + both[1].kernel) * half, (both[0].bias + both[1].bias) * half)
    return _dense_verb(reading, heads[0].name, heads[0].input, mean)


def _concat(reading: Reading, layer: Any, *inputs: Any) -> Any:
    rank = len(layer.input_shape[0])
    if layer.axis not in (-1, rank - 1):
        raise refuse(layer, f"axis {layer.axis}")
    return reading.layers.concat(_alike(reading, layer, inputs), layer.name)


def _zero_padding(reading: Reading, layer: Any, x: Any) -> Any:
    (top, bottom), (left, right) = layer.padding
    return Padded(reading.settle(x), Padding(top, bottom, left, right), layer.name)


def _global_pool(reading: Reading, layer: Any, x: Any) -> Any:
    if isinstance(x, Pending) and x.mean is not None and x.weights is not None:
        reading.weights[x.name] = x.weights
        return x.mean(layer.name, layer.keepdims)
    return reading.layers.global_pool(reading.settle(x), layer.name, keep_map=layer.keepdims)


def _average_pool(reading: Reading, layer: Any, x: Any) -> Any:
    x, padding = _window(reading, layer, x, layer.pool_size, layer.strides)
    if padding != NO_PADDING:
        raise refuse(layer, "padding")
    return reading.layers.average_pool(x, layer.name, layer.pool_size, strides=layer.strides)


def _max_pool(reading: Reading, layer: Any, x: Any) -> Any:
    x, padding = _window(reading, layer, x, layer.pool_size, layer.strides)
    return reading.layers.max_pool(x, layer.name, layer.pool_size, strides=layer.strides, padding=padding)


def _global_max_pool(reading: Reading, layer: Any, x: Any) -> Any:
    x = _as_map(reading, layer, reading.settle(x))
    rows, columns = reading.layers.shape(x)[:2]
    return reading.layers.max_pool(x, layer.name, (rows, columns), strides=(1, 1))


def _reshape(reading: Reading, layer: Any, x: Any) -> Any:
    shape = tuple(layer.output_shape[1:])
    if isinstance(x, Pending) and x.is_dense and len(shape) == 1:
        return x  # a classifier written as a convolution is flattened after it
    x = reading.settle(x)
    current = reading.layers.shape(x)
    cells = ((), (1, 1))
    as_it_is = shape == current or (current[:-1] in cells and shape[:-1] in cells and shape[-1] == current[-1])
    return x if as_it_is else reading.layers.reshape(x, layer.name, shape)


def _same(reading: Reading, layer: Any, x: Any) -> Any:
    return x


LAYER_READERS: dict[str, Callable[..., Any]] = {
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
    "Softmax": _softmax,
    "Add": _add,
    "Average": _average,
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
