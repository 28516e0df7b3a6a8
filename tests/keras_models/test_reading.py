"""Keras models as they are read: every argument is honoured or refused, and what is read computes what Keras computes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folded_twin import folded_twin

from edgekit.errors import UnsupportedLayer
from edgekit.keras_models.files.model_files import LAYERS, QKERAS_LAYERS, custom_objects, load_model, save_model
from edgekit.keras_models.layers.formulas import Clipped, Elu, Thresholded, parse
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.qfx.model import unquantized
from edgekit.keras_models.qfx.quantize import quantize
from edgekit.keras_models.reading.arguments import DROPPED, ENDINGS, HONOURED, ONLY, WITHOUT_EFFECT
from edgekit.keras_models.reading.inference import inference_form
from edgekit.keras_models.reading.nested import in_float32
from edgekit.keras_models.reading.replay import READERS
from edgekit.keras_models.reading.table import ROWS, table
from edgekit.keras_models.weights.random import randomize
from edgekit.tolerances import FLOAT32_FOLDED, QUANTIZED_COSINE

keras = import_keras()
layers = keras.layers


def images_for(model: Any) -> Any:
    """Random inputs, and random weights in every tensor of the model."""
    rng = np.random.default_rng(5)
    images = rng.normal(0, 1, (6, *model.input_shape[1:])).astype(np.float32)
    randomize(model, images, seed=1)
    for layer in model.layers:  # what that leaves at zero: means, alphas, pointwise kernels
        drawn = [rng.normal(0, 0.5, w.shape) if w.dtype == np.float32 and not w.any() else w for w in layer.get_weights()]
        layer.set_weights(drawn)
    return images


def agree(actual: Any, expected: Any) -> None:
    assert actual.shape == expected.shape
    assert (np.ptp(expected, axis=0) > 0).any()
    assert np.abs(actual - expected).max() <= FLOAT32_FOLDED * max(1.0, np.abs(expected).max())


def both_forms_agree(model: Any) -> None:
    """The inference form, and the quantized twin before anything is rounded, compute what Keras computes."""
    images = images_for(model)
    expected = model(images, training=False).numpy()
    agree(inference_form(model)(images).numpy(), expected)
    twin = folded_twin(model)
    with unquantized(twin):
        agree(twin(images).numpy(), expected)


def keras_class(name: str) -> Any:
    from tf_keras.src.layers.core.tf_op_layer import TFOpLambda

    return TFOpLambda if name == "TFOpLambda" else custom_objects().get(name) or getattr(layers, name)


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_argument_is_honoured_or_without_effect_or_has_one_value(name: str) -> None:
    for argument in list(inspect.signature(keras_class(name).__init__).parameters)[1:]:
        lists = (
            argument in HONOURED[name],
            argument in WITHOUT_EFFECT or argument.endswith(ENDINGS) or argument in DROPPED.get(name, ()),
            argument in ONLY and argument not in HONOURED[name],
        )
        assert sum(lists) == 1, f"{name}({argument}) is in {sum(lists)} lists"


def test_the_lists_name_no_layer_that_has_no_reader() -> None:
    assert set(HONOURED) == set(READERS)


CHANNELS_FIRST: dict[str, Callable[..., Any]] = {
    "GlobalAveragePooling2D": layers.GlobalAveragePooling2D,
    "GlobalMaxPooling2D": layers.GlobalMaxPooling2D,
    "Flatten": layers.Flatten,
    "MaxPooling2D": layers.MaxPooling2D,
    "AveragePooling2D": layers.AveragePooling2D,
    "ZeroPadding2D": layers.ZeroPadding2D,
}


@pytest.mark.parametrize("name", CHANNELS_FIRST)
def test_channels_first_is_refused_by_name(name: str) -> None:
    image = layers.Input((6, 6, 6))
    x = CHANNELS_FIRST[name](data_format="channels_first", name="turned")(image)
    model = keras.Model(image, layers.Flatten()(x))
    for read in (inference_form, folded_twin):
        with pytest.raises(UnsupportedLayer, match=rf"'turned' \({name}\) has data_format=channels_first"):
            read(model)


@pytest.mark.parametrize("axis", [1, 2])
def test_a_softmax_over_rows_is_refused(axis: int) -> None:
    image = layers.Input((4, 5, 3))
    model = keras.Model(image, layers.Softmax(axis=axis, name="rows")(layers.Conv2D(2, 1)(image)))
    for read in (inference_form, folded_twin):
        with pytest.raises(UnsupportedLayer, match=rf"'rows' \(Softmax\) has axis {axis}"):
            read(model)


def test_a_layer_that_trains_in_inference_is_refused() -> None:
    image = layers.Input((4, 4, 3))
    model = keras.Model(image, layers.BatchNormalization(name="norm")(image, training=True))
    with pytest.raises(UnsupportedLayer, match=r"'norm' .* has training=True where the model calls it"):
        inference_form(model)
    both_forms_agree(keras.Model(image, layers.Conv2D(2, 1)(layers.BatchNormalization()(image, training=False))))


# --- an activation is the function that it computes -------------------------------------------------------------------------


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "leaky": lambda x: layers.LeakyReLU(0.2)(x),
    "elu": lambda x: layers.ELU(0.7)(x),
    "relu of a bound": lambda x: layers.ReLU(0.6)(x),
    "relu of a slope": lambda x: layers.ReLU(None, 0.125)(x),
    "relu of all": lambda x: layers.ReLU(0.9, 0.25, 0.1)(x),
}
OF_QKERAS = {
    "quantized_relu(20,0)": lambda x: np.clip(x, 0, 1),
    "quantized_relu(20,1,negative_slope=0.25)": lambda x: np.clip(np.where(x < 0, x / 4, x), -0.5, 2),
    "quantized_bits(20,0,alpha=1)": lambda x: np.clip(x, -1, 1),
    "quantized_bits(20,0,keep_negative=0,alpha=1)": lambda x: np.clip(x, 0, 1),
    "quantized_sigmoid(20)": lambda x: np.clip(x / 2 + 0.5, 0, 1),
    "quantized_sigmoid(20,use_real_sigmoid=1)": lambda x: 1 / (1 + np.exp(-x)),
    "quantized_tanh(20)": lambda x: np.clip(x, -1, 1),
    "quantized_tanh(20,use_real_tanh=1)": np.tanh,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
}
"""qkeras' quantizers, of so many bits that their rounding is nothing, and what they compute as qkeras documents it."""


