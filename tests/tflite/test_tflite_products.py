"""Products of activations, slices and up-sampling: ties, ends and odd shapes are equal on every engine; what they become in TFLite."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from engines import assert_equal_everywhere
from random_graphs import one_layer, random_inputs

from edgekit.errors import EdgekitError
from edgekit.graph import (
    Activation,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    Lookup,
    MatMul,
    Multiply,
    Slice,
    Tensor,
    check,
    run,
)
from edgekit.tflite import float32_products
from edgekit.tflite.float32_products import holds
from edgekit.tflite.reader import describe
from edgekit.tflite.writer import write_tflite

NO_BIAS = np.zeros((1, 1, 1), np.int32)
SIGNS = (True, False)


@pytest.fixture
def int32(monkeypatch):
    """Products as they are where float32 does not hold them."""
    monkeypatch.setattr(float32_products, "holds", lambda graph, op: False)


@pytest.fixture(params=["float32", "int32"])
def arithmetic(request):
    if request.param == "int32":
        request.getfixturevalue("int32")


def ops_of(graph: IntegerGraph) -> list[str]:
    return [op.name for op in describe(write_tflite(graph))]


def every_pair(x_signed: bool, y_signed: bool, signed: bool, shift: int) -> tuple[IntegerGraph, np.ndarray]:
    """x * y for all 65536 pairs: x and y are two channels of the input, put into the types that are wanted by a table."""
    source = Tensor("pairs", (256, 256, 2), True, 0)
    tensors, ops = [source], []
    for channel, (name, is_signed) in enumerate((("x", x_signed), ("y", y_signed))):
        part, factor = Tensor(f"{name}_part", (256, 256, 1), True, 0), Tensor(name, (256, 256, 1), is_signed, 0)
        table = np.arange(factor.low, factor.high + 1).astype(factor.dtype)
        ops += [Slice(f"slice_{name}", "pairs", part.name, channel), Lookup(f"table_{name}", part.name, name, table)]
        tensors += [part, factor]
    ops.append(Multiply("gate", ("x", "y"), "product"))
    tensors.append(Tensor("product", (256, 256, 1), signed, -shift))
    graph = IntegerGraph("every_pair", {t.name: t for t in tensors}, tuple(ops), "pairs", ("product",))
    check(graph)
    levels = np.arange(-128, 128, dtype=np.int8)
    return graph, np.stack(np.meshgrid(levels, levels, indexing="ij"), axis=-1)[np.newaxis]


@pytest.mark.parametrize("shift", [0, 1, 2, 7, 8, 16, 23])
@pytest.mark.usefixtures("arithmetic")
def test_all_products_of_all_types_are_equal_on_every_engine(shift):
    """Every tie, both ends of every clamp, and every way to leave a clamp out are among them. 23 is the largest shift that has room."""
    for x_signed, y_signed, signed in itertools.product(SIGNS, SIGNS, SIGNS):
        assert_equal_everywhere(*every_pair(x_signed, y_signed, signed, shift))


def test_half_way_products_round_up():
    """3 / 2 = 1.5 gives 2 and -1.5 gives -1, where half to even and away from zero say -2; 0.5 gives 1, where half to even says 0."""
    graph, inputs = every_pair(True, True, True, 1)
    product = run(graph, inputs)["product"][0, :, :, 0]
    found = {(x, y): int(product[x + 128, y + 128]) for x, y in [(3, 1), (-3, 1), (1, 1), (-1, 1), (-128, -128), (-128, 127)]}
    assert found == {(3, 1): 2, (-3, 1): -1, (1, 1): 1, (-1, 1): 0, (-128, -128): 127, (-128, 127): -128}


@pytest.mark.parametrize(
    ("x_signed", "y_signed", "signed", "shift", "expected"),
    [
        # 255 * 255 / 256 rounds to 254, so that nothing is clamped; the zero point is part of what is added before the shift.
        (False, False, False, 8, ["CAST", "ADD", "CAST", "ADD", "MUL", "ADD", "RIGHT_SHIFT", "CAST"]),
        # -128 * -128 / 128 is 128: clamped above, and below -127 is nothing.
        (True, True, True, 7, ["CAST", "CAST", "MUL", "ADD", "RIGHT_SHIFT", "SUB", "SUB", "CAST"]),
        (True, True, True, 8, ["CAST", "CAST", "MUL", "ADD", "RIGHT_SHIFT", "CAST"]),
        # No shift: the addition is the clamp below.
        (True, True, True, 0, ["CAST", "CAST", "MUL", "ADD", "SUB", "SUB", "CAST"]),
        # A signed gate of an unsigned map, kept unsigned: clamped at 0, and then 128 is taken away.
        (False, True, False, 8, ["CAST", "ADD", "CAST", "MUL", "ADD", "RIGHT_SHIFT", "ADD", "CAST"]),
    ],
)
@pytest.mark.usefixtures("int32")
def test_clamps_that_nothing_reaches_are_left_out(x_signed, y_signed, signed, shift, expected):
    ops = ops_of(every_pair(x_signed, y_signed, signed, shift)[0])
    assert ops[2 * len(["SLICE", "CAST", "ADD", "GATHER"]) :] == expected


@pytest.mark.parametrize(
    ("shift", "expected"),
    [(8, ["DEQUANTIZE", "DEQUANTIZE", "MUL", "ADD", "QUANTIZE"]), (0, ["DEQUANTIZE", "DEQUANTIZE", "MUL", "QUANTIZE"])],
)
def test_in_float32_a_product_is_rounded_and_clamped_by_one_op(shift, expected):
    for signs in itertools.product(SIGNS, SIGNS, SIGNS):
        assert ops_of(every_pair(*signs, shift)[0])[-len(expected) :] == expected


def test_a_tensor_with_the_name_of_an_inner_one_is_refused_not_taken_for_it():
    graph, _ = every_pair(True, True, True, 8)
    renamed = {"x": "y/real"}  # the float32 numbers of y would be called so
    tensors = {renamed.get(name, name): replace(t, name=renamed.get(name, name)) for name, t in graph.tensors.items()}
    ops = [replace(op, output="y/real") if op.output == "x" else op for op in graph.ops]
    ops[-1] = replace(ops[-1], inputs=("y/real", "y"))
    with pytest.raises(EdgekitError, match=r"tensor 'y/real' breaks rule 0: .*; give it another name"):
        write_tflite(replace(graph, tensors=tensors, ops=tuple(ops)))


@pytest.mark.usefixtures("arithmetic")
def test_a_gate_of_one_number_a_channel(rng):
    """As in squeeze-and-excite: the gate is broadcast over the map. Here the map is made of the gate, by a kernel of its size."""
    for signed in SIGNS:
        gate, filled, gated = Tensor("gate", (1, 1, 6), signed, 7), Tensor("map", (5, 4, 6), False, 4), Tensor("gated", (5, 4, 6), True, 3)
        weights = (4 * rng.integers(-31, 32, (5, 4, 6))).astype(np.int8)
        fill = DepthwiseConv2DTranspose("fill", "gate", "map", weights, np.full(6, 2, np.int32), (3,) * 6)
        ops = (fill, Multiply("multiply", ("map", "gate"), "gated"))
        graph = IntegerGraph("gate", {t.name: t for t in (gate, filled, gated)}, ops, "gate", ("gated",))
        assert_equal_everywhere(graph, random_inputs(rng, graph, 4))


def attention(heads: int, activation: Activation = Activation.NONE, bias: np.ndarray = NO_BIAS, shift: int = 8) -> IntegerGraph:
    """Scores of the cells of one map with each other, and the same map weighted by them."""
    source = Tensor("x", (2, 3, 4), True, 0)
    scores, output = Tensor("s", (2, 3, 6 * heads), True, -shift), Tensor("y", (2, 3, 4), False, -shift - 5)
    ops = (
        MatMul("scores", ("x", "x"), "s", heads, True, bias, activation),
        MatMul("sums", ("s", "x"), "y", heads, False, NO_BIAS),
    )
    return IntegerGraph("attention", {t.name: t for t in (source, scores, output)}, ops, "x", ("y",))


@pytest.mark.usefixtures("arithmetic")
@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("activation", Activation)
def test_attention_is_equal_on_every_engine(heads, activation, rng):
    shift = 0 if activation is Activation.RELU6 else 8  # 6 is an integer at binary point 0
    for bias in (NO_BIAS, rng.integers(-20000, 20000, (2, 3, 6 * heads)).astype(np.int32)):
        graph = attention(heads, activation, bias, shift)
        check(graph)
        assert_equal_everywhere(graph, random_inputs(rng, graph, 12))


@pytest.mark.usefixtures("arithmetic")
def test_matrix_products_at_ties_and_ends():
    """Cells 1 and -1: products 1 and -1. With a bias of each kind, halved: 1.5 -> 2, 0.5 -> 1, -0.5 -> 0, -1.5 -> -1.

    Then biases that lead to 127.5 -> 128 and beyond, which is 127, and to -128.5 -> -128 and beyond.
    """
    source, output = Tensor("x", (1, 2, 1), True, 0), Tensor("y", (1, 2, 2), True, -1)
    for bias, expected in (
        ([[2, 2], [-2, 0]], [[2, 1], [-1, 1]]),
        ([[254, 254], [-256, -258]], [[127, 127], [-128, -128]]),
        ([[1 << 20, -(1 << 20)], [-(1 << 20), 1 << 20]], [[127, -128], [-128, 127]]),
    ):
        op = MatMul("scores", ("x", "x"), "y", 1, True, np.array(bias, np.int32)[np.newaxis])
        graph = IntegerGraph("ends", {"x": source, "y": output}, (op,), "x", ("y",))
        inputs = np.array([1, -1], np.int8).reshape(1, 1, 2, 1)
        assert run(graph, inputs)["y"][0, 0].tolist() == expected
        assert_equal_everywhere(graph, inputs)


def test_two_heads_of_attention_are_transposed_as_little_as_can_be():
    """Queries and keys in front of the scores (one map here, so once), values, and each result back: the scores' heads are not undone."""
    ops = Counter(ops_of(attention(2, Activation.RELU)))
    assert ops == {"RESHAPE": 4, "TRANSPOSE": 4, "DEQUANTIZE": 3, "BATCH_MATMUL": 2, "ADD": 2, "QUANTIZE": 2}


