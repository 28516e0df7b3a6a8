"""A user's model file: loads what is on the lists, and makes nothing of anything else."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edgekit
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.keras_models.files.model_files import custom_objects, load_model, read_notes, save_model
from edgekit.keras_models.layers.legacy_keras import import_keras

pytestmark = [
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize"),
]


def keras_model() -> Any:
    """Many layers of the list, with a model inside the model, and compiled: its optimizer must not stand in the way."""
    layers = import_keras().layers
    inside = import_keras().Sequential([layers.Input((4, 4, 4)), layers.Conv2D(4, 1, activation="relu", name="inner_conv")], name="inner")
    x = inputs = layers.Input((9, 9, 3), name="image")
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.Conv2D(4, 3, strides=2, kernel_regularizer=import_keras().regularizers.L2(0.1), name="stem")(x)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(x))
    x = layers.Add()([x, inside(x)])
    x = layers.Concatenate()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(x)])
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    model = import_keras().Model(inputs, layers.Dense(3, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def qkeras_model() -> Any:
    import qkeras

    layers = import_keras().layers
    x = inputs = layers.Input((6, 6, 3))
    x = qkeras.QConv2D(4, 3, kernel_quantizer=qkeras.quantized_bits(6, 0, alpha=1.0), bias_quantizer="quantized_bits(8,2)")(x)
    x = qkeras.QActivation("quantized_relu(8, 3)")(x)
    x = qkeras.QDepthwiseConv2D(3, depthwise_quantizer="quantized_bits(6,0,alpha=1.0)", bias_quantizer=qkeras.quantized_bits(8, 2))(x)
    x = qkeras.QActivation(qkeras.quantized_relu(4, 2))(x)
    x = layers.Flatten()(x)
    return import_keras().Model(inputs, qkeras.QDense(2, kernel_quantizer="ternary()", bias_quantizer="quantized_po2(4)")(x))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("make", [keras_model, qkeras_model])
def test_comes_back_as_it_was(make: Callable[[], Any], suffix: str, rng: np.random.Generator, tmp_path: Path) -> None:
    model = make()
    model.save(tmp_path / f"model{suffix}")
    loaded = load_model(tmp_path / f"model{suffix}")
    images = rng.uniform(-1, 1, (5, *model.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(loaded(images), model(images))
    save_model(loaded, tmp_path / "again.keras")  # and what was loaded can be saved
    np.testing.assert_array_equal(load_model(tmp_path / "again.keras")(images), model(images))


def test_networks_of_ours_come_back(tmp_path: Path) -> None:
    model = edgekit.build_model("mobilenet_v1", alpha=0.25, size=33, classes=4)  # 33 is odd: a padding layer is in it
    save_model(model, tmp_path / "model.keras")
    assert [layer.name for layer in load_model(tmp_path / "model.keras").layers] == [layer.name for layer in model.layers]


def evil(change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The configuration of a small model, with one thing in it changed."""
    layers = import_keras().layers
    model = import_keras().Sequential([layers.Input((4,)), layers.Dense(2, activation="relu", name="victim"), layers.ReLU(name="last")])
    config = json.loads(json.dumps(import_keras().saving.serialize_keras_object(model)))
    change(config)
    return config


