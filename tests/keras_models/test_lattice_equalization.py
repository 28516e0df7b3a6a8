"""Equalization for the lattice: the float network stays what it is, and rounding its weights costs less."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from folded_twin import folded_twin

from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.qfx.channels import Channels
from edgekit.keras_models.qfx.lattice_equalization import HEADROOM, MOST, bounds, equalize_for_lattice, factors
from edgekit.keras_models.qfx.model import unquantized
from edgekit.keras_models.qfx.stream_equalization import equalize_streams, streams


@pytest.fixture
def network(rng: np.random.Generator) -> Any:
    """Two blocks of a residual stream, whose channels differ in range, between ReLU6 layers."""
    keras = import_keras()
    layers = keras.layers
    x = inputs = keras.Input((12, 12, 3))
    x = layers.ReLU(6.0)(layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(x))
    x = skip = layers.Conv2D(12, 1, name="first")(x)
    for block in ("a", "b"):
        x = layers.ReLU(6.0)(layers.Conv2D(24, 1, name=f"expand_{block}")(skip))
        x = layers.ReLU(6.0)(layers.DepthwiseConv2D(3, padding="same", name=f"depthwise_{block}")(x))
        x = skip = layers.Add()([skip, layers.Conv2D(12, 1, name=f"project_{block}")(x)])
    x = layers.ReLU(6.0)(layers.Conv2D(16, 1, name="head")(x))
    model = keras.Model(inputs, layers.Dense(10, name="dense")(layers.GlobalAveragePooling2D()(x)))
    for layer in model.layers:
        if layer.get_weights():
            kernel, bias = layer.get_weights()
            depthwise = "depthwise" in layer.name
            taps = np.prod(kernel.shape[:2]) if depthwise else np.prod(kernel.shape[:-1])
            spread = np.exp(rng.normal(0, 0.7, kernel.shape[-2]))[:, np.newaxis]
            layer.set_weights([rng.normal(0, np.sqrt(2 / taps), kernel.shape) * spread, rng.normal(0, 0.2, bias.shape)])
    return model


def test_the_float_network_stays_what_it_is(network: Any, rng: np.random.Generator) -> None:
    images = rng.uniform(-1, 1, (32, 12, 12, 3)).astype(np.float32)
    twin = folded_twin(network)

    def real() -> Any:
        with unquantized(twin):
            return twin(images).numpy()

    before = real()
    for equalize in (equalize_for_lattice, equalize_streams):
        kernels = [layer.get_weights()[0] for layer in twin.layers if layer.get_weights()]
        equalize(twin, images)
        changed = [layer.get_weights()[0] for layer in twin.layers if layer.get_weights()]
        assert not all(np.array_equal(a, b) for a, b in zip(kernels, changed, strict=True))
        np.testing.assert_allclose(real(), before, rtol=1e-3, atol=1e-4 * np.abs(before).max())


def test_a_stream_is_what_sums_hold_together(network: Any) -> None:
    found = streams(folded_twin(network))
    assert len(found) == 1
    assert {layer.name for layer in found[0].givers} == {"first", "project_a", "project_b"}
    assert {layer.name for layer in found[0].readers} == {"expand_a", "expand_b", "head"}
    assert len(found[0].tensors) == 5  # of three layers and of two sums


def test_a_stream_that_something_else_reads_is_left(rng: np.random.Generator) -> None:
    keras = import_keras()
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Add()([keras.layers.Conv2D(4, 1, name="one")(inputs), keras.layers.Conv2D(4, 1, name="other")(inputs)])
    read = keras.layers.Conv2D(4, 1, name="reader")(x)
    assert len(streams(folded_twin(keras.Model(inputs, read)))) == 1
    assert streams(folded_twin(keras.Model(inputs, keras.layers.MaxPooling2D(2)(x)))) == []


def test_what_the_clamp_at_six_acts_on_does_not_move() -> None:
    from edgekit.graph import Activation

    given = Channels(np.array([6.0, 5.9, 1.0, 0.0]), np.ones(4), np.ones(4), np.array([0.1, 0.0, 0.0, 0.0]), np.ones(4))
    least, most = bounds(given, 6.0, Activation.RELU6)
    assert least.tolist() == [1.0, 1 / MOST, 1 / MOST, 1.0]
    assert most.tolist() == [1.0, 1.0, 1.0, 1.0]
    least, most = bounds(given, 6.0, Activation.RELU)
    assert most.tolist() == [1.0, 1.0, 6.0 / HEADROOM, 1.0]


def test_factors_cost_less_than_none(rng: np.random.Generator) -> None:
    """One channel has the largest weight of every output: made large itself, it lets all steps be finer."""
    weights = np.abs(rng.normal(0, 0.1, (32, 1, 8)))
    weights[3] = 5.0
    seen = Channels(np.full(32, 1.0), np.full(32, 0.1), np.full(32, 0.5), np.zeros(32), np.ones(32))
    found = factors(weights, seen, (np.full(32, 1 / MOST), np.full(32, MOST)), 1 / 256, 31, shared=False)
    assert found[3] > 3 * np.median(found)
    steps = [np.max(weights[:, 0] / factor[:, np.newaxis], axis=0) for factor in (np.ones(32), found)]
    noise = [np.sum(step**2) * np.sum(factor**2 * seen.variance) for step, factor in zip(steps, (np.ones(32), found), strict=True)]
    assert noise[1] < 0.2 * noise[0]
