"""A model's file gets the pixels that it was trained on: its exported file, fed as run.py feeds it, answers as Keras does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit import tolerances
from edgekit.bundle import INPUT_TABLE, LABELS, MANIFEST, TFLITE, open_bundle
from edgekit.errors import EdgekitError
from edgekit.graph import Conv2D, GraphBuilder, run, write_onnx
from edgekit.images.pixels import look_up
from edgekit.images.preprocessing import IMAGENET, MINUS_ONE_TO_ONE, RAW, ZERO_TO_ONE, Preprocessing, float_table, parse_preprocessing
from edgekit.jobs import ModelRequest, evaluate_models, export_model, load_source
from edgekit.jobs.source import FloatModel, GraphFile
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.training.images import photographs
from edgekit.keras_models.weights.random import randomize

keras = import_keras()
layers = keras.layers
SIZE, COUNT = 24, 128
SHAPE = (SIZE, SIZE, 3)
IMAGES = np.rint((photographs(SIZE, COUNT, 3) + 1) * 127.5).astype(np.uint8)
CAFFE = Preprocessing((123.68, 116.779, 103.939), (1.0, 1.0, 1.0))


def body(x: Any) -> Any:
    """A small network, the same in every model here."""
    x = layers.BatchNormalization()(layers.Conv2D(12, 3, strides=2, padding="same", name="first")(x))
    x = layers.Conv2D(24, 3, strides=2, activation="relu")(layers.ReLU()(x))
    return layers.Dense(10, activation="softmax")(layers.Flatten()(layers.MaxPooling2D()(x)))


def model_of(*head: Any, dtype: str = "float32") -> Any:
    image = x = layers.Input(SHAPE, dtype=dtype)
    for layer in head:
        x = layer(x)
    return keras.Model(image, body(x))


def statistics(mean: tuple[float, ...], std: tuple[float, ...]) -> Any:
    return layers.Normalization(mean=mean, variance=[value * value for value in std])


def adapted() -> Any:
    layer = layers.Normalization()
    layer.adapt(IMAGES.astype(np.float32))
    return layer


def operators() -> Any:
    """As preprocess_input writes them."""
    image = layers.Input(SHAPE)
    return keras.Model(image, body(image / 127.5 - 1.0))


HEADS: dict[str, Callable[[], Any]] = {
    "0..1": lambda: model_of(layers.Rescaling(1 / 255)),
    "-1..1": lambda: model_of(layers.Rescaling(1 / 127.5, offset=-1.0)),
    "uint8": lambda: model_of(layers.Rescaling(1 / 255), dtype="uint8"),
    "imagenet": lambda: model_of(layers.Rescaling(1 / 255), statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
    "three layers": lambda: model_of(
        layers.Rescaling(1 / 255), statistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), layers.Rescaling([1.1, 1.0, 0.9])
    ),
    "adapted": lambda: model_of(adapted()),
    "behind dropout": lambda: model_of(layers.SpatialDropout2D(0.1), layers.Rescaling(1 / 255)),
    "sequential": lambda: keras.Sequential(
        [layers.Input(SHAPE), layers.Rescaling(1 / 255), layers.Conv2D(12, 3, activation="relu"), layers.Flatten(), layers.Dense(10)]
    ),
    "inside a model": lambda: keras.Sequential([layers.Input(SHAPE), model_of(layers.Rescaling(1 / 255)), layers.Dense(6)]),
    "operators": operators,
    "nested": lambda: keras.Sequential([layers.Input(SHAPE), layers.Rescaling(1 / 127.5, offset=-1.0), model_of(), layers.Dense(6)]),
}


def saved(model: Any, path: Path, preprocessing: Preprocessing = RAW, *, turned: bool = False) -> Path:
    """With random weights that its own batch norms were measured with; statistics of pixels stay what they are."""
    adapted = [(layer, layer.get_weights()) for layer in model.layers if isinstance(layer, layers.Normalization)]
    taken = look_up(IMAGES[..., ::-1] if turned else IMAGES, float_table(preprocessing, 3))
    randomize(model, taken, 1)
    for layer, weights in adapted:
        layer.set_weights(weights)
        layer.finalize_state()
    model.save(path)
    return path


def answers(folder: Path) -> Any:
    """What run.py computes: pixels through the bundle's table, then the bundle's TFLite file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(folder / TFLITE))
    interpreter.allocate_tensors()
    source, output = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    table = np.frombuffer((folder / INPUT_TABLE).read_bytes(), source["dtype"]).reshape(3, 256)
    found = []
    for image in IMAGES:
        interpreter.set_tensor(source["index"], look_up(image[np.newaxis], table))
        interpreter.invoke()
        found.append(interpreter.get_tensor(output["index"])[0].astype(np.float64))
    return np.array(found)


