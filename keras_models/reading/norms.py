"""Factors and shifts a channel: batch norm, layer norm and layer scale, folded into the weights before or behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from edgekit.arrays import Floats
from edgekit.errors import UnsupportedLayer
from edgekit.keras_models.reading.keras_layer import refuse
from edgekit.keras_models.reading.pending import Factors, Normed, Reading, Weighted
from edgekit.keras_models.reading.vocabulary import FoldedWeights


def affine(reading: Reading, layer: Any, x: Any, scale: Any, shift: Any, name: str = "") -> Weighted:
    """y = x * scale + shift a channel: into the pending weights, into those that follow, or a 1x1 depthwise convolution of its own."""
    if isinstance(x, Weighted):
        kernel, bias = x.weights.kernel, x.weights.bias
        depthwise = kernel.shape[2:] == (len(bias), 1)  # (rows, columns, channels, 1); the others end with their output channels
        along = scale[:, None] if depthwise else scale
        return replace(x, weights=FoldedWeights((kernel * along).astype(np.float32), (bias * scale + shift).astype(np.float32)))
    own = FoldedWeights(scale.reshape(1, 1, -1, 1).astype(np.float32), np.asarray(shift, np.float32))
    return Factors(name or layer.name, reading.settle(x), own, layer)


def take_in(reading: Reading, x: Any, weights: FoldedWeights) -> tuple[Any, FoldedWeights]:
    """The factors and shifts in front of a kernel without rows and columns, a batch norm's or a layer norm's:
    k (s x + t) + b = (k s) x + (k t + b)."""
    if weights.kernel.shape[:-2] not in ((), (1, 1)):
        return x, weights
    if isinstance(x, Normed):
        return reading.normalized(x), _behind(x.scale, x.shift, weights)
    if isinstance(x, Factors):
        return x.input, _behind(x.weights.kernel.ravel(), x.weights.bias, weights)
    return x, weights


def _behind(scale: Floats, shift: Floats, weights: FoldedWeights) -> FoldedWeights:
    kernel = weights.kernel.reshape(weights.kernel.shape[-2:]).astype(np.float64)
    scaled = (scale[:, None] * kernel).reshape(weights.kernel.shape).astype(np.float32)
    return FoldedWeights(scaled, (weights.bias + shift @ kernel).astype(np.float32))


def _batch_norm(reading: Reading, layer: Any, x: Any) -> Any:
    """y = (x - mean) * gamma / sqrt(variance + epsilon) + beta, folded into the weights in front of it (arXiv 1712.05877, section 3.2)."""
    mean, variance = np.asarray(layer.moving_mean, np.float64), np.asarray(layer.moving_variance, np.float64)
    if list(layer.axis) != [len(layer.input_shape) - 1]:
        raise refuse(layer, f"axis {list(layer.axis)}")
    scale = (np.asarray(layer.gamma, np.float64) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    shift = (np.asarray(layer.beta, np.float64) if layer.center else 0.0) - mean * scale
    return affine(reading, layer, x, scale, shift)


def _quantized_batch_norm(reading: Reading, layer: Any, x: Any) -> Any:
    """As `_batch_norm`, of what the layer's quantizers give."""
    if list(layer.axis) != [len(layer.input_shape) - 1]:
        raise refuse(layer, f"axis {list(layer.axis)}")

    def quantized(name: str, values: Any) -> Any:
        quantize = getattr(layer, f"{name}_quantizer_internal")
        return np.asarray(values if quantize is None else quantize(values), np.float64)

    mean, variance = quantized("mean", layer.moving_mean), quantized("variance", layer.moving_variance)
    scale = (quantized("gamma", layer.gamma) if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    shift = (quantized("beta", layer.beta) if layer.center else 0.0) - mean * scale
    return affine(reading, layer, x, scale, shift)


def _rescaling(reading: Reading, layer: Any, x: Any) -> Any:
    channels = layer.input_shape[-1]
    return affine(
        reading, layer, x, np.broadcast_to(np.float64(layer.scale), channels), np.broadcast_to(np.float64(layer.offset), channels)
    )


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


NORM_READERS: dict[str, Callable[..., Any]] = {
    "BatchNormalization": _batch_norm,
    "QBatchNormalization": _quantized_batch_norm,
    "Rescaling": _rescaling,
    "LayerNormalization": _layer_norm,
    "ProgressiveNorm": _progressive_norm,
    "LayerScale": _layer_scale,
}
