"""A model that ends in one sigmoid tells two classes apart: evaluate, train, labels and run.py say which, in every precision."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edgekit.bundle import LABELS, open_bundle
from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import ZERO_TO_ONE
from edgekit.jobs import ModelRequest, evaluate_models, export_model, train_model
from edgekit.keras_models.layers.legacy_keras import import_keras

keras = import_keras()
layers = keras.layers
SHADES = {"bright": 190, "dark": 60}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two classes, "bright" is 0; a model whose sigmoid is above 1/2 for dark ones, and the same without the sigmoid."""
    root, rng = tmp_path_factory.mktemp("two"), np.random.default_rng(0)
    for name, shade in SHADES.items():
        (root / "data" / name).mkdir(parents=True)
        for i in range(16):
            pixels = np.clip(rng.normal(shade, 20, (12, 12, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / "data" / name / f"{i}.png")
    for name, function in (("sigmoid", "sigmoid"), ("linear", None)):
        image = layers.Input((12, 12, 3))
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1, activation="relu", name="conv")(image))
        model = keras.Model(image, layers.Dense(1, activation=function, name="head")(x), name=name)
        model.get_layer("conv").set_weights([np.eye(3).reshape(1, 1, 3, 3), np.zeros(3)])
        model.get_layer("head").set_weights([np.full((3, 1), -4.0), np.array([5.0])])
        model.save(root / f"{name}.keras")
    (root / "labels.txt").write_text("bright\ndark\n")
    return root


def classified(bundle: Path, image: Path) -> list[Any]:
    words = [sys.executable, str(bundle / "run.py"), "classify", str(image), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    return [(one["label"], one["score"]) for one in json.loads(done.stdout)["classes"]]


@pytest.mark.parametrize("precision", ["float32", "int8", "qfx"])
@pytest.mark.parametrize("name", ["sigmoid", "linear"])
def test_one_number_stands_for_both_classes(name: str, precision: str, folder: Path, tmp_path: Path) -> None:
    request = ModelRequest(str(folder / f"{name}.keras"), preprocessing=ZERO_TO_ONE, calibration=str(folder / "data"), effort="quick")
    export_model(request, target="linux-x86_64", precision=precision, labels=folder / "labels.txt", output=tmp_path / "out")
    assert (tmp_path / "out" / LABELS).read_text() == "bright\ndark\n"
    assert open_bundle(tmp_path / "out").manifest.answers == ("probability" if name == "sigmoid" else "logit")
    for shade in SHADES:
        (best, score), (_, other) = classified(tmp_path / "out", folder / "data" / shade / "0.png")
        assert best == shade and score > other
        assert score + other == pytest.approx(1.0 if name == "sigmoid" else 0.0)
    found = evaluate_models([str(tmp_path / "out")], data=str(folder / "data"))
    assert (found.rows[0].top1, found.classes) == (1.0, 2)


def test_files_and_labels(folder: Path, tmp_path: Path) -> None:
    sigmoid, linear, data = (str(folder / name) for name in ("sigmoid.keras", "linear.keras", "data"))
    assert evaluate_models([sigmoid], data=data, preprocessing=ZERO_TO_ONE).rows[0].top1 == 1.0
    with pytest.raises(EdgekitError, match=r"gives 1 number of an input, not scores of classes.*says that it is a logit"):
        evaluate_models([linear], data=data, preprocessing=ZERO_TO_ONE)
    found = evaluate_models([linear], data=data, preprocessing=ZERO_TO_ONE, labels=folder / "labels.txt")
    assert found.rows[0].top1 == 1.0
    export_model(ModelRequest(sigmoid, preprocessing=ZERO_TO_ONE), target="linux-x86_64", precision="float32", output=tmp_path / "out")
    assert (tmp_path / "out" / LABELS).read_text() == "0\n1\n"
    (tmp_path / "m.tflite").write_bytes((tmp_path / "out" / "model.tflite").read_bytes())
    assert evaluate_models([str(tmp_path / "m.tflite")], data=data, preprocessing=ZERO_TO_ONE).rows[0].top1 == 1.0
    with pytest.raises(EdgekitError, match="there are 3 labels for 2 classes"):
        (tmp_path / "three.txt").write_text("a\nb\nc\n")
        request = ModelRequest(sigmoid, preprocessing=ZERO_TO_ONE)
        export_model(request, target="linux-x86_64", precision="float32", labels=tmp_path / "three.txt", output=tmp_path / "no")


def test_it_is_trained_in_float_and_with_qfx(folder: Path, tmp_path: Path) -> None:
    """From weights that see nothing."""
    model = keras.models.load_model(folder / "sigmoid.keras", compile=False)
    model.get_layer("head").set_weights([np.full((3, 1), 0.05), np.array([0.0])])
    model.save(tmp_path / "m.keras")
    data = str(folder / "data")
    request = ModelRequest(str(tmp_path / "m.keras"), preprocessing=ZERO_TO_ONE)
    trained = train_model(request, data=data, epochs=12, learning_rate=0.2, output=tmp_path / "trained.keras")
    assert trained.accuracy_before == 0.5 and trained.accuracy == 1.0
    tuned = train_model(ModelRequest(str(trained.path)), data=data, qfx=True, epochs=1, output=tmp_path / "qfx.keras")
    assert tuned.accuracy == 1.0
    assert evaluate_models([str(tuned.path)], data=data).rows[0].top1 == 1.0
    export_model(ModelRequest(str(tuned.path)), target="linux-x86_64", output=tmp_path / "out")
    assert open_bundle(tmp_path / "out").manifest.answers == "probability"
    with pytest.raises(EdgekitError, match=r"gives numbers, .* only scores of classes are trained"):
        train_model(ModelRequest(str(folder / "linear.keras"), preprocessing=ZERO_TO_ONE), data=data, output=tmp_path / "no.keras")
