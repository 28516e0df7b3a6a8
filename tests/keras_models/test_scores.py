"""Scores of classes around 0: finer steps, and nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from folded_twin import folded_twin

from edgekit.graph import check
from edgekit.keras_models import Effort, freeze, quantize
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.qfx.calibrate import calibrate
from edgekit.keras_models.qfx.model import unquantized
from edgekit.keras_models.qfx.scores import place_scores, scoring_layer


def network(ending: str) -> Any:
    keras = import_keras()
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.ReLU()(keras.layers.Conv2D(8, 3, strides=2, name="conv")(inputs))
    if ending == "conv":
        x = keras.layers.Flatten()(keras.layers.Conv2D(10, 3, name="scores")(x))
    else:
        x = keras.layers.Dense(10, name="scores")(keras.layers.Flatten()(x))
    x = {"relu": keras.layers.ReLU(), "sigmoid": keras.layers.Activation("sigmoid")}.get(ending, lambda one: one)(x)
    model = keras.Model(inputs, x)
    for name, scale in (("conv", 0.3), ("scores", 0.2)):
        kernel, bias = model.get_layer(name).get_weights()
        drawn = np.random.default_rng(len(name)).normal(0, scale, kernel.shape)
        model.get_layer(name).set_weights([drawn, bias + np.linspace(12, 20, 10) if name == "scores" else bias])
    return model


@pytest.mark.parametrize("ending", ["dense", "conv"])
def test_only_a_constant_comes_off_the_float_network(ending: str, rng: np.random.Generator) -> None:
    images = rng.uniform(-1, 1, (24, 8, 8, 3)).astype(np.float32)
    twin = folded_twin(network(ending))
    calibrate(twin, images)
    found = scoring_layer(twin)
    assert found is not None
    coarse = float(found[1].point.rounded())
    with unquantized(twin):
        before = twin(images).numpy()
    less = place_scores(twin, images)
    step = 2.0 ** -float(found[1].point.rounded())
    assert step <= 2.0**-coarse / 2 and less / step == int(less / step)
    assert 127 * step >= (before.max() - before.min()) / 2
    assert place_scores(twin, images) == 0.0  # they are in their place
    with unquantized(twin):
        after = twin(images).numpy()
    assert less > 0
    np.testing.assert_allclose(after, before - less, atol=1e-4)


@pytest.mark.parametrize("ending", ["relu", "sigmoid"])
def test_where_a_function_ends_the_network_nothing_changes(ending: str, rng: np.random.Generator) -> None:
    images = rng.uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32)
    twin = folded_twin(network(ending))
    calibrate(twin, images)
    before, weights = twin(images).numpy(), twin.get_weights()
    assert scoring_layer(twin) is None and place_scores(twin, images) == 0.0
    assert np.array_equal(twin(images).numpy(), before)
    assert all(np.array_equal(one, other) for one, other in zip(twin.get_weights(), weights, strict=True))


def test_equal_scores_stay(rng: np.random.Generator) -> None:
    images = rng.uniform(-1, 1, (8, 8, 8, 3)).astype(np.float32)
    model = network("dense")
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([kernel * 0, bias * 0 + 3])
    twin = folded_twin(model)
    calibrate(twin, images)
    assert place_scores(twin, images) == 0.0


def test_full_effort_places_what_is_said_to_be_scores_and_says_so(rng: np.random.Generator) -> None:
    model, images = network("dense"), rng.uniform(-1, 1, (32, 8, 8, 3)).astype(np.float32)
    placed, numbers = (quantize(model, images, effort=Effort.FULL, of_classes=one, representative=True) for one in (True, False))
    assert [note for note in placed.notes if "less than the float model's" in note]
    assert not [note for note in numbers.notes if "less than the float model's" in note]
    assert np.abs(numbers.model(images).numpy() - model(images).numpy()).mean() < 0.3
    check(freeze(placed.model))
    real, given = model(images).numpy().astype(np.float64), placed.model(images).numpy().astype(np.float64)
    off = real - given
    assert off.mean() > 1.0 and off.std() < 0.3
    assert not quantize(model, images, of_classes=True, representative=True).notes  # quick leaves them where they are