def agreement(found: Any, wanted: Any) -> float:
    """Share of equal top classes, of the images whose two best classes Keras tells apart."""
    best = np.sort(wanted, axis=1)
    clear = best[:, -1] > best[:, -2] + 0.05
    assert clear.sum() > COUNT / 4 and len(set(wanted.argmax(axis=1))) > 2, "the answers vary, or nothing is compared"
    return float(np.mean(found.argmax(axis=1)[clear] == wanted.argmax(axis=1)[clear]))


def check(file: Path, folder: Path, wanted: Any, *, exact: bool = True, **said: Any) -> None:
    """Both forms agree with Keras: float32 within float rounding, the exact one in what it says."""
    request = ModelRequest(str(file), **said)
    for precision in ("float32", "qfx") if exact else ("float32",):
        done = export_model(request, target="linux-x86_64", precision=precision, output=folder / precision)
        assert not done.warnings and not open_bundle(folder / precision).manifest.assumed
    assert np.abs(answers(folder / "float32") - wanted).max() < 1e-4
    if exact:
        assert agreement(answers(folder / "qfx"), wanted) >= 0.97


@pytest.mark.parametrize("name", HEADS)
def test_layers_that_normalize_are_part_of_the_table(name: str, tmp_path: Path) -> None:
    model = HEADS[name]()
    file = saved(model, tmp_path / "m.keras")
    pixels = IMAGES if name == "uint8" else IMAGES.astype(np.float32)
    check(file, tmp_path, model.predict(pixels, verbose=0), exact=name in ("uint8", "imagenet"))


@pytest.mark.slow
@pytest.mark.parametrize("version", [2, 3])
def test_mobilenet_v3_takes_pixels_as_keras_publishes_it(version: int, tmp_path: Path) -> None:
    """include_preprocessing is its default: a Rescaling at the head. Of Keras 3 its hard_sigmoid is arithmetic with operators."""
    import keras as keras_3

    made = {2: keras, 3: keras_3}[version].applications.MobileNetV3Small
    model = made(input_shape=(32, 32, 3), alpha=0.25, minimalistic=version == 2, weights=None, classes=6, classifier_activation=None)
    rng, pixels = np.random.default_rng(3), np.rint(255 * (photographs(32, 16, 3) + 1) / 2).astype(np.float32)
    if version == 2:
        randomize(model, pixels, 1)
    for weight in model.weights if version == 3 else ():
        drawn = rng.normal(0, 2 / np.sqrt(max(np.prod(weight.shape[:-1]), 4)), weight.shape)
        weight.assign(np.abs(drawn) + 1 if "variance" in weight.name else drawn + (weight.name == "gamma"))
    model.save(tmp_path / "m.keras")
    source = load_source(ModelRequest(str(tmp_path / "m.keras")))
    assert isinstance(source, FloatModel) and source.preprocessing == MINUS_ONE_TO_ONE and not source.assumed
    wanted = np.asarray(model(pixels))
    found = np.asarray(source.keras(look_up(pixels.astype(np.uint8), float_table(source.preprocessing, 3))))
    largest = float(np.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerances.FLOAT32_LOGITS * largest)
    assert np.ptp(wanted, axis=0).max() > 10 * tolerances.FLOAT32_LOGITS * largest, "the answers vary"


def test_an_h5_file_says_the_same(tmp_path: Path) -> None:
    keras.backend.clear_session()  # names without a number
    model = HEADS["imagenet"]()
    for suffix in ("keras", "h5"):
        file = saved(model, tmp_path / f"m.{suffix}")
        source = load_source(ModelRequest(str(file)))
        assert isinstance(source, FloatModel) and [type(one).__name__ for one in source.keras.layers[:2]] == ["InputLayer", "Conv2D"]
        assert not source.assumed and source.notes == ("the layers 'rescaling' and 'normalization' became part of the preprocessing",)
        np.testing.assert_allclose((*source.preprocessing.mean, *source.preprocessing.std), (*IMAGENET.mean, *IMAGENET.std), rtol=1e-6)