def activated(activate: Callable[[Any], Any]) -> Any:
    """The function behind a convolution, behind a pool, and at the end."""
    image = layers.Input((5, 5, 3))
    x = layers.MaxPooling2D(2, 1)(activate(layers.Conv2D(4, 3, padding="same")(image)))
    return keras.Model(image, activate(layers.Dense(5)(layers.Flatten()(activate(x)))))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_activations_of_keras(name: str) -> None:
    both_forms_agree(activated(FUNCTIONS[name]))


@pytest.mark.parametrize("text", OF_QKERAS)
def test_activations_of_qkeras(text: str) -> None:
    import qkeras

    both_forms_agree(activated(lambda x: qkeras.QActivation(text)(x)))
    image = layers.Input((1, 1, 1))
    model = keras.Model(image, qkeras.QActivation(text)(layers.DepthwiseConv2D(1, depthwise_initializer="ones")(image)))
    values = np.linspace(-4, 4, 81, dtype=np.float32).reshape(-1, 1, 1, 1)
    agree(inference_form(model)(values).numpy(), OF_QKERAS[text](values.astype(np.float64)))


def test_the_bound_of_few_bits_is_in_the_table() -> None:
    import qkeras

    image = layers.Input((4, 4, 1))
    x = layers.DepthwiseConv2D(1, depthwise_initializer="ones", name="wide")(image)
    model = keras.Model(image, layers.Conv2D(1, 1, kernel_initializer="ones")(qkeras.QActivation("quantized_relu(6,0)")(x)))
    images = np.linspace(-3, 3, 64, dtype=np.float32).reshape(4, 4, 4, 1)
    predicted = quantize(model, images).model.predict_on_batch(images)
    assert np.abs(predicted - np.clip(images, 0, 63 / 64)).max() < 0.05


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("quantized_bits(1,0,alpha=1)", "of one bit"),
        ("quantized_bits(4,0,alpha='auto')", "with alpha=auto"),
        ("ternary()", "the activation 'ternary'"),
        ("quantized_relu(6,0,use_sigmoid=1)", "with use_sigmoid=1"),
    ],
)
def test_activations_that_depend_on_more_are_refused(text: str, message: str) -> None:
    import qkeras

    image = layers.Input((4, 4, 3))
    model = keras.Model(image, qkeras.QActivation(text, name="act")(layers.Conv2D(2, 1)(image)))
    with pytest.raises(UnsupportedLayer, match=rf"layer 'act' \(QActivation\) has .*{message}"):
        inference_form(model)


