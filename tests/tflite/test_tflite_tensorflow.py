"""TensorFlow's converter in its five precisions, on a small network; and the executors on what it gives."""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import numpy as np
import pytest

from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.executor import Artifact
from edgekit.tflite.executors import EXECUTORS
from edgekit.tflite.flatbuffer import pack
from edgekit.tflite.reader import parse
from edgekit.tflite.tensorflow import Precision, convert, precisions_of


@pytest.fixture(scope="module")
def model():
    tf_keras = pytest.importorskip("tf_keras")
    tf_keras.utils.set_random_seed(1)
    layers = tf_keras.layers
    inputs = layers.Input((8, 8, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu6")(inputs)
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return tf_keras.Model(inputs, layers.Softmax()(layers.Dense(5)(x)), name="small")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(5).normal(size=(16, 8, 8, 3)).astype(np.float32)


INPUT_TYPES = {Precision.INT8: np.int8, Precision.INT16X8: np.int16}


@pytest.mark.parametrize("precision", Precision)
def test_converts_with_batch_1_and_runs(precision, model, images, capfd):
    data = convert(model, precision, images)
    assert capfd.readouterr().err == ""
    tensors = parse(data).subgraphs[0]
    assert [int(tensors.tensors[i].shape[0]) for i in (*tensors.inputs, *tensors.outputs)] == [1, 1]
    expected = model.predict(images, verbose=0)
    quantized = tensors.tensors[tensors.inputs[0]].quantization
    inputs = images
    if precision in INPUT_TYPES:
        kind = INPUT_TYPES[precision]
        limits = np.iinfo(kind)
        real = np.rint(images / quantized.scale[0]) + quantized.zeroPoint[0]
        inputs = np.clip(real, limits.min, limits.max).astype(kind)
    for executor in EXECUTORS:
        artifact = Artifact(tflite=data)
        assert executor.missing(artifact) is None
        with executor.open(artifact, lambda text: None) as run_batch:
            values = run_batch(inputs)
        output = tensors.tensors[tensors.outputs[0]]
        result = values[output.name.decode()].astype(np.float64)
        if precision in INPUT_TYPES:
            result = (result - output.quantization.zeroPoint[0]) * output.quantization.scale[0]
        assert np.abs(result - expected).max() < 0.05, f"{precision} on {executor.name}"
        assert len(values) > 4, "tensors between input and output are seen"


def test_float32_equals_keras_to_rounding(model, images):
    with EXECUTORS[0].open(Artifact(tflite=convert(model, Precision.FLOAT32)), lambda text: None) as run_batch:
        values = run_batch(images)
    result = next(value for value in values.values() if value.shape == (16, 5) and np.allclose(value.sum(axis=1), 1))
    np.testing.assert_allclose(result, model.predict(images, verbose=0), atol=1e-6)


def test_the_reference_softmax_that_would_abort_is_missing_instead(model, images):
    file = parse(convert(model, Precision.INT8, images))
    softmax = file.subgraphs[0].operators[-1]
    file.subgraphs[0].tensors[softmax.inputs[0]].quantization.scale = np.array([1e-9], np.float32)
    reasons = [executor.missing(Artifact(tflite=pack(file))) for executor in EXECUTORS]
    assert "SOFTMAX would abort" in reasons[0]
    assert reasons[1:] == [None, None]


@pytest.mark.parametrize(
    ("representative", "message"),
    [
        (None, "int8 needs calibration images"),
        (np.zeros((0, 8, 8, 3), np.float32), "int8 needs calibration images"),
        (np.zeros((2, 9, 9, 3), np.float32), r"shape \(9, 9, 3\), the model takes \(8, 8, 3\)"),
        (np.full((1, 8, 8, 3), np.nan, np.float32), "NaN"),
    ],
)
def test_unfit_calibration_is_refused(representative, message, model):
    with pytest.raises(EdgekitError, match=message):
        convert(model, Precision.INT8, representative)


def test_models_that_cannot_be_converted_are_named():
    import tensorflow as tf
    import tf_keras

    open_size = tf_keras.Sequential([tf_keras.layers.Conv2D(2, 3, input_shape=(None, None, 3))], name="open")
    with pytest.raises(EdgekitError, match="'open' leaves its input size open"):
        convert(open_size, Precision.FLOAT32)

    class Betainc(tf_keras.layers.Layer):
        def call(self, x):
            return tf.raw_ops.Betainc(a=x * x + 1, b=x * x + 1, x=tf.sigmoid(x))

    inputs = tf_keras.Input((4,))
    odd = tf_keras.Model(inputs, Betainc()(inputs), name="odd")
    with pytest.raises(UnsupportedLayer, match=r"'odd' to float32: .*Betainc"):
        convert(odd, Precision.FLOAT32)
    two = tf_keras.Model([inputs, second := tf_keras.Input((4,))], tf_keras.layers.Add()([inputs, second]), name="two")
    with pytest.raises(EdgekitError, match="'two' has 2 inputs"):
        convert(two, Precision.FLOAT32)


def test_layers_that_the_converter_does_not_quantize_to_16x8_are_known_by_their_exact_kinds() -> None:
    assert precisions_of(["conv 3x3", "relu6", "dense", "linear"]) == tuple(Precision)
    for kind in ("hard_swish", "layer norm"):
        assert precisions_of(["dense", kind]) == tuple(one for one in Precision if one is not Precision.INT16X8)
    assert precisions_of(["layer normalization of another kind"]) == tuple(Precision)
