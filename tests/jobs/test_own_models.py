"""Users' own Keras and QKeras models, from a file to a bundle that is the same on every executor."""

from __future__ import annotations

from pathlib import Path

import pytest
from own_models import MODELS, built, saved

from edgekit.bundle import open_bundle
from edgekit.errors import UnsupportedLayer
from edgekit.jobs import ModelRequest, export_model, write_hls_project
from edgekit.verify import verify

KERNELS = ("keras", "onnxruntime", "tflite-reference", "tflite-optimized", "tflite-xnnpack")


def check(folder: Path, executors: tuple[str, ...]) -> None:
    report = verify(open_bundle(folder), count=16, executors=executors)
    assert report.passed, report.failures
    assert [result.name for result in report.results] == list(executors)
    assert all(output.varying == output.elements and output.distinct > 8 for output in report.outputs)


@pytest.mark.parametrize("name", MODELS)
def test_a_float_or_qkeras_model_is_the_same_everywhere(name: str, tmp_path: Path) -> None:
    file = saved(name, tmp_path / f"{name}.keras")
    done = export_model(ModelRequest(str(file)), target="rpi4", output=tmp_path / "out")
    assert any("assuming pixels / 127.5 - 1" in text for text in done.warnings) and open_bundle(tmp_path / "out").manifest.assumed
    check(tmp_path / "out", KERNELS)


@pytest.mark.csim
@pytest.mark.parametrize("name", ["sequential", "branches", "swish", "qkeras"])
def test_so_is_its_hls_project(name: str, tmp_path: Path) -> None:
    file = saved(name, tmp_path / f"{name}.keras")
    write_hls_project(ModelRequest(str(file)), board="ultra96", output=tmp_path / "out", form="layers")
    check(tmp_path / "out", ("hls-csim",))


@pytest.mark.parametrize("name", ["branches", "qkeras"])
def test_an_h5_file_gives_the_same_graph(name: str, tmp_path: Path) -> None:
    model, _ = built(name)
    for suffix in ("keras", "h5"):
        file = tmp_path / f"{name}.{suffix}"
        model.save(file)
        export_model(ModelRequest(str(file)), target="rpi4", output=tmp_path / suffix)
    assert (tmp_path / "keras/model.tflite").read_bytes() == (tmp_path / "h5/model.tflite").read_bytes()


def test_what_differs_on_purpose_is_said(tmp_path: Path) -> None:
    notes = export_model(ModelRequest(str(saved("mean_last", tmp_path / "m.keras"))), target="rpi4", output=tmp_path / "out").notes
    assert any("softmax of layer" in note and "left out" in note for note in notes)
    assert any("0.5625 times the float model's" in note for note in notes)  # a mean over 144 cells is kept as sum / 256


@pytest.mark.parametrize("precision", ["float32", pytest.param("dynamic", marks=pytest.mark.slow), "int8"])
def test_stock_precisions(precision: str, tmp_path: Path) -> None:
    request = ModelRequest("mobilenet_v1", alpha=0.25, size=32, classes=10)
    done = export_model(request, target="rpi4", precision=precision, output=tmp_path / "out")
    preprocessing = {"pixels.py", "input_table.bin"}
    golden = {"golden/input.bin", "golden/output.bin"}
    assert set(done.sizes) == {"model.tflite", "manifest.json", "labels.txt", "run.py", *golden, *preprocessing}
    report = verify(open_bundle(tmp_path / "out"), count=16)
    names = [report.baseline, *(result.name for result in report.results)]
    assert names == ["tflite-reference", "tflite-optimized", "tflite-xnnpack"]
    assert {one.name for one in report.missing} >= {"reference", "keras", "onnxruntime", "hls-csim"}
    assert not report.exact
    assert not any(result.error for result in report.results)
    if precision == "float32":
        assert report.passed, report.failures
    else:  # kernels round differently, and verify says where first: that is why qfx is there
        assert any(result.first is not None for result in report.results)


def test_a_softmax_between_layers_is_refused_by_name(tmp_path: Path) -> None:
    from edgekit.keras_models.layers.legacy_keras import import_keras

    keras = import_keras()
    image = keras.layers.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, activation="softmax", name="attention")(image)
    keras.Model(image, keras.layers.Flatten()(x)).save(tmp_path / "m.keras")
    with pytest.raises(UnsupportedLayer, match=r"'attention' \(Conv2D\) has a softmax that is not the last layer"):
        export_model(ModelRequest(str(tmp_path / "m.keras")), target="rpi4", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
