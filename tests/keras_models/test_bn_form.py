"""The BN form in float: what stands for layer norm and softmax attention, and what is taken over from the published form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_sbcformer import small_sbcformer, with_weights

import edgekit
from edgekit import tolerances
from edgekit.errors import EdgekitError, UnknownName, UnsupportedLayer
from edgekit.keras_models import bn_form, count, import_weights, set_norm_mix
from edgekit.keras_models.files.model_files import load_model, save_model
from edgekit.keras_models.layers.backend import tf_keras
from edgekit.keras_models.layers.bn_layers import ProgressiveNorm, ReluAttention, progressive_norms
from edgekit.keras_models.layers.custom_layers import OffsetAttention, offsets
from edgekit.keras_models.qfx.quantize import quantize
from edgekit.keras_models.reading.inference import inference_form
from edgekit.keras_models.weights.random import measure_statistics
from edgekit.keras_models.zoo.vocabulary import Form

Layers = tf_keras.layers


def close(candidate: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    np.testing.assert_allclose(candidate, expected, rtol=0, atol=tolerances.FLOAT32_LOGITS * np.abs(expected).max())


def progressive(rng: np.random.Generator, mix: float, shape: tuple[int, ...]) -> tuple[ProgressiveNorm, Any]:
    layer, x = ProgressiveNorm(1e-3), rng.normal(2, 3, shape).astype(np.float32)
    layer(x)
    gamma, beta, mean, variance = rng.normal(1, 0.5, (4, shape[-1])).astype(np.float32)
    layer.set_weights([gamma, beta, mean, variance**2, mix])
    return layer, x


@pytest.mark.parametrize("shape", [(6, 2, 3, 8), (6, 8)])
def test_a_progressive_norm_is_a_layer_norm_a_batch_norm_or_what_lies_between(shape: tuple[int, ...], rng: np.random.Generator) -> None:
    layer, x = progressive(rng, 0.0, shape)
    gamma, beta, mean, variance, _ = layer.get_weights()
    by_cell, by_batch = Layers.LayerNormalization(epsilon=1e-3), Layers.BatchNormalization(epsilon=1e-3)
    by_cell(x), by_batch(x)
    by_cell.set_weights([gamma, beta])
    by_batch.set_weights([gamma, beta, mean, variance])
    ends = {0.0: by_batch(x, training=False).numpy(), 1.0: by_cell(x).numpy()}
    assert np.abs(ends[0.0] - ends[1.0]).max() > 0.1
    for mix in (0.0, 0.25, 1.0):
        layer.mix.assign(mix)
        close(layer(x, training=False), (1 - mix) * ends[0.0] + mix * ends[1.0])


def test_in_training_it_normalizes_with_the_batch_and_moves_its_statistics(rng: np.random.Generator) -> None:
    layer, x = progressive(rng, 0.0, (6, 2, 3, 8))
    gamma, beta, mean, variance, _ = layer.get_weights()
    of_batch, spread = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
    close(layer(x, training=True), gamma * (x - of_batch) / np.sqrt(spread + 1e-3) + beta)
    close(layer.moving_mean, 0.9 * mean + 0.1 * of_batch)
    close(layer.moving_variance, 0.9 * variance + 0.1 * spread)


def attention(rng: np.random.Generator, heads: int = 2) -> tuple[ReluAttention, list[Any]]:
    layer = ReluAttention(heads)
    inputs = [rng.normal(0, 1, (3, 2, 3, channels)).astype(np.float32) for channels in (2 * heads * 4, heads * 5)]
    layer(inputs)
    layer.set_weights([rng.normal(0, 1, (heads, 6)), rng.uniform(0.5, 2, heads)])
    return layer, inputs


def scores(layer: Any, inputs: list[Any], head: int) -> Any:
    """(batch, cells, cells) of one head, as the formula says."""
    queries, keys = np.split(inputs[0].reshape(3, 6, -1), 2, axis=-1)
    mine = slice(4 * head, 4 * head + 4)
    biases = layer.attention_biases.numpy()[head][offsets(2, 3)]
    return np.einsum("bik,bjk->bij", queries[..., mine], keys[..., mine]) / 2 + biases


def values_of(inputs: list[Any], head: int) -> Any:
    return inputs[1].reshape(3, 6, -1)[..., 5 * head : 5 * head + 5]


def test_relu_attention_is_its_formula(rng: np.random.Generator) -> None:
    layer, inputs = attention(rng)
    factors = layer.head_factors.numpy()
    expected = [factors[h] / 6 * np.maximum(scores(layer, inputs, h), 0) @ values_of(inputs, h) for h in range(2)]
    close(layer(inputs), np.concatenate(expected, axis=-1).reshape(3, 2, 3, 10))


def test_measuring_finds_the_factors_that_come_nearest_to_softmax(rng: np.random.Generator) -> None:
    layer, inputs = attention(rng)
    softmax = OffsetAttention(2)
    wanted = softmax(inputs)
    softmax.set_weights([layer.attention_biases.numpy()])
    wanted = softmax(inputs).numpy()
    before = np.sum((layer(inputs).numpy() - wanted) ** 2)
    layer.measuring = True
    layer(inputs)
    layer.measuring = False
    found = layer.get_weights()

    def distance(shift: float, factor: float) -> float:
        layer.set_weights([found[0] + np.float32(shift), found[1] * np.float32(factor)])
        return float(np.sum((layer(inputs).numpy() - wanted) ** 2))

    assert distance(0, 1) < before
    assert all(distance(0, 1) <= distance(0, factor) for factor in (0.9, 0.99, 1.01, 1.1))


def test_the_exact_form_of_a_published_model_keeps_its_weights_and_measures_the_rest() -> None:
    model, images = with_weights()
    before = model.get_weights()
    twin, (note,) = bn_form(model, images)
    assert note.startswith("exact form: layer norm became batch norm, softmax became ReLU attention (4 layers)")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    kinds = {type(layer).__name__ for layer in twin.layers}
    assert {"ProgressiveNorm", "ReluAttention"} <= kinds and not {"LayerNormalization", "OffsetAttention"} & kinds
    for layer in model.layers:
        for old, new in zip(layer.get_weights(), twin.get_layer(layer.name).get_weights(), strict=False):
            if not isinstance(layer, OffsetAttention):
                assert np.array_equal(old, new)
    for layer in progressive_norms(twin):
        seen = tf_keras.Model(twin.inputs, layer.input)(images, training=False).numpy()
        cells = seen.reshape(-1, seen.shape[-1])
        np.testing.assert_allclose(layer.moving_mean, cells.mean(axis=0), atol=1e-3 * cells.std())
        np.testing.assert_allclose(layer.moving_variance, cells.var(axis=0), rtol=1e-2, atol=1e-4 * cells.var())
    built = small_sbcformer(Form.BN)
    assert [(type(a), a.name) for a in built.layers[1:]] == [(type(a), a.name) for a in twin.layers[1:]]


def test_both_forms_have_as_many_parameters() -> None:
    exact = edgekit.build_model("sbcformer_xs", size=64, form="bn")
    assert sum(w.shape.num_elements() for w in exact.trainable_weights) == count("sbcformer_xs", size=64).params


def test_a_network_with_neither_is_the_same_in_both_forms() -> None:
    model = edgekit.build_model("mobilenet_v1", alpha=0.25, size=32, classes=4)
    assert bn_form(model, np.zeros((1, 32, 32, 3), np.float32)) == (model, ())
    exact = edgekit.build_model("mobilenet_v1", alpha=0.25, size=32, classes=4, form="bn")
    assert [layer.name for layer in exact.layers[1:]] == [layer.name for layer in model.layers[1:]]
    with pytest.raises(UnknownName, match="form"):
        edgekit.build_model("mobilenet_v1", form="other")


def test_the_inference_form_computes_the_same_and_both_are_saved(tmp_path: Path) -> None:
    model, images = with_weights(Form.BN)
    exported = inference_form(model)
    close(exported(images), model(images, training=False))
    assert not {"ProgressiveNorm", "ReluAttention", "ChannelSlice"} & {type(layer).__name__ for layer in exported.layers}
    for form in (model, exported):
        save_model(form, tmp_path / "form.keras")
        assert np.array_equal(load_model(tmp_path / "form.keras")(images).numpy(), form(images).numpy())


def test_what_is_still_part_layer_norm_does_not_fold(tmp_path: Path) -> None:
    inputs = Layers.Input((4, 4, 6))
    model = tf_keras.Model(inputs, Layers.Conv2D(3, 1)(ProgressiveNorm(name="norm")(inputs)))
    images = np.random.default_rng(0).normal(size=(4, 4, 4, 6)).astype(np.float32)
    measure_statistics(model, images)
    set_norm_mix(model, 0.25)
    save_model(model, tmp_path / "mixed.keras")
    for read in (inference_form, lambda one: quantize(one, images)):
        with pytest.raises(UnsupportedLayer, match=r"layer 'norm' is 25% a layer norm still; train on until .* set_norm_mix\(model, 0\)"):
            read(load_model(tmp_path / "mixed.keras"))
    set_norm_mix(model, 0)
    close(inference_form(model)(images), model(images))
    with pytest.raises(EdgekitError, match=r"a number in 0\.\.1, not 1\.5"):
        set_norm_mix(model, 1.5)


def test_pytorchs_weights_go_into_the_published_form(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", anything=np.zeros(1, np.float32))
    with pytest.raises(EdgekitError, match=r"goes into a network's published form, of which `bn_form\(model, images\)`"):
        import_weights(edgekit.build_model("sbcformer_xs", size=32, form="bn"), tmp_path / "weights.npz")