@pytest.mark.parametrize(("said", "preprocessing"), [("0..255", RAW), ("0..1", ZERO_TO_ONE), ("imagenet", IMAGENET)])
def test_what_the_user_says(said: str, preprocessing: Preprocessing, tmp_path: Path) -> None:
    """The model itself normalizes nothing, as most published ones."""
    model = model_of()
    file = saved(model, tmp_path / "m.keras", preprocessing)
    wanted = model.predict(look_up(IMAGES, float_table(preprocessing, 3)), verbose=0)
    check(file, tmp_path, wanted, preprocessing=parse_preprocessing(said))


def test_blue_first(tmp_path: Path) -> None:
    """As Caffe's networks: blue, green, red, less the mean."""
    model = model_of()
    first = Preprocessing(CAFFE.mean[::-1], CAFFE.std)
    file = saved(model, tmp_path / "m.keras", first, turned=True)
    wanted = model.predict(look_up(IMAGES[..., ::-1], float_table(first, 3)), verbose=0)
    check(file, tmp_path, wanted, preprocessing=CAFFE, channel_order="bgr")


def test_blue_first_behind_layers_that_normalize(tmp_path: Path) -> None:
    model = model_of(layers.Rescaling(1 / 255), statistics((0.4, 0.45, 0.5), (0.2, 0.25, 0.3)))
    file = saved(model, tmp_path / "m.keras", turned=True)
    check(file, tmp_path, model.predict(IMAGES[..., ::-1].astype(np.float32), verbose=0), channel_order="bgr")


def test_blue_first_needs_a_convolution(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Input(SHAPE), layers.DepthwiseConv2D(3), layers.Flatten(), layers.Dense(4)])
    model.save(tmp_path / "m.keras")
    with pytest.raises(EdgekitError, match="DepthwiseConv2D; --channel-order bgr"):
        load_source(ModelRequest(str(tmp_path / "m.keras"), channel_order="bgr"))


