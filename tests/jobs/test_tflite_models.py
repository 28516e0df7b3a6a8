"""TFLite files of others, float and quantized, read in again: the Keras model gives what the file gives on LiteRT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgekit import tolerances
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, RAW, ZERO_TO_ONE, Preprocessing
from edgekit.jobs import ModelRequest, export_model, load_source
from edgekit.jobs.model_files import read_model
from edgekit.tflite import Precision, convert, parse, schema
from edgekit.tflite.executors import outputs_of
from edgekit.tflite.flatbuffer import pack

Images = npt.NDArray[np.float32]
INT8_ERROR = 0.1
"""Largest distance of an 8-bit file's output from that of the float network that its integers stand for, relative to the largest:
every layer rounds to 8 bits, some steps of 1 / 256 of its range."""


def every_op() -> Any:
    """Every op that is read from files, as TensorFlow's converter writes it, but those of TensorFlow 1."""
    from edgekit.keras_models.layers.activations import CUSTOM_ACTIVATIONS
    from edgekit.keras_models.layers.backend import tf_keras
    from edgekit.keras_models.layers.custom_layers import ChannelSlice

    tf_keras.utils.set_random_seed(3)
    layers = tf_keras.layers
    image = layers.Input((16, 16, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu6", name="stem")(layers.ZeroPadding2D(1)(image))
    x = layers.Activation(CUSTOM_ACTIVATIONS["hard_swish"])(layers.DepthwiseConv2D(3, name="deep")(x))
    y = layers.Conv2D(8, 1, activation="swish", name="swished")(x)
    gate = layers.Conv2D(8, 1, activation=CUSTOM_ACTIVATIONS["relu6_sigmoid"], name="gate")(layers.GlobalAveragePooling2D(keepdims=True)(y))
    x = layers.Add()([x, layers.Multiply()([y, gate])])
    x = layers.Concatenate()([layers.MaxPooling2D(2)(x), layers.AveragePooling2D(2)(layers.LeakyReLU(0.1)(x))])
    x = layers.Conv2DTranspose(6, 2, strides=2, activation="tanh", name="wider")(layers.UpSampling2D(2)(x))
    x = ChannelSlice(1, 4, name="some")(layers.MaxPooling2D(3, 2, padding="same")(layers.ReLU()(x)))
    x = layers.BatchNormalization()(layers.Conv2D(6, 1, activation="elu", name="last")(x))
    x = layers.Activation("sigmoid")(layers.Dense(12, name="hidden")(layers.Flatten()(x)))
    return tf_keras.Model(image, layers.Softmax()(layers.Dense(5, name="head")(x)), name="every_op")


def mobilenet() -> Any:
    from edgekit.keras_models import build_model
    from edgekit.keras_models.weights.random import randomize

    model = build_model("mobilenet_v1", alpha=0.25, size=32, classes=10)
    randomize(model, images(16), 1)
    return model


def images(count: int, size: int = 32) -> Images:
    from edgekit.keras_models.training.images import photographs

    return photographs(size, count, 7)


MODELS = {"every op": (every_op, 16), "mobilenet_v1": (mobilenet, 32)}


def on_litert(content: bytes, inputs: Images) -> tuple[Images, npt.NDArray[np.float64]]:
    """Inputs as the file rounds them, and its outputs, both real."""
    subgraph = parse(content).subgraphs[0]
    source, result = (subgraph.tensors[int(indices[0])] for indices in (subgraph.inputs, subgraph.outputs))
    stored: Any = inputs
    if source.quantization is not None and source.quantization.scale is not None:
        limits = np.iinfo({9: np.int8, 3: np.uint8}[source.type])
        integers = np.clip(np.rint(inputs / source.quantization.scale[0]) + source.quantization.zeroPoint[0], limits.min, limits.max)
        inputs = ((integers - source.quantization.zeroPoint[0]) * source.quantization.scale[0]).astype(np.float32)
        stored = integers.astype(limits.dtype)
    outputs = outputs_of(content, stored, "xnnpack")[0].astype(np.float64)
    if result.quantization is not None and result.quantization.scale is not None:
        outputs = (outputs - result.quantization.zeroPoint[0]) * result.quantization.scale[0]
    return inputs, outputs


def read(content: bytes, folder: Path) -> Any:
    (folder / "net.tflite").write_bytes(content)
    return read_model(folder / "net.tflite").model


def assert_read(content: bytes, folder: Path, inputs: Images, tolerance: float) -> Any:
    """The file read in, compared with what LiteRT computes with it."""
    model = read(content, folder)
    inputs, expected = on_litert(content, inputs)
    np.testing.assert_allclose(np.asarray(model(inputs)), expected, rtol=0, atol=tolerance * float(np.abs(expected).max()))
    return model


@pytest.mark.parametrize("name", MODELS)
def test_a_float_file_that_tensorflow_converted(name: str, tmp_path: Path) -> None:
    make, size = MODELS[name]
    assert_read(convert(make(), Precision.FLOAT32), tmp_path, images(24, size), tolerances.FLOAT_KERNELS)


def test_an_8_bit_file_that_tensorflow_converted(tmp_path: Path) -> None:
    inputs = images(24, 16)
    content = convert(every_op(), Precision.INT8, inputs[:16])
    model = assert_read(content, tmp_path, inputs, INT8_ERROR)
    inputs, expected = on_litert(content, inputs)
    assert (np.asarray(model(inputs)).argmax(axis=1) == expected.argmax(axis=1)).mean() > 0.8


def test_the_8_bit_file_of_a_deep_network(tmp_path: Path) -> None:
    """28 random layers amplify what 8 bits round. The network that is read has the file's weights, so it is nearer than the original."""
    model, inputs = mobilenet(), images(24)
    content = convert(model, Precision.INT8, inputs[:16])
    inputs, expected = on_litert(content, inputs)
    distances = [np.abs(np.asarray(one(inputs)) - expected).mean() for one in (read(content, tmp_path), model)]
    assert distances[0] < distances[1]


def quantized(
    kind: int, shape: tuple[int, ...], scale: float | list[float], zero_point: int, name: str, buffer: int = 0, axis: int = 0
) -> Any:
    scales = np.atleast_1d(np.asarray(scale, np.float32))
    quantization = schema.QuantizationParametersT(
        scale=scales, zeroPoint=np.full(len(scales), zero_point, np.int64), quantizedDimension=axis
    )
    return schema.TensorT(shape=np.array(shape, np.int32), type=kind, buffer=buffer, name=name.encode(), quantization=quantization)


def tensorflow_1(clamped: float = 6.0) -> bytes:
    """A file as TensorFlow 1 quantized: uint8 throughout, pixels as they are, weights with a zero point, ReLU6 told by the range alone."""
    rng, types = np.random.default_rng(2), schema.TensorType
    weights, biases = rng.integers(0, 256, (4, 3, 3, 3)).astype(np.uint8), rng.integers(-500, 500, 4).astype(np.int32)
    tensors = [
        quantized(types.UINT8, (1, 8, 8, 3), 1 / 128, 128, "input"),
        quantized(types.UINT8, weights.shape, 0.01, 120, "conv/weights", 1),
        quantized(types.INT32, (4,), 0.01 / 128, 0, "conv/biases", 2),
        quantized(types.UINT8, (1, 4, 4, 4), clamped / 255, 0, "conv/Relu6"),
    ]
    options = schema.Conv2DOptionsT(padding=schema.Padding.SAME, strideW=2, strideH=2)
    conv = schema.OperatorT(
        opcodeIndex=0, inputs=np.array([0, 1, 2], np.int32), outputs=np.array([3], np.int32), builtinOptions=options, builtinOptionsType=1
    )
    code = schema.OperatorCodeT(builtinCode=schema.BuiltinOperator.CONV_2D, deprecatedBuiltinCode=3, version=1)
    buffers = [schema.BufferT(), *(schema.BufferT(data=np.frombuffer(one.tobytes(), np.uint8)) for one in (weights, biases))]
    graph = schema.SubGraphT(
        tensors=tensors, inputs=np.array([0], np.int32), outputs=np.array([3], np.int32), operators=[conv], name=b"toco"
    )
    return pack(schema.ModelT(version=3, operatorCodes=[code], subgraphs=[graph], buffers=buffers, description=b""))


def one_op(kind: str, options: Any, given: tuple[int, ...], constants: dict[str, Any], shape: tuple[int, ...]) -> bytes:
    """A float file of one op: `given` and `shape` are of its input and output, constants are its further inputs."""
    types, number = schema.TensorType, getattr(schema.BuiltinOperator, kind)
    arrays = [np.asarray(value) for value in constants.values()]
    kinds = {"f": types.FLOAT32, "i": types.INT32}
    tensors = [schema.TensorT(shape=np.array(given, np.int32), type=types.FLOAT32, buffer=0, name=b"input")]
    for buffer, (name, value) in enumerate(zip(constants, arrays, strict=True), start=1):
        kind_of = kinds[value.dtype.kind]
        tensors.append(schema.TensorT(shape=np.array(value.shape, np.int32), type=kind_of, buffer=buffer, name=name.encode()))
    tensors.append(schema.TensorT(shape=np.array(shape, np.int32), type=types.FLOAT32, buffer=0, name=b"place"))
    indices = np.arange(len(tensors), dtype=np.int32)
    op = schema.OperatorT(opcodeIndex=0, inputs=indices[:-1], outputs=indices[-1:], builtinOptions=options)
    op.builtinOptionsType = 0 if options is None else getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T"))
    graph = schema.SubGraphT(tensors=tensors, inputs=indices[:1], outputs=indices[-1:], operators=[op], name=b"one")
    buffers = [schema.BufferT(), *(schema.BufferT(data=np.frombuffer(one.tobytes(), np.uint8)) for one in arrays)]
    code = schema.OperatorCodeT(builtinCode=number, deprecatedBuiltinCode=min(number, 127), version=1)
    return pack(schema.ModelT(version=3, operatorCodes=[code], subgraphs=[graph], buffers=buffers, description=b""))


def real(*shape: int) -> Images:
    return np.random.default_rng(6).normal(0, 0.5, shape).astype(np.float32)


SAME = schema.Padding.SAME
ONE_OP: dict[str, tuple[str, Any, tuple[int, ...], dict[str, Any], tuple[int, ...]]] = {
    "groups": (
        *("CONV_2D", schema.Conv2DOptionsT(padding=SAME, strideW=2, strideH=1), (1, 5, 6, 8)),
        *({"w": real(4, 3, 3, 4), "b": real(4)}, (1, 5, 3, 4)),
    ),
    "slice": ("SLICE", schema.SliceOptionsT(), (1, 4, 5, 8), {"at": np.int32([0, 0, 0, 2]), "size": np.int32([1, 4, 5, 3])}, (1, 4, 5, 3)),
    "slice to the end": (
        *("SLICE", schema.SliceOptionsT(), (1, 4, 5, 8)),
        *({"at": np.int32([0, 0, 0, 6]), "size": np.int32([-1, -1, -1, -1])}, (1, 4, 5, 2)),
    ),
    "gelu": ("GELU", schema.GeluOptionsT(approximate=False), (1, 4, 5, 8), {}, (1, 4, 5, 8)),
    "pad by zeros": (
        "PADV2",
        schema.PadV2OptionsT(),
        (1, 4, 5, 3),
        {"by": np.int32([[0, 0], [1, 2], [0, 3], [0, 0]]), "v": np.float32(0)},
        (1, 7, 8, 3),
    ),
    "div": ("DIV", schema.DivOptionsT(), (1, 4, 5, 3), {"by": np.float32([2, -4, 0.3])}, (1, 4, 5, 3)),
    "squeeze": ("SQUEEZE", schema.SqueezeOptionsT(squeezeDims=np.int32([1, 2])), (1, 1, 1, 6), {}, (1, 6)),
    "squeeze one": ("SQUEEZE", schema.SqueezeOptionsT(squeezeDims=np.int32([1])), (1, 1, 7, 6), {}, (1, 7, 6)),
}
REFUSED_OPS: dict[str, tuple[tuple[str, Any, tuple[int, ...], dict[str, Any], tuple[int, ...]], str]] = {
    "slice of rows": (
        ("SLICE", schema.SliceOptionsT(), (1, 4, 5, 8), {"at": np.int32([0, 1, 0, 0]), "size": np.int32([1, 3, 5, 8])}, (1, 3, 5, 8)),
        r"op 'place' \(SLICE\) of the TFLite file takes a part along other axes than the channels",
    ),
    "gelu by tanh": (("GELU", schema.GeluOptionsT(approximate=True), (1, 4, 5, 8), {}, (1, 4, 5, 8)), r"\(GELU\) .* is GELU by tanh"),
    "pad by ones": (
        (
            "PADV2",
            schema.PadV2OptionsT(),
            (1, 4, 5, 3),
            {"by": np.int32([[0, 0], [1, 1], [1, 1], [0, 0]]), "v": np.float32(1)},
            (1, 6, 7, 3),
        ),
        r"\(PADV2\) .* or by other values than 0",
    ),
    "div by zero": (("DIV", schema.DivOptionsT(), (1, 4, 5, 3), {"by": np.float32([2, 0, 1])}, (1, 4, 5, 3)), r"\(DIV\) .* divides by 0"),
    "div of a constant": (
        ("DIV", schema.DivOptionsT(), (1, 4, 5, 3), {"by": real(5, 1)}, (1, 4, 5, 3)),
        r"\(DIV\) .* one number a channel",
    ),
}


@pytest.mark.parametrize("name", ONE_OP)
def test_ops_that_keras_models_seldom_become(name: str, tmp_path: Path) -> None:
    content = one_op(*ONE_OP[name])
    assert_read(content, tmp_path, real(4, *ONE_OP[name][2][1:]), tolerances.FLOAT_KERNELS)


@pytest.mark.parametrize("name", REFUSED_OPS)
def test_what_such_ops_may_not_do(name: str, tmp_path: Path) -> None:
    made, message = REFUSED_OPS[name]
    with pytest.raises(UnsupportedLayer, match=message):
        read(one_op(*made), tmp_path)


@pytest.mark.parametrize(("clamped", "kind"), [(6.0, "relu6"), (4.0, "relu")])
def test_a_file_that_tensorflow_1_quantized(clamped: float, kind: str, tmp_path: Path) -> None:
    """Converters drop an activation where the output's range clamps alike; it comes back. uint8 inputs say what pixels mean."""
    model = assert_read(tensorflow_1(clamped), tmp_path, images(8, 8) if clamped == 6.0 else images(8, 8) * 0.3, 0.01)
    assert model.layers[-1].name.endswith(kind)
    assert read_model(tmp_path / "net.tflite").preprocessing == Preprocessing((128.0,), (128.0,))


@pytest.mark.parametrize(
    ("scale", "zero_point", "pixels"),
    [
        (1.0, -128, RAW),
        (1 / 255, -128, ZERO_TO_ONE),
        (0.996 / 255, -128, ZERO_TO_ONE),
        (2 / 255, -1, MINUS_ONE_TO_ONE),
        (4.76 / 255, -14, None),
        (0.8 / 255, -128, None),
    ],
)
def test_what_pixels_are_by_the_range_of_an_int8_input(scale: float, zero_point: int, pixels: Preprocessing | None, tmp_path: Path) -> None:
    """The range that it was calibrated with is that of pixels, or one of the two usual ones; ImageNet's deviations leave it open."""
    model = parse(tensorflow_1())
    image = model.subgraphs[0].tensors[0]
    image.type, image.quantization = schema.TensorType.INT8, quantized(9, (1,), scale, zero_point, "").quantization
    (tmp_path / "net.tflite").write_bytes(pack(model))
    assert read_model(tmp_path / "net.tflite").preprocessing == pixels


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.INT8])
def test_layers_that_normalize_are_part_of_the_table_in_a_file_too(precision: Precision, tmp_path: Path) -> None:
    from edgekit.keras_models.layers.backend import tf_keras

    layers, pixels = tf_keras.layers, np.rint((images(32, 16) + 1) * 127.5).astype(np.float32)
    image = layers.Input((16, 16, 3))
    x = layers.Normalization(mean=(120.0, 110.0, 100.0), variance=(60.0**2, 50.0**2, 40.0**2))(image)
    model = tf_keras.Model(image, layers.Dense(4)(layers.Flatten()(layers.Conv2D(4, 3, strides=2, padding="same")(x))))
    (tmp_path / "net.tflite").write_bytes(convert(model, precision, pixels))
    source = load_source(ModelRequest(str(tmp_path / "net.tflite")))
    assert not source.assumed and isinstance(source.keras.layers[1], layers.Conv2D)
    np.testing.assert_allclose(source.preprocessing.mean, (120, 110, 100), rtol=0.01)
    np.testing.assert_allclose(source.preprocessing.std, (60, 50, 40), rtol=0.01)


