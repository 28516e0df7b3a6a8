"""Products of two activations in the quantized twin: their rounding, their binary points, and the gates that users write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from folded_twin import folded_twin
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import integer_graphs, random_inputs

from edgekit import tolerances
from edgekit.errors import UnsupportedLayer
from edgekit.executor import Artifact
from edgekit.graph import (
    Activation,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    MatMul,
    Multiply,
    Slice,
    Tensor,
    check,
    quantize_input,
    run,
)
from edgekit.keras_models.layers.backend import tf, tf_keras
from edgekit.keras_models.qfx.binary_point import BinaryPoint
from edgekit.keras_models.qfx.executors import EXECUTORS
from edgekit.keras_models.qfx.freeze import freeze
from edgekit.keras_models.qfx.layers import QKerasLayers
from edgekit.keras_models.qfx.model import unquantized
from edgekit.keras_models.qfx.quantize import quantize, transfer
from edgekit.keras_models.qfx.quantizers import QFXActivation, QFXInput, QFXProduct, QFXProductBias, half_up
from edgekit.keras_models.reading.replay import replay
from edgekit.keras_models.weights.random import randomize
from edgekit.keras_models.zoo.vocabulary import ONE_CELL, Act, Function

Layers = tf_keras.layers


@settings(max_examples=200)
@given(st.integers(-(2**24), 2**24), st.integers(0, 30))
def test_half_up_is_the_graphs_shift(accumulator: int, n: int) -> None:
    real = tf.constant(np.ldexp(np.float32(accumulator), -n))
    assert int(half_up(real)) == (accumulator + ((1 << n) >> 1)) >> n


def test_the_image_alone_rounds_ties_to_even() -> None:
    ties = np.array([-1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    assert QFXInput(BinaryPoint("image"), signed=True)(ties).numpy().tolist() == [-2, 0, 0, 2, 2]
    assert quantize_input(Tensor("image", (5,), True, 0), ties).tolist() == [-2, 0, 0, 2, 2]
    assert QFXActivation(BinaryPoint("other"), signed=True)(ties).numpy().tolist() == [-1, 0, 1, 2, 3]


def test_a_products_binary_point_is_at_most_the_sum_of_its_operands() -> None:
    x, y, product = BinaryPoint("x", 3.0), BinaryPoint("y", 1.0), BinaryPoint("product", 7.0)
    QFXProduct(product, x, y, signed=True)
    assert float(product.rounded()) == 4.0
    y.assign(6.0)
    assert float(product.rounded()) == 7.0
    shared = BinaryPoint("sum", 20.0)
    product.share(shared)
    assert float(shared.rounded()) == 9.0  # what shares a product's binary point shares its limit
    with tf.GradientTape() as tape:
        limited = shared.rounded()
    assert [float(g) for g in tape.gradient(limited, [x.variable, y.variable])] == [16.0, 16.0]  # training moves what limits it


def test_a_product_that_is_added_to_its_own_operand_ends() -> None:
    x, gate = BinaryPoint("x", 3.0), BinaryPoint("gate", 8.0)
    product = BinaryPoint("product", 5.0)
    QFXProduct(product, x, gate, signed=True)
    product.share(x)
    assert float(x.rounded()) == 3.0


def test_a_bias_of_a_matrix_product_is_any_whole_number() -> None:
    bias = QFXProductBias(BinaryPoint("x", 2.0), BinaryPoint("y", 1.0))
    assert (bias(tf.constant([0.0, 0.12, 0.13, -1.0])).numpy() * 8).tolist() == [0, 1, 1, -8]


PRODUCTS = (Multiply, MatMul, Slice, DepthwiseConv2DTranspose, DepthwiseConv2D)


@settings(max_examples=6)
@given(graph=integer_graphs(PRODUCTS, length=4), seed=st.integers(0, 2**32 - 1))
def test_keras_gives_the_references_integers(graph: IntegerGraph, seed: int) -> None:
    keras, artifact = EXECUTORS[0], Artifact(graph=graph)
    if keras.missing(artifact):
        return
    inputs = random_inputs(np.random.default_rng(seed), graph)
    with keras.open(artifact, lambda _: None) as execute:
        found = execute(inputs)
    for name, values in run(graph, inputs).items():
        assert np.array_equal(found[name], values), name


@pytest.mark.parametrize("bias", [1 << 14, (1 << 24) + 1, -(1 << 27) - 1, (1 << 27) + (1 << 18)])
def test_an_accumulator_that_float32_does_not_hold_is_computed_in_double(bias: int) -> None:
    """Halves are met, which float32 would move: the bias is half a step, and one less or more."""
    tensors = {"x": Tensor("x", (1, 2, 3), True, 0), "out": Tensor("out", (1, 2, 2), True, -20)}
    op = MatMul("out", ("x", "x"), "out", 1, True, np.full((1, 1, 1), bias, np.int32))
    graph = IntegerGraph("one", tensors, (op,), "x", ("out",))
    check(graph)
    inputs = np.concatenate([np.zeros((1, 1, 2, 3), np.int8), np.random.default_rng(0).integers(-128, 128, (300, 1, 2, 3), np.int8)])
    with EXECUTORS[0].open(Artifact(graph=graph), lambda _: None) as execute:
        assert np.array_equal(execute(inputs)["out"], run(graph, inputs)["out"])


# --- models as users write them --------------------------------------------------------------------------------------------


def squeezed(write_gate: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """A model with squeeze-and-excite as `write_gate` (map, pooled vector) multiplies it in; and images."""
    image = Layers.Input((9, 9, 3))
    x = Layers.Conv2D(8, 3, padding="same", activation="relu")(image)
    gate = Layers.Dense(8, activation="sigmoid")(Layers.Dense(4, activation="relu")(Layers.GlobalAveragePooling2D()(x)))
    x = Layers.Conv2D(6, 1)(write_gate(x, gate))
    model = tf_keras.Model(image, Layers.Dense(5)(Layers.GlobalAveragePooling2D()(x)))
    images = np.random.default_rng(5).uniform(-1, 1, (8, 9, 9, 3)).astype(np.float32)
    randomize(model, images, 1)
    return model, images


@pytest.mark.parametrize(
    "write_gate",
    [
        lambda x, gate: Layers.Multiply(name="gate")([x, Layers.Reshape((1, 1, 8))(gate)]),
        lambda x, gate: Layers.Multiply(name="gate")([gate, x]),
        lambda x, gate: Layers.Multiply(name="gate")([x, Layers.Conv2D(8, 1, activation="tanh")(x)]),
        lambda x, gate: Layers.Multiply(name="gate")([Layers.Conv2D(8, 1)(x), Layers.Conv2D(8, 1)(x)]),
    ],
    ids=["as a map", "as a vector, first", "of all cells", "two maps"],
)
def test_gates_as_users_write_them(write_gate: Callable[[Any, Any], Any]) -> None:
    model, images = squeezed(write_gate)
    twin = quantize(model, images).model
    graph = freeze(twin)
    assert [op.name for op in graph.ops if isinstance(op, Multiply)] == ["gate"]
    output = graph.tensors[graph.outputs[0]]
    integers = run(graph, quantize_input(graph.tensors[graph.input], images))
    assert np.array_equal(np.ldexp(twin(images).numpy().astype(np.float64), output.binary_point), integers[output.name])
    in_float = folded_twin(model)
    with unquantized(in_float):
        floats, expected = in_float(images).numpy(), model(images).numpy()
    assert np.abs(floats - expected).max() <= tolerances.FLOAT32_FOLDED * np.abs(expected).max()


def test_a_products_gain_is_that_of_both_and_the_next_layer_takes_it_in() -> None:
    """A mean over 9 cells is kept as sum / 16: times itself, (9 / 16)**2 of the float's."""
    image = Layers.Input((3, 3, 2))
    mean = Layers.GlobalAveragePooling2D(keepdims=True)(image)
    model = tf_keras.Model(image, Layers.Flatten()(Layers.Conv2D(4, 1, name="reader")(Layers.Multiply()([mean, mean]))))
    images = np.random.default_rng(5).uniform(-1, 1, (8, 3, 3, 2)).astype(np.float32)
    layers = QKerasLayers()
    twin, weights, _ = replay(model, layers)
    transfer(weights, twin, layers.weight_gains)
    assert layers.weight_gains["reader"] == pytest.approx((16 / 9) ** 2)
    with unquantized(twin):
        np.testing.assert_allclose(twin(images).numpy().ravel(), model(images).numpy().ravel(), atol=1e-6)