@pytest.mark.parametrize("formula", [Clipped(), Clipped(0.0, 63 / 64, 0.0), Thresholded(0.1, slope=1e-9), Elu(0.3)])
def test_a_formula_is_read_from_its_text(formula: Any) -> None:
    assert parse(formula.value) == formula
    assert parse("relu") is None and parse("clipped(a)") is None and parse("elu(1,2)") is None


# --- cells of zeros ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [5, 6])
@pytest.mark.parametrize("between", ["nothing", "relu", "too much"])
def test_zeros_in_front_of_a_max_pool_count(between: str, size: int) -> None:
    image = layers.Input((size, size, 3))
    x = layers.Conv2D(4, 1, activation="relu" if between == "relu" else None)(image)
    x = layers.ZeroPadding2D(3 if between == "too much" else ((0, 1), (0, 1)))(x)
    both_forms_agree(keras.Model(image, layers.MaxPooling2D(3, 2)(x)))


def test_zeros_in_front_of_anything() -> None:
    image = layers.Input((5, 5, 3))
    x = layers.ZeroPadding2D(1)(image)
    both_forms_agree(keras.Model(image, layers.Add()([layers.Conv2D(3, 1)(x), layers.Activation("tanh")(x)])))


# --- models inside models ---------------------------------------------------------------------------------------------------


def base(name: str) -> Any:
    image = layers.Input((8, 8, 3))
    x = layers.BatchNormalization(name="bn")(layers.Conv2D(4, 3, name="conv")(image))
    x = layers.ReLU(6.0, name="relu")(x)
    return keras.Model(image, layers.Add(name="add")([x, layers.Conv2D(4, 1, name="side")(x)]), name=name)


def transfer_learning() -> Any:
    image = layers.Input((8, 8, 3), name="image")
    x = base("base")(image, training=False)
    return keras.Model(image, layers.Dense(3, name="conv")(layers.GlobalAveragePooling2D()(layers.Conv2D(5, 2)(x))))


def teachable_machine() -> Any:
    features = keras.Sequential([base("base"), layers.GlobalAveragePooling2D()])
    head = keras.Sequential([layers.Dense(10, activation="relu"), layers.Dense(3, use_bias=False, activation="softmax")])
    return keras.Sequential([features, head])


@pytest.mark.parametrize("make", [transfer_learning, teachable_machine])
def test_models_inside_models_are_flattened(make: Callable[[], Any]) -> None:
    model = make()
    images = images_for(model)
    exported = inference_form(model)
    agree(exported(images).numpy(), model(images).numpy())
    names = [layer.name for layer in exported.layers]
    assert {"conv", "side", "add"} <= set(names) and len(set(names)) == len(names)
    predicted = quantize(model, images).model.predict_on_batch(images)
    logits = np.log(model(images).numpy()) if make is teachable_machine else model(images).numpy()
    centred = [one - one.mean(axis=-1, keepdims=True) for one in (predicted.reshape(logits.shape), logits)]
    cosine = np.sum(centred[0] * centred[1]) / np.prod([np.linalg.norm(one) for one in centred])
    assert cosine > QUANTIZED_COSINE


@pytest.mark.parametrize("outside", [False, True])
def test_mixed_float16_is_read_and_converted_in_float32(outside: bool) -> None:
    image = layers.Input((6, 6, 3))
    x = layers.Conv2D(4, 3, activation="relu", dtype="mixed_float16")(image)
    x = layers.Permute((2, 1, 3), dtype="mixed_float16")(x) if outside else x
    model = keras.Model(image, layers.Dense(3, dtype="mixed_float16")(layers.Flatten(dtype="mixed_float16")(x)))
    images = images_for(model)
    exported = in_float32(model) if outside else inference_form(model)
    assert {layer.compute_dtype for layer in exported.layers} == {"float32"}
    assert in_float32(exported) is exported
    expected = model(images).numpy().astype(np.float32)
    np.testing.assert_allclose(exported(images).numpy(), expected, rtol=0, atol=1e-2 * np.abs(expected).max())


def test_a_model_that_is_used_twice_is_named() -> None:
    inside = keras.Sequential([layers.Input((4, 4, 3)), layers.Conv2D(3, 1)], name="inside")
    image = layers.Input((4, 4, 3))
    with pytest.raises(UnsupportedLayer, match="layer 'inside' is used 2 times"):
        inference_form(keras.Model(image, inside(inside(image))))


