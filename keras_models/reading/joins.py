"""Sums, gates and concatenations of tensors, and parts of one."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from edgekit.keras_models.reading.keras_layer import refuse
from edgekit.keras_models.reading.norms import affine
from edgekit.keras_models.reading.pending import Convolution, Depthwise, PositionEncoding, Reading, Sum
from edgekit.keras_models.reading.vocabulary import FoldedWeights
from edgekit.keras_models.zoo.vocabulary import ONE_CELL, Value


def part_of(reading: Reading, x: Any, name: str, start: int, count: int) -> Any:
    """Some channels; of a convolution that is not built yet, a convolution."""
    if isinstance(x, Convolution):
        return x.part(name, start, count)
    return reading.layers.channels(reading.settle(x), name, start, count)


def _add(reading: Reading, layer: Any, *inputs: Any) -> Any:
    return add_of(reading, layer, inputs)


def add_of(reading: Reading, layer: Any, inputs: tuple[Any, ...]) -> Any:
    """The sum of a layer's inputs, under its name."""
    if len(inputs) == 1:
        raise refuse(layer, "1 inputs")
    if len(inputs) == 2:
        for one, other in (inputs, inputs[::-1]):
            if isinstance(one, Depthwise) and one.is_centred and one.input is other:
                return PositionEncoding(layer.name, one)
    total, *others = _broadcast(reading, layer, _alike(reading, layer, inputs))
    for number, value in enumerate(others[:-1], 1):
        total = reading.settle(Sum(f"{layer.name}_{number}", total, value))
    return Sum(layer.name, total, others[-1])


def _broadcast(reading: Reading, layer: Any, values: list[Value]) -> list[Value]:
    """A vector that is added to a map is added to each of its cells: (rows, columns, channels) ones times it."""
    layers = reading.layers
    shapes = [layers.shape(x) for x in values]
    widest = max(shapes, key=lambda shape: (len(shape), prod(shape)))
    if any(shape not in (widest, widest[-1:], (1, 1, *widest[-1:])) for shape in shapes):
        raise refuse(layer, f"inputs of shape {' and '.join(map(str, dict.fromkeys(shapes)))}; a vector or maps of one shape can be added")
    whole = values[shapes.index(widest)]
    return [
        x if shape == widest else _over_the_map(reading, whole, x, f"{layer.name}_bias_{i}")
        for i, (x, shape) in enumerate(zip(values, shapes, strict=True))
    ]


def _over_the_map(reading: Reading, whole: Value, vector: Value, name: str) -> Value:
    layers, channels = reading.layers, reading.layers.shape(whole)[-1]
    ones = FoldedWeights(np.zeros((1, 1, channels, 1), np.float32), np.ones(channels, np.float32))
    cells = reading.settle(Depthwise(f"{name}_ones", whole, ones, ONE_CELL))
    if len(layers.shape(vector)) == 1:
        vector = layers.reshape(vector, f"{name}_map", (1, 1, channels))
    return layers.multiply(cells, vector, name)


def _subtract(reading: Reading, layer: Any, x: Any, y: Any) -> Any:
    channels = layer.input_shape[1][-1]
    negative = affine(reading, layer, y, np.full(channels, -1.0), np.zeros(channels), f"{layer.name}_negative")
    return Sum(layer.name, *_broadcast(reading, layer, _alike(reading, layer, (x, negative))))


def _multiply(reading: Reading, layer: Any, *inputs: Any) -> Any:
    return multiply_of(reading, layer, inputs)


def multiply_of(reading: Reading, layer: Any, inputs: tuple[Any, ...]) -> Any:
    """A gate may come first, or as a vector, which Keras takes for (1, 1, channels)."""
    if len(inputs) != 2:
        raise refuse(layer, f"{len(inputs)} inputs")
    layers, values = reading.layers, [reading.settle(value) for value in inputs]
    if any(len(layers.shape(x)) == 3 for x in values):
        values = [
            layers.reshape(x, f"{layer.name}_map_{i}", (1, 1, *shape)) if len(shape := layers.shape(x)) == 1 else x
            for i, x in enumerate(values)
        ]
    x, gate = sorted(values, key=lambda value: prod(layers.shape(value)), reverse=True)  # stable: of two maps the first stays first
    of_map, of_gate = layers.shape(x), layers.shape(gate)
    if of_gate not in (of_map, (1, 1, of_map[-1])):
        raise refuse(layer, f"inputs of shape {of_map} and {of_gate}; a gate has its map's shape or (1, 1, channels)")
    return layers.multiply(x, gate, layer.name)


def _concat(reading: Reading, layer: Any, *inputs: Any) -> Any:
    rank = len(layer.input_shape[0])
    if layer.axis not in (-1, rank - 1):
        raise refuse(layer, f"axis {layer.axis}")
    return reading.layers.concat(_alike(reading, layer, inputs), layer.name)


def _channels(reading: Reading, layer: Any, x: Any) -> Any:
    return part_of(reading, x, layer.name, layer.start, layer.count)


def _alike(reading: Reading, layer: Any, values: Any) -> list[Value]:
    """Settled values of one rank: a pooled vector is kept as (1, 1, channels), another as (channels,)."""
    settled = [reading.settle(value) for value in values]
    if len({len(reading.layers.shape(x)) for x in settled}) == 1 or any(
        len(shape := reading.layers.shape(x)) == 3 and shape[:2] != (1, 1) for x in settled
    ):
        return settled
    return [
        reading.layers.reshape(x, f"{layer.name}_vector_{i}", shape[2:]) if (shape := reading.layers.shape(x))[:2] == (1, 1) else x
        for i, x in enumerate(settled)
    ]


JOIN_READERS: dict[str, Callable[..., Any]] = {
    "Add": _add,
    "Subtract": _subtract,
    "Multiply": _multiply,
    "Concatenate": _concat,
    "ChannelSlice": _channels,
}
