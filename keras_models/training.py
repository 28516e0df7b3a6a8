"""Training a classifier that returns logits. One plain loop for the float model and for the quantization-aware one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.keras_models.data import Images
from edgekit.keras_models.legacy_keras import import_keras
from edgekit.keras_models.random_weights import measure_statistics

BATCH_SIZE = 32
PREDICT_BATCH = 256
STATISTICS_IMAGES = 512


@dataclass(frozen=True)
class Step:
    """Where training stands after a batch. `epoch` and `batch` count from 1; `loss` and `accuracy` are means over the epoch so far."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    accuracy: float


OnStep: TypeAlias = Callable[[Step], None]


def fit(model: Any, data: Images, *, epochs: int, learning_rate: float, seed: int = 0, on_step: OnStep | None = None) -> tuple[Step, ...]:
    """Trains the model in place with Adam, its learning rate falling to 0 along half a cosine; returns each epoch's last step.

    Args:
        model: tf_keras.Model that returns logits (batch, classes).
        data: labels must be below the number of classes.
        learning_rate: the first one.
        seed: of the order of the images and of dropout.
        on_step: called after every batch.

    Raises:
        EdgekitError: a label that the model has no logit for, nothing to train with or for, or a loss or weight that is no longer finite.
    """
    keras = import_keras()
    classes = model.output_shape[-1]
    if not len(data) or epochs < 1 or not learning_rate > 0:
        raise EdgekitError(
            f"training needs images, epochs and a learning rate above 0; got {len(data)} images, {epochs} epochs, rate {learning_rate}"
        )
    if not 0 <= data.labels.min() <= data.labels.max() < classes:
        raise EdgekitError(f"labels are {data.labels.min()} to {data.labels.max()}, but the model has {classes} classes")
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    size = min(BATCH_SIZE, len(data))
    batches = len(data) // size  # the few images left over are others in every epoch
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(learning_rate, epochs * batches))
    train_on = _train_step(model, optimizer)
    history = []
    for epoch in range(1, epochs + 1):
        order, losses, hits = rng.permutation(len(data)), 0.0, 0.0
        for batch in range(1, batches + 1):
            chosen = order[(batch - 1) * size : batch * size]
            loss, right = train_on(data.images[chosen], data.labels[chosen])
            losses, hits = losses + float(loss), hits + float(right)
            step = Step(epoch, epochs, batch, batches, losses / batch, hits / batch)
            if on_step:
                on_step(step)
        history.append(step)
        # Weights too: a ReLU turns NaN into 0, and the loss then looks healthy.
        if not np.isfinite(losses) or not all(np.isfinite(weight).all() for weight in model.get_weights()):
            raise EdgekitError(f"the loss or a weight is no longer finite after epoch {epoch}; try a learning rate below {learning_rate:g}")
    # The moving averages of a short training still remember its start. Through 27 layers that can cost all accuracy.
    measure_statistics(model, data.images[rng.permutation(len(data))[:STATISTICS_IMAGES]])
    return tuple(history)


def accuracy(model: Any, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> float:
    """The part, 0..1, of the images whose largest logit is their label's."""
    logits = model.predict(images, batch_size=PREDICT_BATCH, verbose=0)
    return float(np.mean(logits.argmax(axis=-1) == labels))


def _train_step(model: Any, optimizer: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
    """A compiled function: one batch in, its mean loss and accuracy out."""
    import tensorflow as tf

    def train_on(images: Any, labels: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
            total = loss + tf.add_n(model.losses) if model.losses else loss
        gradients = tape.gradient(total, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss, tf.reduce_mean(tf.cast(tf.argmax(logits, axis=-1) == labels, tf.float32))

    return tf.function(train_on)
