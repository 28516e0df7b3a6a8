"""Distillation (Hinton et al., arXiv 1503.02531): a student learns the outputs of a teacher, softened by a temperature.

    loss = (1 - w) * CE(label, softmax(z)) + w * T**2 * KL(softmax(t / T) || softmax(z / T))

with the student's logits z and the teacher's t. The gradient of the second part shrinks as 1 / T**2 where T grows; its factor keeps
the two parts in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.legacy_keras import as_written
from edgekit.keras_models.reading.ending import SOFTMAX, ending, gives_probability
from edgekit.keras_models.training.images import Images, Rows

PREDICT_BATCH = 256

LEAST_PROBABILITY = 1e-6
"""Of one class of two: float32 holds 1 less that."""
SMALLEST = 1e-30
"""Below every probability that matters; its logarithm is finite."""


@dataclass(frozen=True)
class Teacher:
    """A tf_keras.Model that takes the student's images and has its classes.

    `weight`, above 0 and at most 1, is that of the teacher's part of the loss. With 1 the loss has no labels in it; give `taught` images,
    and accuracy is agreement with the teacher. Raises EdgekitError for other numbers.
    """

    model: Any
    temperature: float = 4.0
    weight: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.weight <= 1 or not 0 < self.temperature < float("inf"):
            raise EdgekitError(
                f"a teacher's weight is above 0 and at most 1, its temperature above 0; got {self.weight} and {self.temperature}"
            )

    @property
    def replaces_labels(self) -> bool:
        return self.weight == 1


def check_teacher(teacher: Teacher, student: Any) -> None:
    """Raises EdgekitError if the teacher takes other images or has other classes."""
    of_teacher, of_student = ((tuple(model.inputs[0].shape[1:]), tuple(model.outputs[0].shape[1:])) for model in (teacher.model, student))
    if of_teacher != of_student:
        raise EdgekitError(
            f"the teacher takes {of_teacher[0]} and gives {of_teacher[1]}, the model takes {of_student[0]} and gives {of_student[1]}; "
            "a teacher has the size and the classes of its student"
        )


def taught(data: Images, teacher: Teacher) -> Images:
    """The images with the classes that the teacher sees in them. Raises EdgekitError if it does not take them."""
    wanted = tuple(teacher.model.inputs[0].shape[1:])
    if data.images.shape[1:] != wanted:
        raise EdgekitError(f"the teacher takes images of shape {wanted}, not {data.images.shape[1:]}; a teacher has its student's size")
    return replace(data, labels=predicted(teacher.model, data.images))


def predicted(model: Any, images: Rows) -> npt.NDArray[np.int64]:
    """The class that a model sees in each image, (count,). Images are read batch by batch."""
    # Batches of one size, but for the last one, as the model is traced for each size.
    size, predict = ceil(len(images) / ceil(len(images) / PREDICT_BATCH)), as_written(model.predict_on_batch)
    batches = [predict(images[start : start + size]) for start in range(0, len(images), size)]
    outputs = np.concatenate(batches).reshape(len(images), -1)
    return (outputs[:, 0] > 0.5).astype(np.int64) if gives_probability(model) else outputs.argmax(axis=1).astype(np.int64)


def classes_of(model: Any) -> int:
    """How many classes a model tells apart: two where it gives the second one's probability."""
    return 2 if gives_probability(model) else int(model.output_shape[-1])


def logits(model: Any, images: Any, training: bool) -> Any:
    """What a model gives before its softmax, up to a constant, if it ends in one; of one sigmoid the logarithms of both probabilities;
    otherwise its outputs. As a tensor (batch, classes)."""
    import tensorflow as tf

    outputs = model(images, training=training)
    if gives_probability(model):
        second = tf.reshape(outputs, (-1, 1))
        return tf.math.log(tf.maximum(tf.concat([1.0 - second, second], axis=1), LEAST_PROBABILITY))
    return tf.math.log(tf.maximum(outputs, SMALLEST)) if ending(model) == SOFTMAX else outputs


def distillation_loss(labels: Any, student: Any, taught: Any, teacher: Teacher) -> Any:
    """The mean over a batch. `student` and `taught` are logits (batch, classes), `labels` integers (batch,)."""
    import tensorflow as tf

    log_p, log_q = (tf.nn.log_softmax(one / teacher.temperature) for one in (taught, student))
    divergence = tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)
    soft = teacher.temperature**2 * tf.reduce_mean(divergence)
    if teacher.replaces_labels:
        return soft
    return (1.0 - teacher.weight) * cross_entropy(labels, student) + teacher.weight * soft


def cross_entropy(labels: Any, student: Any) -> Any:
    """The mean over a batch."""
    import tensorflow as tf

    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, student))
