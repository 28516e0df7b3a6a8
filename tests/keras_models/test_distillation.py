"""The loss by hand, and who may teach whom."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.backend import tf, tf_keras
from edgekit.keras_models.training.distillation import Teacher, distillation_loss, logits, taught
from edgekit.keras_models.training.fit import accuracy, fit
from edgekit.keras_models.training.images import Images
from edgekit.keras_models.training.options import Options

STUDENT, TAUGHT = np.array([[1.0, 3.0, -2.0], [0.5, 0.0, 4.0]], np.float32), np.array([[2.0, 2.5, 0.0], [-1.0, 3.0, 1.0]], np.float32)
LABELS = np.array([0, 2])


def softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def by_hand(temperature: float, weight: float) -> float:
    total = 0.0
    for z, t, label in zip(STUDENT.astype(float), TAUGHT.astype(float), LABELS, strict=True):
        p, q = softmax(t / temperature), softmax(z / temperature)
        total += -(1 - weight) * np.log(softmax(z)[label]) + weight * temperature**2 * float(np.sum(p * np.log(p / q)))
    return total / len(LABELS)


def linear(classes: int, weights: Any = None, activation: str | None = None, size: int = 2) -> Any:
    """One dense layer on 2x2x3 images."""
    inputs = tf_keras.Input((size, size, 3))
    model = tf_keras.Model(inputs, tf_keras.layers.Dense(classes, activation=activation)(tf_keras.layers.Flatten()(inputs)))
    if weights is not None:
        model.set_weights([weights, np.zeros(classes)])
    return model


@pytest.mark.parametrize(("temperature", "weight"), [(1.0, 1.0), (4.0, 0.9), (2.0, 0.25), (10.0, 1.0)])
def test_the_loss_is_that_of_the_formula(temperature: float, weight: float) -> None:
    found = distillation_loss(LABELS, STUDENT, TAUGHT, Teacher(None, temperature, weight))
    np.testing.assert_allclose(float(found), by_hand(temperature, weight), rtol=1e-5)


def test_it_is_nothing_where_the_student_has_learned_all() -> None:
    assert abs(float(distillation_loss(LABELS, TAUGHT + 3.0, TAUGHT, Teacher(None, 4.0, 1.0)))) < 1e-6  # a constant changes no softmax


def test_labels_do_not_matter_where_the_teacher_replaces_them() -> None:
    losses = {float(distillation_loss(labels, STUDENT, TAUGHT, Teacher(None, 4.0, 1.0))) for labels in ([0, 1], [2, 2])}
    assert len(losses) == 1


def test_its_gradient_does_not_vanish_at_high_temperatures() -> None:
    def gradient(temperature: float) -> Any:
        z = tf.Variable(STUDENT)
        with tf.GradientTape() as tape:
            loss = distillation_loss(LABELS, z, tf.constant(TAUGHT), Teacher(None, temperature, 1.0))
        return tape.gradient(loss, z).numpy()

    # Hinton et al., equation 4: for T far above the logits, T**2 times it tends to the difference of centred logits over the classes.
    centred = (STUDENT - STUDENT.mean(axis=1, keepdims=True) - TAUGHT + TAUGHT.mean(axis=1, keepdims=True)) / 3 / len(LABELS)
    np.testing.assert_allclose(gradient(200.0), centred, atol=0.01)


def test_a_softmax_at_the_end_is_taken_off(rng: np.random.Generator) -> None:
    weights = rng.normal(size=(12, 3))
    images = rng.normal(size=(5, 2, 2, 3)).astype(np.float32)
    plain = logits(linear(3, weights), images, training=False).numpy()
    found = logits(linear(3, weights, "softmax"), images, training=False).numpy()
    np.testing.assert_allclose(found - found.mean(axis=1, keepdims=True), plain - plain.mean(axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_student_learns_its_teachers_answers_without_labels(activation: str | None, rng: np.random.Generator) -> None:
    images = rng.normal(size=(256, 2, 2, 3)).astype(np.float32)
    teacher = Teacher(linear(4, rng.normal(size=(12, 4)), activation), weight=1.0)
    data = taught(Images(images, np.zeros(256, np.int64)), teacher)
    assert data.labels.tolist() == (images.reshape(256, 12) @ teacher.model.get_weights()[0]).argmax(axis=1).tolist()
    student = linear(4)
    before = accuracy(student, images, data.labels)
    fit(student, data, Options(20, 0.05), teacher=teacher)
    assert accuracy(student, images, data.labels) > 0.95 > 0.6 > before


def test_who_may_not_teach() -> None:
    data = Images(np.zeros((4, 2, 2, 3), np.float32), np.zeros(4, np.int64))
    with pytest.raises(EdgekitError, match=r"the teacher takes \(3, 3, 3\) and gives \(4,\), the model takes \(2, 2, 3\) and gives \(4,\)"):
        fit(linear(4), data, Options(1, 0.1), teacher=Teacher(linear(4, size=3)))
    with pytest.raises(EdgekitError, match="a teacher has the size and the classes of its student"):
        fit(linear(4), data, Options(1, 0.1), teacher=Teacher(linear(5)))
    with pytest.raises(EdgekitError, match=r"takes images of shape \(3, 3, 3\), not \(2, 2, 3\)"):
        taught(data, Teacher(linear(4, size=3)))
    for weight, temperature in ((0.0, 1.0), (1.1, 1.0), (0.5, 0.0), (0.5, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(EdgekitError, match="a teacher's weight is above 0"):
            Teacher(None, temperature, weight)
