"""The numpy reference against loops over plain Python integers, which are written from the definitions and share no code with it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import integer_graphs, one_layer, random_inputs

from edgekit.graph import (
    Activation,
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Slice,
    Tensor,
    check,
    op_inputs,
    quantize_input,
    run,
    same_padding,
)
from edgekit.graph.ir import OP_TYPES


def naive(graph, image):
    """Every tensor for one image, as nested dictionaries {index: int}."""
    tensors = {graph.input: {at: int(image[at]) for at in np.ndindex(image.shape)}}
    for op in graph.ops:
        output = graph.tensors[op.output]
        sources = [tensors[name] for name in op_inputs(op)]
        cells = [naive_cell(graph, op, sources, at) for at in np.ndindex(output.shape)]
        tensors[op.output] = dict(zip(np.ndindex(output.shape), cells, strict=True))
    return tensors


def naive_cell(graph, op, sources, at):
    output = graph.tensors[op.output]
    if isinstance(op, Conv2D | DepthwiseConv2D):
        total = int(op.bias[at[2]])
        for i, j, cell in naive_window(op, op.weights.shape, op.dilation, sources[0], at):
            if isinstance(op, DepthwiseConv2D):
                total += int(op.weights[i, j, at[2]]) * sources[0].get((*cell, at[2]), 0)
            else:
                total += sum(int(op.weights[i, j, c, at[2]]) * sources[0].get((*cell, c), 0) for c in range(op.weights.shape[2]))
        return naive_requantize(graph, op, total, at[2])
    if isinstance(op, Dense):
        flat = [sources[0][where] for where in np.ndindex(graph.tensors[op.input].shape)]
        total = int(op.bias[at[0]]) + sum(int(w) * x for w, x in zip(op.weights[:, at[0]], flat, strict=True))
        return naive_requantize(graph, op, total, at[0])
    if isinstance(op, DepthwiseConv2DTranspose):
        (cell_row, row), (cell_column, column) = divmod(at[0], op.weights.shape[0]), divmod(at[1], op.weights.shape[1])
        total = sources[0][(cell_row, cell_column, at[2])] * int(op.weights[row, column, at[2]]) + int(op.bias[at[2]])
        return naive_requantize(graph, op, total, at[2])
    if isinstance(op, Multiply):
        gate = at if graph.tensors[op.inputs[1]].shape == output.shape else (0, 0, at[2])
        return naive_product(graph, op, sources[0][at] * sources[1][gate])
    if isinstance(op, MatMul):
        return naive_product(graph, op, naive_dot(graph, op, sources, at))
    if isinstance(op, Slice):
        return sources[0][(*at[:-1], op.start + at[-1])]
    if isinstance(op, Add):
        return naive_clamp(op.activation, output, sources[0][at] + sources[1][at])
    if isinstance(op, Concat):
        joined = [values for name, values in zip(op.inputs, sources, strict=True) for values in [(graph.tensors[name].shape[-1], values)]]
        channel = at[-1]
        for size, values in joined:
            if channel < size:
                return values[(*at[:-1], channel)]
            channel -= size
    if isinstance(op, MaxPool):
        cells = naive_window(op, op.pool, (1, 1), sources[0], at)
        return max(sources[0][(*cell, at[2])] for _, _, cell in cells if (*cell, at[2]) in sources[0])
    if isinstance(op, Lookup):
        source = graph.tensors[op.input]
        return int(op.table[sources[0][at] + (128 if source.signed else 0)])
    return sources[0][list(np.ndindex(graph.tensors[op.input].shape))[list(np.ndindex(output.shape)).index(at)]]


def naive_product(graph, op, total):
    """Half up: the floor of the real quotient and a half."""
    f_acc = sum(graph.tensors[name].binary_point for name in op.inputs)
    output = graph.tensors[op.output]
    value = floor(Fraction(total) / Fraction(2) ** (f_acc - output.binary_point) + Fraction(1, 2))
    return naive_clamp(getattr(op, "activation", Activation.NONE), output, value)


def naive_dot(graph, op, sources, at):
    """One number of one head: cells of y are counted row by row."""
    x, y = (graph.tensors[name].shape for name in op.inputs)
    cells = list(itertools.product(range(y[0]), range(y[1])))
    width = x[2] // op.heads
    head, rest = divmod(at[2], len(cells) if op.transpose_y else y[2] // op.heads)
    total = int(np.broadcast_to(op.bias, graph.tensors[op.output].shape)[at])
    for k in range(width):
        left = sources[0][(at[0], at[1], head * width + k)]
        cell, channel = (cells[rest], head * width + k) if op.transpose_y else (cells[k], head * (y[2] // op.heads) + rest)
        total += left * sources[1][(*cell, channel)]
    return total


def naive_window(op, kernel, dilation, source, at):
    for i, j in itertools.product(range(kernel[0]), range(kernel[1])):
        row = at[0] * op.strides[0] - op.padding.top + i * dilation[0]
        column = at[1] * op.strides[1] - op.padding.left + j * dilation[1]
        yield i, j, (row, column)


def naive_requantize(graph, op, total, channel):
    """From real values: the accumulator's scale over the output's, nearest, no tie possible."""
    f_acc = graph.tensors[op.input].binary_point + op.weight_binary_points[channel]
    real = Fraction(total) / Fraction(2) ** f_acc
    output = graph.tensors[op.output]
    return naive_clamp(op.activation, output, floor(real * Fraction(2) ** output.binary_point + Fraction(1, 2)))


def naive_clamp(activation, output, value):
    low, high = (-128, 127) if output.signed else (0, 255)
    if activation is not Activation.NONE:
        value = max(value, 0)
    if activation is Activation.RELU6:
        value = min(value, int(Fraction(6) * Fraction(2) ** output.binary_point))
    return min(max(value, low), high)


@settings(max_examples=40)
@given(
    integer_graphs(OP_TYPES, length=4).filter(lambda g: max(np.prod(t.shape) for t in g.tensors.values()) < 200),
    st.integers(0, 2**32 - 1),
)
def test_reference_equals_a_naive_loop(graph, seed):
    inputs = random_inputs(np.random.default_rng(seed), graph, noise=1)[2:]
    values = run(graph, inputs)
    for number, image in enumerate(inputs):
        for name, expected in naive(graph, image).items():
            found = {at: int(values[name][(number, *at)]) for at in expected}
            assert found == expected, name


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
    pool = MaxPool("pool", "x", "y", (2, 2), (1, 1), same_padding((1, 1), (2, 2), (1, 1)))
    pool = MaxPool("pool", "x", "y", (2, 2), (1, 1), type(pool.padding)(1, 1, 1, 1))
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