def test_blue_first_of_an_integer_graph(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    graph = GraphBuilder("edges")
    x = graph.input("image", (8, 8, 3), signed=True, binary_point=6)
    weights = (4 * rng.integers(-31, 32, (3, 3, 3, 4))).astype(np.int8)
    conv = Conv2D("conv", x, "features", weights, np.full(4, 2, np.int32), (7,) * 4)
    made = graph.graph(graph.write(conv, signed=True, binary_point=4))
    (tmp_path / "m.onnx").write_bytes(write_onnx(made))
    source = load_source(ModelRequest(str(tmp_path / "m.onnx"), preprocessing=RAW, channel_order="bgr"))
    assert isinstance(source, GraphFile) and not source.assumed and source.preprocessing == RAW
    images = rng.integers(-128, 127, (4, 8, 8, 3)).astype(np.int8)
    wanted, found = run(made, images[..., ::-1])["features"], run(source.graph, images)["features"]
    assert len(np.unique(wanted)) > 20 and np.array_equal(found, wanted)


@pytest.mark.parametrize(
    ("scale", "offset", "preprocessing", "assumed"),
    [
        (1 / 255, 0.0, ZERO_TO_ONE, False),
        (1.0, -127.5, Preprocessing((127.5,), (1.0,)), False),
        (2.0, -1.0, MINUS_ONE_TO_ONE, False),
        (0.5, 0.1, Preprocessing((102.0,), (255.0,)), True),
    ],
)
def test_factors_tell_what_they_were_made_for(
    scale: float, offset: float, preprocessing: Preprocessing, assumed: bool, tmp_path: Path
) -> None:
    """Of pixels, of values in 0..1, and of neither: -1..1 is assumed in front of the layer."""
    model_of(layers.Rescaling(scale, offset)).save(tmp_path / "m.keras")
    source = load_source(ModelRequest(str(tmp_path / "m.keras")))
    assert (source.preprocessing, source.assumed) == (preprocessing, assumed)


def test_a_rescaling_in_the_middle_stays(tmp_path: Path) -> None:
    image = layers.Input(SHAPE)
    keras.Model(image, layers.Flatten()(layers.Rescaling(1 / 255)(layers.Conv2D(4, 3)(image)))).save(tmp_path / "m.keras")
    source = load_source(ModelRequest(str(tmp_path / "m.keras")))
    assert isinstance(source, FloatModel) and source.assumed and "Rescaling" in [type(one).__name__ for one in source.keras.layers]


def test_what_nobody_says_is_a_warning_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import importlib.util

    from edgekit.report.page import render_page
    from edgekit.verify import verify

    file, folder = saved(model_of(), tmp_path / "m.keras", MINUS_ONE_TO_ONE), tmp_path / "out"
    done = export_model(ModelRequest(str(file)), target="linux-x86_64", output=folder)
    assert len(done.warnings) == 1 and "--preprocessing" in done.warnings[0] and "WRONG" in done.warnings[0]
    manifest = json.loads((folder / MANIFEST).read_text())
    assert manifest["preprocessing"] == {"mean": [127.5], "std": [127.5], "assumed": True}
    page = render_page(verify(open_bundle(folder), count=2, executors=["tflite-reference"]), None)
    assert "ASSUMED" in page
    spec = importlib.util.spec_from_file_location("run", folder / "run.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    np.save(tmp_path / "image.npy", IMAGES[0])
    assert module.main(["classify", str(tmp_path / "image.npy")]) == 0
    assert "--preprocessing" in capsys.readouterr().err


def test_what_is_said_leaves_no_trace_of_a_doubt(tmp_path: Path) -> None:
    file = saved(model_of(), tmp_path / "m.keras", ZERO_TO_ONE)
    export_model(ModelRequest(str(file), preprocessing=ZERO_TO_ONE), target="linux-x86_64", output=tmp_path / "out")
    assert json.loads((tmp_path / "out" / MANIFEST).read_text())["preprocessing"] == {"mean": [0.0], "std": [255.0]}
    assert (tmp_path / "out" / LABELS).is_file()


def test_evaluate_names_the_likely_cause_of_a_guess(tmp_path: Path) -> None:
    """A model of 0..255 that tells bright images from dark ones, and the same taken for -1..1, which finds all of them dark."""
    from PIL import Image

    model = keras.Sequential([layers.Input((8, 8, 3)), layers.Conv2D(2, 1), layers.GlobalAveragePooling2D()])
    model.layers[0].set_weights([np.array([[[[1.0, -1.0]] * 3]]), np.array([-381.0, 381.0])])
    model.save(tmp_path / "m.keras")
    for name, value in (("bright", 200), ("dark", 60)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(16):
            Image.fromarray(np.full((8, 8, 3), value + i, np.uint8)).save(tmp_path / "data" / name / f"{i}.png")
    wrong = evaluate_models([str(tmp_path / "m.keras")], data=str(tmp_path / "data"))
    assert wrong.rows[0].top1 == 0.5 and "--preprocessing" in wrong.warnings[1] and "guessing" in wrong.warnings[1]
    right = evaluate_models([str(tmp_path / "m.keras")], data=str(tmp_path / "data"), preprocessing=RAW)
    assert right.rows[0].top1 == 1.0 and not right.warnings
    for precision in ("float32", "qfx"):
        request = ModelRequest(str(tmp_path / "m.keras"), preprocessing=RAW)
        export_model(request, target="linux-x86_64", precision=precision, output=tmp_path / precision)
        assert evaluate_models([str(tmp_path / precision)], data=str(tmp_path / "data")).rows[0].top1 == 1.0
        lone = (tmp_path / f"{precision}.tflite").write_bytes((tmp_path / precision / TFLITE).read_bytes())
        assert lone
    found = evaluate_models([str(tmp_path / "float32.tflite")], data=str(tmp_path / "data"), preprocessing=RAW)
    assert found.rows[0].top1 == 1.0 and not found.warnings
    with pytest.raises(EdgekitError, match="settled at its export"):
        evaluate_models([str(tmp_path / "qfx")], data=str(tmp_path / "data"), preprocessing=RAW)
