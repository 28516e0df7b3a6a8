"""Keras layers for what Keras has no layer for. Maps are (batch, rows, columns, channels), float32."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from edgekit.keras_models.legacy_keras import import_keras

import_keras()
import tensorflow as tf  # noqa: E402  after the choice of Keras
import tf_keras  # noqa: E402

Tensor: TypeAlias = Any


class LayerScale(tf_keras.layers.Layer):  # type: ignore[misc]
    """x * gamma, a trained factor a channel. Weights: gamma (channels,)."""

    def __init__(self, initial: float = 1.0, **common: Any) -> None:
        super().__init__(**common)
        self.initial = initial

    def build(self, shape: Any) -> None:
        self.gamma = self.add_weight("gamma", (shape[-1],), initializer=tf_keras.initializers.Constant(self.initial))
        super().build(shape)

    def call(self, x: Tensor) -> Tensor:
        return x * self.gamma

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "initial": self.initial}


class ChannelSlice(tf_keras.layers.Layer):  # type: ignore[misc]
    """x[..., start : start + count]."""

    def __init__(self, start: int, count: int, **common: Any) -> None:
        super().__init__(**common)
        self.start, self.count = start, count

    def call(self, x: Tensor) -> Tensor:
        return x[..., self.start : self.start + self.count]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "start": self.start, "count": self.count}


class DepthwiseUpsampling2D(tf_keras.layers.Layer):  # type: ignore[misc]
    """Depthwise transposed convolution whose kernel and stride are `factor`: each cell becomes factor x factor cells.

        output[factor * y + a, factor * x + b, c] = input[y, x, c] * kernel[a, b, c] + bias[c]

    Weights: depthwise_kernel (factor, factor, channels, 1), bias (channels,).
    """

    def __init__(self, factor: int, **common: Any) -> None:
        super().__init__(**common)
        self.factor = factor

    def build(self, shape: Any) -> None:
        channels = shape[-1]
        self.depthwise_kernel = self.add_weight("depthwise_kernel", (self.factor, self.factor, channels, 1), initializer="he_normal")
        self.bias = self.add_weight("bias", (channels,), initializer="zeros")
        super().build(shape)

    def call(self, x: Tensor) -> Tensor:
        copies = tf.concat([x] * self.factor**2, axis=-1) * tf.reshape(self.depthwise_kernel, [-1])
        return tf.nn.depth_to_space(copies, self.factor) + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class OffsetAttention(tf_keras.layers.Layer):  # type: ignore[misc]
    """Softmax attention between the cells of a map; see `Layers.attention`.

    Inputs: [queries and keys (batch, rows, columns, 2 * heads * key_dim), values (batch, rows, columns, heads * value_dim)].
    Weights: attention_biases (heads, rows * columns), the bias at distance |dy| * columns + |dx|.
    """

    def __init__(self, heads: int, **common: Any) -> None:
        super().__init__(**common)
        self.heads = heads

    def build(self, shapes: Any) -> None:
        _, rows, columns, _ = shapes[0]
        self.offsets = offsets(rows, columns)
        self.attention_biases = self.add_weight("attention_biases", (self.heads, rows * columns), initializer="zeros")
        super().build(shapes)

    def call(self, inputs: Tensor) -> Tensor:
        queries_keys, values = inputs
        _, rows, columns, channels = queries_keys.shape
        cells, key_dim = rows * columns, channels // (2 * self.heads)
        heads = tf.transpose(tf.reshape(queries_keys, [-1, cells, 2 * self.heads, key_dim]), [0, 2, 1, 3])
        queries, keys = tf.split(heads, 2, axis=1)
        biases = tf.reshape(tf.gather(self.attention_biases, self.offsets.ravel(), axis=1), [self.heads, cells, cells])
        scores = tf.matmul(queries, keys, transpose_b=True) * key_dim**-0.5 + biases
        values = tf.transpose(tf.reshape(values, [-1, cells, self.heads, values.shape[-1] // self.heads]), [0, 2, 1, 3])
        mixed = tf.transpose(tf.matmul(tf.nn.softmax(scores), values), [0, 2, 1, 3])
        return tf.reshape(mixed, [-1, rows, columns, inputs[1].shape[-1]])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}


def offsets(rows: int, columns: int) -> Any:
    """(cells, cells): of each pair of cells, |dy| * columns + |dx|."""
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.abs(y[:, None] - y) * columns + np.abs(x[:, None] - x)


CUSTOM_LAYERS: dict[str, Any] = {
    layer.__name__: tf_keras.saving.register_keras_serializable(package="edgekit")(layer)
    for layer in (LayerScale, ChannelSlice, DepthwiseUpsampling2D, OffsetAttention)
}
"""What a saved float model names beyond Keras."""
