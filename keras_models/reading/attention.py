"""Attention with softmax, and with ReLU, whose factors go into the weights around it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgekit.keras_models.reading.joins import part_of
from edgekit.keras_models.reading.norms import affine
from edgekit.keras_models.reading.pending import Convolution, Reading
from edgekit.keras_models.reading.vocabulary import AttentionBiases


def _attention(reading: Reading, layer: Any, queries_keys: Any, values: Any) -> Any:
    reading.weights[layer.name] = AttentionBiases(np.asarray(layer.attention_biases, np.float32))
    return reading.layers.attention(reading.settle(queries_keys), reading.settle(values), layer.name, layer.heads)


def _relu_attention(reading: Reading, layer: Any, queries_keys: Any, values: Any) -> Any:
    """1 / sqrt(channels) goes into the queries' weights; the factors of the heads and 1 / cells into those of the next layer."""
    half = layer.input_shape[0][-1] // 2
    if not isinstance(queries_keys, Convolution):
        queries_keys = reading.settle(queries_keys)
    queries = part_of(reading, queries_keys, f"{layer.name}_queries", 0, half)
    factor = np.full(half, (half // layer.heads) ** -0.5)
    queries = reading.settle(affine(reading, layer, queries, factor, np.zeros(half), f"{layer.name}_scaled_queries"))
    keys = reading.settle(part_of(reading, queries_keys, f"{layer.name}_keys", half, half))
    biases = AttentionBiases(np.asarray(layer.attention_biases, np.float32))
    reading.weights[layer.name] = biases
    mixed = reading.layers.relu_attention(queries, keys, reading.settle(values), layer.name, layer.heads)
    of_heads = np.asarray(layer.head_factors, np.float64) / biases.table.shape[1]
    scale = np.repeat(of_heads, layer.output_shape[-1] // layer.heads)
    return affine(reading, layer, mixed, scale, np.zeros_like(scale), f"{layer.name}_factors")


ATTENTION_READERS: dict[str, Callable[..., Any]] = {"OffsetAttention": _attention, "ReluAttention": _relu_attention}
