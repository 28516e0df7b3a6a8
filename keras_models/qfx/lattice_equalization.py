"""Cross-layer equalization with any positive factor, chosen by what rounding costs the layer that reads: before layers are reconstructed.

A channel i between layers A and B is multiplied by g_i in A, and B's weights W that read it are divided by it (arXiv 1906.04721, section
4.1). B's lattice has a step s_o for each output o, as large as its largest weight needs, and the tensor between them has one of 8 bits, t.
With v_i the variance of channel i and p_i how often it is above 0, the two roundings cost B's outputs, in mean square,

    sum_o s_o^2 / 12  sum_i g_i^2 v_i   +   sum_oi W_oi^2 p_i t^2 / (12 g_i^2),        s_o = max_i |W_oi| / g_i / L

L is the lattice's last level. Channels that no output needs much of are made small, so that their weights' rounding counts little, and
a channel with an output's largest weight is made large, so that its step becomes finer. Where B is depthwise, it takes any factor in, and
only the 8 bits count: every channel becomes as large as it may.

ReLU6 clamps at 6, whatever the factor: a channel may shrink where the images never took it there, and never grow. (In the last depthwise
layers of EfficientNet-Lite0 channels are 0 almost everywhere: made to reach 6 / 1.25 on 32 images, they lost so much at the clamp on others
that signal to noise was 13 dB; twice that distance by 96 images still gave 19 dB. The 8 bits, which growth would help, leave 35 dB.)
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.graph import Activation
from edgekit.keras_models.qfx.channels import SIX, Channels, channels_of
from edgekit.keras_models.qfx.equalize import INPUT_AXES, neighbours, rescale
from edgekit.keras_models.qfx.model import QFXModel, quantizers_of
from edgekit.keras_models.qfx.quantizers import QFXWeight

Reals: TypeAlias = npt.NDArray[np.float64]

HEADROOM = 2.0
"""Other images may take a channel so much further than those that were seen, before it is what the tensor's range has to hold."""
MOST = 16.0
"""A channel is scaled by 1 / MOST to MOST at most: shifts have to stay legal."""
NORM = 8
"""Of what a channel's weights take of their outputs' steps: near to the maximum, which is settled by one output alone."""
EXPONENTS, SCALES = (0.5, 0.75, 1.0), tuple(2.0 ** (k / 2) for k in range(-4, 9))
ROUNDS = 3


def equalize_for_lattice(model: QFXModel, images: npt.NDArray[np.float32]) -> None:
    """Rescales the float weights of a QFXModel in place, before its binary points are chosen.

    Args:
        images: (count, *input shape), normalized as the network takes them.
    """
    found = neighbours(model, tuple(Activation))
    seen = channels_of(model, [tensor for pair in found for tensor in (pair.requantize.output, pair.second.input)], images)
    for pair, given, read in zip(found, seen[::2], seen[1::2], strict=True):
        limit = SIX if pair.requantize.quantizer.clamp is Activation.RELU6 else float(given.largest.max())
        if not limit > 0.0:
            continue
        least, most = bounds(given, limit, pair.requantize.quantizer.clamp)
        if type(pair.second).__name__ == "QDepthwiseConv2D":
            rescale(pair, most)
            continue
        weight = next(one for one in quantizers_of(pair.second) if isinstance(one, QFXWeight))
        kernel = np.abs(np.moveaxis(pair.second.get_weights()[0], INPUT_AXES[type(pair.second).__name__], 0).astype(np.float64))
        step = 2.0 ** np.ceil(np.log2(limit / (127.0 if pair.requantize.quantizer.signed else 255.0)))
        kernel = kernel.reshape(len(kernel), -1, kernel.shape[-1])
        rescale(pair, factors(kernel, read, (least, most), step, weight.precision.levels[-1], shared=weight.channel_axis is None))


def bounds(given: Channels, limit: float, clamp: Activation) -> tuple[Reals, Reals]:
    """The least and the greatest factor of each channel of the clamp's output that leaves what the clamp does as it is."""
    room = limit / (HEADROOM * np.maximum(given.largest, np.finfo(np.float32).tiny))
    grows = (given.largest > 0) & (clamp is not Activation.RELU6)
    most = np.where(grows, np.clip(room, 1.0, MOST), 1.0)
    free = (given.at_six == 0.0) & (given.largest > 0)
    return np.where(free, 1.0 / MOST, 1.0), most


def factors(weights: Reals, seen: Channels, allowed: tuple[Reals, Reals], step: float, last_level: int, *, shared: bool) -> Reals:
    """The factor of each channel with the least cost that was found, (channels,).

    Args:
        weights: magnitudes (channels, other taps, outputs).
        seen: what the second layer reads.
        allowed: the least and the greatest factor of each channel.
        step: of the 8 bits between the layers.
        shared: all outputs have the same step.
    """
    squares = np.sum(weights**2, axis=(1, 2))
    largest = weights.max(axis=1)
    if shared:
        largest = largest.max(axis=1, keepdims=True)

    def cost(factor: Reals) -> float:
        steps = np.max(largest / factor[:, np.newaxis], axis=0) / last_level
        rounded = np.sum(steps**2) / len(steps) * np.sum(factor**2 * seen.variance) * weights.shape[1] * weights.shape[2]
        return float(rounded + weights.shape[1] * np.sum(squares * seen.active / factor**2) * step**2) / 12.0

    best = np.clip(np.ones(len(weights)), *allowed)
    least = cost(best)
    for _ in range(ROUNDS):
        reach = np.max(largest / best[:, np.newaxis], axis=0)
        share = np.mean((largest / np.where(reach > 0, reach, 1.0)) ** NORM, axis=1) ** (1 / NORM)
        for factor in (np.clip(scale * share**exponent, *allowed) for exponent in EXPONENTS for scale in SCALES):
            found = cost(factor)
            if found < least:
                best, least = factor, found
    return best