@pytest.mark.usefixtures("int32")
def test_the_same_in_int32():
    """The first product is two, with CAST, SUB, ADD, CAST, CAST in front and a SUB behind; scores behind a relu have no -128."""
    ops = Counter(ops_of(attention(2, Activation.RELU)))
    assert ops == {"RESHAPE": 4, "TRANSPOSE": 4, "BATCH_MATMUL": 3, "ADD": 3, "RIGHT_SHIFT": 2, "SUB": 6, "CAST": 5}


def sums_of(terms: int, shift: int, bias: int = 0) -> IntegerGraph:
    """Scores of two cells of `terms` channels with each other."""
    source, output = Tensor("x", (1, 2, terms), True, 0), Tensor("y", (1, 2, 2), True, -shift)
    op = MatMul("scores", ("x", "x"), "y", 1, True, np.full((1, 1, 1), bias, np.int32))
    return IntegerGraph("sums", {"x": source, "y": output}, (op,), "x", ("y",))


@pytest.mark.parametrize(
    ("terms", "shift", "bias", "in_float32"),
    [
        (511, 14, 0, True),  # 2 * 511 * 2**14 + 1 + 2**14 = 2**24 - 2**14 + 1
        (511, 15, 0, False),  # 2**24 + 1
        (512, 1, 0, False),
        (256, 8, 2**20, True),  # the bias counts twice: with the sum, and alone
        (256, 8, 2**21, False),
    ],
)
def test_the_largest_sums_of_float32(terms, shift, bias, in_float32, rng):
    """All lowest, all highest, both, and noise: the sums reach both ends of what is held."""
    graph = sums_of(terms, shift, bias)
    assert holds(graph, graph.ops[0]) == in_float32
    ends = np.array([[-128, -128], [127, 127], [-128, 127], [127, -127]], np.int8)
    inputs = np.concatenate([np.repeat(ends[:, np.newaxis, :, np.newaxis], terms, axis=-1), random_inputs(rng, graph, 8)])
    assert_equal_everywhere(graph, inputs)


