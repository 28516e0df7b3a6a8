"""Cross-layer equalization: channels of one tensor that differ in range are brought together, by factors that the next layer undoes.

For layers A and B with nothing but a ReLU between them, a factor s a channel changes nothing in float (arXiv 1906.04721, section 4.1):

    relu(A x) * W_B = (relu(A x) / s) * (s W_B)

A tensor has one binary point for all channels, so a channel whose range a is small wastes its 8 bits. Where B is depthwise it has a
binary point a channel and takes any factor in: s = a / max(a). Elsewhere s W_B shares an output channel's binary point with the
other inputs, and range is moved from one to the other until both lack the same part: with b the range of W_B that reads the channel,

    s = sqrt((a / max(a)) / (b / max(b)))

Factors are powers of two: the integers of A's weights stay as they are, only their binary points move.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph import Activation
from edgekit.keras_models.layers.backend import tf, tf_keras
from edgekit.keras_models.qfx.model import QFXModel, unquantized
from edgekit.keras_models.qfx.quantizers import QFXActivation
from edgekit.keras_models.reading.nodes import key_of, nodes_of

IMAGES = 32
MOST_DOUBLINGS = 4
"""A channel is scaled by 2**-4 to 2**4 at most: shifts have to stay legal, and what is almost always zero is not worth more."""
INPUT_AXES = {"QConv2D": 2, "QDepthwiseConv2D": 2, "QDense": 0}
"""Where a kernel has its input channels."""
HOMOGENEOUS = (Activation.NONE, Activation.RELU)
"""Clamps with f(s x) = s f(x) for s > 0; not ReLU6."""
PER_CHANNEL = ("ZeroPadding2D", "MaxPooling2D")
"""Layers that a positive factor a channel passes through."""


@dataclass(frozen=True)
class Neighbours:
    """`requantize` is the QActivation behind `first`; `second` alone reads what it gives."""

    first: Any
    requantize: Any
    second: Any


def equalize(model: QFXModel, images: npt.NDArray[np.float32]) -> tuple[str, ...]:
    """Rescales the float weights of a QFXModel in place, before its binary points are chosen.

    Args:
        images: (count, *input shape), normalized as the network takes them; up to IMAGES of them are looked at.

    Returns:
        Names of the tensors whose channels were changed.
    """
    found = neighbours(model)
    if not found:
        return ()
    probe = tf_keras.Model(model.inputs, [pair.requantize.output for pair in found])
    with unquantized(model):
        values = tf.nest.flatten(probe(images[:IMAGES], training=False))
    # a pair's factors leave the ranges that other pairs see as they are: B undoes them
    ranges = [np.abs(np.asarray(one)).reshape(-1, one.shape[-1]).max(axis=0) for one in values]
    return tuple(pair.first.name for pair, largest in zip(found, ranges, strict=True) if _balance(pair, largest))


def _balance(pair: Neighbours, activations: npt.NDArray[Any]) -> bool:
    following = pair.second.get_weights()[0]
    axis = INPUT_AXES[type(pair.second).__name__]
    others = tuple(i for i in range(following.ndim) if i != axis)
    scale = factors(activations, None if type(pair.second).__name__ == "QDepthwiseConv2D" else np.abs(following).max(axis=others))
    if (scale == 1.0).all():
        return False
    rescale(pair, 1.0 / scale)
    return True


def rescale(pair: Neighbours, factor: npt.NDArray[Any]) -> None:
    """Multiplies the channels between two layers, which only changes these, by positive factors (channels,)."""
    kernel, bias = pair.first.get_weights()
    following, *rest = pair.second.get_weights()
    own = [1] * kernel.ndim
    own[2 if type(pair.first).__name__ == "QDepthwiseConv2D" else -1] = -1
    pair.first.set_weights([kernel * factor.reshape(own), bias * factor])
    along = [1] * following.ndim
    along[INPUT_AXES[type(pair.second).__name__]] = -1
    pair.second.set_weights([following / factor.reshape(along), *rest])


def factors(activations: npt.NDArray[Any], weights: npt.NDArray[Any] | None) -> npt.NDArray[np.float32]:
    """The powers of two to divide each channel of A by, float32 (channels,).

    Args:
        activations: the largest magnitude of each channel, (channels,).
        weights: that of each channel's weights in B, or None where B has a binary point a channel.
    """
    # a ratio of two float32 may be below all of them, or above
    activations = activations.astype(np.float64)
    weights = None if weights is None else weights.astype(np.float64)
    alive = activations > 0 if weights is None else (activations > 0) & (weights > 0)
    if not alive.any():
        return np.ones(len(activations), np.float32)
    largest = activations.max()
    ratio = np.where(alive, activations, 1.0) / largest
    if weights is not None:
        ratio = np.sqrt(ratio / (np.where(alive, weights, 1.0) / weights.max()))
    exponents = np.clip(np.rint(np.log2(ratio)), -MOST_DOUBLINGS, MOST_DOUBLINGS).astype(int)
    # the largest value of the tensor stays where it is, so that nothing is gained or lost for all channels together
    scaled = np.ldexp(activations, -exponents)[alive].max()
    shift = int(np.rint(np.log2(scaled / largest)))
    return np.ldexp(np.float32(1.0), np.where(alive, exponents + shift, 0))


def neighbours(model: QFXModel, clamps: tuple[Activation, ...] = HOMOGENEOUS) -> list[Neighbours]:
    """Layers with nothing but one of these clamps, and what a factor passes through, between them."""
    readers: dict[Any, list[Any]] = defaultdict(list)
    nodes = nodes_of(model)
    for node in nodes:
        for tensor in node.keras_inputs:
            readers[key_of(tensor)].append(node)
    ends = {key_of(tensor) for tensor in model.outputs}
    found = []
    for node in nodes:
        if not _has_weights(node.layer) or _one_point_for_all(node.layer):
            continue
        after = readers[key_of(node.outputs)]
        if len(after) != 1 or not _clamps(after[0].layer, clamps):
            continue
        last = after[0]
        while key_of(last.outputs) not in ends and len(readers[key_of(last.outputs)]) == 1:
            last = readers[key_of(last.outputs)][0]
            if not _lets_factors_through(last.layer):
                break
        if _has_weights(last.layer):
            found.append(Neighbours(node.layer, after[0].layer, last.layer))
    return found


def _has_weights(layer: Any) -> bool:
    return type(layer).__name__ in INPUT_AXES and bool(layer.trainable)


def _one_point_for_all(layer: Any) -> bool:
    """A dense layer: to scale its channels apart would cost its own weights what the next layer gains."""
    return type(layer).__name__ == "QDense"


def _clamps(layer: Any, clamps: tuple[Activation, ...]) -> bool:
    quantizer = getattr(layer, "quantizer", None)
    return isinstance(quantizer, QFXActivation) and quantizer.clamp in clamps


def _lets_factors_through(layer: Any) -> bool:
    """A pool, also one that is a depthwise convolution with constants and its requantize."""
    kind = type(layer).__name__
    constant = kind == "QDepthwiseConv2D" and not layer.trainable
    return kind in PER_CHANNEL or constant or _clamps(layer, HOMOGENEOUS) or (kind == "Flatten" and layer.input_shape[1:-1] in ((1, 1), ()))
