"""Training users' own models: models inside a model, and what has no exact form is said before any work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.cli.main import main
from edgekit.errors import UnsupportedLayer
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE
from edgekit.jobs import ModelRequest, train_model
from edgekit.keras_models.layers.backend import tf_keras

L = tf_keras.layers
SHAPE = (12, 12, 3)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(1)
    for index in range(24):
        (folder / f"class{index % 2}").mkdir(exist_ok=True)
        image = np.clip(rng.normal(80 + 90 * (index % 2), 30, SHAPE), 0, 255).astype(np.uint8)
        Image.fromarray(image).save(folder / f"class{index % 2}" / f"{index}.png")
    return str(folder)


def with_inside(*inside: Any) -> Any:
    """A model whose features are another model."""
    image = x = L.Input(SHAPE)
    for layer in inside:
        x = layer(x)
    features = tf_keras.Model(image, L.GlobalAveragePooling2D()(x))
    return tf_keras.Sequential([L.Input(SHAPE), features, L.Dense(2)])


def saved(model: Any, folder: Path) -> ModelRequest:
    model.save(folder / "m.keras")
    return ModelRequest(str(folder / "m.keras"), preprocessing=MINUS_ONE_TO_ONE)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(arguments))
    return int(left.value.code or 0)


def test_the_exact_form_of_a_model_inside_a_model(data: str, tmp_path: Path) -> None:
    request = saved(with_inside(L.Conv2D(4, 3), L.LayerNormalization(), L.Conv2D(4, 1, activation="relu")), tmp_path)
    done = train_model(request, data=data, exact=True, epochs=1, output=tmp_path / "out.keras")
    assert done.exact_form and not done.warnings and "layer norm became batch norm (1 layers)" in done.notes[0]


def test_what_has_no_exact_form_is_refused_before_it_is_trained_for_it(data: str, tmp_path: Path) -> None:
    request = saved(with_inside(L.Conv2D(4, 3), L.LayerNormalization(axis=1)), tmp_path)
    for options in ({"exact": True}, {"qfx": True}):
        with pytest.raises(UnsupportedLayer, match=r"\(LayerNormalization\) has axis \[1\], which is not supported"):
            train_model(request, data=data, epochs=1, output=tmp_path / "out.keras", **options)
        assert [file.name for file in tmp_path.iterdir()] == ["m.keras"]


def test_a_layer_that_is_used_twice(data: str, tmp_path: Path) -> None:
    inner = tf_keras.Sequential([L.Input(SHAPE), L.Conv2D(3, 3, padding="same", activation="relu")], name="shared")
    image = L.Input(SHAPE)
    request = saved(tf_keras.Model(image, L.Dense(2)(L.GlobalAveragePooling2D()(inner(inner(image))))), tmp_path)
    with pytest.raises(UnsupportedLayer, match="layer 'shared' is used 2 times"):
        train_model(request, data=data, exact=True, epochs=1, output=tmp_path / "out.keras")


def test_the_next_command_is_one_that_works(data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved(with_inside(L.Conv2D(4, 3), L.LayerNormalization(axis=1)), tmp_path)
    arguments = ["train", str(tmp_path / "m.keras"), "--data", data, "--epochs", "1", "--preprocessing", "-1..1"]
    assert run(*arguments, "-o", str(tmp_path / "out.keras")) == 0
    told = capsys.readouterr()
    assert "no exact form" in told.err and "has axis [1]" in told.err
    assert told.out.rstrip().endswith(f"edgekit export {tmp_path / 'out.keras'} --target rpi4 --precision int8")
    exported = ("export", str(tmp_path / "out.keras"), "--target", "linux-x86_64", "--precision", "int8", "-o", str(tmp_path / "out"))
    assert run(*exported) == 0