def test_beyond_them_float32_would_be_wrong(monkeypatch):
    """1032 products of 2**14 and one of -1 are 2**24 + 2**17 - 1; at n = 18 64.5 less a little. float32 has 64.5, which becomes 65."""
    graph = sums_of(1033, 18)
    inputs = np.full((1, 1, 2, 1033), -128, np.int8)
    inputs[0, 0, :, -1] = 1, -1
    assert run(graph, inputs)["y"].ravel().tolist() == [65, 64, 64, 65]
    assert_equal_everywhere(graph, inputs)
    monkeypatch.setattr(float32_products, "holds", lambda graph, op: True)
    with pytest.raises(AssertionError):
        assert_equal_everywhere(graph, inputs)


def test_one_head_moves_nothing_but_the_values():
    """Cells are rows as they lie; the values' cells have to be columns, which the kernels would otherwise do by themselves."""
    ops = Counter(ops_of(attention(1)))
    assert (ops["TRANSPOSE"], ops["RESHAPE"]) == (1, 4)


@pytest.mark.parametrize(("start", "count"), [(0, 1), (3, 2), (1, 5), (0, 6)])
@pytest.mark.parametrize("shape", [(6,), (3, 6), (2, 3, 6)])
def test_slices_of_every_rank(shape, start, count, rng):
    source = Tensor("x", shape, False, 1)
    graph = one_layer(Slice("part", "x", "y", start), source, replace(source, name="y", shape=(*shape[:-1], count)))
    assert_equal_everywhere(graph, random_inputs(rng, graph))
    assert ops_of(graph) == ["SLICE"]


