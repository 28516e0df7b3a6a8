"""Equalization, bias correction and synthesized images: quantization without training."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from folded_twin import folded_twin
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.qfx.bias_correction import correct_biases
from edgekit.keras_models.qfx.calibrate import calibrate
from edgekit.keras_models.qfx.equalize import MOST_DOUBLINGS, equalize, factors
from edgekit.keras_models.qfx.model import unquantized
from edgekit.keras_models.training.synthesize import synthesize
from edgekit.tolerances import FLOAT32_FOLDED

ranges = arrays(np.float32, 5, elements=st.floats(0, 1000, width=32))


def chain(rng: np.random.Generator, activation: str, spread: float, depthwise: bool = False) -> Any:
    """Two convolutions of 1x1 on maps 4x4x3; the channels between them differ in range by up to `spread`."""
    keras = import_keras()
    x = inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(8, 1, activation=activation, name="first")(x)
    x = keras.layers.DepthwiseConv2D(1, name="second")(x) if depthwise else keras.layers.Conv2D(6, 1, name="second")(x)
    x = keras.layers.ReLU(name="relu")(x)
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1, name="third")(x))
    scale = np.geomspace(1 / spread, 1, 8).astype(np.float32)
    kernel, second = rng.normal(size=(1, 1, 3, 8)), rng.normal(size=(1, 1, 8, 1 if depthwise else 6))
    model.get_layer("first").set_weights([kernel * scale, rng.normal(size=8) * 0.1 * scale])
    model.get_layer("second").set_weights([second / scale[:, np.newaxis], rng.normal(size=second.shape[2 if depthwise else 3]) * 0.1])
    model.get_layer("third").set_weights([rng.normal(size=model.get_layer("third").get_weights()[0].shape), np.zeros(4)])
    return model


def images_for(rng: np.random.Generator, count: int = 16) -> Any:
    return rng.uniform(-1, 1, (count, 4, 4, 3)).astype(np.float32)


def error(twin: Any, model: Any, images: Any) -> float:
    return float(np.mean((twin(images).numpy() - model(images).numpy()) ** 2))


@pytest.mark.parametrize("activation", ["relu", "linear"])
@pytest.mark.parametrize("depthwise", [False, True])
def test_equalization_changes_nothing_in_float_and_helps_in_fixed_point(activation, depthwise, rng) -> None:
    model, images = chain(rng, activation, spread=64, depthwise=depthwise), images_for(rng)
    plain, equalized = folded_twin(model), folded_twin(model)
    assert equalize(equalized, images)[0] == "first"
    with unquantized(equalized):
        real, expected = equalized(images).numpy(), model(images).numpy()
        assert np.abs(real - expected).max() <= FLOAT32_FOLDED * max(1.0, np.abs(expected).max())
    calibrate(plain, images)
    calibrate(equalized, images)
    assert error(equalized, model, images) < 0.8 * error(plain, model, images)


def test_relu6_is_left_alone(rng) -> None:
    """min(x, 6) / s is not min(x / s, 6)."""
    twin = folded_twin(chain(rng, "relu6", spread=16))
    before = twin.get_weights()
    assert "first" not in equalize(twin, images_for(rng))
    assert np.array_equal(before[0], twin.get_weights()[0])


def test_a_tensor_that_two_layers_read_is_left_alone(rng) -> None:
    keras = import_keras()
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(3, 1, activation="relu", name="first")(inputs)
    model = keras.Model(inputs, keras.layers.Add()([keras.layers.Conv2D(3, 1, name="second")(x), x]))
    model.get_layer("first").set_weights([rng.normal(size=(1, 1, 3, 3)) * [1, 0.1, 0.01], np.zeros(3)])
    assert equalize(folded_twin(model), images_for(rng)) == ()


def test_factors_by_hand() -> None:
    """A depthwise layer takes all in: 8, 4 and 1 become 8. A dead channel stays. Else half of it, on a scale of powers of two, is taken:
    8 and 0.5 differ by 16, so the small one is multiplied by 4."""
    assert factors(np.array([8.0, 4.0, 1.0, 0.0]), None).tolist() == [1, 0.5, 0.125, 1]
    assert factors(np.array([8.0, 0.5]), np.array([1.0, 1.0])).tolist() == [1, 0.25]
    assert factors(np.array([8.0, 8.0]), np.array([1.0, 1.0])).tolist() == [1, 1]
    # the next layer hardly reads the first channel: its range can shrink, and then all grow again together
    assert factors(np.array([8.0, 8.0]), np.array([1.0, 16.0])).tolist() == [4, 1]


@given(ranges, st.none() | ranges)
@example(np.array([0, 1, 1, 1, 1], np.float32), np.full(5, 6e-45, np.float32))  # the smallest float32: 1 over it is none
def test_factors_are_powers_of_two_within_bounds(activations, weights) -> None:
    found = factors(activations, weights)
    mantissa, exponents = np.frexp(found)
    assert (mantissa == 0.5).all()
    assert exponents.max() - exponents.min() <= 4 * MOST_DOUBLINGS
    assert (found[activations == 0] == 1).all()


def test_bias_correction_takes_the_mean_error_away(rng) -> None:
    """What is left is the step of the biases and of the last tensor."""
    before = after = 0.0
    for _ in range(3):
        model, images = chain(rng, "relu", spread=1), images_for(rng, 32)
        twin = folded_twin(model)
        calibrate(twin, images)
        before += shift_of(twin, model, images)
        correct_biases(twin, images)
        after += shift_of(twin, model, images)
    assert after < before / 3


def shift_of(twin: Any, model: Any, images: Any) -> float:
    return float(np.abs((model(images).numpy() - twin(images).numpy()).mean(axis=(0, 1, 2))).sum())


def test_synthesized_images_have_the_statistics_of_the_batch_norms(rng) -> None:
    keras = import_keras()
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(6, 3, use_bias=False)(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(x))
    keras.utils.set_random_seed(0)
    probe = keras.Model(inputs, x)
    seen = np.clip(rng.normal(0.3, 0.4, (64, 8, 8, 3)), -1, 1).astype(np.float32)
    values = probe(seen).numpy()
    norm = model.get_layer("norm")
    norm.set_weights([np.ones(6), np.zeros(6), values.mean(axis=(0, 1, 2)), values.var(axis=(0, 1, 2))])
    low, high = np.float32(-1), np.float32(1)
    made = synthesize(model, low, high, count=16, steps=60)
    assert made.shape == (16, 8, 8, 3)
    assert made.dtype == np.float32
    assert made.min() >= -1
    assert made.max() <= 1
    drawn = np.clip(rng.normal(0, 0.5, made.shape), -1, 1).astype(np.float32)

    def distance(images: Any) -> float:
        return float(np.abs(probe(images).numpy().mean(axis=(0, 1, 2)) - values.mean(axis=(0, 1, 2))).max())

    assert distance(made) < distance(drawn) / 4
    assert np.array_equal(made, synthesize(model, low, high, count=16, steps=60))


def test_without_batch_norm_there_is_nothing_to_synthesize_from() -> None:
    keras = import_keras()
    model = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Conv2D(2, 1)])
    with pytest.raises(EdgekitError, match="calibrate with a folder of images"):
        synthesize(model, np.float32(-1), np.float32(1))
