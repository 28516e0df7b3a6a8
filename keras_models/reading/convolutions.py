"""Convolutions of a map: dense, depthwise, separable and transposed ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.arrays import Floats
from edgekit.keras_models.reading.activations import end
from edgekit.keras_models.reading.keras_layer import require
from edgekit.keras_models.reading.norms import take_in
from edgekit.keras_models.reading.pending import Convolution, DenseLayer, Depthwise, Padded, Reading, SeparableEnd, Upsampling
from edgekit.keras_models.reading.vocabulary import FoldedWeights
from edgekit.keras_models.reading.windows import window_of


def kernel_of(layer: Any, attribute: str, quantizer: str) -> Floats:
    """A layer's kernel, as its qkeras quantizer gives it, if it has one."""
    kernel = getattr(layer, attribute)
    quantize = getattr(layer, quantizer, None)
    return np.asarray(quantize(kernel) if quantize is not None else kernel, np.float32)


def bias_of(layer: Any, channels: int) -> Floats:
    """A layer's bias likewise, zeros where it has none."""
    if not layer.use_bias:
        return np.zeros(channels, np.float32)
    quantize = getattr(layer, "bias_quantizer_internal", None)
    return np.asarray(quantize(layer.bias) if quantize is not None else layer.bias, np.float32)


def _conv2d(reading: Reading, layer: Any, x: Any) -> Any:
    kernel = kernel_of(layer, "kernel", "kernel_quantizer_internal")
    x, weights = take_in(reading, x, FoldedWeights(kernel, bias_of(layer, layer.filters)))
    x = x if isinstance(x, Padded) else reading.settle(x)
    if kernel.shape[:2] == (1, 1) and not isinstance(x, Padded) and (len(reading.layers.shape(x)) == 1 or _gives_logits(layer)):
        flat = FoldedWeights(weights.kernel.reshape(kernel.shape[2:]), weights.bias)
        return end(reading, layer, DenseLayer(layer.name, x, flat))
    x, window = window_of(reading, layer, x, layer.kernel_size, layer.dilation_rate)
    return end(reading, layer, Convolution(layer.name, x, weights, window))


def _gives_logits(layer: Any) -> bool:
    """Whether a convolution is a classifier: of a map of one cell, and flattened by what follows."""
    following = [node.layer for node in layer.outbound_nodes]
    return tuple(layer.input_shape[1:3]) == (1, 1) and bool(following) and all(len(one.output_shape) == 2 for one in following)


def _depthwise(reading: Reading, layer: Any, x: Any) -> Any:
    require(layer, depth_multiplier=1)
    kernel = kernel_of(layer, "depthwise_kernel", "depthwise_quantizer_internal")
    x, window = window_of(reading, layer, x, layer.kernel_size, layer.dilation_rate)
    return end(reading, layer, Depthwise(layer.name, x, FoldedWeights(kernel, bias_of(layer, kernel.shape[2])), window))


def _separable(reading: Reading, layer: Any, x: Any) -> Any:
    require(layer, depth_multiplier=1)
    spatial = np.asarray(layer.depthwise_kernel, np.float32)
    x, window = window_of(reading, layer, x, layer.kernel_size, layer.dilation_rate)
    first = FoldedWeights(spatial, np.zeros(spatial.shape[2], np.float32))
    middle = reading.settle(Depthwise(f"{layer.name}_depthwise", x, first, window))
    second = FoldedWeights(np.asarray(layer.pointwise_kernel, np.float32), bias_of(layer, layer.filters))
    return end(reading, layer, SeparableEnd(layer.name, middle, second))


def _upsample(reading: Reading, layer: Any, x: Any) -> Any:
    weights = FoldedWeights(np.asarray(layer.depthwise_kernel, np.float32), np.asarray(layer.bias, np.float32))
    return Upsampling(layer.name, reading.settle(x), weights, layer.factor)


CONVOLUTION_READERS: dict[str, Callable[..., Any]] = {
    "Conv2D": _conv2d,
    "QConv2D": _conv2d,
    "DepthwiseConv2D": _depthwise,
    "QDepthwiseConv2D": _depthwise,
    "SeparableConv2D": _separable,
    "DepthwiseUpsampling2D": _upsample,
}
