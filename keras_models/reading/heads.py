"""Dense layers, the mean of two classifiers, and what flattens a tensor before or after them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.keras_models.reading.activations import end
from edgekit.keras_models.reading.convolutions import bias_of, kernel_of
from edgekit.keras_models.reading.keras_layer import as_map, refuse
from edgekit.keras_models.reading.norms import take_in
from edgekit.keras_models.reading.pending import Convolution, DenseLayer, Reading
from edgekit.keras_models.reading.vocabulary import FoldedWeights
from edgekit.keras_models.zoo.vocabulary import ONE_CELL


def _dense(reading: Reading, layer: Any, x: Any) -> Any:
    own = FoldedWeights(kernel_of(layer, "kernel", "kernel_quantizer_internal"), bias_of(layer, layer.units))
    x, weights = take_in(reading, x, own)
    x = reading.settle(x)
    if len(layer.input_shape) == 3:
        x = as_map(reading.layers, layer, x)
    cells = reading.layers.shape(x)[:-1]
    if len(layer.input_shape) in (3, 4) and len(cells) == 2 and cells != (1, 1):  # a Dense of a map is a 1x1 convolution
        pointwise = FoldedWeights(weights.kernel.reshape(1, 1, *weights.kernel.shape), weights.bias)
        return end(reading, layer, Convolution(layer.name, x, pointwise, ONE_CELL))
    if len(layer.input_shape) not in (2, 3, 4):
        raise refuse(layer, f"an input of shape {layer.input_shape}")
    return end(reading, layer, DenseLayer(layer.name, x, weights))


def _average(reading: Reading, layer: Any, *inputs: Any) -> Any:
    """Two classifiers that read one tensor are a classifier with the mean of their weights."""
    heads = [value for value in inputs if isinstance(value, DenseLayer)]
    if len(inputs) != 2 or len(heads) != 2 or heads[0].input is not heads[1].input:
        raise refuse(layer, "inputs other than two dense layers of one tensor")
    one, other = (head.weights for head in heads)
    half = np.float32(0.5)
    mean = FoldedWeights((one.kernel + other.kernel) * half, (one.bias + other.bias) * half)
    return DenseLayer(heads[0].name, heads[0].input, mean)


def _reshape(reading: Reading, layer: Any, x: Any) -> Any:
    shape = tuple(layer.output_shape[1:])
    if isinstance(x, DenseLayer) and len(shape) == 1:
        return x  # a classifier written as a convolution is flattened after it
    x = reading.settle(x)
    current = reading.layers.shape(x)
    cells = ((), (1, 1))
    as_it_is = shape == current or (current[:-1] in cells and shape[:-1] in cells and shape[-1] == current[-1])
    return x if as_it_is else reading.layers.reshape(x, layer.name, shape)


def _same(reading: Reading, layer: Any, x: Any) -> Any:
    return x


def _same_size(reading: Reading, layer: Any, x: Any) -> Any:
    """A random crop is one of the middle in inference, and nothing where it has the image's size."""
    if tuple(layer.input_shape) != tuple(layer.output_shape):
        raise refuse(layer, f"another size than its input, {layer.output_shape} of {layer.input_shape}")
    return x


HEAD_READERS: dict[str, Callable[..., Any]] = {
    "Dense": _dense,
    "QDense": _dense,
    "Average": _average,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Dropout": _same,
    "SpatialDropout1D": _same,
    "SpatialDropout2D": _same,
    "AlphaDropout": _same,
    "GaussianDropout": _same,
    "GaussianNoise": _same,
    "ActivityRegularization": _same,
    "RandomBrightness": _same,
    "RandomContrast": _same,
    "RandomCrop": _same_size,
    "RandomFlip": _same,
    "RandomRotation": _same,
    "RandomTranslation": _same,
    "RandomZoom": _same,
}
