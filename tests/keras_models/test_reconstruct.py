"""Reconstruction: layers of a small network are chosen on their lattice so that what the network gives stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from folded_twin import folded_twin

from edgekit.errors import EdgekitError
from edgekit.graph import check
from edgekit.keras_models import Effort, Precisions, WeightPrecision, freeze, quantize
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.qfx.calibrate import calibrate
from edgekit.keras_models.qfx.layer_inputs import grouped_kernel, sample_cells, ungrouped_kernel, windows
from edgekit.keras_models.qfx.model import quantizers_of
from edgekit.keras_models.qfx.quantizers import QFXWeight
from edgekit.keras_models.qfx.reconstruct import reconstruct
from edgekit.keras_models.qfx.sensitivity import LayerLoss, read_sensitivity, sensitivity_json, worst_first


def network(rng: np.random.Generator, activation: str = "relu6") -> Any:
    """Stem, depthwise separable block with a sum, a mean and a dense layer: every kind of layer that is reconstructed."""
    keras = import_keras()
    layers = keras.layers
    x = inputs = keras.Input((12, 12, 3))

    def act(x: Any, name: str) -> Any:
        return layers.ReLU(6.0 if activation == "relu6" else None, name=name)(x)

    x = skip = act(layers.Conv2D(8, 3, strides=2, padding="same", name="stem")(x), "stem_relu")
    x = act(layers.Conv2D(24, 1, name="expand")(x), "expand_relu")
    x = act(layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x), "depthwise_relu")
    x = layers.Add(name="add")([skip, layers.Conv2D(8, 1, name="project")(x)])
    x = act(layers.DepthwiseConv2D(3, strides=2, padding="valid", name="last_depthwise")(x), "last_relu")
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    model = keras.Model(inputs, layers.Dense(10, name="dense")(x))
    for layer in model.layers:
        if layer.get_weights():
            kernel, bias = layer.get_weights()
            taps = np.prod(kernel.shape[:2]) if "depthwise" in layer.name else np.prod(kernel.shape[:-1])
            spread = np.exp(rng.normal(0, 0.5, kernel.shape[2] if "depthwise" in layer.name else kernel.shape[-1]))
            scale = spread[:, np.newaxis] if "depthwise" in layer.name else spread
            layer.set_weights([rng.normal(0, np.sqrt(2 / taps), kernel.shape) * scale, rng.normal(0, 0.2, bias.shape)])
    return model


def images_for(rng: np.random.Generator, count: int = 48) -> Any:
    """Smooth, as photographs are: neighbours and channels depend on each other."""
    small = rng.normal(0, 0.6, (count, 4, 4, 1)) + rng.normal(0, 0.2, (count, 4, 4, 3))
    return np.clip(small.repeat(3, axis=1).repeat(3, axis=2), -1, 1).astype(np.float32)


def lost(model: Any, quantized: Any, images: Any) -> float:
    real, given = model(images).numpy(), quantized(images).numpy()
    real = real * (np.sum(real * given) / np.sum(real * real))  # a mean over 2x2 of 3x3 cells has a gain
    return float(np.mean((given - real) ** 2) / np.var(real))


@pytest.mark.parametrize("activation", ["relu6", pytest.param("relu", marks=pytest.mark.slow)])
def test_it_loses_less_than_bias_correction_on_images_that_it_has_not_seen(activation: str, rng: np.random.Generator) -> None:
    before = after = 0.0
    for _ in range(3):
        model, images = network(rng, activation), images_for(rng, 320)
        quick, full = (quantize(model, images[:256], effort=effort, representative=True).model for effort in (Effort.QUICK, Effort.FULL))
        before += lost(model, quick, images[256:])
        after += lost(model, full, images[256:])
    assert after < 0.9 * before  # what is left is the 8 bits of the tensors


def test_the_same_again_and_on_the_lattice(rng: np.random.Generator) -> None:
    model, images = network(rng), images_for(rng)
    first, second = (quantize(model, images, effort=Effort.FULL, representative=True) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first.model.get_weights(), second.model.get_weights(), strict=True))
    assert first.losses == second.losses
    graph = freeze(first.model)
    check(graph)
    assert np.array_equal(first.model(images).numpy(), quantized_again(first.model)(images).numpy())


def quantized_again(model: Any) -> Any:
    """The model with weights that its quantizers have been applied to: they are on the lattice, so nothing changes."""
    for layer in model.layers:
        weight = next((one for one in quantizers_of(layer) if isinstance(one, QFXWeight)), None)
        if weight is not None:
            kernel, *rest = layer.get_weights()
            assert np.array_equal(weight(kernel).numpy(), kernel)
            layer.set_weights([weight(kernel).numpy(), *rest])
    return model


def test_fewer_and_two_hot_bits(rng: np.random.Generator) -> None:
    model, images = network(rng), images_for(rng)
    for precision in (WeightPrecision(4), WeightPrecision(k_hot=2)):
        found = {}
        for effort in Effort:
            quantized = quantize(model, images, precisions=Precisions(precision), effort=effort, representative=True).model
            found[effort] = lost(model, quantized, images)
            levels = {
                abs(int(weight)) // 4
                for op in freeze(quantized).ops
                if getattr(op, "weights", None) is not None
                for weight in op.weights.ravel()
            }
            assert levels <= {*precision.levels, 16}  # 16: the constants of means
        assert found[Effort.FULL] < found[Effort.QUICK]


def test_gains_leave_what_the_clamp_at_six_does(rng: np.random.Generator) -> None:
    """Channels that reach 6 keep it: the tensor behind the clamp is the float network's, up to the gain of each channel."""
    keras = import_keras()
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.ReLU(6.0, name="relu")(keras.layers.Conv2D(16, 1, name="first")(inputs))
    model = keras.Model(inputs, keras.layers.DepthwiseConv2D(1, name="second")(x))
    model.get_layer("first").set_weights([rng.normal(0, 4, (1, 1, 3, 16)), rng.normal(0, 2, 16)])
    model.get_layer("second").set_weights([rng.normal(0, 0.2, (1, 1, 16, 1)), np.zeros(16)])
    images = rng.uniform(-1, 1, (64, 6, 6, 3)).astype(np.float32)
    twin = folded_twin(model)
    calibrate(twin, images)
    reconstruct(twin, images)
    real = keras.Model(inputs, x)(images).numpy().reshape(-1, 16)
    behind = next(layer for layer in twin.layers if layer.name == "relu")
    given = keras.Model(twin.inputs, behind.output)(images).numpy().reshape(-1, 16)
    gains = np.sum(real * given, axis=0) / np.sum(real * real, axis=0)
    assert np.abs(gains - 1).max() > 0.05  # some were taken
    assert np.abs(given - real * gains).mean() < 0.1
    reaches = (real == 6).mean(axis=0) > 0.2
    assert reaches.any()
    assert np.abs(gains[reaches] - 1).max() < 0.05


