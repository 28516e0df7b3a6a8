"""The matrix of what users have: every kind of file, for every range of pixels, in every precision, answers as its own runtime does.

tests/golden/torch_exported_classifier.onnx was written by PyTorch 2.13 (torch.onnx.export, dynamo=True, opset 18), with the weights of
`sequential` below: Conv2d(3, 12, 3, stride=2), BatchNorm2d, ReLU6, Conv2d(12, 12, 3, padding=1, groups=12), BatchNorm2d, ReLU,
Conv2d(12, 16, 1), ReLU, MaxPool2d(2), Conv2d(16, 32, 3, stride=2), ReLU, mean((2, 3)), Linear(32, 6).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from trained_models import CLASSES, Pixels, Values, agreement, fit, for_range, pixels_of_classes, set_first_convolution

from edgekit import tolerances
from edgekit.bundle import INPUT_TABLE, TFLITE, open_bundle
from edgekit.images.pixels import look_up
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, NAMED, Preprocessing, float_table, parse_preprocessing
from edgekit.jobs import ModelRequest, export_model, train_model
from edgekit.keras_models.layers.backend import tf, tf_keras
from edgekit.tflite import Precision, convert
from edgekit.tflite.executors import outputs_of

SIZE, COUNT = 24, 96
SHAPE = (SIZE, SIZE, 3)
TORCH = Path(__file__).parents[1] / "golden" / "torch_exported_classifier.onnx"
RANGES = tuple(NAMED)
PRECISIONS = ("float32", "int8", "qfx")
AGREEMENT = 0.97
"""Of top classes, where the two best are not near a tie; any other range of pixels gives far less."""

Answers: TypeAlias = npt.NDArray[np.float64]


@cache
def pixels() -> Pixels:
    return pixels_of_classes(SIZE, COUNT, 2)[0]


@cache
def training() -> tuple[Values, npt.NDArray[np.int64]]:
    images, labels = pixels_of_classes(SIZE, 400, 1)
    return taken(images, MINUS_ONE_TO_ONE), labels


def taken(images: Pixels, preprocessing: Preprocessing) -> Values:
    return np.asarray(look_up(images, float_table(preprocessing, 3)))


def chain(layers: Any) -> list[Any]:
    """The layers of Keras 2 (tf_keras.layers) or of Keras 3."""
    return [
        layers.Conv2D(12, 3, strides=2),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.DepthwiseConv2D(3, padding="same"),
        layers.BatchNormalization(),
        layers.ReLU(),
        layers.Conv2D(16, 1, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, strides=2, activation="relu"),
        layers.GlobalAveragePooling2D(),
    ]


def head() -> Any:
    return tf_keras.layers.Dense(CLASSES, activation="softmax")


def sequential() -> Any:
    return tf_keras.Sequential([tf_keras.layers.Input(SHAPE), *chain(tf_keras.layers), head()])


def functional() -> Any:
    """With a sum and two readers of a tensor."""
    image = x = tf_keras.layers.Input(SHAPE)
    layers = chain(tf_keras.layers)
    for layer in layers[:3]:
        x = layer(x)
    y = x
    for layer in layers[3:6]:
        y = layer(y)
    x = tf_keras.layers.Add()([x, y])
    for layer in (*layers[6:], head()):
        x = layer(x)
    return tf_keras.Model(image, x)


def backbone() -> Any:
    image = x = tf_keras.layers.Input(SHAPE)
    for layer in chain(tf_keras.layers):
        x = layer(x)
    return tf_keras.Model(image, x)


def nested() -> Any:
    """As transfer learning is written."""
    return tf_keras.Sequential([tf_keras.layers.Input(SHAPE), backbone(), tf_keras.layers.Dropout(0.2), head()])


def teachable_machine() -> Any:
    """Two Sequential models in one, of which the first holds a functional one, and a head without biases."""
    last = tf_keras.layers.Dense(CLASSES, activation="softmax", use_bias=False)
    features = tf_keras.Sequential([backbone()])
    classifier = tf_keras.Sequential([tf_keras.layers.Input((32,)), tf_keras.layers.Dense(100, activation="relu"), last])
    return tf_keras.Sequential([tf_keras.layers.Input(SHAPE), features, classifier])


def fitted(build: Callable[[], Any], preprocessing: Preprocessing) -> Any:
    model = build()
    fit(model, *training())
    set_first_convolution(model, preprocessing)
    return model


@dataclass(frozen=True)
class Written:
    """A file, and what its own runtime answers to the pixels: probabilities, or `logits`. `close`: its own numbers are of float32."""

    path: Path
    answers: Answers
    close: bool = True
    logits: bool = False


def in_keras(build: Callable[[], Any], suffix: str) -> Callable[[Preprocessing, Path], Written]:
    def write(preprocessing: Preprocessing, folder: Path) -> Written:
        model = fitted(build, preprocessing)
        path = folder / f"net{suffix}"
        model.save(path, **({} if suffix else {"save_format": "tf"}))
        return Written(path, model.predict(taken(pixels(), preprocessing), verbose=0))

    return write


def in_keras_3(preprocessing: Preprocessing) -> Any:
    import keras

    assert keras.__version__.startswith("3.")
    old, model = fitted(sequential, preprocessing), keras.Sequential([keras.layers.Input(SHAPE), *chain(keras.layers)])
    model.add(keras.layers.Dense(CLASSES, activation="softmax"))
    for layer, source in zip(model.layers, old.layers, strict=True):
        layer.set_weights(source.get_weights())
    return model


def keras_3(preprocessing: Preprocessing, folder: Path) -> Written:
    model = in_keras_3(preprocessing)
    model.save(folder / "net.keras")
    return Written(folder / "net.keras", np.asarray(model(taken(pixels(), preprocessing))))


def exported_by_keras_3(preprocessing: Preprocessing, folder: Path) -> Written:
    """A SavedModel that has a graph and no configuration."""
    model = in_keras_3(preprocessing)
    model.export(folder / "net", verbose=False)
    served = tf.saved_model.load(str(folder / "net")).signatures["serving_default"]
    (answers,) = served(tf.constant(taken(pixels(), preprocessing))).values()
    return Written(folder / "net", np.asarray(answers))


def tflite_float(preprocessing: Preprocessing, folder: Path) -> Written:
    content = convert(fitted(functional, preprocessing), Precision.FLOAT32)
    (folder / "net.tflite").write_bytes(content)
    return Written(folder / "net.tflite", outputs_of(content, taken(pixels(), preprocessing), "xnnpack")[0].astype(np.float64))


def tflite_int8(preprocessing: Preprocessing, folder: Path) -> Written:
    images = taken(pixels(), preprocessing)
    content = convert(fitted(functional, preprocessing), Precision.INT8, images[:64])
    (folder / "net.tflite").write_bytes(content)
    return Written(folder / "net.tflite", on_litert(content, images), close=False)


def on_litert(content: bytes, images: Values) -> Answers:
    """What a file of int8 gives, in real numbers."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    (scale, zero), (out_scale, out_zero) = source["quantization"], result["quantization"]
    stored = np.clip(np.rint(images / scale) + zero, -128, 127).astype(np.int8)
    return (outputs_of(content, stored, "xnnpack")[0].astype(np.float64) - out_zero) * out_scale


