"""What an error in a layer's weights costs the scores: second moments of gradients, image by image, in the float network.

An error e of the weights (taps, outputs) moves the scores s of an image; by how much is told, to the second order of the Kullback-Leibler
divergence of the classes' probabilities p, by

    cost(e) = E <D, e>^2,        D = d(s . r) / dW,    r = sqrt(p) n - p (sqrt(p) . n),    n normal,    E r r' = diag(p) - p p'

The bias takes what an error makes of the inputs' means x, so that D is less x (d(s . r) / db)'. Its second moments are taken for a
Kronecker product of what taps and what outputs have in common (YAQA, arXiv 2505.22988, section 3; gradients are summed over an image's
cells, whose errors add up where the network takes means):

    E <D, e>^2  ~  tr G e' H e,        H = E D D'    (taps, taps),        G = E D' D    (outputs, outputs)

Few images tell few directions apart: G is drawn towards a multiple of the identity, and H towards the moments of the layer's inputs, by the
part that costs least in mean square (Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.keras_models.layers.backend import tf
from edgekit.keras_models.qfx.channels import channels_of, some_of
from edgekit.keras_models.qfx.layer_inputs import grouped_kernel, is_depthwise
from edgekit.keras_models.qfx.model import QFXModel, unquantized
from edgekit.progress import Note

Reals: TypeAlias = npt.NDArray[np.float64]
Floats: TypeAlias = npt.NDArray[np.float32]

TEMPERATURE = 2.0
"""Of the classes' probabilities, so that images count of whose class the network is sure, too."""
IMAGES, DRAWS = 128, 2
"""Images at most, evenly spread, and directions of the scores of each."""
PART_MIN = 0.02
"""Of the targets in H and G at least, so that they can be inverted."""
TAPS_MAX = 5_000
"""A layer with more is left out: its moments would take gigabytes."""


@dataclass(frozen=True)
class WeightGradients:
    """Of a layer: `count` gradients, their moments `taps` (groups, taps, taps) and, where it is one group, `outputs` (outputs, outputs);
    `spread`, the mean of |D D'|^2, (groups,)."""

    count: int
    taps: Reals
    outputs: Reals | None
    spread: Reals


def weight_gradients(
    model: QFXModel, layers: Sequence[Any], images: Floats, rng: np.random.Generator, *, of_classes: bool, note: Note = lambda _: None
) -> dict[str, WeightGradients]:
    """Of these layers of a QFXModel that holds float weights, by their names.

    Args:
        layers: convolutions with biases.
        images: (count, *input shape), normalized as the network takes them.
        of_classes: the outputs are scores of classes; else what counts is their squared error.
    """
    layers = [layer for layer in layers if np.prod(layer.get_weights()[0].shape[: 2 if is_depthwise(layer) else -1]) <= TAPS_MAX]
    if not layers:
        return {}
    chosen = some_of(images, IMAGES)
    means = [one.mean.astype(np.float32) for one in channels_of(model, [layer.input for layer in layers], images)]
    weights = [layer.trainable_weights[:2] for layer in layers]

    def add(image: Any, noise: Any) -> None:
        with tf.GradientTape() as tape:
            scores = tf.concat([tf.reshape(one, (-1,)) for one in tf.nest.flatten(model(image, training=False))], 0)
            total = tf.reduce_sum(scores * _direction(tf.stop_gradient(scores), noise, of_classes))
        for one, layer, mean, gradient in zip(sums, layers, means, tape.gradient(total, weights), strict=True):
            for part, moments in zip(one, _moments(layer, gradient[0], gradient[1], mean), strict=True):
                part.assign_add(moments)

    sums = [[tf.Variable(tf.zeros(shape)) for shape in _shapes(layer)] for layer in layers]
    values = sum(int(np.prod(tensor.shape[1:])) for tensor in model.outputs)
    traced = tf.function(add, autograph=False)
    with unquantized(model):
        for number, image in enumerate(chosen, 1):
            note(f"looking at what the scores depend on, image {number} of {len(chosen)}")
            for _ in range(DRAWS):
                traced(tf.constant(image[np.newaxis]), tf.constant(rng.standard_normal(values).astype(np.float32)))
    count = DRAWS * len(chosen)
    return {layer.name: _averaged(one, count) for layer, one in zip(layers, sums, strict=True)}