def refused(layers: Any, image: Any) -> list[tuple[Any, str]]:
    x = layers.Conv2D(4, 1)(image)
    return [
        (layers.Multiply(name="mask")([x, layers.Conv2D(1, 1)(x)]), r"layer 'mask' .* gate has its map's shape or \(1, 1, channels\)"),
        (layers.Multiply(name="three")([x, x, x]), "layer 'three' .* has 3 inputs"),
    ]


def test_what_no_product_of_the_graph_is() -> None:
    image = Layers.Input((6, 6, 4))
    for output, message in refused(Layers, image):
        with pytest.raises(UnsupportedLayer, match=message):
            replay(tf_keras.Model(image, output), QKerasLayers())


def test_attention_takes_signed_operands() -> None:
    layers = QKerasLayers()
    x = layers.input((2, 2, 4))
    positive = layers.conv(x, "values", 4, ONE_CELL, Act(Activation.RELU, "values_relu"))
    with pytest.raises(UnsupportedLayer, match="layer 'attend' takes queries, keys and values that may be negative"):
        layers.relu_attention(x, x, positive, "attend", 2)


def test_channels_of_a_tensor_are_a_slice() -> None:
    layers = QKerasLayers()
    x = source = layers.input((2, 2, 6))
    x = layers.conv(x, "wide", 6, ONE_CELL, Act(Function.TANH, "wide_tanh"))
    x = layers.conv(layers.channels(x, "some", 1, 3), "last", 2, ONE_CELL)
    graph = freeze(layers.model(source, x, "sliced"))
    (slice_,) = (op for op in graph.ops if isinstance(op, Slice))
    assert (slice_.start, graph.tensors["some"].shape) == (1, (2, 2, 3))