def onnx_of_torch(preprocessing: Preprocessing, folder: Path) -> Written:
    model = onnx.load(str(TORCH))
    constants = {one.name: one for one in model.graph.initializer}
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    kernel, bias = (constants[name] for name in first.input[1:])
    turned, moved = for_range(numpy_helper.to_array(kernel).transpose(2, 3, 1, 0), numpy_helper.to_array(bias), preprocessing)
    kernel.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(turned.transpose(3, 2, 0, 1)), kernel.name))
    bias.CopyFrom(numpy_helper.from_array(moved, bias.name))
    path = folder / "net.onnx"
    onnx.save(model, str(path))
    session = onnxruntime.InferenceSession(str(path))
    images = taken(pixels(), preprocessing).transpose(0, 3, 1, 2)
    logits = np.concatenate([session.run(None, {session.get_inputs()[0].name: one[np.newaxis]})[0] for one in images])
    return Written(path, logits, logits=True)


KINDS: dict[str, Callable[[Preprocessing, Path], Written]] = {
    "sequential": in_keras(sequential, ".h5"),
    "functional": in_keras(functional, ".keras"),
    "nested": in_keras(nested, ".keras"),
    "teachable machine": in_keras(teachable_machine, ".h5"),
    "keras 3": keras_3,
    "saved model": in_keras(functional, ""),
    "saved model of keras 3": exported_by_keras_3,
    "tflite float": tflite_float,
    "tflite int8": tflite_int8,
    "onnx of torch": onnx_of_torch,
}


