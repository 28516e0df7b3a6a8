"""Windows that run over a map: cells of zeros around it, and pools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.errors import UnsupportedLayer
from edgekit.graph import NO_PADDING, Padding, Window, same_padding
from edgekit.graph.ir import Pair
from edgekit.keras_models.reading.keras_layer import as_map, refuse
from edgekit.keras_models.reading.pending import Convolution, Padded, Reading
from edgekit.keras_models.zoo.vocabulary import ONE_CELL, Value


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
    x, window = window_of(reading, layer, x, layer.pool_size)
    if window.padding != NO_PADDING:
        raise refuse(layer, "padding")
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


WINDOW_READERS: dict[str, Callable[..., Any]] = {
    "ZeroPadding2D": _zero_padding,
    "GlobalAveragePooling2D": _global_pool,
    "GlobalMaxPooling2D": _global_max_pool,
    "AveragePooling2D": _average_pool,
    "MaxPooling2D": _max_pool,
}