def as_keras(config: dict[str, Any], path: Path) -> Path:
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("layers")
    with zipfile.ZipFile(path.with_suffix(".keras"), "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("model.weights.h5", weights.getvalue())
    return path.with_suffix(".keras")


def as_h5(config: dict[str, Any], path: Path) -> Path:
    with h5py.File(path.with_suffix(".h5"), "w") as file:
        file.attrs["model_config"] = json.dumps(config)
    return path.with_suffix(".h5")


def set_layer(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"][1].update(values)


def set_option(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda config: config["config"]["layers"][1]["config"].update(values)


CODE = {"class_name": "__lambda__", "config": {"value": "4wEAAAA="}}
HIDDEN = {"class_name": "Zeros", "config": {"x": [{"class_name": "Evil"}]}}
SYSTEM = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
EVILS = {
    "lambda": (set_layer(class_name="Lambda"), "'victim' is or has a Lambda"),
    "op_lambda": (set_layer(class_name="TFOpLambda"), "'victim' is or has a TFOpLambda"),
    "marshalled_code": (
        set_option(activation=CODE),
        "'victim' is or has a __lambda__",
    ),
    "function_of_os": (set_option(activation=SYSTEM), "function 'system' of module 'os'"),
    "class_of_another_module": (set_layer(module="subprocess", class_name="Popen"), "Popen of module 'subprocess'"),
    "known_name_of_another_module": (set_layer(module="attacker.layers"), "Dense of module 'attacker.layers'"),
    "another_registered_name": (set_layer(registered_name="attacker>Lambda"), "'victim' is or has a Dense"),
    "module_under_keras_that_is_none": (set_layer(module="keras.utils"), "Dense of module 'keras.utils'"),
    "call_as_text": (set_option(activation="get_file('http://example.com')"), "'victim' has activation 'get_file"),
    "quantizer_as_text": (set_option(kernel_quantizer="eval(1)"), r"'victim' has kernel_quantizer 'eval\(1\)'"),
    "deep_inside": (
        set_option(kernel_initializer=HIDDEN),
        "'victim' is or has a Evil",
    ),
    "class_name_no_text": (set_layer(class_name=["Dense"]), "no text"),
}


@pytest.mark.parametrize("write", [as_keras, as_h5])
@pytest.mark.parametrize("name", EVILS)
def test_refuses_before_anything_is_made(name: str, write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    change, message = EVILS[name]
    path = write(evil(change), tmp_path / "model")

    def made(*_: Any, **__: Any) -> None:
        raise AssertionError("an object was made")

    keras = import_keras()
    monkeypatch.setattr(keras.saving, "deserialize_keras_object", made)
    monkeypatch.setattr(keras.models, "model_from_json", made)
    with pytest.raises(UnsupportedLayer, match=message):
        load_model(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 1000) | st.sampled_from(["", "relu", "Dense", "Lambda", "keras.layers", "os", "last"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["class_name", "config", "module", "name"]), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.integers(0, 1 << 30), value=JSON)
def test_a_configuration_with_anything_in_it_gives_one_clear_error(path: int, value: Any, tmp_path: Path) -> None:
    def change(config: dict[str, Any]) -> None:
        places = list(slots(config))
        container, key = places[path % len(places)]
        container[key] = value

    with pytest.raises(EdgekitError):  # even where the change does no harm: the archive has no weights
        load_model(as_keras(evil(change), tmp_path / "model"))


def slots(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every place in a JSON value that holds another one."""
    for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from slots(node[key])


def test_files_that_are_no_models(tmp_path: Path) -> None:
    model = keras_model()
    model.save_weights(tmp_path / "weights.h5")
    model.save(tmp_path / "whole.keras")
    whole = (tmp_path / "whole.keras").read_bytes()
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "renamed.h5").write_bytes(whole)
    (tmp_path / "text.keras").write_text("model")
    with zipfile.ZipFile(tmp_path / "empty.keras", "w") as archive:
        archive.writestr("readme.txt", "")
    with h5py.File(tmp_path / "broken.h5", "w") as file:
        file.attrs["model_config"] = "{"
    expected = {
        "absent.keras": "no file",
        "weights.h5": "holds no model",
        "cut.keras": "not a whole",
        "renamed.h5": "ends in .keras",
        "text.keras": "not a whole",
        "empty.keras": "without config.json",
        "broken.h5": "not JSON",
        ".": "not a file",
    }
    for name, message in expected.items():
        with pytest.raises(EdgekitError, match=message):
            load_model(tmp_path / name)


def test_weights_that_do_not_fit_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match="cannot build the model"):
        load_model(as_keras(evil(lambda config: None), tmp_path / "model"))


def test_saves_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model, path = keras_model(), tmp_path / "model.keras"
    path.write_text("the model before")

    def fail(target: Path, **_: Any) -> None:
        target.write_text("half a mod")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(model, "save", fail)
    with pytest.raises(EdgekitError, match="No space left"):
        save_model(model, path)
    assert [(file.name, file.read_text()) for file in tmp_path.iterdir()] == [("model.keras", "the model before")]
    with pytest.raises(EdgekitError, match=r"should end in \.keras"):
        save_model(model, tmp_path / "model.h5")


def test_custom_objects_can_be_extended(tmp_path: Path) -> None:
    layers = import_keras().layers

    class Twice(layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return x + x

    model = import_keras().Sequential([layers.Input((2,)), Twice(name="twice")])
    save_model(model, tmp_path / "model.keras")
    with pytest.raises(UnsupportedLayer, match="'twice' is or has a Twice"):
        load_model(tmp_path / "model.keras")
    custom_objects()["Twice"] = Twice
    try:
        assert load_model(tmp_path / "model.keras")(np.ones((1, 2))).numpy().tolist() == [[2, 2]]
    finally:
        del custom_objects()["Twice"]


GOOD_MEAN = '{"preprocessing": {"mean": [1], "std": [1]}, '


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"preprocessing": {"mean": [1], "std": [0]}}',
        '{"preprocessing": {"mean": ["x"], "std": [1]}}',
        GOOD_MEAN + '"accuracy": {"top1": 2, "images": 1, "data": "x"}}',
    ],
)
def test_broken_notes_on_preprocessing_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "model.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("edgekit.json", text)
    with pytest.raises(EdgekitError, match=r"edgekit\.json"):
        read_notes(path)
