"""Networks of the five structures of MLPerf Tiny (github.com/mlcommons/tiny, benchmark/training), built and saved as its scripts do it.

Their trained files are not here. These are trained for seconds, on inputs of the same shapes: crops of photographs for the two that take
images, prototypes with noise for spectrograms and sensor windows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pytest
from trained_models import Values, agreement, pixels_of_classes, train

from edgekit import tolerances
from edgekit.bundle import INPUT_TABLE, TFLITE
from edgekit.graph import quantize_input
from edgekit.images.pixels import look_up
from edgekit.images.preprocessing import RAW, ZERO_TO_ONE, Preprocessing, float_table
from edgekit.jobs import ModelRequest, export_model
from edgekit.jobs.model_files import read_model
from edgekit.keras_models import freeze, inference_form, quantize
from edgekit.keras_models.layers.backend import tf_keras
from edgekit.tflite import Precision, convert, write_tflite
from edgekit.tflite.executors import outputs_of

pytestmark = pytest.mark.slow
L = tf_keras.layers
L2 = tf_keras.regularizers.l2(1e-4)
AGREEMENT = 0.97
COUNT, EPOCHS = 160, 8

Answers: TypeAlias = npt.NDArray[Any]


def normed(x: Any, layer: Any) -> Any:
    return L.Activation("relu")(L.BatchNormalization()(layer(x)))


def visual_wake_words() -> Any:
    """MobileNetV1 0.25 at 96 x 96 (visual_wake_words/vww_model.py): convolutions with biases, a mean as AveragePooling2D and Flatten."""
    image = L.Input((96, 96, 3))
    x = normed(image, L.Conv2D(8, 3, strides=2, padding="same", kernel_regularizer=L2))
    for filters, strides in ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *[(128, 1)] * 5, (256, 2), (256, 1)):
        x = normed(x, L.DepthwiseConv2D(3, strides=strides, padding="same", depthwise_regularizer=L2))
        x = normed(x, L.Conv2D(filters, 1, padding="same", kernel_regularizer=L2))
    x = L.Flatten()(L.AveragePooling2D(pool_size=tuple(x.shape[1:3]))(x))
    return tf_keras.Model(image, L.Dense(2, activation="softmax")(x))


def resnet_8() -> Any:
    """ResNet-8 for CIFAR-10, of pixels 0..255 (image_classification/keras_model.py)."""

    def conv(filters: int, size: int, strides: int) -> Any:
        return L.Conv2D(filters, size, strides=strides, padding="same", kernel_initializer="he_normal", kernel_regularizer=L2)

    image = L.Input((32, 32, 3))
    x = normed(image, conv(16, 3, 1))
    for filters, strides in ((16, 1), (32, 2), (64, 2)):
        y = L.BatchNormalization()(conv(filters, 3, 1)(normed(x, conv(filters, 3, strides))))
        x = L.Activation("relu")(L.Add()([x if strides == 1 else conv(filters, 1, strides)(x), y]))
    x = L.Flatten()(L.AveragePooling2D(pool_size=tuple(x.shape[1:3]))(x))
    return tf_keras.Model(image, L.Dense(10, activation="softmax", kernel_initializer="he_normal")(x))


def keyword_spotting() -> Any:
    """DS-CNN for spectrograms of 49 x 10 (keyword_spotting/keras_model.py)."""
    sound = L.Input((49, 10, 1))
    x = L.Dropout(0.2)(normed(sound, L.Conv2D(64, (10, 4), strides=(2, 2), padding="same", kernel_regularizer=L2)))
    for _ in range(4):
        x = normed(x, L.DepthwiseConv2D(3, padding="same", depthwise_regularizer=L2))
        x = normed(x, L.Conv2D(64, 1, padding="same", kernel_regularizer=L2))
    x = L.Flatten()(L.AveragePooling2D(pool_size=tuple(x.shape[1:3]))(L.Dropout(0.4)(x)))
    return tf_keras.Model(sound, L.Dense(12, activation="softmax")(x))


def autoencoder() -> Any:
    """Of 640 values, by way of 8 (anomaly_detection/keras_model.py)."""
    window = x = L.Input((640,))
    for units in (*[128] * 4, 8, *[128] * 4):
        x = normed(x, L.Dense(units))
    return tf_keras.Model(window, L.Dense(640)(x))


def streaming_wake_word() -> Any:
    """1D depthwise convolutions of 30 windows of 40 features, which leave one (streaming_wakeword/keras_model.py, "ds_tcn")."""
    sound = x = L.Input((30, 1, 40))
    for filters, size in ((128, 3), (64, 5), (64, 10), (32, 15)):
        x = L.DepthwiseConv2D((size, 1), use_bias=False)(x)
        x = L.Dropout(0.2)(normed(x, L.Conv2D(filters, 1, use_bias=False)))
    return tf_keras.Model(sound, L.Dense(3)(L.Flatten()(x)))


def sounds(shape: tuple[int, ...], classes: int, level: float, spread: float) -> tuple[Values, npt.NDArray[np.int64]]:
    """Around `level`: a prototype for each class, smooth in time, and noise."""
    rng = np.random.default_rng(3)
    drawn = rng.normal(0, 1, (classes, *shape))
    prototypes = drawn + np.roll(drawn, 1, axis=1) + np.roll(drawn, 2, axis=1)
    labels = rng.integers(0, classes, 3 * COUNT)
    loud = rng.uniform(0.5, 1.2, (len(labels), *[1] * len(shape)))
    values = level + spread * (loud * prototypes[labels] + rng.normal(0, 0.7, (len(labels), *shape)))
    return values.astype(np.float32), labels


def windows() -> Values:
    """Sums of a few shapes, in decibels, as machines sound."""
    rng = np.random.default_rng(4)
    shapes = rng.normal(0, 1, (6, 640))
    return (-35 + 4 * rng.normal(0, 1, (3 * COUNT, 6)) @ shapes + rng.normal(0, 1, (3 * COUNT, 640))).astype(np.float32)


@dataclass(frozen=True)
class Exact:
    """Inputs, what Keras gives of them, and what the exact file gives, in real numbers."""

    inputs: Values
    wanted: Answers
    found: Answers


def read_and_exact(model: Any, inputs: Values, path: Path) -> Exact:
    """The model saved, read as a user's file, and exported as float32, which is compared here, and exactly."""
    model.save(path, **({} if path.suffix else {"save_format": "tf"}))
    tests = inputs[:COUNT]
    wanted = model.predict(tests, verbose=0)
    read = read_model(path).model
    close = tolerances.FLOAT_KERNELS * max(1.0, float(np.abs(wanted).max()))
    floats = outputs_of(convert(inference_form(read), Precision.FLOAT32), tests, "xnnpack")[0]
    np.testing.assert_allclose(floats, wanted, rtol=0, atol=close)
    graph = freeze(quantize(read, inputs[COUNT : COUNT + 64]).model)
    found = outputs_of(write_tflite(graph), quantize_input(graph.tensors[graph.input], tests), "xnnpack")[0]
    return Exact(tests, wanted, found.astype(np.float64) * 2.0 ** -graph.tensors[graph.outputs[0]].binary_point)