def test_two_outputs_are_refused_by_name(tmp_path: Any) -> None:
    image = layers.Input((4, 4, 3))
    x = layers.Conv2D(3, 1, name="map")(image)
    model = keras.Model(image, [x, layers.Flatten(name="flat")(x)], name="two")
    with pytest.raises(UnsupportedLayer, match="model 'two' has 1 inputs and 2 outputs"):
        inference_form(model)
    save_model(model, tmp_path / "two.keras")
    with pytest.raises(UnsupportedLayer, match=r"has 2 outputs \(map, flat\)"):
        load_model(tmp_path / "two.keras")


# --- common layers that have no verb of their own ---------------------------------------------------------------------------


SIMPLE: dict[str, Callable[[Any], Any]] = {
    "augmentation": lambda x: layers.RandomFlip()(layers.RandomRotation(0.1)(layers.RandomZoom(0.1)(layers.RandomContrast(0.1)(x)))),
    "noise": lambda x: layers.GaussianNoise(0.5)(layers.AlphaDropout(0.2)(layers.GaussianDropout(0.2)(x))),
    "crop of the same size": lambda x: layers.RandomCrop(6, 7)(x),
    "prelu": lambda x: layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_normal")(x),
    "prelu of a vector": lambda x: layers.PReLU()(layers.Dense(6)(layers.GlobalMaxPooling2D()(x))),
    "upsampling": lambda x: layers.UpSampling2D(3)(x),
    "cropping": lambda x: layers.Cropping2D(((1, 2), (0, 3)))(x),
    "sum of three": lambda x: layers.Add()([x, layers.Conv2D(4, 1)(x), layers.ReLU()(x)]),
    "difference": lambda x: layers.Subtract()([x, layers.Conv2D(4, 1)(x)]),
    "bias of a vector": lambda x: layers.Add()([x, layers.Dense(4)(layers.GlobalMaxPooling2D()(x))]),
    "bias of one cell": lambda x: layers.Add()([layers.Dense(4)(layers.GlobalMaxPooling2D(keepdims=True)(x)), x]),
    "depthwise of two": lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same")(x),
    "separable of two": lambda x: layers.SeparableConv2D(5, 3, depth_multiplier=2)(x),
    "groups": lambda x: layers.Conv2D(6, 3, groups=2, activation="relu")(x),
    **{
        f"transposed {kernel}, {stride}, {padding}": lambda x, kernel=kernel, stride=stride, padding=padding: layers.Conv2DTranspose(
            3, kernel, stride, padding
        )(x)
        for kernel, stride in ((2, 2), (3, 1), (3, 2), (4, 2), (2, 3), ((3, 4), 2))
        for padding in ("same", "valid")
    },
}


@pytest.mark.parametrize("name", SIMPLE)
def test_common_layers(name: str) -> None:
    image = layers.Input((6, 7, 3))
    both_forms_agree(keras.Model(image, SIMPLE[name](layers.Conv2D(4, 1)(image))))


def test_layers_of_qkeras() -> None:
    import qkeras

    weights = {"kernel_quantizer": "quantized_bits(5,1,alpha=1)", "bias_quantizer": "quantized_bits(8,2,alpha=1)"}
    image = layers.Input((8, 8, 3))
    x = qkeras.QConv2DBatchnorm(4, 3, **weights)(image)
    x = qkeras.QBatchNormalization()(layers.ReLU()(x))
    x = qkeras.QSeparableConv2D(5, 3, depthwise_quantizer="quantized_bits(5,1,alpha=1)", pointwise_quantizer="quantized_bits(5,1,alpha=1)")(
        x
    )
    x = qkeras.QAveragePooling2D(2, average_quantizer="quantized_bits(4,0,alpha=1)", activation="quantized_bits(20,4,alpha=1)")(x)
    x = layers.Flatten()(qkeras.QGlobalAveragePooling2D(average_quantizer="quantized_bits(3,0,alpha=1)")(x))
    both_forms_agree(keras.Model(image, layers.Dense(3)(x)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: layers.Add(name="named")([x, layers.Conv2D(1, 1)(x)]), r"inputs of shape \(6, 6, 4\) and \(6, 6, 1\)"),
        (lambda x: layers.UpSampling2D((2, 1), name="named")(x), r"size=\(2, 1\)"),
        (lambda x: layers.UpSampling2D(2, interpolation="bilinear", name="named")(x), "interpolation=bilinear"),
        (lambda x: layers.RandomCrop(4, 4, name="named")(x), "another size"),
        (lambda x: layers.PReLU(name="named")(x), "an alpha a cell"),
        (lambda x: layers.Conv2DTranspose(2, 3, (1, 2), name="named")(x), r"strides=\(1, 2\)"),
        (lambda x: layers.Conv2DTranspose(2, 3, 2, output_padding=1, name="named")(x), r"output_padding=\(1, 1\)"),
        (lambda x: layers.AveragePooling2D(3, 2, padding="same", name="named")(x), "padding"),
    ],
)
def test_what_they_cannot_be_is_named(make: Callable[[Any], Any], message: str) -> None:
    image = layers.Input((6, 6, 3))
    model = keras.Model(image, make(layers.Conv2D(4, 1)(image)))
    for read in (inference_form, folded_twin):
        with pytest.raises(UnsupportedLayer, match=rf"layer 'named' \(\w+\) has .*{message}"):
            read(model)


