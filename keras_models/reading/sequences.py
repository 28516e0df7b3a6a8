"""Layers of sequences, (steps, channels) in Keras: maps of one column here, (steps, 1, channels)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edgekit.graph import NO_PADDING, Padding, Window, same_padding
from edgekit.keras_models.reading.activations import end
from edgekit.keras_models.reading.convolutions import bias_of, kernel_of, of_groups
from edgekit.keras_models.reading.keras_layer import as_map, refuse
from edgekit.keras_models.reading.pending import Convolution, Reading
from edgekit.keras_models.reading.vocabulary import FoldedWeights
from edgekit.keras_models.reading.windows import BORDER
from edgekit.keras_models.zoo.vocabulary import Value


def _map(reading: Reading, layer: Any, x: Any) -> Value:
    return as_map(reading.layers, layer, reading.settle(x))


def _window(steps: int, padding: str, taps: int, stride: int, dilation: int = 1) -> Window:
    kernel, strides, dilations = (taps, 1), (stride, 1), (dilation, 1)
    around = NO_PADDING
    if padding == "same":
        around = same_padding((steps, 1), kernel, strides, dilations)
    elif padding == "causal":
        around = Padding(top=(taps - 1) * dilation)
    return Window(kernel, strides, around, dilations)


def _conv1d(reading: Reading, layer: Any, x: Any) -> Any:
    x = _map(reading, layer, x)
    kernel = of_groups(kernel_of(layer, "kernel", "kernel_quantizer_internal")[:, None], layer.groups)
    steps = reading.layers.shape(x)[0]
    window = _window(steps, layer.padding, layer.kernel_size[0], layer.strides[0], layer.dilation_rate[0])
    return end(reading, layer, Convolution(layer.name, x, FoldedWeights(kernel, bias_of(layer, layer.filters)), window))


def _max_pool(reading: Reading, layer: Any, x: Any) -> Any:
    x, window = _pooled(reading, layer, x)
    return reading.layers.max_pool(x, layer.name, window)


def _average_pool(reading: Reading, layer: Any, x: Any) -> Any:
    x, window = _pooled(reading, layer, x)
    if window.padding != NO_PADDING:
        raise refuse(layer, BORDER)
    return reading.layers.average_pool(x, layer.name, window)


def _pooled(reading: Reading, layer: Any, x: Any) -> tuple[Value, Window]:
    x = _map(reading, layer, x)
    (taps,), (stride,) = tuple(layer.pool_size), tuple(layer.strides)
    return x, _window(reading.layers.shape(x)[0], layer.padding, taps, stride)


def _global_average(reading: Reading, layer: Any, x: Any) -> Any:
    return reading.layers.global_pool(_map(reading, layer, x), layer.name, keep_map=layer.keepdims)


def _global_max(reading: Reading, layer: Any, x: Any) -> Any:
    x = _map(reading, layer, x)
    return reading.layers.max_pool(x, layer.name, Window((reading.layers.shape(x)[0], 1)))


SEQUENCE_READERS: dict[str, Callable[..., Any]] = {
    "Conv1D": _conv1d,
    "MaxPooling1D": _max_pool,
    "AveragePooling1D": _average_pool,
    "GlobalAveragePooling1D": _global_average,
    "GlobalMaxPooling1D": _global_max,
}