def on_pixels(build: Callable[[], Any], classes: int, preprocessing: Preprocessing, folder: Path) -> None:
    """By the commands that a user gives, from the file to what run.py computes of pixels."""
    model = build()
    pixels, labels = pixels_of_classes(model.input_shape[1], 5 * COUNT, 5, classes)
    images = np.asarray(look_up(pixels, float_table(preprocessing, 3)))
    train(model, images[COUNT:], labels[COUNT:], EPOCHS)
    model.save(folder / "net.h5")
    wanted = model.predict(images[:COUNT], verbose=0)
    for precision, stored in (("float32", np.float32), ("qfx", np.int8)):
        request = ModelRequest(str(folder / "net.h5"), preprocessing=preprocessing)
        export_model(request, target="linux-x86_64", precision=precision, output=folder / precision)
        table = np.frombuffer((folder / precision / INPUT_TABLE).read_bytes(), stored).reshape(3, 256)
        found = outputs_of((folder / precision / TFLITE).read_bytes(), look_up(pixels[:COUNT], table), "xnnpack")[0]
        if precision == "float32":
            np.testing.assert_allclose(found, wanted, rtol=0, atol=tolerances.FLOAT_KERNELS)
        assert agreement(found, wanted) >= AGREEMENT


def test_visual_wake_words(tmp_path: Path) -> None:
    on_pixels(visual_wake_words, 2, ZERO_TO_ONE, tmp_path)


def test_resnet_8_takes_pixels_as_they_are(tmp_path: Path) -> None:
    on_pixels(resnet_8, 10, RAW, tmp_path)


def test_keyword_spotting_as_a_saved_model(tmp_path: Path) -> None:
    model, (inputs, labels) = keyword_spotting(), sounds((49, 10, 1), 12, -5.0, 6.0)
    train(model, inputs[COUNT:], labels[COUNT:], EPOCHS)
    exact = read_and_exact(model, inputs, tmp_path / "kws")
    assert agreement(exact.found, exact.wanted) >= AGREEMENT


def test_streaming_wake_word(tmp_path: Path) -> None:
    model, (inputs, labels) = streaming_wake_word(), sounds((30, 1, 40), 3, 0.4, 0.1)
    train(model, inputs[COUNT:], labels[COUNT:], EPOCHS)
    exact = read_and_exact(model, inputs, tmp_path / "sww.h5")
    assert agreement(exact.found, exact.wanted) >= AGREEMENT


def test_the_autoencoder(tmp_path: Path) -> None:
    """No classes: the anomaly score is how far a window is from what comes back."""
    model, inputs = autoencoder(), windows()
    train(model, inputs[COUNT:], inputs[COUNT:], 60)
    inputs[: COUNT // 4] += np.random.default_rng(5).normal(0, 4, (COUNT // 4, 640)).astype(np.float32)
    exact = read_and_exact(model, inputs, tmp_path / "ad.h5")
    scores = [np.mean((answers - exact.inputs) ** 2, axis=1) for answers in (exact.wanted, exact.found)]
    assert np.corrcoef(*scores)[0, 1] > 0.99
    assert np.std(exact.found - exact.wanted) < 0.1 * np.std(exact.wanted - exact.wanted.mean(axis=0))
