"""A configuration whose layer reads a call that is not there is refused: Keras would look for it for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import h5py
import pytest

from edgekit.errors import EdgekitError
from edgekit.keras_models import load_model
from edgekit.keras_models.files.connections import require_connected
from edgekit.keras_models.layers.legacy_keras import import_keras

keras = import_keras()
layers = keras.layers


def nested() -> Any:
    """A model inside the model, one that begins with its shape alone, and a layer that is used twice."""
    inner = keras.Sequential([layers.Input((8, 8, 4)), layers.Conv2D(4, 3, padding="same")], name="inner")
    shaped = keras.Sequential([layers.Conv2D(4, 3, padding="same", input_shape=(8, 8, 4))], name="shaped")
    image = layers.Input((8, 8, 3), name="image")
    twice = layers.Conv2D(4, 1, name="twice")
    x = twice(layers.Conv2D(4, 3, padding="same", name="first")(image))
    x = layers.Add(name="sum")([twice(inner(x)), shaped(x) * 0.5])
    return keras.Model(image, layers.Dense(3, name="end")(layers.Flatten(name="flat")(x)))


def edited(path: Path, output: Path, layer: str, number: Any) -> Path:
    """The file, in which the one input that a layer reads first is another call of the same layer before it."""

    def edit(text: str) -> str:
        config = json.loads(text)
        node = next(one for one in config["config"]["layers"] if one["name"] == layer)["inbound_nodes"][0]
        node[0][1] = number
        return json.dumps(config)

    if path.suffix == ".h5":
        output.write_bytes(path.read_bytes())
        with h5py.File(output, "r+") as file:
            file.attrs["model_config"] = edit(file.attrs["model_config"])
    else:
        with ZipFile(path) as source, ZipFile(output, "w") as target:
            for name in source.namelist():
                content = source.read(name)
                target.writestr(name, edit(content.decode()) if name == "config.json" else content)
    return output


@pytest.mark.parametrize("suffix", ["h5", "keras"])
def test_a_call_that_is_not_there_is_named(suffix: str, tmp_path: Path) -> None:
    nested().save(tmp_path / f"m.{suffix}")
    assert load_model(tmp_path / f"m.{suffix}").count_params() == nested().count_params()
    for layer, number, named in (("sum", 2, "twice"), ("end", 1, "flat"), ("flat", 7, "sum")):
        file = edited(tmp_path / f"m.{suffix}", tmp_path / f"bad.{suffix}", layer, number)
        with pytest.raises(EdgekitError, match=rf"layer '{layer}' reads call {number} of '{named}', which no layer before it gives"):
            load_model(file)


def test_so_is_a_circle() -> None:
    config = {
        "class_name": "Functional",
        "config": {
            "layers": [
                {"class_name": "InputLayer", "name": "in", "config": {}, "inbound_nodes": []},
                {"class_name": "Add", "name": "a", "config": {}, "inbound_nodes": [[["in", 0, 0, {}], ["b", 0, 0, {}]]]},
                {"class_name": "ReLU", "name": "b", "config": {}, "inbound_nodes": [[["a", 0, 0, {}]]]},
            ]
        },
    }
    with pytest.raises(EdgekitError, match="layer 'a' reads call 0 of 'b'"):
        require_connected(config, "it")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [None, "0", 0.5, [0]])
def test_a_call_that_is_no_number_is_named(number: Any, tmp_path: Path) -> None:
    nested().save(tmp_path / "m.keras")
    with pytest.raises(EdgekitError, match=r"layer 'end' reads call -1 of 'flat', which no layer before it gives"):
        load_model(edited(tmp_path / "m.keras", tmp_path / "bad.keras", "end", number))