def test_scores_are_asked_only_of_images_like_those_to_come(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients at two photographs cost EfficientNet-Lite0 accuracy on others (docs/accuracy.md)."""

    class Asked(Exception):
        pass

    def ask(*_: Any, **__: Any) -> None:
        raise Asked

    monkeypatch.setattr("edgekit.keras_models.qfx.reconstruct.weight_gradients", ask)
    model, images = network(rng), images_for(rng)
    assert quantize(model, images, effort=Effort.FULL).losses
    with pytest.raises(Asked):
        quantize(model, images, effort=Effort.FULL, representative=True)


def test_values_beyond_sixteen_bits_are_kept_whole(rng: np.random.Generator) -> None:
    keras = import_keras()
    inputs = keras.Input((6, 6, 3))
    x = keras.layers.Conv2D(8, 1, name="first")(inputs)
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1, name="second")(keras.layers.ReLU(name="relu")(x)))
    model.get_layer("first").set_weights([rng.normal(0, 1e6, (1, 1, 3, 8)), np.zeros(8)])
    images = rng.uniform(-1, 1, (32, 6, 6, 3)).astype(np.float32)
    losses = quantize(model, images, effort=Effort.FULL).losses
    assert all(20 < loss.total_db < 60 for loss in losses)


# --- windows ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("depthwise", [False, True])
def test_windows_times_kernel_is_the_layer(padding: str, depthwise: bool, rng: np.random.Generator) -> None:
    keras = import_keras()
    layer_of = keras.layers.DepthwiseConv2D if depthwise else keras.layers.Conv2D
    options: dict[str, Any] = {"strides": 2, "padding": padding, "name": "conv"}
    model = keras.Sequential([keras.Input((9, 8, 3)), layer_of(3, **options) if depthwise else layer_of(5, 3, **options)])
    twin = folded_twin(model)
    layer = twin.get_layer("conv")
    kernel = rng.normal(size=layer.get_weights()[0].shape)
    grouped = grouped_kernel(layer, kernel)
    assert np.array_equal(ungrouped_kernel(layer, grouped, kernel.shape), kernel)
    inputs = rng.normal(size=(4, 9, 8, 3)).astype(np.float32)
    model.get_layer("conv").set_weights([kernel, np.zeros(kernel.shape[2 if depthwise else 3])])
    expected = model(inputs).numpy()
    cells = sample_cells(layer, expected.shape, rng)
    found = windows(layer, inputs, cells) @ grouped
    np.testing.assert_allclose(found[:, :, 0].T if depthwise else found[0], expected[cells], atol=1e-5)


# --- the table --------------------------------------------------------------------------------------------------------------------


def test_every_layer_with_weights_is_in_the_table_and_the_worst_comes_first(rng: np.random.Generator) -> None:
    losses = quantize(network(rng), images_for(rng), effort=Effort.FULL).losses
    assert [loss.name for loss in losses] == ["stem", "expand", "depthwise", "project", "last_depthwise", "dense"]
    assert all(10 < loss.total_db < 60 and 10 < loss.own_db < 80 for loss in losses)
    ordered = worst_first(losses)
    assert [loss.own_db for loss in ordered] == sorted(loss.own_db for loss in losses)
    assert read_sensitivity(sensitivity_json(losses)) == tuple(ordered)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"schema": "other"}', b'{"schema": "edgekit-sensitivity/1", "layers": [{"name": "a"}]}'])
def test_what_is_no_table_is_refused(content: bytes) -> None:
    with pytest.raises(EdgekitError, match="no sensitivity table"):
        read_sensitivity(content)


def test_a_layer_that_gives_nothing_but_zeros_loses_nothing(rng: np.random.Generator) -> None:
    model, images = network(rng), images_for(rng)
    kernel, bias = model.get_layer("expand").get_weights()
    model.get_layer("expand").set_weights([kernel * 0, bias * 0])
    quantized = quantize(model, images, effort=Effort.FULL)
    assert np.isfinite(quantized.model(images).numpy()).all()
    assert LayerLoss(name="expand", own_db=0.0, total_db=0.0, steps_of_narrow_channels=0.0) in quantized.losses
