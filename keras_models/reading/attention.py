"""What products, norms, attention and our own layers become in verbs of the vocabulary, in the manner of layer_readers.py."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from edgekit.errors import UnsupportedLayer
from edgekit.keras_models.reading.convolutions import affine, refuse
from edgekit.keras_models.reading.pending import FoldedWeights, Normed, Pending, Reading
from edgekit.keras_models.zoo.vocabulary import LINEAR, Act


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


def _layer_norm(reading: Reading, layer: Any, x: Any) -> Any:
    if list(layer.axis) != [len(layer.input_shape) - 1]:
        raise refuse(layer, f"axis {list(layer.axis)}")
    channels = layer.input_shape[-1]
    scale = np.asarray(layer.gamma if layer.scale else np.ones(channels), np.float32)
    shift = np.asarray(layer.beta if layer.center else np.zeros(channels), np.float32)
    return Normed(layer.name, reading.settle(x), layer.epsilon, scale, shift)


def _progressive_norm(reading: Reading, layer: Any, x: Any) -> Any:
    mix = float(layer.mix)
    if mix:
        raise UnsupportedLayer(
            f"layer '{layer.name}' is {mix:.0%} a layer norm still; train on until it is a batch norm alone, set_norm_mix(model, 0)."
        )
    scale = np.asarray(layer.gamma, np.float64) / np.sqrt(np.asarray(layer.moving_variance, np.float64) + layer.epsilon)
    return affine(reading, layer, x, scale, np.asarray(layer.beta, np.float64) - np.asarray(layer.moving_mean, np.float64) * scale)


def _layer_scale(reading: Reading, layer: Any, x: Any) -> Any:
    scale = np.asarray(layer.gamma, np.float64)
    return affine(reading, layer, x, scale, np.zeros_like(scale))


def _attention(reading: Reading, layer: Any, queries_keys: Any, values: Any) -> Any:
    reading.weights[layer.name] = FoldedWeights(np.asarray(layer.attention_biases, np.float32), np.zeros(0, np.float32))
    return reading.layers.attention(reading.settle(queries_keys), reading.settle(values), layer.name, layer.heads)


def _relu_attention(reading: Reading, layer: Any, queries_keys: Any, values: Any) -> Any:
    """1 / sqrt(channels) goes into the queries' weights; the factors of the heads and 1 / cells into those of the next layer."""
    half = layer.input_shape[0][-1] // 2
    if not isinstance(queries_keys, Pending) or queries_keys.part is None:
        queries_keys = reading.settle(queries_keys)
    queries = _part(reading, queries_keys, f"{layer.name}_queries", 0, half)
    factor = np.full(half, (half // layer.heads) ** -0.5)
    queries = reading.settle(affine(reading, layer, queries, factor, np.zeros(half), f"{layer.name}_scaled_queries"))
    keys = reading.settle(_part(reading, queries_keys, f"{layer.name}_keys", half, half))
    table = np.asarray(layer.attention_biases, np.float32)
    reading.weights[layer.name] = FoldedWeights(table, np.zeros(0, np.float32))
    mixed = reading.layers.relu_attention(queries, keys, reading.settle(values), layer.name, layer.heads)
    of_heads = np.asarray(layer.head_factors, np.float64) / table.shape[1]
    scale = np.repeat(of_heads, layer.output_shape[-1] // layer.heads)
    return affine(reading, layer, mixed, scale, np.zeros_like(scale), f"{layer.name}_factors")


def _channels(reading: Reading, layer: Any, x: Any) -> Any:
    return _part(reading, x, layer.name, layer.start, layer.count)


def _part(reading: Reading, x: Any, name: str, start: int, count: int) -> Any:
    """Some channels; of a convolution that is not built yet, a convolution."""
    if isinstance(x, Pending) and x.part is not None:
        return x.part(name, start, count)
    return reading.layers.channels(reading.settle(x), name, start, count)


def _upsample(reading: Reading, layer: Any, x: Any) -> Any:
    x = reading.settle(x)
    weights = FoldedWeights(np.asarray(layer.depthwise_kernel, np.float32), np.asarray(layer.bias, np.float32))

    def emit(activation: Act) -> Any:
        value = reading.layers.upsample(x, layer.name, layer.factor)
        return value if activation is LINEAR else reading.layers.activate(value, activation)

    return Pending(layer.name, emit, weights)


TRANSFORMER_READERS: dict[str, Callable[..., Any]] = {
    "Multiply": _multiply,
    "LayerNormalization": _layer_norm,
    "ProgressiveNorm": _progressive_norm,
    "LayerScale": _layer_scale,
    "OffsetAttention": _attention,
    "ReluAttention": _relu_attention,
    "ChannelSlice": _channels,
    "DepthwiseUpsampling2D": _upsample,
}
