"""From a float model to integers: reading and folding, binary points, freezing, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from folded_twin import folded_twin
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from own_models import MODELS, built
from random_graphs import integer_graphs, random_inputs

from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.executor import Artifact
from edgekit.graph import equal, quantize_input, run
from edgekit.graph.check import WEIGHT_MAX
from edgekit.keras_models.qfx.binary_point import BinaryPoint
from edgekit.keras_models.qfx.calibrate import _activation_error, best_weight_point, calibrate
from edgekit.keras_models.qfx.executors import EXECUTORS
from edgekit.keras_models.qfx.freeze import freeze
from edgekit.keras_models.qfx.layers import QKerasLayers
from edgekit.keras_models.qfx.model import unquantized
from edgekit.keras_models.qfx.precision import Precisions, WeightPrecision
from edgekit.keras_models.qfx.quantize import build_qkeras_model, quantize
from edgekit.keras_models.qfx.quantizers import QFXActivation
from edgekit.keras_models.qfx.thaw import thaw
from edgekit.keras_models.training.images import photographs
from edgekit.keras_models.weights.random import randomize
from edgekit.keras_models.zoo.build import build_model
from edgekit.keras_models.zoo.vocabulary import ONE_CELL
from edgekit.tolerances import FLOAT32_FOLDED

NETWORKS = (("mobilenet_v1", 0.25), pytest.param("mobilenet_v2", 0.35, marks=pytest.mark.slow))


def network(name: str, alpha: float) -> tuple[Any, Any]:
    model = build_model(name, alpha=alpha, size=32, classes=10)
    images = photographs(32, 8, seed=2)
    randomize(model, images, 1)
    return model, images


def logits(model: Any, images: Any) -> Any:
    """Of a model that may end in a softmax, in float32."""
    last = model.layers[-1]
    if getattr(getattr(last, "activation", None), "__name__", "") == "softmax" or type(last).__name__ == "Softmax":
        from edgekit.keras_models.layers.legacy_keras import import_keras

        if last.weights:  # the softmax is the end of a Dense
            last.activation = import_keras().activations.linear
            return model(images, training=False).numpy()
        return import_keras().Model(model.inputs, last.input)(images, training=False).numpy()
    return model(images, training=False).numpy()


def agree(expected: Any, actual: Any) -> None:
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= FLOAT32_FOLDED * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize(("name", "alpha"), NETWORKS)
def test_a_networks_twin_computes_its_logits_and_has_the_layers_of_the_table(name: str, alpha: float) -> None:
    model, images = network(name, alpha)
    twin = folded_twin(model)
    with unquantized(twin):
        agree(model(images, training=False).numpy(), twin(images).numpy())

    def shapes(one: Any) -> dict[str, list[tuple[int, ...]]]:
        return {layer.name: [tuple(w.shape) for w in layer.weights] for layer in one.layers if layer.weights}

    assert shapes(twin) == shapes(build_qkeras_model(name, alpha=alpha, size=32, classes=10))
    assert len(shapes(twin)) > 25


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("mean_last", "qkeras")])
def test_so_does_that_of_a_users_model(name: str) -> None:
    model, images = built(name)
    twin = folded_twin(model)
    with unquantized(twin):
        agree(logits(model, images), twin(images).numpy())


def test_a_mean_that_ends_a_model_is_a_known_multiple() -> None:
    model, images = built("mean_last")
    twin = folded_twin(model)
    with unquantized(twin):
        agree(logits(model, images) * np.float32(144 / 256), twin(images).numpy())


@pytest.mark.parametrize("name", ["branches", "swish", "pre_activation", "pooled_head", "qkeras"])
def test_the_frozen_graph_gives_what_keras_predicts(name: str) -> None:
    model, images = built(name)
    quantized = quantize(model, images).model
    graph = freeze(quantized)
    output = graph.tensors[graph.outputs[0]]
    integers = run(graph, quantize_input(graph.tensors[graph.input], images))[output.name]
    predicted = np.ldexp(quantized.predict_on_batch(images).astype(np.float64), output.binary_point)
    assert np.array_equal(predicted.reshape(integers.shape), integers)
    assert len(np.unique(integers)) > 4


@pytest.mark.parametrize("name", ["branches", "swish", "odd_means", "qkeras"])
def test_thawing_and_freezing_again_changes_nothing(name: str) -> None:
    model, images = built(name)
    graph = freeze(quantize(model, images).model)
    assert equal(freeze(thaw(graph)[0], graph.name), graph)


def test_k_hot_weights_have_few_bits() -> None:
    model, images = built("branches")
    graph = freeze(quantize(model, images, precisions=Precisions(WeightPrecision(k_hot=2))).model)
    weights = [op.weights for op in graph.ops if hasattr(op, "weights")]
    assert max(bin(abs(int(w))).count("1") for kernel in weights for w in np.unique(kernel)) == 2


# --- binary points ---------------------------------------------------------------------------------------------------------


def weight_error(w: Any, f: Any) -> float:
    """What quantization to multiples of 4 in -124..124 at binary point f loses."""
    step = 4 * 2.0 ** -float(f)
    return float(np.sum((w - np.clip(np.rint(w / step), -31, 31) * step) ** 2))


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), scale=st.integers(-12, 12))
def test_a_weights_binary_point_loses_no_more_than_that_of_its_maximum(seed: int, scale: int) -> None:
    rng = np.random.default_rng(seed)
    w = np.ldexp(rng.standard_t(2, (3, 3, 4, 2)), scale).astype(np.float32)  # heavy tails: outliers that are worth saturating
    chosen = best_weight_point(w, 3)
    for channel in range(2):
        column = w[..., channel].astype(np.float64)
        of_maximum = np.floor(np.log2(WEIGHT_MAX / np.abs(column).max()))
        assert of_maximum <= chosen[channel] <= of_maximum + 4
        assert weight_error(column, chosen[channel]) <= weight_error(column, of_maximum)


def test_one_outlier_is_saturated_where_the_others_gain_more() -> None:
    w = np.full((1, 1, 100, 1), 0.051, np.float32)
    w[0, 0, 0] = 0.25  # holds 0.25: steps of 4 / 256. Twice as fine ends at 0.242
    of_maximum = np.floor(np.log2(WEIGHT_MAX / 0.25))
    chosen = best_weight_point(w, 3)[0]
    assert chosen > of_maximum
    assert weight_error(w, chosen) < weight_error(w, of_maximum)


@pytest.mark.parametrize(
    ("weights", "expected", "reason"),
    [
        ([124.0, 4.0], 0, "the largest level fills the range at binary point 0"),
        ([125.0, 4.0], 0, "125 saturates to 124 at 0, which loses less than 4 at -1 would"),
        ([0.0, 0.0], 0, "nothing to hold: every binary point is as good, the first one stands"),
        ([31.0, 31.0], 2, "all finer ones lose nothing until 31 leaves the range; of equals the coarsest that is exact"),
    ],
)
def test_weights_at_the_ends(weights: list[float], expected: int, reason: str) -> None:
    kernel = np.array(weights, np.float32).reshape(1, 1, 2, 1)
    assert weight_error(kernel, best_weight_point(kernel, 3)[0]) <= weight_error(kernel, expected), reason
    if weights[0] in (124.0, 0.0):
        assert best_weight_point(kernel, 3)[0] == (expected if weights[0] else best_weight_point(kernel, None)), reason


def test_an_activations_binary_point_saturates_outliers_but_the_outputs_does_not(rng: np.random.Generator) -> None:
    """Two identical layers on heavy-tailed inputs: the one in the middle gives up outliers, the last one keeps its largest value."""
    layers = QKerasLayers()
    x = source = layers.input((1, 1, 1))
    x = layers.conv(x, "middle", 1, ONE_CELL)
    model = layers.model(source, layers.conv(x, "last", 1, ONE_CELL), "two")
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    values = rng.normal(0, 1, (4000, 1, 1, 1)).astype(np.float32)
    values[0] = 9.0  # 127 / 16 = 7.94 does not hold it, and every other value is then twice as fine
    calibrate(model, values)
    found = {layer.quantizer.point.name: float(layer.quantizer.point.value()) for layer in model.layers if hasattr(layer, "quantizer")}
    assert found["last"] == 3.0  # 127 / 8 = 15.9 holds 9
    assert found["middle"] == 4.0
    quantizer = QFXActivation(BinaryPoint("x"), signed=True)
    errors = {f: _activation_error(quantizer, values.ravel().astype(np.float64), f) for f in (3.0, 4.0, 5.0, 6.0)}
    assert errors[found["middle"]] == min(errors.values()) < errors[3.0]


def test_calibration_needs_images_and_finite_numbers() -> None:
    model, images = built("sequential")
    with pytest.raises(EdgekitError, match="at least one image"):
        quantize(model, images[:0])
    with pytest.raises(EdgekitError, match="gives infinities or NaN on the calibration images"):
        quantize(model, np.full_like(images, np.inf))
    model.layers[0].set_weights([np.full(w.shape, np.nan) for w in model.layers[0].get_weights()])
    with pytest.raises(EdgekitError, match=r"layer 'conv2d.*' holds NaN or infinite weights"):
        quantize(model, images)


# --- the executor ----------------------------------------------------------------------------------------------------------


@settings(max_examples=8)
@given(graph=integer_graphs(length=5), seed=st.integers(0, 2**32 - 1))
def test_keras_gives_the_references_integers_on_random_graphs(graph: Any, seed: int) -> None:
    keras = EXECUTORS[0]
    artifact = Artifact(graph=graph)
    reason = keras.missing(artifact)
    assume(reason is None or "which Keras does not take together" not in reason)  # strides and dilation
    assert reason is None
    inputs = random_inputs(np.random.default_rng(seed), graph)
    with keras.open(artifact, lambda _: None) as execute:
        found = execute(inputs)
    expected = run(graph, inputs)
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        assert np.array_equal(found[name], values), name


# --- what has no exact form ------------------------------------------------------------------------------------------------


def unsupported(layers: Any, image: Any) -> dict[str, tuple[Any, str]]:
    """Layer or tensor, and the message that names it."""
    conv = layers.Conv2D(4, 3, padding="same")
    return {
        "strange": (layers.Activation("softsign", name="s")(conv(image)), ""),
        "rows": (layers.Concatenate(axis=1, name="rows")([image, image]), r"layer 'rows' \(Concatenate\) has axis 1"),
        "same": (
            layers.AveragePooling2D(padding="same", pool_size=3, name="same")(image),
            r"layer 'same' \(AveragePooling2D\) has padding",
        ),
        "mixed": (
            layers.Concatenate(name="mixed")([conv(image), layers.ReLU()(layers.Conv2D(4, 1)(image))]),
            "layer 'mixed' joins tensors",
        ),
    }


def test_what_has_no_exact_form_is_named() -> None:
    from edgekit.keras_models.layers.legacy_keras import import_keras

    keras = import_keras()
    image = keras.layers.Input((8, 8, 3))
    for name, (output, message) in unsupported(keras.layers, image).items():
        if not message:
            folded_twin(keras.Model(image, output))
            continue
        with pytest.raises(UnsupportedLayer, match=message):
            folded_twin(keras.Model(image, output))
            pytest.fail(name)
