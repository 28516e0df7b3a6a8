"""Keras layers with weights that are given, for models that come in another form: each function adds one layer to a graph.

Maps are (batch, rows, columns, channels). A layer's name is made of whatever the other form has; `Names` keeps names apart.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Floats
from edgekit.errors import UnsupportedLayer
from edgekit.graph import NO_PADDING, Padding, Window, same_padding
from edgekit.keras_models.layers.activations import CUSTOM_ACTIVATIONS
from edgekit.keras_models.layers.backend import tf_keras
from edgekit.keras_models.layers.custom_layers import ChannelSlice

Tensor: TypeAlias = Any
"""A symbolic tensor of tf_keras."""
NAME_MAX = 80


@dataclass
class Names:
    """Layer names that were given out."""

    taken: set[str] = field(default_factory=set)

    def unique(self, text: str, kind: str) -> str:
        """`text` as Keras takes it for a name, or one made of `kind` where there is none."""
        base = re.sub(r"[^A-Za-z0-9_.]+", "_", text).strip("_.")[:NAME_MAX] or kind.lower()
        name, count = base, 1
        while name.lower() in self.taken:
            count += 1
            name = f"{base}_{count}"
        self.taken.add(name.lower())
        return name


def rows_columns(x: Tensor) -> tuple[int, int]:
    return int(x.shape[1]), int(x.shape[2])


def padded(x: Tensor, name: str, window: Window) -> tuple[Tensor, str]:
    """The map and Keras' word for its padding: zeros around it become a layer of their own where they are not TensorFlow's 'SAME'."""
    if window.padding == NO_PADDING:
        return x, "valid"
    if window.padding == same_padding(rows_columns(x), window.kernel, window.strides, window.dilation):
        return x, "same"
    return zero_padding(x, f"{name}_pad", window.padding), "valid"


def zero_padding(x: Tensor, name: str, padding: Padding) -> Tensor:
    cells = ((padding.top, padding.bottom), (padding.left, padding.right))
    return tf_keras.layers.ZeroPadding2D(cells, name=name)(x)


def conv(x: Tensor, name: str, kernel: Floats, bias: Floats | None, window: Window, groups: int = 1) -> Tensor:
    """`kernel` (rows, columns, channels in of a group, channels out), `bias` (channels out,)."""
    x, padding = padded(x, name, window)
    layer = tf_keras.layers.Conv2D(
        kernel.shape[3],
        window.kernel,
        strides=window.strides,
        dilation_rate=window.dilation,
        padding=padding,
        groups=groups,
        use_bias=bias is not None,
        name=name,
    )
    return _weighted(layer, x, kernel, bias)


def depthwise(x: Tensor, name: str, kernel: Floats, bias: Floats | None, window: Window) -> Tensor:
    """`kernel` (rows, columns, channels, multiplier), `bias` (channels * multiplier,)."""
    x, padding = padded(x, name, window)
    layer = tf_keras.layers.DepthwiseConv2D(
        window.kernel,
        strides=window.strides,
        dilation_rate=window.dilation,
        padding=padding,
        depth_multiplier=kernel.shape[3],
        use_bias=bias is not None,
        name=name,
    )
    return _weighted(layer, x, kernel, bias)


def transposed_conv(x: Tensor, name: str, kernel: Floats, bias: Floats | None, strides: tuple[int, int], padding: str) -> Tensor:
    """`kernel` (rows, columns, channels out, channels in)."""
    layer = tf_keras.layers.Conv2DTranspose(
        kernel.shape[2], kernel.shape[:2], strides=strides, padding=padding, use_bias=bias is not None, name=name
    )
    return _weighted(layer, x, kernel, bias)


def dense(x: Tensor, name: str, kernel: Floats, bias: Floats | None) -> Tensor:
    """`kernel` (features in, features out)."""
    return _weighted(tf_keras.layers.Dense(kernel.shape[1], use_bias=bias is not None, name=name), x, kernel, bias)


def batch_norm(x: Tensor, name: str, gamma: Floats, beta: Floats, mean: Floats, variance: Floats, epsilon: float) -> Tensor:
    layer = tf_keras.layers.BatchNormalization(epsilon=epsilon, name=name)
    y = layer(x)
    layer.set_weights([gamma, beta, mean, variance])
    return y


def affine(x: Tensor, name: str, scale: npt.ArrayLike, shift: npt.ArrayLike) -> Tensor:
    """x * scale + shift, numbers a channel: a batch norm whose statistics are those of nothing."""
    channels = int(x.shape[-1])
    gamma, beta = (np.broadcast_to(np.asarray(values, np.float32).reshape(-1), channels) for values in (scale, shift))
    return batch_norm(x, name, gamma, beta, np.zeros(channels, np.float32), np.ones(channels, np.float32), 0.0)


def activation(x: Tensor, name: str, function: str) -> Tensor:
    """`function`: "relu6", or a name that Keras or edgekit's activations know."""
    if function == "relu6":
        return tf_keras.layers.ReLU(6.0, name=name)(x)
    if function == "relu":
        return tf_keras.layers.ReLU(name=name)(x)
    return tf_keras.layers.Activation(CUSTOM_ACTIVATIONS.get(function, function), name=name)(x)


def max_pool(x: Tensor, name: str, window: Window) -> Tensor:
    """Cells around the map count as zeros to Keras: they may only stand around values that are not negative."""
    before = x
    x, padding = padded(x, name, window)
    if x is not before and not never_negative(before):
        raise UnsupportedLayer(
            f"'{name}' is a max pool that pads a map with values below 0, by other cells than 'same' padding has; put a ReLU before it."
        )
    return tf_keras.layers.MaxPooling2D(window.kernel, window.strides, padding, name=name)(x)


def average_pool(x: Tensor, name: str, window: Window, *, padding_counts: bool) -> Tensor:
    """`padding_counts`: whether cells around the map take part in the mean, as zeros."""
    if padding_counts and window.padding != NO_PADDING:
        x, padding = zero_padding(x, f"{name}_pad", window.padding), "valid"
    else:
        before = x
        x, padding = padded(x, name, window)
        if x is not before:
            raise UnsupportedLayer(
                f"'{name}' is a mean over windows without the cells around the map, which are not those of 'same' padding."
            )
    return tf_keras.layers.AveragePooling2D(window.kernel, window.strides, padding, name=name)(x)


def global_mean(x: Tensor, name: str, *, keep_map: bool) -> Tensor:
    return tf_keras.layers.GlobalAveragePooling2D(keepdims=keep_map, name=name)(x)


def channels(x: Tensor, name: str, start: int, count: int) -> Tensor:
    return ChannelSlice(start, count, name=name)(x)


def never_negative(x: Tensor) -> bool:
    """Whether the layer that gives x is known to give nothing below 0."""
    layer = x._keras_history.layer
    kind = type(layer).__name__
    if kind in ("MaxPooling2D", "AveragePooling2D", "ZeroPadding2D"):
        return never_negative(layer.input)
    if kind in ("Concatenate", "Add"):
        return all(never_negative(one) for one in layer.input)
    return kind == "ReLU" and not layer.negative_slope


def _weighted(layer: Any, x: Tensor, kernel: Floats, bias: Floats | None) -> Tensor:
    y = layer(x)
    layer.set_weights([kernel] if bias is None else [kernel, bias])
    return y
