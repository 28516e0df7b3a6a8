"""What an error of weights costs the scores: gradients against what a small network gives, and how far few of them are trusted."""

from __future__ import annotations

from typing import Any

import numpy as np
from folded_twin import folded_twin

from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.qfx import score_gradients
from edgekit.keras_models.qfx.score_gradients import WeightGradients, moments_of_outputs, moments_of_taps, weight_gradients


def twin_of(rng: np.random.Generator) -> Any:
    """A pointwise and a depthwise convolution, a mean, four classes."""
    keras = import_keras()
    layers = keras.layers
    inputs = keras.Input((4, 4, 3))
    x = layers.DepthwiseConv2D(3, padding="valid", name="depthwise")(layers.Conv2D(5, 1, name="pointwise")(inputs))
    model = keras.Model(inputs, layers.Dense(4, name="dense")(layers.Flatten()(x)))
    for layer in model.layers:
        if layer.get_weights():
            layer.set_weights([rng.normal(0, 0.6, one.shape) for one in layer.get_weights()])
    return folded_twin(model)


def convolutions(twin: Any) -> list[Any]:
    return [twin.get_layer(name) for name in ("pointwise", "depthwise")]


def test_the_cost_of_an_error_is_the_divergence_that_it_makes(rng: np.random.Generator, monkeypatch: Any) -> None:
    """By the exact mean of <D, e>^2 over many directions, which a layer's moments with an error of one output give."""
    monkeypatch.setattr(score_gradients, "DRAWS", 2000)
    monkeypatch.setattr(score_gradients, "TEMPERATURE", 1.0)
    twin, image = twin_of(rng), rng.uniform(-1, 1, (1, 4, 4, 3)).astype(np.float32)
    layer = twin.get_layer("depthwise")
    found = weight_gradients(twin, [layer], image, rng, of_classes=True)["depthwise"]
    with score_gradients.unquantized(twin):
        kernel, bias = layer.get_weights()
        scores = twin(image).numpy().ravel().astype(np.float64)
        mean = inputs_of(twin, layer, image).mean(axis=(0, 1, 2))
        for channel in range(5):
            error = np.zeros_like(kernel)
            error[:, :, channel, 0] = rng.normal(0, 0.01, (3, 3))
            # the bias takes what the error makes of the inputs' mean
            layer.set_weights([kernel + error, bias - error.sum(axis=(0, 1))[:, 0] * mean])
            moved = twin(image).numpy().ravel().astype(np.float64)
            layer.set_weights([kernel, bias])
            flat = error[:, :, channel, 0].ravel()
            expected = 2.0 * divergence(scores, moved)
            assert abs(flat @ found.taps[channel] @ flat / expected - 1.0) < 0.15  # the spread of 2,000 draws is 3 %


def inputs_of(twin: Any, layer: Any, image: Any) -> Any:
    keras = import_keras()
    return keras.Model(twin.inputs, layer.input)(image).numpy()


def divergence(scores: Any, others: Any) -> float:
    """Kullback-Leibler, of the classes' probabilities."""
    first, second = (one - np.log(np.sum(np.exp(one))) for one in (scores, others))
    return float(np.sum(np.exp(first) * (first - second)))


def test_shapes_and_symmetry(rng: np.random.Generator) -> None:
    twin, images = twin_of(rng), rng.uniform(-1, 1, (6, 4, 4, 3)).astype(np.float32)
    found = weight_gradients(twin, convolutions(twin), images, rng, of_classes=False)
    pointwise, depthwise = found["pointwise"], found["depthwise"]
    assert pointwise.count == depthwise.count == 6 * score_gradients.DRAWS
    assert pointwise.taps.shape == (1, 3, 3)
    assert pointwise.outputs is not None and pointwise.outputs.shape == (5, 5)
    assert depthwise.taps.shape == (5, 9, 9) and depthwise.outputs is None
    for one in (pointwise, depthwise):
        np.testing.assert_allclose(one.taps, np.swapaxes(one.taps, 1, 2), rtol=1e-5)
        assert (np.linalg.eigvalsh(one.taps) > -1e-4 * np.trace(one.taps, axis1=1, axis2=2)[:, np.newaxis]).all()
    assert abs(np.trace(pointwise.taps[0]) / np.trace(pointwise.outputs) - 1) < 1e-4  # both are the mean of |D|^2


def test_gradients_that_are_alike_are_trusted_and_few_that_differ_are_not(rng: np.random.Generator) -> None:
    directions = rng.normal(size=(4, 8))
    few = WeightGradients(
        4, np.mean([np.outer(d, d) for d in directions], axis=0)[np.newaxis], None, np.mean(np.sum(directions**2, axis=1) ** 2)[np.newaxis]
    )
    inputs = np.eye(8)[np.newaxis]
    drawn = moments_of_taps(few, np.ones((1, 1)), inputs)
    assert np.abs(drawn - inputs).max() < 0.7 * np.abs(few.taps / np.trace(few.taps[0]) * 8 - inputs).max()
    alike = WeightGradients(1000, few.taps, None, np.sum(few.taps**2, axis=(1, 2)))
    np.testing.assert_allclose(
        moments_of_taps(alike, np.ones((1, 1)), inputs),
        (1 - score_gradients.PART_MIN) * few.taps / np.trace(few.taps[0]) * 8 + score_gradients.PART_MIN * inputs,
    )


def test_layers_that_no_score_depends_on_keep_the_moments_of_their_inputs() -> None:
    none = WeightGradients(8, np.zeros((2, 3, 3)), None, np.zeros(2))
    inputs = np.stack([np.eye(3), 2 * np.eye(3)])
    assert np.array_equal(moments_of_taps(none, np.ones((1, 1)), inputs), inputs)
    assert moments_of_outputs(WeightGradients(8, np.zeros((1, 3, 3)), np.zeros((4, 4)), np.zeros(1))) is None


def test_a_gain_counts_in_its_taps(rng: np.random.Generator) -> None:
    taps = rng.normal(size=(1, 3, 3))
    taps = taps @ np.swapaxes(taps, 1, 2)
    gain = np.array([[1.0, 2.0, 0.5]])
    plain = WeightGradients(10**9, taps * gain[:, :, np.newaxis] * gain[:, np.newaxis, :], None, np.zeros(1))
    scaled = WeightGradients(10**9, taps, None, np.zeros(1))
    np.testing.assert_allclose(
        moments_of_taps(scaled, gain, np.eye(3)[np.newaxis]), moments_of_taps(plain, np.ones((1, 1)), np.eye(3)[np.newaxis])
    )
