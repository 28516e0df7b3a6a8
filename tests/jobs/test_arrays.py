"""Networks that take no images: vectors, spectrograms and windows of a sensor, as arrays in .npy and .npz files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bench import bench
from edgekit.bundle import INPUT_TABLE, LABELS, PIXELS, VALUES, open_bundle
from edgekit.errors import EdgekitError
from edgekit.jobs import ModelRequest, evaluate_models, export_model, load_source, write_hls_project
from edgekit.jobs.samples import read_samples
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.verify import verify

keras = import_keras()
layers = keras.layers
COUNT = 40
RANGE = 40.0
"""Inputs are within -40..40, as log-mel energies are: far from what pixels become."""


def autoencoder() -> Any:
    image = x = layers.Input((64,))
    for units in (16, 4, 16):
        x = layers.ReLU()(layers.BatchNormalization()(layers.Dense(units)(x)))
    return keras.Model(image, layers.Dense(64)(x))


def spectrogram() -> Any:
    """As keyword spotting has it: a map of one channel, depthwise convolutions, a softmax; normalized by the model itself."""
    image = x = layers.Input((13, 10, 1))
    x = layers.Normalization(mean=[3.0], variance=[100.0])(x)
    x = layers.Conv2D(8, (4, 3), strides=2, padding="same", activation="relu")(x)
    x = layers.ReLU()(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(x)))
    sure = keras.initializers.RandomNormal(stddev=8.0)
    return keras.Model(image, layers.Dense(4, activation="softmax", kernel_initializer=sure)(layers.GlobalAveragePooling2D()(x)))


def window() -> Any:
    """A window of two sensors; one number comes out."""
    image = x = layers.Input((24, 2))
    x = layers.Conv1D(8, 5, strides=2, padding="same", activation="relu")(x)
    return keras.Model(image, layers.Dense(1)(layers.Flatten()(x)))


MODELS: dict[str, Callable[[], Any]] = {"autoencoder": autoencoder, "spectrogram": spectrogram, "window": window}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each model with random weights, its inputs as x and what Keras makes of them, or the class, as y."""
    folder = tmp_path_factory.mktemp("arrays")
    for number, (name, build) in enumerate(MODELS.items()):
        keras.utils.set_random_seed(number)
        model, rng = build(), np.random.default_rng(number)
        x = rng.uniform(-RANGE, RANGE, (COUNT, 4)) @ rng.normal(size=(4, model.inputs[0].shape[1:].num_elements())) / 2
        x = np.clip(x, -RANGE, RANGE).reshape(COUNT, *model.input_shape[1:]).astype(np.float32)
        y = model.predict(x, verbose=0)
        np.savez(folder / f"{name}.npz", x=x, y=y.argmax(axis=1) if name == "spectrogram" else y)
        np.save(folder / f"{name}.npy", x)
        model.save(folder / f"{name}.keras")
    return folder


def exported(made: Path, name: str, precision: str, output: Path) -> Path:
    request = ModelRequest(str(made / f"{name}.keras"), calibration=str(made / f"{name}.npz"))
    done = export_model(request, target="linux-x86_64", precision=precision, output=output)
    assert not done.warnings
    return done.folder