def test_an_input_of_uint8_that_is_cast(tmp_path: Path) -> None:
    from edgekit.keras_models.layers.backend import tf, tf_keras

    layers = tf_keras.layers
    image = layers.Input((8, 8, 3), dtype="uint8")
    model = tf_keras.Model(image, layers.Flatten()(layers.Conv2D(3, 3, padding="same")(layers.Rescaling(1 / 127.5, offset=-1.0)(image))))
    content = tf.lite.TFLiteConverter.from_keras_model(model).convert()
    (tmp_path / "net.tflite").write_bytes(content)
    read = read_model(tmp_path / "net.tflite")
    pixels = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)
    np.testing.assert_allclose(np.asarray(read.model(pixels.astype(np.float32))), np.asarray(model(pixels)), rtol=0, atol=1e-5)
    assert read.preprocessing == RAW


def test_what_is_not_read_is_refused_by_name_and_place(tmp_path: Path) -> None:
    def changed(change: Callable[[Any], None]) -> Path:
        model = parse(tensorflow_1())
        change(model)
        (tmp_path / "net.tflite").write_bytes(pack(model))
        return tmp_path / "net.tflite"

    def custom(model: Any) -> None:
        model.operatorCodes[0] = schema.OperatorCodeT(builtinCode=32, deprecatedBuiltinCode=32, customCode=b"EdgeTpu", version=1)

    def options(**values: Any) -> Callable[[Any], None]:
        return lambda model: vars(model.subgraphs[0].operators[0].builtinOptions).update(values)

    refused: list[tuple[Callable[[Any], None], type[EdgekitError], str]] = [
        (custom, UnsupportedLayer, r"op 'conv/Relu6' \(EdgeTpu\) of the TFLite file is not read; supported are ADD, "),
        (
            options(fusedActivationFunction=2),
            UnsupportedLayer,
            r"op 'conv/Relu6' \(CONV_2D\) of the TFLite file has the activation RELU_N1_TO_1",
        ),
        (options(strideW=0), UnsupportedLayer, "has kernel .* strides"),
        (options(strideW=1), EdgekitError, r"gives shape \(4, 8, 4\), where the file says \(4, 4, 4\)"),
        (lambda model: setattr(model.subgraphs[0], "outputs", np.array([1], np.int32)), EdgekitError, "that no op gives"),
        (lambda model: setattr(model.subgraphs[0].tensors[0], "shape", np.array([2, 8, 8, 3], np.int32)), EdgekitError, "batch 1"),
        (lambda model: setattr(model.subgraphs[0].tensors[3], "shape", np.array([1, 4096, 4096, 9], np.int32)), EdgekitError, "more than"),
        (lambda model: setattr(model.subgraphs[0].tensors[1].quantization, "scale", np.array([-1], np.float32)), EdgekitError, "damaged"),
        (lambda model: model.subgraphs.append(model.subgraphs[0]), EdgekitError, "2 subgraphs"),
    ]
    for change, error, message in refused:
        with pytest.raises(error, match=message):
            read_model(changed(change))


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    whole, rng, refused = tensorflow_1(), np.random.default_rng(5), 0
    for _ in range(60):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), int(rng.integers(1, 4))):
            content[place] = int(rng.integers(256))
        (tmp_path / "net.tflite").write_bytes(content)
        try:
            assert read_model(tmp_path / "net.tflite").model.inputs
        except EdgekitError as error:
            refused += bool(str(error))
    assert 5 < refused < 55


def test_the_exact_file_of_a_bundle_is_told_from_a_model(tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(tensorflow_1())
    done = export_model(ModelRequest(str(tmp_path / "net.tflite")), target="rpi4", output=tmp_path / "out")
    assert not any("assuming" in note for note in (*done.warnings, *done.notes))
    with pytest.raises(EdgekitError, match=r"belongs to an exact bundle; its network is the integer graph beside it: give '.*model\.onnx'"):
        read_model(tmp_path / "out" / "model.tflite")
