"""Keras models as they are read: every argument is honoured or refused, and what is read computes what Keras computes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from folded_twin import folded_twin

from edgekit.errors import UnsupportedLayer
from edgekit.keras_models.files.model_files import custom_objects
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.qfx.model import unquantized
from edgekit.keras_models.reading.arguments import ENDINGS, HONOURED, ONLY, WITHOUT_EFFECT
from edgekit.keras_models.reading.inference import inference_form
from edgekit.keras_models.reading.replay import READERS
from edgekit.keras_models.weights.random import randomize
from edgekit.tolerances import FLOAT32_FOLDED

keras = import_keras()
layers = keras.layers


def images_for(model: Any) -> Any:
    """Random inputs, and random weights in every tensor of the model."""
    images = np.random.default_rng(5).normal(0, 1, (6, *model.input_shape[1:])).astype(np.float32)
    randomize(model, images, seed=1)
    return images


def agree(actual: Any, expected: Any) -> None:
    assert actual.shape == expected.shape
    assert np.ptp(expected) > 0
    assert np.abs(actual - expected).max() <= FLOAT32_FOLDED * max(1.0, np.abs(expected).max())


def both_forms_agree(model: Any) -> None:
    """The inference form, and the quantized twin before anything is rounded, compute what Keras computes."""
    images = images_for(model)
    expected = model(images, training=False).numpy()
    agree(inference_form(model)(images).numpy(), expected)
    twin = folded_twin(model)
    with unquantized(twin):
        agree(twin(images).numpy(), expected)


def keras_class(name: str) -> Any:
    return custom_objects().get(name) or getattr(layers, name)


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_argument_is_honoured_or_without_effect_or_has_one_value(name: str) -> None:
    for argument in list(inspect.signature(keras_class(name).__init__).parameters)[1:]:
        lists = (
            argument in HONOURED[name],
            argument in WITHOUT_EFFECT or argument.endswith(ENDINGS),
            argument in ONLY and argument not in HONOURED[name],
        )
        assert sum(lists) == 1, f"{name}({argument}) is in {sum(lists)} lists"


def test_the_lists_name_no_layer_that_has_no_reader() -> None:
    assert set(HONOURED) == set(READERS)


CHANNELS_FIRST: dict[str, Callable[..., Any]] = {
    "GlobalAveragePooling2D": layers.GlobalAveragePooling2D,
    "GlobalMaxPooling2D": layers.GlobalMaxPooling2D,
    "Flatten": layers.Flatten,
    "MaxPooling2D": layers.MaxPooling2D,
    "AveragePooling2D": layers.AveragePooling2D,
    "ZeroPadding2D": layers.ZeroPadding2D,
}


@pytest.mark.parametrize("name", CHANNELS_FIRST)
def test_channels_first_is_refused_by_name(name: str) -> None:
    image = layers.Input((6, 6, 6))
    x = CHANNELS_FIRST[name](data_format="channels_first", name="turned")(image)
    model = keras.Model(image, layers.Flatten()(x))
    for read in (inference_form, folded_twin):
        with pytest.raises(UnsupportedLayer, match=rf"'turned' \({name}\) has data_format=channels_first"):
            read(model)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_softmax_over_rows_is_refused(axis: int) -> None:
    image = layers.Input((4, 5, 3))
    model = keras.Model(image, layers.Softmax(axis=axis, name="rows")(layers.Conv2D(2, 1)(image)))
    for read in (inference_form, folded_twin):
        with pytest.raises(UnsupportedLayer, match=rf"'rows' \(Softmax\) has axis {axis}"):
            read(model)


def test_a_layer_that_trains_in_inference_is_refused() -> None:
    image = layers.Input((4, 4, 3))
    model = keras.Model(image, layers.BatchNormalization(name="norm")(image, training=True))
    with pytest.raises(UnsupportedLayer, match=r"'norm' .* has training=True where the model calls it"):
        inference_form(model)
    both_forms_agree(keras.Model(image, layers.Conv2D(2, 1)(layers.BatchNormalization()(image, training=False))))
