"""The numpy reference on vectors made by hand. That it equals loops over plain integers, for any graph, test_op_contract says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_graphs import one_layer

from edgekit.graph import (
    Conv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Padding,
    Tensor,
    check,
    quantize_input,
    run,
    same_padding,
)


def test_a_convolution_by_hand():
    """2x2 ones over 1 2 / 3 4, SAME: TensorFlow puts the odd row and column of zeros at the end."""
    source, output = Tensor("x", (2, 2, 1), False, 0), Tensor("y", (2, 2, 1), True, 0)
    padding = same_padding((2, 2), (2, 2), (1, 1))
    layer = Conv2D("layer", "x", "y", np.full((2, 2, 1, 1), 4, np.int8), np.array([2], np.int32), (0,), padding=padding)
    result = run(one_layer(layer, source, output), np.array([[[[1], [2]], [[3], [4]]]], np.uint8))["y"]
    assert result[0, :, :, 0].tolist() == [[42, 26], [30, 18]]


def products(x, y, shift, signed=True):
    """Multiply of each x with each y at that shift, a channel each pair."""
    source = Tensor("x", (1, 1, len(x)), True, 4)
    gate = Tensor("g", (1, 1, len(y)), True, 4)
    output = Tensor("y", (1, 1, len(x)), signed, 8 - shift)
    table = np.zeros(256, np.int8)
    table[np.array(x) + 128] = y  # the gate is a function of x, so that a graph of one input has both
    ops = (Lookup("table", "x", "g", table), Multiply("gate", ("x", "g"), "y"))
    graph = IntegerGraph("products", {t.name: t for t in (source, gate, output)}, ops, "x", ("y",))
    check(graph)
    return run(graph, np.array(x, np.int8).reshape(1, 1, 1, -1))["y"].ravel().tolist()


def test_products_round_half_up():
    """6 / 4 = 1.5 -> 2; -6 / 4 = -1.5 -> -1, not -2; 10 / 4 = 2.5 -> 3, where half to even gives 2; -2 / 4 -> 0."""
    assert products([2, -2, 5, -1], [3, 3, 2, 2], shift=2) == [2, -1, 3, 0]


def test_products_saturate_at_both_ends():
    """The largest product there is, 16384, and its neighbours, shifted by 7: 128 is 127, -127 stays; unsigned, 128 stays and -1 is 0."""
    assert products([-128, 127, 1], [-128, -128, -128], shift=7) == [127, -127, -1]
    assert products([-128, 127, 1], [-128, -128, -128], shift=7, signed=False) == [128, 0, 0]


def test_a_product_that_shifts_by_nothing():
    assert products([11, 12], [11, -11], shift=0) == [121, -128]


def test_heads_are_neighbouring_channels():
    """Two cells, two heads of one channel: scores[i, h * 2 + j] = x[i, h] * x[j, h], then weighted sums of x."""
    source, scores = Tensor("x", (1, 2, 2), True, 0), Tensor("s", (1, 2, 4), True, 0)
    ops = (
        MatMul("scores", ("x", "x"), "s", 2, True, np.array([[[0, 0, 0, 1], [0, 0, 0, 1]]], np.int32)),
        MatMul("sums", ("s", "x"), "y", 2, False, np.zeros((1, 1, 1), np.int32)),
    )
    graph = IntegerGraph("heads", {t.name: t for t in (source, scores, replace(source, name="y"))}, ops, "x", ("y",))
    check(graph)
    values = run(graph, np.array([[[[1, 2], [3, 4]]]], np.int8))
    assert values["s"].tolist() == [[[[1, 3, 4, 9], [3, 9, 8, 17]]]]
    assert values["y"].tolist() == [[[[1 * 1 + 3 * 3, 4 * 2 + 9 * 4], [3 * 1 + 9 * 3, 8 * 2 + 17 * 4]]]]


def test_a_cell_becomes_a_block():
    """One cell of 3, weights 4 8 / 12 16, bias 2: a block of 14 26 / 38 50; its neighbour is beside it."""
    source, output = Tensor("x", (1, 2, 1), True, 0), Tensor("y", (2, 4, 1), True, 0)
    weights = np.array([4, 8, 12, 16], np.int8).reshape(2, 2, 1)
    layer = DepthwiseConv2DTranspose("up", "x", "y", weights, np.array([2], np.int32), (0,))
    result = run(one_layer(layer, source, output), np.array([[[[3], [0]]]], np.int8))["y"]
    assert result[0, :, :, 0].tolist() == [[14, 26, 2, 2], [38, 50, 2, 2]]


def test_padded_cells_take_no_part_in_a_max_pool():
    """All values are negative: a padded zero would win."""
    source, output = Tensor("x", (1, 1, 1), True, 0), Tensor("y", (2, 2, 1), True, 0)
    pool = MaxPool("pool", "x", "y", (2, 2), (1, 1), Padding(1, 1, 1, 1))
    assert run(one_layer(pool, source, output), np.full((1, 1, 1, 1), -100, np.int8))["y"].ravel().tolist() == [-100] * 4


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "expected"), [(5, 3, 2, (1, 1)), (6, 3, 2, (0, 1)), (4, 1, 2, (0, 0)), (7, 2, 1, (0, 1))]
)
def test_same_padding_is_tensorflows(size, kernel, stride, expected):
    padding = same_padding((size, size), (kernel, kernel), (stride, stride))
    assert (padding.top, padding.bottom) == (padding.left, padding.right) == expected


def test_inputs_are_rounded_to_even_and_saturated():
    tensor = Tensor("x", (6,), True, 1)
    real = np.array([0.25, 0.75, -0.25, 100.0, -100.0, 1.0])  # 0.5 -> 0, 1.5 -> 2, -0.5 -> 0
    assert quantize_input(tensor, real).tolist() == [0, 2, 0, 127, -128, 2]


def test_inputs_of_another_shape_or_range_are_refused():
    source, output = Tensor("x", (2,), False, 0), Tensor("y", (2,), False, 0)
    graph = one_layer(Lookup("table", "x", "y", np.zeros(256, np.uint8)), source, output)
    with pytest.raises(ValueError, match="shape"):
        run(graph, np.zeros((1, 3), np.uint8))
    with pytest.raises(ValueError, match=r"leave 0\.\.255"):
        run(graph, np.full((1, 2), -1))
