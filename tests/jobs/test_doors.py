"""What a file of any kind may not have is refused by name before any work; what it may leave open, the user says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edgekit.bundle import open_bundle
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.graph import GraphBuilder, MaxPool, write_onnx
from edgekit.images.preprocessing import ZERO_TO_ONE
from edgekit.jobs import ModelRequest, evaluate_models, export_model, load_source, write_hls_project
from edgekit.jobs.source import FloatModel
from edgekit.keras_models import load_model
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.tflite import Precision, convert
from edgekit.verify import verify

keras = import_keras()
layers = keras.layers


def two_headed() -> Any:
    image = layers.Input((8, 8, 3), name="image")
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(image))
    return keras.Model(image, [layers.Dense(3, name="kind")(x), layers.Dense(2, name="place")(x)])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One network of two outputs in a file of each kind, and an integer graph of two."""
    folder, model = tmp_path_factory.mktemp("files"), two_headed()
    for name in ("two.keras", "two.h5"):
        model.save(folder / name)
    model.save(folder / "saved")
    (folder / "two.tflite").write_bytes(convert(model, Precision.FLOAT32))
    graph = GraphBuilder("two")
    source = graph.input("image", (4, 4, 3), signed=True, binary_point=6)
    ends = [graph.write(MaxPool(name, source, name, (size, size), (1, 1))) for name, size in (("kind", 2), ("place", 3))]
    (folder / "two.onnx").write_bytes(write_onnx(graph.graph(*ends)))
    return folder


def test_those_of_an_integer_graph_have_their_names(files: Path, tmp_path: Path) -> None:
    folder = export_model(
        ModelRequest(str(files / "two.onnx"), preprocessing=ZERO_TO_ONE), target="linux-x86_64", output=tmp_path / "out"
    ).folder
    bundle = open_bundle(folder)
    assert bundle.manifest.answers == "numbers" and not (folder / "labels.txt").exists()
    report = verify(bundle, count=8, executors=["onnxruntime", "tflite-xnnpack"])
    assert report.passed and [one.name for one in report.outputs] == ["kind", "place"]
    np.save(tmp_path / "image.npy", np.full((4, 4, 3), 255, np.uint8))
    words = [sys.executable, str(folder / "run.py"), "predict", str(tmp_path / "image.npy"), "--json"]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout)
    assert found["shapes"] == {"kind": [3, 3, 3], "place": [2, 2, 3]} and set(np.ravel(found["outputs"]["place"])) == {1.0}
    with pytest.raises(EdgekitError, match=r"has 2 outputs \(kind, place\); one is supported"):
        evaluate_models([str(folder)], data="digits")


@pytest.mark.parametrize("name", ["two.keras", "two.h5", "saved", "two.tflite"])
def test_several_outputs_are_named(name: str, files: Path, tmp_path: Path) -> None:
    request, said = ModelRequest(str(files / name), preprocessing=ZERO_TO_ONE), r"has 2 outputs \(.*, .*\); one is supported"
    for precision in ("qfx", "float32"):
        with pytest.raises(EdgekitError, match=said):
            export_model(request, target="rpi4", precision=precision, output=tmp_path / "out")
    with pytest.raises(EdgekitError, match=said):
        write_hls_project(request, board="ultra96", output=tmp_path / "out")
    with pytest.raises(EdgekitError, match=said):
        evaluate_models([str(files / name)], data="digits", preprocessing=ZERO_TO_ONE)
    assert not (tmp_path / "out").exists()


def test_several_inputs_are_named(tmp_path: Path) -> None:
    one, other = layers.Input((8, 8, 3), name="left"), layers.Input((8, 8, 3), name="right")
    x = layers.Dense(2)(layers.Flatten()(layers.Add()([one, other])))
    keras.Model([one, other], x).save(tmp_path / "m.keras")
    for precision in ("qfx", "int8"):
        with pytest.raises(EdgekitError, match=r"has 2 inputs \(left, right\); one input of a fixed size is supported. Join them"):
            export_model(ModelRequest(str(tmp_path / "m.keras")), target="rpi4", precision=precision, output=tmp_path / "out")