def answers(folder: Path) -> Answers:
    """What run.py computes: pixels through the bundle's table, then the bundle's TFLite file."""
    content = (folder / TFLITE).read_bytes()
    stored = np.float32 if open_bundle(folder).manifest.precision == "float32" else np.int8
    table = np.frombuffer((folder / INPUT_TABLE).read_bytes(), stored).reshape(3, 256)
    return outputs_of(content, look_up(pixels(), table), "xnnpack")[0].astype(np.float64)


def softmax(logits: Answers) -> Answers:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def check(written: Written, range_: str, precision: str, folder: Path) -> None:
    request = ModelRequest(str(written.path), preprocessing=parse_preprocessing(range_))
    done = export_model(request, target="linux-x86_64", precision=precision, output=folder / precision)
    assert not done.warnings
    found = answers(folder / precision)
    if precision == "float32" and written.close:
        limit = tolerances.FLOAT_KERNELS * max(1.0, float(np.abs(written.answers).max()))
        np.testing.assert_allclose(found, written.answers, rtol=0, atol=limit)
    assert agreement(found, softmax(written.answers) if written.logits else written.answers) >= AGREEMENT


COVERING = (
    ("sequential", "-1..1", "float32"),
    ("teachable machine", "imagenet", "qfx"),
    ("keras 3", "0..1", "int8"),
    ("saved model of keras 3", "0..255", "float32"),
    ("tflite int8", "imagenet", "int8"),
    ("onnx of torch", "0..255", "qfx"),
)
"""Each range, each precision, each reader; the whole has the marker slow."""


@pytest.mark.parametrize(("kind", "range_", "precision"), COVERING)
def test_files_of_most_kinds(kind: str, range_: str, precision: str, tmp_path: Path) -> None:
    check(KINDS[kind](parse_preprocessing(range_), tmp_path), range_, precision, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("range_", RANGES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_in_every_range_and_precision(kind: str, range_: str, tmp_path: Path) -> None:
    written = KINDS[kind](parse_preprocessing(range_), tmp_path)
    for precision in PRECISIONS:
        check(written, range_, precision, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_training_goes_on_from_every_kind(kind: str, tmp_path: Path) -> None:
    """In float, and then in fixed point; what is saved is exported."""
    from PIL import Image

    for index, (image, label) in enumerate(zip(*pixels_of_classes(SIZE, 96, 7), strict=True)):
        (tmp_path / "data" / f"class{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / "data" / f"class{label}" / f"{index}.png")
    file, data = KINDS[kind](MINUS_ONE_TO_ONE, tmp_path).path, str(tmp_path / "data")
    request = ModelRequest(str(file), preprocessing=MINUS_ONE_TO_ONE)
    for name, options in (("float", {}), ("qfx", {"qfx": True})):
        done = train_model(request, data=data, epochs=1, learning_rate=1e-4, output=tmp_path / f"{name}.keras", **options)
        assert done.exact_form and done.accuracy_before > 0.5 and done.accuracy > 0.5  # of six classes
        export_model(ModelRequest(str(done.path)), target="linux-x86_64", output=tmp_path / f"{name}-out")


def test_another_range_would_not_pass(tmp_path: Path) -> None:
    written = KINDS["sequential"](parse_preprocessing("0..255"), tmp_path)
    with pytest.raises(AssertionError):
        check(written, "-1..1", "float32", tmp_path)
