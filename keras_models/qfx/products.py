"""Quantized layers that qkeras has none of, in its manner: a layer's quantizers are attributes and stand in `quantizers`.

Maps are (batch, rows, columns, channels). Each is an op of the integer graph but for its requantize, which a QActivation does.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from edgekit.graph.ir import Pair
from edgekit.keras_models.layers.backend import qkeras, tf, tf_keras
from edgekit.keras_models.layers.custom_layers import offset_biases, offsets, scores_of, weighted_sum

Tensor: TypeAlias = Any


class QDepthwiseConv2DTranspose(tf_keras.layers.Layer):  # type: ignore[misc]
    """Each cell becomes as many as the kernel has: the stride is the kernel.

    Weights: depthwise_kernel (rows, columns, channels, 1), bias (channels,).
    """

    def __init__(self, kernel_size: Pair, depthwise_quantizer: Any, bias_quantizer: Any, **common: Any) -> None:
        super().__init__(**common)
        self.kernel_size: Pair = (kernel_size[0], kernel_size[1])
        self.depthwise_quantizer_internal = qkeras.get_quantizer(depthwise_quantizer)
        self.bias_quantizer_internal = qkeras.get_quantizer(bias_quantizer)
        self.quantizers = [self.depthwise_quantizer_internal, self.bias_quantizer_internal]

    def build(self, shape: Any) -> None:
        kernel = (*self.kernel_size, shape[-1], 1)
        self.depthwise_kernel = self.add_weight("depthwise_kernel", kernel, initializer="he_normal")
        self.bias = self.add_weight("bias", (shape[-1],), initializer="zeros")
        super().build(shape)

    def call(self, x: Tensor) -> Tensor:
        _, rows, columns, channels = x.shape
        high, wide = self.kernel_size
        kernel = tf.reshape(self.depthwise_quantizer_internal(self.depthwise_kernel), [high, 1, wide, channels])
        apart = tf.reshape(x, [-1, rows, 1, columns, 1, channels]) * kernel
        return tf.reshape(apart, [-1, rows * high, columns * wide, channels]) + self.bias_quantizer_internal(self.bias)

    def get_config(self) -> dict[str, Any]:
        depthwise, bias = (_serialized(quantizer) for quantizer in self.quantizers)
        return {**super().get_config(), "kernel_size": self.kernel_size, "depthwise_quantizer": depthwise, "bias_quantizer": bias}


class QMatMul(tf_keras.layers.Layer):  # type: ignore[misc]
    """A matrix product a head of two maps, as edgekit.graph.MatMul has it. Weights: bias of `bias_shape`, none without a bias_quantizer."""

    def __init__(
        self, heads: int, transpose_y: bool, bias_quantizer: Any = None, bias_shape: tuple[int, ...] = (1, 1, 1), **common: Any
    ) -> None:
        super().__init__(**common)
        self.heads, self.transpose_y, self.bias_shape = heads, transpose_y, tuple(bias_shape)
        self.bias_quantizer_internal = qkeras.get_quantizer(bias_quantizer)
        self.quantizers = [self.bias_quantizer_internal] if bias_quantizer is not None else []

    def build(self, shapes: Any) -> None:
        if self.quantizers:
            self.bias = self.add_weight("bias", self.bias_shape, initializer="zeros")
        super().build(shapes)

    def quantized_bias(self) -> Tensor:
        """In the output's shape, or (1, 1, 1); None if there is none."""
        return self.bias_quantizer_internal(self.bias) if self.quantizers else None

    def call(self, inputs: list[Tensor]) -> Tensor:
        x, y = inputs
        _, rows, columns, channels = x.shape
        if self.transpose_y:
            product = tf.transpose(scores_of(x, y, self.heads), [0, 2, 1, 3])
            product = tf.reshape(product, [-1, rows, columns, self.heads * y.shape[1] * y.shape[2]])
        else:
            of_heads = tf.reshape(x, [-1, rows * columns, self.heads, channels // self.heads])
            product = weighted_sum(tf.transpose(of_heads, [0, 2, 1, 3]), y, (rows, columns))
        bias = self.quantized_bias()
        return product if bias is None else product + bias

    def get_config(self) -> dict[str, Any]:
        bias = _serialized(self.bias_quantizer_internal) if self.quantizers else None
        own = {"heads": self.heads, "transpose_y": self.transpose_y, "bias_quantizer": bias, "bias_shape": self.bias_shape}
        return {**super().get_config(), **own}


class QAttentionScores(QMatMul):
    """q k^T and the bias of each head and distance. Weights: attention_biases (heads, cells), as OffsetAttention's."""

    def __init__(self, heads: int, bias_quantizer: Any, **common: Any) -> None:
        super().__init__(heads, True, bias_quantizer, **common)

    def build(self, shapes: Any) -> None:
        _, self.rows, self.columns, _ = shapes[0]
        self.attention_biases = self.add_weight("attention_biases", (self.heads, self.rows * self.columns), initializer="zeros")
        tf_keras.layers.Layer.build(self, shapes)

    def quantized_bias(self) -> Tensor:
        pairs = offset_biases(self.bias_quantizer_internal(self.attention_biases), offsets(self.rows, self.columns).ravel())
        return tf.reshape(tf.transpose(pairs, [1, 0, 2]), [self.rows, self.columns, -1])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in ("transpose_y", "bias_shape")}


def _serialized(quantizer: Any) -> Any:
    return tf_keras.saving.serialize_keras_object(quantizer)


QKERAS_CUSTOM_LAYERS: dict[str, Any] = {layer.__name__: layer for layer in (QDepthwiseConv2DTranspose, QMatMul, QAttentionScores)}
"""What a saved QFXModel names beyond Keras, qkeras and the float models' layers."""
