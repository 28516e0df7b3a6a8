"""Sums, gates and concatenations of tensors, and parts of one."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from edgekit.keras_models.reading.keras_layer import refuse
from edgekit.keras_models.reading.pending import Convolution, Depthwise, PositionEncoding, Reading, Sum
from edgekit.keras_models.zoo.vocabulary import Value


def part_of(reading: Reading, x: Any, name: str, start: int, count: int) -> Any:
    """Some channels; of a convolution that is not built yet, a convolution."""
    if isinstance(x, Convolution):
        return x.part(name, start, count)
    return reading.layers.channels(reading.settle(x), name, start, count)


def _add(reading: Reading, layer: Any, *inputs: Any) -> Any:
    if len(inputs) != 2:
        raise refuse(layer, f"{len(inputs)} inputs")
    for one, other in (inputs, inputs[::-1]):
        if isinstance(one, Depthwise) and one.is_centred and one.input is other:
            return PositionEncoding(layer.name, one)
    return Sum(layer.name, *_alike(reading, layer, inputs))


def _multiply(reading: Reading, layer: Any, *inputs: Any) -> Any:
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
    if len({len(reading.layers.shape(x)) for x in settled}) == 1:
        return settled
    return [
        reading.layers.reshape(x, f"{layer.name}_vector_{i}", shape[2:]) if (shape := reading.layers.shape(x))[:2] == (1, 1) else x
        for i, x in enumerate(settled)
    ]


JOIN_READERS: dict[str, Callable[..., Any]] = {
    "Add": _add,
    "Multiply": _multiply,
    "Concatenate": _concat,
    "ChannelSlice": _channels,
}
