"""The inference form: the same values as the training form, and nothing left in it that only training needs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import golden
import numpy as np
import pytest

import edgekit
from edgekit import tolerances
from edgekit.errors import UnsupportedLayer
from edgekit.keras_models.files.model_files import load_model, save_model
from edgekit.keras_models.layers.custom_layers import CUSTOM_LAYERS
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.reading.inference import inference_form
from edgekit.keras_models.weights.random import randomize

TRAINING_ONLY = {"BatchNormalization", "Dropout", "LayerScale", "LayerNormalization", "Average", "ChannelSlice", "OffsetAttention"}
# Small, and each with what its family has: squeeze-and-excite, hard-swish, attention, upsampling, dilation, two heads.
SMALL = ["mobilenet_v1", "mobilenet_v2", "mobilenet_v3_small", "mnasnet_small", "mnasnet_b1", "sbcformer_xs", "rapidnet_ti"]


def lively(name: str, rng: np.random.Generator, size: int = 64, classes: int = 10) -> tuple[Any, Any]:
    """A network with random weights in every tensor, also in those that start at 0 or 1, and images for it."""
    model = edgekit.build_model(name, size=size, classes=classes)
    images = rng.standard_normal((4, size, size, 3)).astype(np.float32)
    randomize(model, images, seed=1)
    return model, images


def assert_same(candidate: Any, expected: Any) -> None:
    largest = np.abs(expected).max()
    np.testing.assert_allclose(candidate, expected, rtol=0, atol=tolerances.FLOAT32_LOGITS * largest)
    assert np.ptp(expected, axis=0).max() > 100 * tolerances.FLOAT32_LOGITS * largest  # else the comparison shows nothing


def kinds(model: Any) -> Counter[str]:
    return Counter(type(layer).__name__ for layer in model.layers)


@pytest.mark.parametrize("name", SMALL)
def test_same_values_without_what_training_needs(name: str, rng: np.random.Generator) -> None:
    model, images = lively(name, rng)
    exported = inference_form(model)
    assert_same(exported(images).numpy(), model(images).numpy())
    assert not TRAINING_ONLY & set(kinds(exported))
    assert TRAINING_ONLY & set(kinds(model))
    if name == "rapidnet_ti":
        its_position_encoding_is_one_convolution_and_its_head_one_layer(model, exported)


def its_position_encoding_is_one_convolution_and_its_head_one_layer(model: Any, exported: Any) -> None:
    before, after = kinds(model), kinds(exported)
    assert before["Add"] - after["Add"] == 4  # a position encoding in each of four dilated blocks
    assert before["DepthwiseConv2D"] == after["DepthwiseConv2D"]
    assert after["Dense"] == 1 and "dist_head" not in [layer.name for layer in exported.layers]


@pytest.mark.parametrize("name", [pytest.param("sbcformer_xs", marks=pytest.mark.slow), "mobilenet_v3_small"])
def test_both_forms_are_saved_and_loaded(name: str, rng: np.random.Generator, tmp_path: Any) -> None:
    model, images = lively(name, rng, size=32)
    for form in (model, inference_form(model)):
        save_model(form, tmp_path / "form.keras")
        np.testing.assert_array_equal(load_model(tmp_path / "form.keras")(images).numpy(), form(images).numpy())


def test_a_layer_norm_is_exact_where_the_variance_is_near_its_epsilon(rng: np.random.Generator) -> None:
    # A variance of 1e-6, the epsilon itself: half of what is under the root. A form that loses the epsilon gives 1.41 times as much.
    layers = import_keras().layers
    inputs = layers.Input((2, 2, 16))
    x = layers.LayerNormalization(epsilon=1e-6, name="norm")(inputs)
    model = import_keras().Model(inputs, layers.Conv2D(3, 1, name="conv")(x))
    model.set_weights([rng.normal(1, 0.5, weight.shape) for weight in model.get_weights()])
    cells = (rng.standard_normal((8, 2, 2, 16)) * 1e-3 + rng.standard_normal((8, 1, 1, 1))).astype(np.float32)
    assert_same(inference_form(model)(cells).numpy(), model(cells).numpy())


@pytest.mark.parametrize("keep_map", [False, True])
@pytest.mark.parametrize("case", ["plain", "batch norm", "layer norm", "read twice", "stride", "activation", "3x3"])
def test_the_mean_of_a_pointwise_convolution_is_taken_first(case: str, keep_map: bool, rng: np.random.Generator) -> None:
    layers = import_keras().layers
    inputs = layers.Input((7, 5, 6))
    x = layers.LayerNormalization()(inputs) if case == "layer norm" else inputs
    kernel, strides = (3, 3) if case == "3x3" else (1, 1), (2, 2) if case == "stride" else (1, 1)
    y = layers.Conv2D(4, kernel, strides, activation="relu" if case == "activation" else None, name="conv")(x)
    y = layers.BatchNormalization()(y) if case == "batch norm" else y
    pooled = layers.GlobalAveragePooling2D(keepdims=keep_map)(y)
    outputs = layers.Multiply()([y, layers.Reshape((1, 1, 4))(pooled)]) if case == "read twice" else pooled
    model = import_keras().Model(inputs, outputs)
    images = rng.standard_normal((8, 7, 5, 6)).astype(np.float32)
    randomize(model, images, seed=1)
    exported = inference_form(model)
    assert_same(exported(images).numpy(), model(images).numpy())
    first = {"plain", "batch norm", "layer norm"}
    assert (exported.get_layer("conv").input_shape[1:-1] in [(), (1, 1)]) == (case in first)


def test_layers_that_nothing_takes_in(rng: np.random.Generator) -> None:
    # A layer norm in front of a 3x3 convolution, a batch norm of the input, a layer norm that is read twice.
    layers = import_keras().layers
    inputs = layers.Input((6, 6, 4))
    x = layers.BatchNormalization()(inputs)
    x = layers.LayerNormalization()(x)
    x = layers.Add()([layers.Conv2D(4, 3, padding="same", activation="relu")(x), x])
    x = layers.Conv2D(5, 1)(layers.ReLU()(x))
    model = import_keras().Model(inputs, layers.Softmax()(layers.GlobalAveragePooling2D()(x)))
    images = rng.standard_normal((8, 6, 6, 4)).astype(np.float32)
    randomize(model, images, seed=1)
    assert_same(inference_form(model)(images).numpy(), model(images).numpy())


@pytest.mark.parametrize("follows", ["batch norm", "nothing"])
def test_a_map_and_its_own_depthwise_convolution_are_one_whatever_follows_their_sum(follows: str, rng: np.random.Generator) -> None:
    layers = import_keras().layers
    inputs = layers.Input((6, 6, 4))
    x = layers.Add()([layers.DepthwiseConv2D(3, padding="same")(inputs), inputs])
    x = layers.BatchNormalization()(x) if follows == "batch norm" else x
    model = import_keras().Model(inputs, layers.ReLU()(x))
    images = rng.standard_normal((8, 6, 6, 4)).astype(np.float32)
    randomize(model, images, seed=1)
    exported = inference_form(model)
    assert_same(exported(images).numpy(), model(images).numpy())
    assert not kinds(exported)["Add"]


def test_parts_of_a_convolution_behind_its_batch_norm_are_convolutions(rng: np.random.Generator) -> None:
    layers = import_keras().layers
    inputs = layers.Input((4, 4, 3))
    x = layers.BatchNormalization()(layers.Conv2D(6, 3)(inputs))
    first, last = (CUSTOM_LAYERS["ChannelSlice"](start, 3)(x) for start in (0, 3))
    model = import_keras().Model(inputs, layers.Multiply()([first, last]))
    images = rng.standard_normal((8, 4, 4, 3)).astype(np.float32)
    randomize(model, images, seed=1)
    exported = inference_form(model)
    assert_same(exported(images).numpy(), model(images).numpy())
    assert kinds(exported)["Conv2D"] == 2 and not kinds(exported)["ChannelSlice"]


def test_refuses_what_it_cannot_read() -> None:
    layers = import_keras().layers
    inputs = layers.Input((6, 6, 4))
    model = import_keras().Model(inputs, layers.Permute((2, 1, 3), name="turned")(inputs))
    with pytest.raises(UnsupportedLayer, match="'turned' is a Permute"):
        inference_form(model)


@pytest.mark.parametrize("name", ["sbcformer_xs", "rapidnet_ti"])
def test_gives_the_authors_logits(name: str) -> None:
    model = edgekit.build_model(name)
    golden.load_by_path(model, golden.checkpoint(name))
    assert_same(inference_form(model)(golden.images()).numpy(), golden.logits(name))
