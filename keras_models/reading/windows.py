"""Windows that run over a map: cells of zeros around it, and pools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.errors import UnsupportedLayer
from edgekit.graph import NO_PADDING, Padding, Window, same_padding
from edgekit.graph.ir import Pair
from edgekit.keras_models.reading.activations import act_of, activated
from edgekit.keras_models.reading.keras_layer import as_map, refuse
from edgekit.keras_models.reading.norms import affine
from edgekit.keras_models.reading.pending import Convolution, Depthwise, Padded, Reading, Upsampling
from edgekit.keras_models.reading.vocabulary import FoldedWeights
from edgekit.keras_models.zoo.vocabulary import ONE_CELL, Value

BORDER = "padding, at which its mean is over fewer cells (padding='valid' behind a ZeroPadding2D counts zeros)"


def window_of(reading: Reading, layer: Any, x: Any, kernel: Pair, dilation: Pair = (1, 1)) -> tuple[Value, Window]:
    """The map that a layer's window runs over, and the window, with the cells of zeros that a layer before it puts around the map."""
    if isinstance(x, Padded):
        if layer.padding != "valid":
            raise UnsupportedLayer(f"layer '{layer.name}' pads a map that is padded already by '{x.name}'.")
        return x.value, Window(kernel, layer.strides, x.padding, dilation)
    x = as_map(reading.layers, layer, reading.settle(x))
    if layer.padding == "valid":
        return x, Window(kernel, layer.strides, NO_PADDING, dilation)
    rows, columns = reading.layers.shape(x)[:2]
    return x, Window(kernel, layer.strides, same_padding((rows, columns), kernel, layer.strides, dilation), dilation)


def _zero_padding(reading: Reading, layer: Any, x: Any) -> Any:
    (top, bottom), (left, right) = layer.padding
    return Padded(reading.settle(x), Padding(top, bottom, left, right), layer.name)


def _global_pool(reading: Reading, layer: Any, x: Any) -> Any:
    if isinstance(x, Convolution) and x.window == ONE_CELL:
        return x.mean(reading, layer.name, layer.keepdims)
    return reading.layers.global_pool(reading.settle(x), layer.name, keep_map=layer.keepdims)


def _average_pool(reading: Reading, layer: Any, x: Any) -> Any:
    x, window = window_of(reading, layer, reading.settle(x), layer.pool_size)  # zeros that a layer before it puts there count
    if window.padding != NO_PADDING:
        raise refuse(layer, BORDER)
    return reading.layers.average_pool(x, layer.name, window)


def _max_pool(reading: Reading, layer: Any, x: Any) -> Any:
    if isinstance(x, Padded):
        x = _zeros_that_count(reading, layer, x)
    x, window = window_of(reading, layer, x, layer.pool_size)
    return reading.layers.max_pool(x, layer.name, window)


def _zeros_that_count(reading: Reading, layer: Any, x: Padded) -> Any:
    """In Keras a ZeroPadding2D puts zeros in front of a max-pool; padding of the pool itself takes no part. Where no value is below zero
    both are one."""
    around, (rows, columns) = x.padding, layer.pool_size
    some_cell = max(around.top, around.bottom) < rows and max(around.left, around.right) < columns
    if some_cell and layer.padding == "valid" and reading.layers.never_negative(x.value):
        return x
    return reading.settle(x)


def _global_max_pool(reading: Reading, layer: Any, x: Any) -> Any:
    x = as_map(reading.layers, layer, reading.settle(x))
    rows, columns = reading.layers.shape(x)[:2]
    return reading.layers.max_pool(x, layer.name, Window((rows, columns)))


def _crop(reading: Reading, layer: Any, x: Any) -> Any:
    """A depthwise convolution whose kernel is as large as what is left out, and 1 at one place."""
    (top, bottom), (left, right) = layer.cropping
    x = reading.settle(x)
    channels = reading.layers.shape(x)[-1]
    kernel = np.zeros((top + bottom + 1, left + right + 1, channels, 1), np.float32)
    kernel[top, left] = 1.0
    return Depthwise(layer.name, x, FoldedWeights(kernel, np.zeros(channels, np.float32)), Window(kernel.shape[:2]))


def _upsampling(reading: Reading, layer: Any, x: Any) -> Any:
    rows, columns = layer.size
    if rows != columns or layer.interpolation != "nearest":
        raise refuse(layer, f"size={layer.size}, interpolation={layer.interpolation}")
    return _spread(reading, layer.name, x, rows, np.ones((rows, columns)))


def _spread(reading: Reading, name: str, x: Any, factor: int, of_cell: Any) -> Upsampling:
    """Each cell becomes `factor` times `factor` cells, times `of_cell`."""
    x = reading.settle(x)
    channels = reading.layers.shape(x)[-1]
    kernel = np.tile(of_cell[:, :, None, None], (1, 1, channels, 1)).astype(np.float32)
    return Upsampling(name, x, FoldedWeights(kernel, np.zeros(channels, np.float32)), factor)


def spread_with_zeros(reading: Reading, name: str, x: Any, factor: int) -> Value:
    """Each cell in the upper left corner of `factor` times `factor` cells of zeros."""
    if factor == 1:
        return reading.settle(x)
    corner = np.zeros((factor, factor))
    corner[0, 0] = 1.0
    return reading.settle(_spread(reading, name, x, factor, corner))


def _quantized_pool(pool: Callable[..., Any]) -> Callable[..., Any]:
    """A mean whose 1 / cells qkeras quantizes, and what may follow it."""

    def read(reading: Reading, layer: Any, x: Any) -> Any:
        rows, columns = getattr(layer, "pool_size", layer.input_shape[1:3])
        x = pool(reading, layer, x)
        quantize, cells, channels = layer.average_quantizer_internal, rows * columns, layer.input_shape[-1]
        if quantize is not None:
            factor = cells * float(np.asarray(quantize(1.0 / cells)))
            x = affine(reading, layer, x, np.full(channels, factor), np.zeros(channels), f"{layer.name}_factor")
        return activated(reading, layer, x, act_of(layer, layer.activation, f"{layer.name}_activation"))

    return read


WINDOW_READERS: dict[str, Callable[..., Any]] = {
    "ZeroPadding2D": _zero_padding,
    "GlobalAveragePooling2D": _global_pool,
    "GlobalMaxPooling2D": _global_max_pool,
    "AveragePooling2D": _average_pool,
    "MaxPooling2D": _max_pool,
    "QAveragePooling2D": _quantized_pool(_average_pool),
    "QGlobalAveragePooling2D": _quantized_pool(_global_pool),
    "Cropping2D": _crop,
    "UpSampling2D": _upsampling,
}