def test_an_open_size_is_said(tmp_path: Path) -> None:
    image = layers.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(layers.Rescaling(1 / 255)(image))
    model = keras.Model(image, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    model.save(tmp_path / "m.keras")
    path = str(tmp_path / "m.keras")
    with pytest.raises(EdgekitError, match=r"takes images of any size, .*: say which with --size"):
        export_model(ModelRequest(path), target="rpi4", output=tmp_path / "out")
    source = load_source(ModelRequest(path, size=20))
    assert isinstance(source, FloatModel) and source.keras.input_shape == (None, 20, 20, 3) and source.options == {"size": 20}
    images = np.random.default_rng(0).uniform(0, 1, (4, 20, 20, 3)).astype(np.float32)
    np.testing.assert_allclose(source.keras.predict(images, verbose=0), model.predict(255 * images, verbose=0), atol=1e-5)
    export_model(ModelRequest(path, size=20), target="linux-x86_64", output=tmp_path / "out")
    graph = open_bundle(tmp_path / "out").artifact.graph
    assert graph is not None and graph.tensors[graph.input].shape == (20, 20, 3)
    with pytest.raises(EdgekitError, match="is a file, which settles --size, --classes itself"):
        load_source(ModelRequest(path, size=20, classes=3))


def test_a_fixed_size_is_not(tmp_path: Path) -> None:
    image = layers.Input((8, 8, 3))
    keras.Model(image, layers.Dense(2)(layers.Flatten()(image))).save(tmp_path / "m.keras")
    with pytest.raises(EdgekitError, match="is a file, which settles --size itself; leave it out"):
        load_source(ModelRequest(str(tmp_path / "m.keras"), size=20))


@pytest.mark.parametrize("function", ["elu", "round"])
def test_a_kernel_set_without_an_op_is_named_and_the_others_compared(function: str, tmp_path: Path) -> None:
    """LiteRT's reference kernels have neither ELU nor ROUND."""
    import tensorflow as tf

    from edgekit.verify.executors import executors_for
    from edgekit.verify.golden import stock_golden

    image = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="elu")(image) if function == "elu" else tf.round(layers.Conv2D(4, 3)(image))
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))
    if function == "round":  # no layer that a file may have
        golden = stock_golden(convert(model, Precision.FLOAT32), "float32", ZERO_TO_ONE)
        assert golden.golden.executor == "tflite-optimized"
        return
    model.save(tmp_path / "m.keras")
    request = ModelRequest(str(tmp_path / "m.keras"), preprocessing=ZERO_TO_ONE)
    export_model(request, target="linux-x86_64", precision="float32", output=tmp_path / "out")
    bundle = open_bundle(tmp_path / "out")
    assert bundle.manifest.golden is not None and bundle.manifest.golden.executor == "tflite-optimized"
    report = verify(bundle, count=8)
    assert report.passed and report.baseline == "tflite-optimized" and [one.name for one in report.results] == ["tflite-xnnpack"]
    assert {one.name: one.reason for one in report.missing}["tflite-reference"] == "the reference kernels have none for ELU"
    assert executors_for(bundle.artifact, ["tflite-reference"])[0].executor is None


@pytest.mark.parametrize(
    ("kind", "advice"),
    [("PruneLowMagnitude", "strip_pruning"), ("QuantizeWrapperV2", "give the .tflite"), ("Lambda", "nothing in a file runs")],
)
def test_wrappers_say_what_to_do(kind: str, advice: str, tmp_path: Path) -> None:
    image = layers.Input((8, 8, 3))
    keras.Model(image, layers.Dense(2)(layers.Flatten()(image))).save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][-1]["class_name"] = kind
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(UnsupportedLayer, match=f"is or has a {kind}.*{advice}"):
        load_model(tmp_path / "m.h5")


def test_a_mean_that_nothing_scales_is_no_number(tmp_path: Path) -> None:
    """Of classes the order stays; numbers would be 0.5625 times what they are."""
    image = layers.Input((12, 12, 3))
    keras.Model(image, layers.GlobalAveragePooling2D()(layers.Conv2D(1, 1)(image))).save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedLayer, match=r"leaves its exact outputs 0\.5625 times what they should be"):
        export_model(ModelRequest(str(tmp_path / "m.keras"), preprocessing=ZERO_TO_ONE), target="rpi4", output=tmp_path / "out")
