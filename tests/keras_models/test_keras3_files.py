"""Files that Keras 3 wrote give what Keras 3 computed, or are refused by name.

tests/golden/keras3_functional.keras and keras3_sequential.{keras,h5} were written by Keras 3.15 (KERAS_BACKEND=tensorflow), with weights
that random numbers were added to; the archives were packed anew, with compression. keras3.npz has inputs and what Keras 3 predicted for
them:

    image = L.Input((16, 16, 3), name="image")
    x = L.Rescaling(1 / 127.5, offset=-1)(image)
    x = L.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="stem")(x)
    x = L.Activation("hard_swish")(L.BatchNormalization()(x))
    y = L.DepthwiseConv2D(3, padding="same", activation="hard_sigmoid")(L.ZeroPadding2D(1)(x))
    y = L.Conv2D(8, 1, activation="silu")(L.Cropping2D(1)(y))
    x = L.LeakyReLU(negative_slope=0.1)(L.Add()([x, y]))
    g = L.GlobalAveragePooling2D(keepdims=True)(x)
    x = L.Multiply()([x, L.Conv2D(8, 1, activation="sigmoid")(g)])
    x = L.Concatenate()([L.MaxPooling2D(2)(x), L.AveragePooling2D(2)(x)])
    inner = [L.Input((4, 4, 16)), L.SeparableConv2D(6, 3, activation="gelu"), L.ReLU(6.0), L.Dropout(0.3)]
    x = L.Flatten()(keras.Sequential(inner, name="inner")(x))
    x = L.Softmax()(L.Dense(5, name="head")(L.Dense(10, activation="elu")(x)))
    keras.Model(image, x, name="written_by_keras_3")

    layers = [L.Input((12, 12, 1)), L.Conv2D(6, 3, activation="relu"), L.MaxPooling2D(), L.Activation("relu6"), L.Conv2D(8, 3)]
    layers += [L.BatchNormalization(), L.GlobalAveragePooling2D(), L.Dense(4, activation="softmax")]
    keras.Sequential(layers, name="small")

and, by Keras 3.15.1, what is nothing in inference, and layers of sequences (the Normalization was adapted):

    layers = [L.Input((24, 3)), L.Normalization(), L.GaussianNoise(0.1), L.Conv1D(6, 5, padding="causal", activation="relu")]
    layers += [L.MaxPooling1D(2), L.SpatialDropout1D(0.2), L.Conv1D(8, 3, strides=2, padding="same"), L.BatchNormalization()]
    keras.Sequential([*layers, L.AveragePooling1D(2), L.GlobalAveragePooling1D(), L.Dense(4)], name="sequence")

    image = L.Input((16, 16, 3))
    x = L.Rescaling(1 / 255)(L.RandomZoom(0.1)(L.RandomRotation(0.1)(L.RandomFlip("horizontal")(image))))
    x = L.GlobalMaxPooling2D()(L.GaussianDropout(0.1)(L.Conv2D(4, 3, activation="relu")(x)))
    keras.Model(image, L.Dense(3)(x), name="augmented")
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edgekit import tolerances
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.keras_models.files.keras3 import KEPT, TRAINING_ONLY
from edgekit.keras_models.files.model_files import load_model

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.parametrize(
    "file",
    ["keras3_functional.keras", "keras3_sequential.keras", "keras3_sequential.h5", "keras3_sequence.keras", "keras3_augmented.keras"],
)
def test_it_gives_what_keras_3_gave(file: str) -> None:
    with np.load(GOLDEN / "keras3.npz") as recorded:
        kind = file.split(".")[0].removeprefix("keras3_")
        inputs, expected = recorded[f"{kind}_inputs"], recorded[f"{kind}_outputs"]
    model = load_model(GOLDEN / file)
    np.testing.assert_allclose(model.predict(inputs, verbose=0), expected, rtol=0, atol=tolerances.FLOAT32_LOGITS)
    assert np.ptp(expected, axis=0).max() > 0.01, "the outputs vary with the inputs"


def changed(change: Callable[[dict[str, Any]], None], path: Path) -> Path:
    """The functional file with one thing in its configuration changed."""
    with zipfile.ZipFile(GOLDEN / "keras3_functional.keras") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path / "changed.keras", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path / "changed.keras"


def layer(config: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(one for one in config["config"]["layers"] if one["class_name"] == kind)


def argument(kind: str, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: layer(config, kind)["config"].update(values)


LAMBDA = {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}
POLICY = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float64"}}
REFUSED: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "a layer": (lambda config: layer(config, "Dense").update(class_name="Lambda"), "is or has a Lambda, which edgekit does not load from"),
    "an activation": (argument("Dense", activation="leaky_relu"), "has the activation leaky_relu; supported are elu, "),
    "a function": (argument("Dense", activation=LAMBDA), "has the activation __lambda__"),
    "an argument": (argument("BatchNormalization", renorm=True), "of Keras 3 has renorm=True, which is not supported"),
    "an object": (argument("Flatten", data_format={"class_name": "Flatten", "config": {}}), "has a data_format that is an object"),
    "a number type": (argument("Dense", dtype=POLICY), "computes in 'float64'"),
    "a mask": (
        lambda config: layer(config, "Dense")["inbound_nodes"][0].update(kwargs={"mask": True}),
        "is called with more than its inputs",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_is_refused_by_name(case: str, tmp_path: Path) -> None:
    change, message = REFUSED[case]
    with pytest.raises(UnsupportedLayer, match=f"layer '.*{message}"):
        load_model(changed(change, tmp_path))


def test_broken_files(tmp_path: Path) -> None:
    for change, message in (
        (lambda config: config["config"].pop("layers"), "the configuration is none that Keras 3 writes"),
        (lambda config: layer(config, "Flatten")["inbound_nodes"].clear(), "layer 'dense' of Keras 3 reads, or is, what no layer"),
        (lambda config: layer(config, "Dense")["config"].update(units=11), r"has weights of shapes \[\(.*\] in the file, where"),
    ):
        with pytest.raises(EdgekitError, match=message):
            load_model(changed(change, tmp_path))
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("layers")
    with zipfile.ZipFile(GOLDEN / "keras3_sequential.keras") as archive, zipfile.ZipFile(tmp_path / "empty.keras", "w") as target:
        for name in archive.namelist():
            target.writestr(name, weights.getvalue() if name.endswith(".h5") else archive.read(name))
    with pytest.raises(EdgekitError, match=r"layer 'conv2d.*' has weights of shapes \[\] in the file"):
        load_model(tmp_path / "empty.keras")


def test_layers_on_the_list_are_layers_that_files_of_keras_2_may_have() -> None:
    from edgekit.keras_models.files.model_files import LAYERS

    assert set(KEPT) | TRAINING_ONLY == LAYERS - {"TFOpLambda"}, "operators are layers of their own there"


def test_operators_are_what_keras_3_computes(tmp_path: Path) -> None:
    """With a number on either side, with one a channel, and of two tensors."""
    import keras

    image = keras.layers.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)((image / 127.5 - 1.0) * np.float32([[[[0.5, 2.0, 1.5]]]]))
    y = keras.layers.ReLU(6.0)(x + 3.0) * (1 / 6)
    x = 2.0 - x * y
    x = keras.layers.Flatten()(x + y)
    model = keras.Model(image, keras.layers.Dense(3)(0.25 * x) - np.float32([1.0, 2.0, 3.0]))
    model.save(tmp_path / "m.keras")
    inputs = np.random.default_rng(1).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    expected = np.asarray(model(inputs))
    found = np.asarray(load_model(tmp_path / "m.keras")(inputs))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerances.FLOAT32_LOGITS * float(np.abs(expected).max()))
    assert np.ptp(expected, axis=0).min() > 0.01, "the outputs vary with the inputs"


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda x: 1.0 / x, "divides by something else than numbers other than 0"),
        (lambda x: x / x, "is a TrueDivide of two tensors"),
        (lambda x: x + np.ones((4, 4, 3), np.float32), r"a constant of shape \(4, 4, 3\)"),
        (lambda x: x[..., ::-1], "is the operator GetItem of Keras 3; it is loaded with Add, "),
    ],
)
def test_other_operators_are_refused_by_name(write: Callable[[Any], Any], message: str, tmp_path: Path) -> None:
    import keras

    image = keras.layers.Input((4, 4, 3))
    keras.Model(image, keras.layers.Flatten()(write(image))).save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedLayer, match=message):
        load_model(tmp_path / "m.keras")
