"""QFX quantizers: the numbers they make, their gradients, and what training and saving do with binary points."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.accuracy import Accuracy
from edgekit.graph import Activation, Window
from edgekit.images.preprocessing import IMAGENET
from edgekit.keras_models.files.model_files import load_model, read_notes, save_model
from edgekit.keras_models.layers.backend import tf, tf_keras
from edgekit.keras_models.qfx.binary_point import BinaryPoint
from edgekit.keras_models.qfx.layers import QKerasLayers
from edgekit.keras_models.qfx.model import QFXModel, binary_points, unquantized
from edgekit.keras_models.qfx.quantizers import QFXActivation, QFXBias, QFXWeight, fixed_point, legal_weight_point, power_of_two
from edgekit.keras_models.zoo.vocabulary import ONE_CELL, Act, Function


def points(f_in: float = 0.0, f_w: Any = 0.0, f_out: float = 0.0) -> tuple[BinaryPoint, BinaryPoint, BinaryPoint]:
    return BinaryPoint("in", f_in), BinaryPoint("kernel", f_w), BinaryPoint("out", f_out)


def test_power_of_two_is_exact_over_the_range_of_normal_floats() -> None:
    exponents = np.arange(-126, 128, dtype=np.float32)
    assert power_of_two(tf.constant(exponents)).numpy().tolist() == [2.0**e for e in exponents.tolist()]


@pytest.mark.parametrize(
    ("x", "expected", "reason"),
    [
        (0.124, 0.0, "below half a step"),
        (0.125, 0.25, "half a step is a tie and goes up to 1"),
        (0.375, 0.5, "one and a half steps is a tie and goes up to 2"),
        (0.125 * (1 - 2**-24), 0.0, "the float below half a step: adding 1/2 in float32 would round it up"),
        (0.126, 0.25, "above half a step"),
        (63.75, 63.75, "255 steps, the largest"),
        (63.9, 63.75, "saturates"),
        (-0.1, 0.0, "an unsigned tensor has nothing below 0"),
    ],
)
def test_an_unsigned_activation_at_binary_point_2(x: float, expected: float, reason: str) -> None:
    quantizer = QFXActivation(BinaryPoint("a", 2.0), signed=False)
    assert float(quantizer(tf.constant(x))) == expected, reason


def test_relu6_clamps_at_six_not_at_the_end_of_the_type() -> None:
    quantizer = QFXActivation(BinaryPoint("a", 5.0), signed=False, clamp=Activation.RELU6)
    assert quantizer(tf.constant([5.99, 6.0, 7.9, -1.0])).numpy().tolist() == [6.0, 6.0, 6.0, 0.0]  # 5.99 is 191.68 steps
    fine = QFXActivation(BinaryPoint("b", 6.0), signed=False, clamp=Activation.RELU6)
    assert float(fine(tf.constant(5.0))) == 255 / 64  # the type ends before 6


@settings(max_examples=200)
@given(f_in=st.integers(-8, 12), f_w=st.integers(-30, 40), f_out=st.integers(-8, 12))
def test_a_weights_binary_point_is_always_legal_and_moved_as_little_as_can_be(f_in: int, f_w: int, f_out: int) -> None:
    legal = float(legal_weight_point(tf.constant(float(f_w)), tf.constant(float(f_in)), tf.constant(float(f_out))))
    allowed = [n for n in range(-7, 17) if n != 2]
    assert legal + f_in - f_out in allowed
    assert abs(legal - f_w) == min(abs(n - f_in + f_out - f_w) for n in allowed)


@settings(max_examples=100)
@given(data=st.data(), k_hot=st.sampled_from([None, 1, 2, 3]))
def test_weights_and_biases_are_on_the_lattice(data: st.DataObject, k_hot: int | None) -> None:
    seed = data.draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    f_in, f_out = rng.integers(-2, 9, 2)
    f_w = rng.integers(-4, 14, 5)
    source, kernel, target = points(float(f_in), f_w.astype(np.float32), float(f_out))
    w = (rng.normal(size=(3, 3, 2, 5)) * np.exp2(rng.uniform(-8, 8))).astype(np.float32)
    b = (rng.normal(size=5) * np.exp2(rng.uniform(-8, 12))).astype(np.float32)
    weight = QFXWeight(kernel, source, target, 3, k_hot)
    legal = weight.binary_point().numpy()
    levels = np.ldexp(weight(tf.constant(w)).numpy().astype(np.float64), legal.astype(int))
    assert np.array_equal(levels % 4, np.zeros_like(levels))
    assert np.abs(levels).max() <= 124
    if k_hot is not None:
        assert max(bin(int(abs(level)) // 4).count("1") for level in levels.ravel()) <= k_hot
    biases = np.ldexp(QFXBias(kernel, source, target)(tf.constant(b)).numpy().astype(np.float64), (legal + f_in).astype(int))
    assert np.array_equal(biases % 4, np.full(5, 2.0))


def test_a_bias_rounds_to_the_nearest_number_of_2_modulo_4() -> None:
    source, kernel, target = points(0.0, 3.0, 0.0)  # one accumulator step is 1/8
    bias = QFXBias(kernel, source, target)
    steps = bias(tf.constant([0.0, 0.26, 0.49, 0.51, 1.0, -0.26])).numpy() * 8
    # 0 is a tie of -2 and 2 (level -0.5, to the even 0); 4 steps (0.5) divide 2 from 6; 8 is a tie of 6 and 10 (level 1.5, to 2)
    assert steps.tolist() == [2, 2, 2, 6, 10, -2]


def test_the_gradient_passes_inside_the_range_and_stops_outside() -> None:
    x = tf.constant([-3.0, 0.3, 100.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = fixed_point(x, tf.constant(2.0), 0.0, 255.0)
    assert tape.gradient(y, x).numpy().tolist() == [0.0, 1.0, 0.0]


def test_the_gradient_of_the_binary_point_is_that_of_the_formula() -> None:
    x, upstream = np.array([0.3, 100.0, -2.0], np.float32), np.array([1.0, 2.0, 3.0], np.float32)
    f = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(fixed_point(tf.constant(x), f, -128.0, 127.0) * upstream)
    values = np.array([0.25, 31.75, -2.0])  # q * 2**-f: 1, 127 (saturated) and -8 steps
    inside = np.array([1, 0, 1])
    expected = np.log(2) * np.sum((x * inside - values) * upstream)
    np.testing.assert_allclose(float(tape.gradient(y, f)), expected, rtol=1e-6)


def test_a_saturated_tensor_learns_a_coarser_binary_point() -> None:
    point = BinaryPoint("a", 6.0)  # reaches 3.98; the values reach 10
    quantizer, x = QFXActivation(point, signed=False), tf.constant(np.linspace(0, 10, 100, dtype=np.float32))
    optimizer = tf_keras.optimizers.Adam(0.002)
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((quantizer(x) - x) ** 2)
        optimizer.apply_gradients([(tape.gradient(loss, point.variable), point.variable)])
    assert float(point.rounded()) == 4.0  # reaches 15.9; 5 reaches 7.97


def small_model() -> QFXModel:
    layers = QKerasLayers()
    x = inputs = layers.input((6, 6, 3))
    x = layers.conv(x, "stem", 4, Window((3, 3)), Act(Activation.RELU6, "stem_relu"))
    y = layers.conv(x, "branch", 4, ONE_CELL)
    z = layers.conv(x, "other", 4, ONE_CELL, Act(Function.TANH, "other_tanh"))
    x = layers.dense(layers.global_pool(layers.add(y, z, "sum"), "pool"), "head", 5)
    return layers.model(inputs, x, "small")


def test_binary_points_are_trained_but_are_no_weights() -> None:
    model = small_model()
    assert [w.name.split(":")[0].split("/")[-1] for w in model.weights].count("binary_point") == 0
    names = {point.name for point in binary_points(model)}
    assert "stem/kernel" in names
    assert "branch" in names
    assert "sum" not in names  # the sum shares the branches' binary point
    assert "input" not in names  # images stay in their range
    assert "pool/kernel" not in names  # a mean has nothing to learn


def test_a_saved_model_comes_back_with_its_binary_points(tmp_path: Path, rng: np.random.Generator) -> None:
    model = small_model()
    for number, point in enumerate(binary_points(model)):
        point.assign(np.full(point.value().shape, 3.0 + number % 3, np.float32))
    model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    images = rng.uniform(-1, 1, (4, 6, 6, 3)).astype(np.float32)
    good = Accuracy(0.75, 4, "made up")
    save_model(model, tmp_path / "small.keras", IMAGENET, good)
    assert read_notes(tmp_path / "small.keras") == (IMAGENET, good)
    again = load_model(tmp_path / "small.keras")
    assert isinstance(again, QFXModel)
    assert np.array_equal(model(images), again(images))
    assert [p.name for p in binary_points(model)] == [p.name for p in binary_points(again)]


def test_unquantized_is_float_and_ends(rng: np.random.Generator) -> None:
    model = small_model()
    images = rng.uniform(-1, 1, (2, 6, 6, 3)).astype(np.float32)
    quantized = model(images).numpy()
    with unquantized(model):
        real = model(images).numpy()
    assert not np.array_equal(real, quantized)
    assert np.array_equal(model(images).numpy(), quantized)