def _direction(scores: Any, noise: Any, of_classes: bool) -> Any:
    if not of_classes:
        return noise
    p = tf.nn.softmax(scores / TEMPERATURE)
    root = tf.sqrt(p)
    return root * noise - p * tf.reduce_sum(root * noise)


def _moments(layer: Any, kernel: Any, bias: Any, mean: Floats) -> list[Any]:
    """D D' of each group, |D D'|^2 of each, and, of a layer with one group, D' D."""
    if is_depthwise(layer):
        each = tf.transpose(tf.reshape(kernel, (-1, kernel.shape[2]))) - (mean * bias)[:, tf.newaxis]
        return [each[:, :, tf.newaxis] * each[:, tf.newaxis, :], tf.reduce_sum(each**2, axis=1) ** 2]
    whole = tf.reshape(kernel, (-1, kernel.shape[-1]))
    whole -= np.tile(mean, whole.shape[0] // len(mean))[:, np.newaxis] * bias
    taps = tf.matmul(whole, whole, transpose_b=True)
    return [taps[tf.newaxis], tf.reduce_sum(taps**2)[tf.newaxis], tf.matmul(whole, whole, transpose_a=True)]


def _shapes(layer: Any) -> list[tuple[int, ...]]:
    """Of what _moments gives."""
    groups, taps, outputs = grouped_kernel(layer, layer.get_weights()[0]).shape
    return [(groups, taps, taps), (groups,), *([] if is_depthwise(layer) else [(outputs, outputs)])]


def _averaged(sums: Sequence[Any], count: int) -> WeightGradients:
    taps, spread, *outputs = (np.asarray(one, np.float64) / count for one in sums)
    return WeightGradients(count, taps, outputs[0] if outputs else None, spread)


def moments_of_taps(seen: WeightGradients, gain: Reals, inputs: Reals) -> Reals:
    """H, drawn towards the moments of the layer's inputs and as large as they are, (groups, taps, taps).

    Args:
        gain: how many times what it reads in the float network each tap reads, (groups or 1, taps or 1).
        inputs: their moments, (groups, taps, taps).
    """
    found = seen.taps * gain[:, :, np.newaxis] * gain[:, np.newaxis, :]
    size, wanted = (np.trace(one, axis1=1, axis2=2) for one in (found, inputs))
    alive = (size > 0)[:, np.newaxis, np.newaxis]
    scale = wanted / np.where(size > 0, size, 1.0)
    drawn = _drawn(found * scale[:, np.newaxis, np.newaxis], seen.spread * scale**2, seen.count, inputs)
    return np.where(alive, drawn, inputs)


def moments_of_outputs(seen: WeightGradients) -> Reals | None:
    """G, drawn towards the identity and with its trace, (outputs, outputs); None where outputs are rounded each by itself."""
    if seen.outputs is None or not np.trace(seen.outputs) > 0:
        return None
    found = seen.outputs / np.trace(seen.outputs) * len(seen.outputs)
    spread = seen.spread / (np.trace(seen.outputs) / len(seen.outputs)) ** 2
    return _drawn(found[np.newaxis], spread, seen.count, np.eye(len(found))[np.newaxis])[0]


def _drawn(moments: Reals, spread: Reals, count: int, target: Reals) -> Reals:
    """(1 - a) S + a T with a = (E |D D'|^2 - |S|^2) / (count |S - T|^2), at least PART_MIN and at most 1."""
    uncertain = (spread - np.sum(moments**2, axis=(1, 2))) / count
    apart = np.sum((moments - target) ** 2, axis=(1, 2))
    part = np.clip(uncertain / np.maximum(apart, np.finfo(np.float64).tiny), PART_MIN, 1.0)[:, np.newaxis, np.newaxis]
    return np.asarray((1.0 - part) * moments + part * target)