def test_zeros_in_front_of_a_mean_count() -> None:
    image = layers.Input((6, 6, 3))
    x = layers.AveragePooling2D(2)(layers.ZeroPadding2D(1)(layers.Conv2D(4, 1)(image)))
    both_forms_agree(keras.Model(image, layers.Dense(3)(layers.Flatten()(x))))


# --- sequences --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pool", [layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D, layers.Flatten])
def test_sequences(pool: Any) -> None:
    x = source = layers.Input((16, 3))
    x = layers.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")(x)
    x = layers.Conv1D(6, 3, strides=2, padding="same", groups=2)(layers.MaxPooling1D(2, 1, padding="same")(x))
    x = layers.Dense(4)(layers.SpatialDropout1D(0.2)(layers.ReLU()(layers.BatchNormalization()(x))))
    x = layers.Concatenate()([layers.AveragePooling1D(2)(x), layers.Conv1D(4, 2, 2)(x)])
    both_forms_agree(keras.Model(source, layers.Dense(3)(pool()(x))))


def test_a_sequence_ends_as_one() -> None:
    both_forms_agree(keras.Sequential([layers.Input((7, 3)), layers.Dense(4, activation="relu"), layers.Conv1D(2, 3)]))


# --- docs/layers.md ---------------------------------------------------------------------------------------------------------


def test_the_page_of_layers_is_the_readers_table() -> None:
    named = [name for classes, _ in ROWS for name in classes]
    assert sorted(named) == sorted(READERS)
    page = (Path(__file__).resolve().parents[2] / "docs" / "layers.md").read_text()
    assert table() in page, "print it with `python -m edgekit.keras_models.reading.table`"


def test_every_layer_that_is_read_may_be_in_a_file() -> None:
    ours = {"DepthwiseUpsampling2D", "LayerScale", "ProgressiveNorm", "OffsetAttention", "ReluAttention", "ChannelSlice"}
    assert set(READERS) - ours <= LAYERS | QKERAS_LAYERS


# --- arithmetic -------------------------------------------------------------------------------------------------------------


def with_arithmetic(image: Any) -> Any:
    x = (image / 127.5 - 1.0) * np.array([1.0, 2.0, 0.5], np.float32)
    x = layers.Conv2D(3, 1)(2.0 - x)
    return x + layers.Conv2D(3, 1)(x) + np.float32(0.25)


@pytest.mark.parametrize("mode", ["tf", "torch", "by hand"])
@pytest.mark.filterwarnings("ignore:The `keras.constraints.serialize")
def test_arithmetic_with_constants_comes_from_a_file(mode: str, tmp_path: Path) -> None:
    image = layers.Input((6, 6, 3))
    x = with_arithmetic(image) if mode == "by hand" else keras.applications.imagenet_utils.preprocess_input(image, mode=mode)
    model = keras.Model(image, layers.Conv2D(4, 3)(x))
    both_forms_agree(model)
    for suffix in (".keras", ".h5"):
        model.save(tmp_path / f"model{suffix}")
        loaded = load_model(tmp_path / f"model{suffix}")
        both_forms_agree(loaded)


def test_other_functions_of_tensorflow_are_not_loaded(tmp_path: Path) -> None:
    import tensorflow as tf

    image = layers.Input((6, 6, 3))
    keras.Model(image, layers.Conv2D(4, 3)(tf.math.sin(image))).save(tmp_path / "model.keras")
    with pytest.raises(UnsupportedLayer, match=r"is or has a TFOpLambda of 'math.sin'"):
        load_model(tmp_path / "model.keras")
