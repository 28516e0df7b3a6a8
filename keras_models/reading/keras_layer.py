"""What all readers ask of a Keras layer: how it is refused, and a vector as a map."""

from __future__ import annotations

from typing import Any

from edgekit.errors import UnsupportedLayer
from edgekit.keras_models.reading.vocabulary import FoldedLayers
from edgekit.keras_models.zoo.vocabulary import Value


def refuse(layer: Any, what: str) -> UnsupportedLayer:
    """The error that names a layer and what it has that no verb has."""
    return UnsupportedLayer(f"layer '{layer.name}' ({type(layer).__name__}) has {what}, which is not supported.")


def as_map(layers: FoldedLayers, layer: Any, x: Value) -> Value:
    """A vector as one cell, a sequence (steps, channels) as one column of cells, which a convolution can take."""
    shape = layers.shape(x)
    if len(shape) == 2:
        return layers.reshape(x, f"{layer.name}_map", (shape[0], 1, shape[1]))
    return layers.reshape(x, f"{layer.name}_map", (1, 1, *shape)) if len(shape) == 1 else x