def predicted(folder: Path, inputs: Path) -> dict[str, Any]:
    words = [sys.executable, str(folder / "run.py"), "predict", str(inputs), "-o", str(folder.parent / "out.npz"), "--json"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    found: dict[str, Any] = json.loads(done.stdout)
    (rows,) = found["outputs"].values()
    np.testing.assert_array_equal(np.load(folder.parent / "out.npz")["0"].reshape(COUNT, -1), rows)
    return found


@pytest.mark.parametrize("precision", ["float32", "int8", "qfx"])
@pytest.mark.parametrize("name", MODELS)
def test_the_device_gets_the_numbers_of_the_arrays(name: str, precision: str, made: Path, tmp_path: Path) -> None:
    folder = exported(made, name, precision, tmp_path / "out")
    bundle, classes = open_bundle(folder), name == "spectrogram"
    assert (bundle.manifest.preprocessing.of, bundle.manifest.answers) == ("values", "classes" if classes else "numbers")
    assert (folder / VALUES).is_file() and not (folder / PIXELS).exists() and not (folder / INPUT_TABLE).exists()
    assert (folder / LABELS).exists() is classes
    found = predicted(folder, made / f"{name}.npy")
    outputs = np.array(*found["outputs"].values())
    wanted = keras.models.load_model(made / f"{name}.keras", compile=False).predict(read_samples(made / f"{name}.npz").inputs, verbose=0)
    if classes:
        sure = np.sort(wanted, axis=1)[:, -1] - np.sort(wanted, axis=1)[:, -2] > 0.2
        assert sure.sum() > COUNT // 2 and (outputs.argmax(axis=1) == wanted.argmax(axis=1))[sure].all()
    else:
        error = np.sqrt(np.square(outputs - wanted).mean()) / wanted.std()
        assert error < {"float32": 1e-5, "int8": 0.05, "qfx": 0.1}[precision]
    assert ("squared_errors" in found) is (name == "autoencoder")
    report = verify(bundle, count=16, executors=["tflite-optimized", "tflite-xnnpack"])
    assert any(label.startswith("recorded") for label in report.labels) and not any(label.startswith("photo") for label in report.labels)
    assert report.passed or precision == "int8", report.failures
    row = evaluate_models([str(folder)], data=str(made / f"{name}.npz")).rows[0]
    if classes:
        assert row.top1 is not None and row.top1 >= 0.9 and row.root_mean_square_error is None
    else:
        assert (row.top1, row.top5) == (None, None)
        assert row.root_mean_square_error == pytest.approx(np.sqrt(np.square(outputs - wanted).mean()), rel=1e-4, abs=1e-6)
        assert row.mean_absolute_error == pytest.approx(np.abs(outputs - wanted).mean(), rel=1e-4, abs=1e-6)


def test_a_bundle_without_labels_is_timed(made: Path, tmp_path: Path) -> None:
    """By run.py, for whose kernels LiteRT's library has none."""
    bundle = open_bundle(exported(made, "window", "float32", tmp_path / "out"))
    measured = bench(bundle, "local", kernels="reference", iterations=2, threads=1)
    assert measured.program == "run.py" and measured.report["golden"]["differing_values"] == 0


@pytest.mark.csim
@pytest.mark.parametrize("name", ["spectrogram", *(pytest.param(name, marks=pytest.mark.slow) for name in ("autoencoder", "window"))])
def test_so_does_the_hls_project(name: str, made: Path, tmp_path: Path) -> None:
    request = ModelRequest(str(made / f"{name}.keras"), calibration=str(made / f"{name}.npy"))
    write_hls_project(request, board="ultra96", output=tmp_path / "out")
    report = verify(open_bundle(tmp_path / "out"), count=8, executors=["hls-csim"], images=read_samples(made / f"{name}.npy").inputs[:4])
    assert report.passed and "input 3" in report.labels, report.failures


def test_the_binary_point_comes_from_the_data(made: Path, tmp_path: Path) -> None:
    points = []
    for factor in (1, 16):
        np.save(tmp_path / "x.npy", read_samples(made / "autoencoder.npy").inputs / factor)
        request = ModelRequest(str(made / "autoencoder.keras"), calibration=str(tmp_path / "x.npy"))
        export_model(request, target="linux-x86_64", output=tmp_path / f"out{factor}")
        graph = open_bundle(tmp_path / f"out{factor}").artifact.graph
        assert graph is not None
        points.append(graph.tensors[graph.input].binary_point)
    assert points == [1, 5]


def test_an_autoencoder_is_measured_by_what_it_gives_of_its_inputs(made: Path) -> None:
    found = evaluate_models([str(made / "autoencoder.keras")], data=str(made / "autoencoder.npy"))
    samples = read_samples(made / "autoencoder.npz")
    assert samples.answers is not None
    assert found.rows[0].root_mean_square_error == pytest.approx(np.sqrt(np.square(samples.answers - samples.inputs).mean()), rel=1e-5)


def test_layers_at_the_head_become_part_of_what_the_numbers_go_through(made: Path) -> None:
    source = load_source(ModelRequest(str(made / "spectrogram.keras"), calibration="any.npy"))
    assert (source.preprocessing.mean, source.preprocessing.std, source.preprocessing.of) == ((3.0,), (10.0,), "values")


def test_an_8_bit_vector_takes_arrays_whatever_its_range_looks_like(tmp_path: Path) -> None:
    """Inputs of -1..1, which an image of 8 bits would have, too."""
    vector = layers.Input((32,))
    keras.Model(vector, layers.Dense(4)(vector)).save(tmp_path / "m.keras")
    x = np.linspace(-1, 1, 64 * 32).reshape(64, 32).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    request = ModelRequest(str(tmp_path / "m.keras"), calibration=str(tmp_path / "x.npy"))
    folder = export_model(request, target="linux-x86_64", precision="int8", output=tmp_path / "int8").folder
    (tmp_path / "m.tflite").write_bytes((folder / "model.tflite").read_bytes())
    source = load_source(ModelRequest(str(tmp_path / "m.tflite"), calibration=str(tmp_path / "x.npy")))
    assert source.preprocessing.of == "values" and not source.assumed
    assert load_source(ModelRequest(str(tmp_path / "m.tflite"))).preprocessing.of == "pixels"


def test_arrays_of_images_are_pixels_where_the_user_says_so(tmp_path: Path) -> None:
    """The same images from a file of arrays and from a folder give the same bundle."""
    from PIL import Image

    image = layers.Input((12, 12, 3))
    keras.Model(image, layers.Dense(3)(layers.Flatten()(layers.Conv2D(4, 3)(image)))).save(tmp_path / "m.keras")
    pixels = np.random.default_rng(0).integers(0, 256, (6, 12, 12, 3)).astype(np.uint8)
    np.savez(tmp_path / "x.npz", x_test=pixels, y_test=np.arange(6) % 3)
    for i, one in enumerate(pixels):
        (tmp_path / "folder" / str(i % 3)).mkdir(parents=True, exist_ok=True)
        Image.fromarray(one).save(tmp_path / "folder" / str(i % 3) / f"{i}.png")
    from edgekit.images.preprocessing import ZERO_TO_ONE

    files, rows = [], []
    for calibration in ("x.npz", "folder"):
        request = ModelRequest(str(tmp_path / "m.keras"), calibration=str(tmp_path / calibration), preprocessing=ZERO_TO_ONE)
        export_model(request, target="linux-x86_64", output=tmp_path / f"out_{calibration}")
        files.append((tmp_path / f"out_{calibration}" / INPUT_TABLE).read_bytes())
        rows.append(evaluate_models([str(tmp_path / f"out_{calibration}")], data=str(tmp_path / calibration)).rows[0].top1)
    assert files[0] == files[1] and rows[0] == rows[1]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((4, 63), np.float32)}, r"inputs of shape \(63,\), the model takes \(64,\)"),
        ({"x": np.zeros(64, np.float32)}, "the first size counts them"),
        ({"x": np.full((4, 64), np.nan, np.float32)}, "NaN or infinite"),
        ({"a": np.zeros((4, 64)), "b": np.zeros(3)}, "holds a, b; its inputs are called x"),
        ({"x": np.zeros((4, 64)), "y": np.zeros(3)}, "there is one for each input"),
        ({"x": np.array(["text"])}, "not plain numbers"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: dict[str, Any], message: str, made: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(EdgekitError, match=message):
        export_model(
            ModelRequest(str(made / "autoencoder.keras"), calibration=str(tmp_path / "x.npz")), target="rpi4", output=tmp_path / "out"
        )
    assert not (tmp_path / "out").exists()


def test_what_is_not_said_is_refused(made: Path, tmp_path: Path) -> None:
    (tmp_path / "x.npz").write_bytes(b"no archive")
    with pytest.raises(EdgekitError, match="is damaged, or of another kind than its name says"):
        read_samples(tmp_path / "x.npz")
    with pytest.raises(EdgekitError, match=r"cannot read .*absent\.npy"):
        read_samples(tmp_path / "absent.npy")
    with pytest.raises(EdgekitError, match="does not say which classes its inputs are"):
        evaluate_models([str(made / "spectrogram.keras")], data=str(made / "spectrogram.npy"))
    with pytest.raises(EdgekitError, match="does not say what"):
        evaluate_models([str(made / "window.keras")], data=str(made / "window.npy"))
    np.savez(tmp_path / "y.npz", x=read_samples(made / "spectrogram.npy").inputs, y=np.full(COUNT, 7))
    with pytest.raises(EdgekitError, match=r"has 4 classes; .* 7 to 7: numbers of classes from 0 on"):
        evaluate_models([str(made / "spectrogram.keras")], data=str(tmp_path / "y.npz"))
    with pytest.raises(EdgekitError, match="gives 1 number of an input, not scores of classes, and 'digits' has 10"):
        evaluate_models([str(made / "window.keras")], data="digits")
