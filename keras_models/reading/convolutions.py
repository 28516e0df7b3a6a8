"""Convolutions of a map: dense, depthwise, separable and transposed ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.arrays import Floats
from edgekit.graph import Padding, Window
from edgekit.keras_models.reading.activations import end
from edgekit.keras_models.reading.keras_layer import refuse
from edgekit.keras_models.reading.norms import take_in
from edgekit.keras_models.reading.pending import Convolution, DenseLayer, Depthwise, Padded, Reading, SeparableEnd, Upsampling
from edgekit.keras_models.reading.vocabulary import FoldedWeights
from edgekit.keras_models.reading.windows import spread_with_zeros, window_of


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
    kernel = of_groups(kernel_of(layer, "kernel", "kernel_quantizer_internal"), layer.groups)
    x, weights = take_in(reading, x, FoldedWeights(kernel, bias_of(layer, layer.filters)))
    x = x if isinstance(x, Padded) else reading.settle(x)
    if kernel.shape[:2] == (1, 1) and not isinstance(x, Padded) and (len(reading.layers.shape(x)) == 1 or _gives_logits(layer)):
        flat = FoldedWeights(weights.kernel.reshape(kernel.shape[2:]), weights.bias)
        return end(reading, layer, DenseLayer(layer.name, x, flat))
    x, window = window_of(reading, layer, x, layer.kernel_size, layer.dilation_rate)
    return end(reading, layer, Convolution(layer.name, x, weights, window))


def of_groups(kernel: Floats, groups: int) -> Floats:
    """The kernel of a convolution in groups as one that reads all channels, with zeros: there is no verb for groups."""
    if groups == 1:
        return kernel
    per_group, filters = kernel.shape[2], kernel.shape[3] // groups
    whole = np.zeros((*kernel.shape[:2], per_group * groups, filters * groups), np.float32)
    for group in range(groups):
        outputs = slice(group * filters, (group + 1) * filters)
        whole[:, :, group * per_group : (group + 1) * per_group, outputs] = kernel[..., outputs]
    return whole


def _multiplied(kernel: Floats) -> Floats:
    """A depthwise kernel of several outputs a channel, (rows, columns, channels, multiplier), as a convolution's of groups."""
    rows, columns, channels, multiplier = kernel.shape
    return of_groups(kernel.reshape(rows, columns, 1, channels * multiplier), channels)


def _folded_conv2d(reading: Reading, layer: Any, x: Any) -> Any:
    """qkeras' convolution with its batch norm inside: what it folds itself, as its quantizers give it."""
    kernel, bias = layer.get_folded_weights()
    quantizers = (layer.kernel_quantizer_internal, layer.bias_quantizer_internal)
    kernel, bias = (
        np.asarray(values if quantize is None else quantize(values), np.float32)
        for values, quantize in zip((kernel, bias), quantizers, strict=True)
    )
    x, window = window_of(reading, layer, x, layer.kernel_size, layer.dilation_rate)
    return end(reading, layer, Convolution(layer.name, x, FoldedWeights(of_groups(kernel, layer.groups), bias), window))


def _transposed(reading: Reading, layer: Any, x: Any) -> Any:
    """Zeros between the cells, and a convolution with the kernel turned about."""
    (rows, columns), (factor, other) = layer.kernel_size, layer.strides
    if factor != other or tuple(layer.dilation_rate) != (1, 1) or layer.output_padding is not None:
        raise refuse(layer, f"strides={layer.strides}, dilation_rate={layer.dilation_rate}, output_padding={layer.output_padding}")
    own = kernel_of(layer, "kernel", "kernel_quantizer_internal")
    kernel = np.ascontiguousarray(own[::-1, ::-1].transpose(0, 1, 3, 2))
    x = spread_with_zeros(reading, f"{layer.name}_spread", x, factor)
    sides = []
    for taps in (rows, columns):
        more = max(taps - factor, 0)
        cut = more // 2 if layer.padding == "same" else 0  # of the cells before; "same" keeps factor times the cells
        sides += [taps - 1 - cut, cut if layer.padding == "same" else more]
    window = Window(layer.kernel_size, padding=Padding(*sides))
    return end(reading, layer, Convolution(layer.name, x, FoldedWeights(kernel, bias_of(layer, layer.filters)), window))


def _gives_logits(layer: Any) -> bool:
    """Whether a convolution is a classifier: of a map of one cell, and flattened by what follows."""
    following = [node.layer for node in layer.outbound_nodes]
    return tuple(layer.input_shape[1:3]) == (1, 1) and bool(following) and all(len(one.output_shape) == 2 for one in following)


def _depthwise(reading: Reading, layer: Any, x: Any) -> Any:
    kernel = kernel_of(layer, "depthwise_kernel", "depthwise_quantizer_internal")
    x, window = window_of(reading, layer, x, layer.kernel_size, layer.dilation_rate)
    return end(reading, layer, _by_channel(layer.name, x, kernel, bias_of(layer, kernel.shape[2] * kernel.shape[3]), window))


def _by_channel(name: str, x: Any, kernel: Floats, bias: Floats, window: Window) -> Depthwise | Convolution:
    if kernel.shape[3] == 1:
        return Depthwise(name, x, FoldedWeights(kernel, bias), window)
    return Convolution(name, x, FoldedWeights(_multiplied(kernel), bias), window)


def _separable(reading: Reading, layer: Any, x: Any) -> Any:
    spatial = kernel_of(layer, "depthwise_kernel", "depthwise_quantizer_internal")
    x, window = window_of(reading, layer, x, layer.kernel_size, layer.dilation_rate)
    zeros = np.zeros(spatial.shape[2] * spatial.shape[3], np.float32)
    middle = reading.settle(_by_channel(f"{layer.name}_depthwise", x, spatial, zeros, window))
    pointwise = kernel_of(layer, "pointwise_kernel", "pointwise_quantizer_internal")
    second = FoldedWeights(pointwise, bias_of(layer, layer.filters))
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
    "QSeparableConv2D": _separable,
    "QConv2DBatchnorm": _folded_conv2d,
    "Conv2DTranspose": _transposed,
    "QConv2DTranspose": _transposed,
    "DepthwiseUpsampling2D": _upsample,
}
