"""Keras layers for what Keras has no layer for. Maps are (batch, rows, columns, channels), float32."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from edgekit.keras_models.layers.backend import tf, tf_keras

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
        self.offsets = offsets(rows, columns).ravel()
        self.attention_biases = self.add_weight("attention_biases", (self.heads, rows * columns), initializer="zeros")
        super().build(shapes)

    def call(self, inputs: list[Tensor]) -> Tensor:
        queries_keys, values = inputs
        key_dim = queries_keys.shape[-1] // (2 * self.heads)
        return mix_heads(queries_keys, values, self.heads, offset_biases(self.attention_biases, self.offsets), key_dim**-0.5)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}


class PairAttention(tf_keras.layers.Layer):  # type: ignore[misc]
    """OffsetAttention with its queries scaled before it. Weights: biases (heads, cells, cells), of each pair of cells."""

    def __init__(self, heads: int, **common: Any) -> None:
        super().__init__(**common)
        self.heads = heads

    def build(self, shapes: Any) -> None:
        cells = shapes[0][1] * shapes[0][2]
        self.biases = self.add_weight("biases", (self.heads, cells, cells), initializer="zeros", trainable=False)
        super().build(shapes)

    def call(self, inputs: list[Tensor]) -> Tensor:
        queries_keys, values = inputs
        return mix_heads(queries_keys, values, self.heads, self.biases)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "heads": self.heads}


def mix_heads(queries_keys: Tensor, values: Tensor, heads: int, biases: Tensor, factor: float | None = None) -> Tensor:
    """softmax(factor * q k^T + biases) v of each head, in the shape of `values`. A factor of None is in the queries already."""
    queries, keys = tf.split(_by_head(queries_keys, 2 * heads), 2, axis=1)
    scores = tf.matmul(queries, keys, transpose_b=True)
    return weighted_sum(tf.nn.softmax((scores if factor is None else scores * factor) + biases), values)


def scores_of(queries: Tensor, keys: Tensor, heads: int, factor: float | None = None) -> Tensor:
    """factor * q k^T of each head: (batch, heads, cells of q, cells of k)."""
    scores = tf.matmul(_by_head(queries, heads), _by_head(keys, heads), transpose_b=True)
    return scores if factor is None else scores * factor


def weighted_sum(weights: Tensor, values: Tensor, size: tuple[int, int] | None = None) -> Tensor:
    """`weights` (batch, heads, cells, cells of values) times the values of each head, on a map of `size`, by default that of `values`."""
    rows, columns = size or values.shape[1:3]
    mixed = tf.transpose(tf.matmul(weights, _by_head(values, weights.shape[1])), [0, 2, 1, 3])
    return tf.reshape(mixed, [-1, rows, columns, values.shape[-1]])


def _by_head(x: Tensor, heads: int) -> Tensor:
    """(batch, rows, columns, channels) as (batch, heads, cells, channels of a head)."""
    _, rows, columns, channels = x.shape
    return tf.transpose(tf.reshape(x, [-1, rows * columns, heads, channels // heads]), [0, 2, 1, 3])


class UnitNorm(tf_keras.layers.Layer):  # type: ignore[misc]
    """A layer norm without scale and shift in three ops, 1x1 convolution, addition and L2 normalization, for a layer that does the rest.

        (x - mean) / sqrt(variance + epsilon) = sqrt(C) * c / sqrt(sum(c**2) + C * epsilon),   c = x - mean = x (I - 1/C)
        sum((c + d)**2) = sum(c**2) + C * d**2,   as sum(c) = 0: so d = sqrt(epsilon) brings the epsilon in

    The convolution has one output, d - mean, which is added to all channels. To convolve with I - 1/C would be one op less but C times
    the products, and 1/C beside 1 is nothing in int8. A single vector, whose products do not count, is multiplied so.

    The result is (c + d) / sqrt(sum((c + d)**2)). The layer that reads it multiplies by sqrt(C), and takes d out again: the mean of the
    result's channels is d's share in each, so kernel columns of sum 0, (I - 1/C) times the kernel, do not see it.
    """

    def __init__(self, epsilon: float, **common: Any) -> None:
        super().__init__(**common)
        self.epsilon = epsilon

    def call(self, x: Tensor) -> Tensor:
        channels, d = x.shape[-1], np.float32(np.sqrt(self.epsilon))
        if len(x.shape) == 2:
            return tf.math.l2_normalize(tf.matmul(x, centering(channels).astype(np.float32)) + d, axis=-1)
        away_from_mean = np.full((1, 1, channels, 1), -1 / channels, np.float32)
        return tf.math.l2_normalize(x + (tf.nn.conv2d(x, away_from_mean, 1, "VALID") + d), axis=-1)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "epsilon": self.epsilon}


def centering(channels: int) -> Any:
    """(channels, channels): what takes the mean out of a vector."""
    return np.eye(channels) - 1 / channels


class PhasedUpsampling2D(tf_keras.layers.Layer):  # type: ignore[misc]
    """DepthwiseUpsampling2D as the copies of a nearest-neighbour resize times a constant map, which all kernel sets of TFLite have.

    Weights: factors (1, factor * rows, factor * columns, channels), the kernel repeated over the map; bias (channels,).
    """

    def __init__(self, factor: int, **common: Any) -> None:
        super().__init__(**common)
        self.factor = factor

    def build(self, shape: Any) -> None:
        _, rows, columns, channels = shape
        self.size = (self.factor * rows, self.factor * columns)
        self.factors = self.add_weight("factors", (1, *self.size, channels), initializer="ones", trainable=False)
        self.bias = self.add_weight("bias", (channels,), initializer="zeros", trainable=False)
        super().build(shape)

    def call(self, x: Tensor) -> Tensor:
        return tf.raw_ops.ResizeNearestNeighbor(images=x, size=list(self.size)) * self.factors + self.bias

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


def offsets(rows: int, columns: int) -> Any:
    """(cells, cells): of each pair of cells, |dy| * columns + |dx|."""
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.abs(y[:, None] - y) * columns + np.abs(x[:, None] - x)


def offset_biases(table: Tensor, pairs: Any) -> Tensor:
    """(heads, cells, cells): of each pair of cells the entry of `table` (heads, cells) at its offset; `pairs` are offsets, flattened."""
    heads, cells = table.shape
    return tf.reshape(tf.gather(table, pairs, axis=1), [heads, cells, cells])


CUSTOM_LAYERS: dict[str, Any] = {
    layer.__name__: tf_keras.saving.register_keras_serializable(package="edgekit")(layer)
    for layer in (LayerScale, ChannelSlice, DepthwiseUpsampling2D, OffsetAttention, PairAttention, UnitNorm, PhasedUpsampling2D)
}
"""What a saved float model names beyond Keras."""
