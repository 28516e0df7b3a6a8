"""The training loop and random weights, on models small enough for a second."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.training.fit import accuracy, fit
from edgekit.keras_models.training.images import Images, digits, photographs
from edgekit.keras_models.training.options import Options, Step
from edgekit.keras_models.weights.random import measure_statistics, randomize


def small_model(classes: int = 10) -> Any:
    layers = import_keras().layers
    x = inputs = layers.Input((8, 8, 3))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3, strides=2, use_bias=False)(x)))
    return import_keras().Model(inputs, layers.Dense(classes)(layers.Flatten()(x)))


def test_learns_and_reports_every_batch() -> None:
    split, steps = digits(8), []
    model = small_model()
    before = accuracy(model, split.held_out.images, split.held_out.labels)
    history = fit(model, split.train, Options(6, 0.01), on_step=steps.append).history
    assert accuracy(model, split.held_out.images, split.held_out.labels) > 0.93 > 0.5 > before
    assert [step.epoch for step in history] == [1, 2, 3, 4, 5, 6] and history[-1].loss < history[0].loss
    assert len(steps) == 6 * (1347 // 32) and steps[-1] == history[-1]
    assert (steps[0].epochs, steps[0].batch, steps[0].batches) == (6, 1, 42)


def test_the_same_seed_shuffles_alike() -> None:
    data = Images(np.zeros((64, 8, 8, 3), np.float32), np.arange(64) % 10)
    data.images[np.arange(64), 0, 0, 0] = np.arange(64)

    def losses(seed: int) -> list[float]:
        import_keras().utils.set_random_seed(0)
        steps: list[Step] = []
        fit(small_model(), data, Options(2, 0.01, seed), on_step=steps.append)
        return [step.loss for step in steps]

    assert losses(1) == losses(1) != losses(2)


def test_refuses() -> None:
    data = Images(np.zeros((4, 8, 8, 3), np.float32), np.array([0, 1, 2, 3]))
    with pytest.raises(EdgekitError, match="labels are 0 to 3, but the model has 3 classes"):
        fit(small_model(3), data, Options(1, 0.1))
    for epochs, rate, images in ((0, 0.1, data), (1, 0.0, data), (1, 0.1, Images(data.images[:0], data.labels[:0]))):
        with pytest.raises(EdgekitError, match="training needs"):
            fit(small_model(4), images, Options(epochs, rate))
    data.images[0] = np.nan
    with pytest.raises(EdgekitError, match="no longer finite after epoch 1"):
        fit(small_model(4), data, Options(1, 0.1))


@pytest.mark.parametrize(("name", "alpha"), [("mobilenet_v1", 0.25), ("mobilenet_v2", 0.35)])
def test_random_weights_are_lively_and_repeatable(name: str, alpha: float) -> None:
    model = edgekit.build_model(name, alpha=alpha, size=64, classes=10)
    images = photographs(64, 24)
    randomize(model, images, seed=3)
    weights, logits = model.get_weights(), model(images).numpy()
    # Neither vanished nor exploded, at the end nor anywhere inside.
    assert np.isfinite(logits).all() and 0.1 < logits.std() < 10
    taps = import_keras().Model(model.input, [layer.output for layer in model.layers if "relu" in layer.name])
    assert all(0.1 < float(np.std(value)) < 3 for value in taps(images))
    # The images matter, not only the biases; on images that the statistics were not measured on, too.
    assert np.std(logits, axis=0).mean() > 0.1
    assert np.std(model(photographs(64, 24, seed=9)).numpy(), axis=0).mean() > 0.1

    randomize(model, images, seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    randomize(model, images, seed=4)
    assert not np.array_equal(weights[0], model.get_weights()[0])


def test_statistics_are_those_of_the_images(rng: np.random.Generator) -> None:
    model = small_model()
    model.set_weights([rng.uniform(0.5, 1, weight.shape) for weight in model.weights])
    norm = next(layer for layer in model.layers if "batch_norm" in layer.name)
    images = rng.uniform(-1, 1, (50, 8, 8, 3)).astype(np.float32)
    measure_statistics(model, images)
    before = import_keras().Model(model.input, norm.input)(images).numpy().astype(np.float64)
    np.testing.assert_allclose(norm.moving_mean.numpy(), before.mean(axis=(0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(norm.moving_variance.numpy(), before.var(axis=(0, 1, 2)), rtol=1e-2)  # Keras divides by n - 1
    assert norm.momentum == 0.99  # as it was
