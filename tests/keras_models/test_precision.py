"""Word lengths and K-hot weights: which integers there are, where they tie, what the binary point learns, and the file by layer."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from own_models import built

from edgekit.errors import EdgekitError, UnknownName
from edgekit.graph import Conv2D, Dense, DepthwiseConv2D, check
from edgekit.keras_models.files.model_files import load_model, save_model
from edgekit.keras_models.layers.backend import tf
from edgekit.keras_models.qfx.binary_point import BinaryPoint, binary_points_by_name
from edgekit.keras_models.qfx.calibrate import best_weight_point
from edgekit.keras_models.qfx.freeze import freeze
from edgekit.keras_models.qfx.model import quantizers
from edgekit.keras_models.qfx.precision import Precisions, WeightPrecision, read_precisions
from edgekit.keras_models.qfx.quantize import quantize
from edgekit.keras_models.qfx.quantizers import QFXWeight, on_levels


def integers(values: list[float], bits: int, k_hot: int | None = None) -> list[int]:
    """What weights of these sizes, in units of 4, become, in the same units; at binary point 0."""
    quantizer = QFXWeight(BinaryPoint("kernel"), BinaryPoint("in"), BinaryPoint("out"), None, k_hot, bits=bits)
    return [int(q) // 4 for q in quantizer(tf.constant(values) * 4.0).numpy()]


@pytest.mark.parametrize(("bits", "largest"), [(3, 3), (4, 7), (5, 15), (6, 31)])
def test_every_level_of_a_word_length_and_no_other(bits: int, largest: int) -> None:
    assert integers([float(w) for w in range(-40, 41)], bits) == [max(-largest, min(largest, w)) for w in range(-40, 41)]


@pytest.mark.parametrize("bits", [3, 4, 5, 6])
def test_ties_of_a_word_length(bits: int) -> None:
    top = 2 ** (bits - 1) - 1
    assert integers([0.5, 1.5, 2.5, -0.5, -1.5], bits) == [0, 2, 2, 0, -2]  # half-way goes to the even level
    # The largest level is odd, so half a step above it rounds up and saturates, and half a step below it rounds down.
    assert integers([top + 0.5, top - 0.5, -top - 0.5], bits) == [top, top - 1, -top]


@pytest.mark.parametrize("bits", [3, 4, 5, 6])
@pytest.mark.parametrize("k_hot", [1, 2, 3, 4, 5])
def test_k_hot_levels_are_the_sums_of_at_most_k_powers_of_two(bits: int, k_hot: int) -> None:
    powers = [2**i for i in range(bits - 1)]
    sums = {sum(some) for count in range(k_hot + 1) for some in combinations(powers, count)}
    precision = WeightPrecision(bits, k_hot)
    assert set(precision.levels) == sums
    assert list(precision.levels) == sorted(sums)
    found = integers(np.linspace(-35, 35, 1401).tolist(), bits, k_hot)
    assert set(found) == sums | {-level for level in sums}


@pytest.mark.parametrize(
    ("w", "expected", "reason"),
    [
        (2.9, 2, "below half-way between 2 and 4"),
        (3.0, 2, "half-way goes towards 0"),
        (3.1, 4, "nearest of 2 and 4; rounding to 3 first would give 2"),
        (-3.0, -2, "towards 0 on this side too"),
        (11.9, 8, "half-way between 8 and 16 is 12"),
        (31.0, 16, "saturates at the largest power of two"),
        (0.5, 0, "half-way between 0 and 1"),
    ],
)
def test_ties_of_1_hot(w: float, expected: int, reason: str) -> None:
    assert integers([w], 6, 1) == [expected], reason


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(3, 6), k_hot=st.sampled_from([1, 2, 3]))
def test_a_k_hot_weight_is_the_nearest_one(seed: int, bits: int, k_hot: int) -> None:
    rng = np.random.default_rng(seed)
    w = rng.normal(0, 2**bits / 3, 200).astype(np.float32)
    levels = np.array(WeightPrecision(bits, k_hot).levels)
    both = np.concatenate([-levels, levels])
    nearest = np.abs(w[:, None].astype(np.float64) - both).min(axis=1)
    found = np.abs(w.astype(np.float64) - np.array(integers(w.tolist(), bits, k_hot)))
    assert np.array_equal(found, nearest)


def test_k_hot_gradients_are_those_of_the_formula() -> None:
    x, upstream = np.array([0.8, -0.6, 9.0], np.float32), np.array([1.0, 2.0, 3.0], np.float32)
    f = tf.Variable(2.0)
    variable = tf.Variable(x)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(on_levels(variable, f, tf.constant([0.0, 1, 2, 4, 8, 16])) * upstream)
    by_x, by_f = tape.gradient(y, [variable, f])
    values = np.array([1.0, -0.5, 4.0])  # 3.2 steps are nearer to 4, -2.4 to -2; 36 steps saturate at 16
    inside = np.array([1, 1, 0])
    assert by_x.numpy().tolist() == [1.0, 2.0, 0.0]
    np.testing.assert_allclose(float(by_f), np.log(2) * np.sum((x * inside - values) * upstream), rtol=1e-6)


@pytest.mark.parametrize(("bits", "k_hot"), [(3, None), (4, None), (6, 1), (6, 2)])
def test_a_binary_point_is_chosen_for_the_levels_that_there_are(bits: int, k_hot: int | None, rng: np.random.Generator) -> None:
    precision = WeightPrecision(bits, k_hot)
    w = rng.normal(0, 0.1, (3, 3, 4, 5)).astype(np.float32)
    chosen = best_weight_point(w, 3, precision)

    def error(f: Any) -> Any:
        step = 4 * 2.0 ** -np.asarray(f, np.float64)
        both = np.array(sorted({s * level for level in precision.levels for s in (-1, 1)}))
        distance = np.abs(w.astype(np.float64)[..., None] / step[:, None] - both).min(axis=-1)
        return np.sum((distance * step) ** 2, axis=(0, 1, 2))

    for other in range(-2, 12):
        assert (error(chosen) <= error(np.full(5, other)) * (1 + 1e-9)).all()


@pytest.mark.parametrize(("bits", "k_hot"), [(2, None), (7, None), (True, None), ("6", None), (6, 0), (6, 6), (6, 1.0)])
def test_numbers_that_there_are_not(bits: Any, k_hot: Any) -> None:
    with pytest.raises(EdgekitError, match=r"3 to 6|1 to 5"):
        WeightPrecision(bits, k_hot)


def test_of_several_patterns_the_last_one_counts() -> None:
    precisions = Precisions(WeightPrecision(5), {"block_*": WeightPrecision(4), "block_1?": WeightPrecision(3, 1)})
    assert [precisions.of(name).bits for name in ("Conv1", "block_2", "block_12", "block_1")] == [5, 4, 3, 4]
    precisions.check_names(["block_12", "Conv1"])
    with pytest.raises(UnknownName, match=r"unknown layer with weights 'block_1\?'. Did you mean block_"):
        precisions.check_names(["block_2", "block_3"])


def test_a_file_says_only_what_differs(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text('{"*": {"k_hot": 2}, "head": {"weight_bits": 6, "k_hot": null}, "a": {"weight_bits": 3}}')
    precisions = read_precisions(tmp_path / "p.json", WeightPrecision(5, 3))
    assert precisions == Precisions(
        WeightPrecision(5, 3), {"*": WeightPrecision(5, 2), "head": WeightPrecision(6, None), "a": WeightPrecision(3, 3)}
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "is no JSON object"),
        ('{"a": 4}', "layers 'a': 4 has not the form"),
        ('{"a": {"bits": 4}}', "has not the form"),
        ('{"a": {"weight_bits": 7}}', "layers 'a': weights have 3 to 6 significant bits, not 7"),
        ('{"a": {"weight_bits": null}}', "significant bits, not None"),
        ('{"a": {"k_hot": 0}}', "K-hot weights have 1 to 5 non-zero bits, not 0"),
        ('{"a": {"k_hot": true}}', "non-zero bits, not True"),
        (json.dumps({"a": "x" * (1 << 20)}), "larger than 1,048,576 bytes"),
    ],
)
def test_files_that_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "p.json").write_text(content)
    with pytest.raises(EdgekitError, match=message):
        read_precisions(tmp_path / "p.json")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match=r"cannot read .*: No such file"):
        read_precisions(tmp_path / "p.json")


def test_a_quantizer_of_an_earlier_file_has_six_bits_and_one_of_a_strange_file_is_refused() -> None:
    config = QFXWeight(BinaryPoint("kernel"), BinaryPoint("in"), BinaryPoint("out"), None).get_config()
    del config["bits"]
    with binary_points_by_name():
        assert QFXWeight.from_config(config).precision == WeightPrecision(6)
    for strange in ({"bits": 10**6}, {"bits": 2.5}, {"k_hot": -1}, {"k_hot": "2"}):
        with binary_points_by_name(), pytest.raises(EdgekitError, match=r"bits, not"):
            QFXWeight.from_config({**config, **strange})


def test_each_layer_has_its_own_and_keeps_it_in_the_file(tmp_path: Path) -> None:
    model, images = built("branches")
    # A mean's constant weight is not trained, and needs its own binary point only.
    named = [layer.name for layer in quantize(model, images).model.layers if getattr(layer, "quantizers", ()) and layer.trainable]
    first, last = named[0], named[-1]
    precisions = Precisions(WeightPrecision(4), {first: WeightPrecision(6, 1), last: WeightPrecision(3)})
    quantized = quantize(model, images, precisions=precisions).model
    for layer in quantized.layers:
        for quantizer in getattr(layer, "quantizers", ()) if layer.trainable else ():
            if isinstance(quantizer, QFXWeight):
                best = best_weight_point(layer.get_weights()[0], quantizer.channel_axis, precisions.of(layer.name))
                assert np.array_equal(quantizer.point.value(), best), layer.name
    graph = freeze(quantized)
    check(graph)
    seen = set()
    for op in graph.ops:
        if isinstance(op, Conv2D | DepthwiseConv2D | Dense) and op.name in named:
            precision = precisions.of(op.name)
            assert {abs(int(w)) // 4 for w in np.unique(op.weights)} <= set(precision.levels), op.name
            seen.add(precision)
    assert len(seen) == 3
    save_model(quantized, tmp_path / "own.keras")
    again = load_model(tmp_path / "own.keras")
    weights = [one.precision for one in quantizers(again) if isinstance(one, QFXWeight)]
    assert weights == [one.precision for one in quantizers(quantized) if isinstance(one, QFXWeight)]
    with pytest.raises(UnknownName, match=f"Did you mean {first}"):
        quantize(model, images, precisions=Precisions(layers={first + "x": WeightPrecision(3)}))
