"""Calibration images out of nothing but the network: inputs under which batch norms see the statistics that they remember.

Noise is moved by gradients until, at every batch norm, the mean and the deviation of its input over the batch are those of the
training images (ZeroQ, arXiv 2001.00281, section 3.1; DeepInversion's loss without its image priors, arXiv 1912.08795):

    loss = sum over layers of log(1 + distance)
    distance = (mean((mean - moving_mean)**2) + mean((deviation - moving_deviation)**2)) / mean(moving_variance)

A layer is measured in its own variance; not a channel in its own, because dead channels have none. What is wrong in the first layers
grows from layer to layer: without the logarithm the last ones, a thousand times as far off, would be all that the gradient sees.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.progress import Note

COUNT, STEPS = 32, 150
BATCH = 32
LEARNING_RATE = 0.1


def synthesize(
    model: Any,
    low: npt.NDArray[Any],
    high: npt.NDArray[Any],
    *,
    count: int = COUNT,
    steps: int = STEPS,
    seed: int = 0,
    note: Note = lambda _: None,
) -> npt.NDArray[np.float32]:
    """Images (count, *input shape) as the network takes them. The same for the same seed.

    Args:
        model: a float Keras model with batch norms that were trained.
        low, high: the least and the greatest value an input can have, broadcast to the input's shape.

    Raises:
        EdgekitError: the model has no batch norm, or remembers statistics that are no numbers.
    """
    import tensorflow as tf

    keras = import_keras()
    norms = _norms(model)
    means, deviations = _remembered(model)
    probe = keras.Model(model.inputs, [layer.input for layer in norms])
    rng = np.random.default_rng(seed)
    shape = tuple(model.inputs[0].shape[1:])
    bottom, top = np.broadcast_to(low, shape).astype(np.float32), np.broadcast_to(high, shape).astype(np.float32)
    sizes = [min(BATCH, count - start) for start in range(0, count, BATCH)]

    def batch(number: int, size: int) -> Any:
        noise = rng.normal((bottom + top) / 2, (top - bottom) / 4, (size, *shape))
        images = tf.Variable(np.clip(noise, bottom, top).astype(np.float32))
        optimizer = keras.optimizers.Adam(LEARNING_RATE)

        @tf.function  # type: ignore[untyped-decorator]
        def step() -> Any:
            with tf.GradientTape() as tape:
                loss = tf.add_n(
                    [_distance(x, mean, spread) for x, mean, spread in zip(tf.nest.flatten(probe(images)), means, deviations, strict=True)]
                )
            optimizer.apply_gradients([(tape.gradient(loss, images), images)])
            images.assign(tf.clip_by_value(images, bottom, top))
            return loss

        for done in range(steps):
            loss = float(step())
            where, apart = f"batch {number} of {len(sizes)}, step {done + 1} of {steps}", np.expm1(loss / len(norms))
            note(f"synthesizing images: {where}, distance {apart:.3f} a layer")
        return images.numpy()

    return np.concatenate([batch(number, size) for number, size in enumerate(sizes, 1)])


def distance(model: Any, images: npt.NDArray[np.float32]) -> float:
    """How far these images are from those that the batch norms remember: 0 where none sees a difference, and what `synthesize` notes.

    Raises EdgekitError as `synthesize`.
    """
    import tensorflow as tf

    means, deviations = _remembered(model)
    probe = import_keras().Model(model.inputs, [layer.input for layer in _norms(model)])
    seen = tf.nest.flatten(probe(images, training=False))
    return float(np.expm1(np.mean([_distance(x, mean, spread) for x, mean, spread in zip(seen, means, deviations, strict=True)])))


def _norms(model: Any) -> list[Any]:
    return [layer for layer in model.layers if hasattr(layer, "moving_variance")]


def _remembered(model: Any) -> tuple[list[Any], list[Any]]:
    """The means and the deviations of the training images at each batch norm. Raises EdgekitError."""
    norms = _norms(model)
    if not norms:
        raise EdgekitError(
            f"'{model.name}' has no batch norm to remember what its training images were like; calibrate with a folder of images"
        )
    means = [layer.moving_mean.numpy() for layer in norms]
    deviations = [np.sqrt(layer.moving_variance.numpy() + layer.epsilon) for layer in norms]
    if not all(np.isfinite(one).all() for one in (*means, *deviations)):
        raise EdgekitError(f"the batch norms of '{model.name}' remember statistics that are no numbers; look at the weights")
    return means, deviations


def _distance(x: Any, mean: Any, deviation: Any) -> Any:
    import tensorflow as tf

    average, variance = tf.nn.moments(x, list(range(len(x.shape) - 1)))
    spread = tf.sqrt(variance + 1e-12)  # the square root of zero has no gradient
    apart = tf.reduce_mean(tf.square(average - mean)) + tf.reduce_mean(tf.square(spread - deviation))
    return tf.math.log1p(apart / float(np.mean(deviation**2)))