def up_sampling(kernel: tuple[int, int], signed: bool = True, **changes) -> IntegerGraph:
    source = Tensor("x", (2, 3, 2), signed, 2)
    output = Tensor("y", (2 * kernel[0], 3 * kernel[1], 2), True, 2)
    weights = (4 * (np.arange(kernel[0] * kernel[1] * 2) % 63 - 31)).reshape(*kernel, 2).astype(np.int8)
    layer = DepthwiseConv2DTranspose("up", "x", "y", weights, np.array([2, -310], np.int32), (5, 7))
    return one_layer(replace(layer, **changes), source, output)


MOVES = {
    (1, 1): [],
    (1, 4): ["RESHAPE"],
    (3, 1): ["RESHAPE", "TRANSPOSE", "RESHAPE"],
    (3, 2): ["RESHAPE", "TRANSPOSE", "RESHAPE"],
    (2, 2): ["DEPTH_TO_SPACE"],
    (3, 3): ["DEPTH_TO_SPACE"],
}


@pytest.mark.parametrize("kernel", MOVES)
def test_up_sampling_of_every_shape(kernel, rng):
    """Every weight is another, so that no two cells of a block can change places unseen."""
    for signed in SIGNS:
        graph = up_sampling(kernel, signed)
        assert_equal_everywhere(graph, random_inputs(rng, graph, 8))
    before = ["CONCATENATION"] * (kernel != (1, 1))
    assert ops_of(graph) == [*before, "DEPTHWISE_CONV_2D", *MOVES[kernel]]


def test_up_sampling_has_the_fused_clamps(rng):
    for activation in Activation:
        graph = up_sampling((2, 2), activation=activation)
        assert_equal_everywhere(graph, random_inputs(rng, graph, 8))


@pytest.mark.parametrize("bias", [2**24 + 2, 2**25 - 2, 2**25 + 2, 2**25 + 31622, 2**30 + 2, 2**31 - 31746])
def test_up_sampling_with_large_biases(bias, rng):
    """onnxruntime computes it in float32, which cannot hold these accumulators; where that is so they are far beyond the clamp."""
    for sign in (1, -1):
        value = bias if sign > 0 else 4 - bias  # 2 modulo 4 as well
        graph = up_sampling((2, 2), False, bias=np.full(2, value, np.int32), weight_binary_points=(16, 13))
        check(graph)
        assert_equal_everywhere(graph, random_inputs(rng, graph, 4))


@pytest.mark.usefixtures("int32")
@pytest.mark.parametrize(("activation", "products"), [(Activation.NONE, 2), (Activation.RELU, 1)])
def test_only_a_product_of_two_lowest_integers_is_taken_in_two(activation, products):
    """x is a product itself, so that its clamp says how low it is: a relu's map has no -128."""
    tensors = [Tensor("input", (3, 3, 4), True, 3), Tensor("x", (3, 3, 9), True, 0), Tensor("y", (3, 3, 4), True, 0)]
    ops = (
        MatMul("first", ("input", "input"), "x", 1, True, NO_BIAS, activation),
        MatMul("second", ("x", "input"), "y", 1, False, NO_BIAS),
    )
    graph = IntegerGraph("two_products", {t.name: t for t in tensors}, ops, "input", ("y",))
    check(graph)
    assert ops_of(graph).count("BATCH_MATMUL") == 2 + products
    levels = np.array([-128, -128, -127, 0, 127], np.int8)
    assert_equal_everywhere(graph, np.random.default_rng(0).choice(levels, (16, 3, 3, 4)))
