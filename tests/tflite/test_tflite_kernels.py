"""Random integer graphs give equal integers on the reference, LiteRT's three kernel sets and onnxruntime, tensor by tensor."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from engines import REFERENCE_KERNELS, XNNPACK, assert_equal_everywhere, values_on
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import integer_graphs, one_layer, random_graph, random_inputs

from edgekit.executor import Artifact
from edgekit.graph import (
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    IntegerGraph,
    Lookup,
    MatMul,
    Padding,
    Tensor,
    run,
    violations,
)
from edgekit.graph.ir import OP_TYPES
from edgekit.tflite.executors import EXECUTORS
from edgekit.tflite.reader import describe
from edgekit.tflite.writer import write_tflite, write_unchecked


@settings(max_examples=60)
@given(integer_graphs(OP_TYPES, length=8), st.integers(0, 2**32 - 1))
def test_random_graphs_are_equal_on_every_engine(graph, seed):
    assert_equal_everywhere(graph, random_inputs(np.random.default_rng(seed), graph))


@pytest.mark.parametrize("kind", OP_TYPES)
def test_each_op_alone_is_equal_on_every_engine(kind, rng):
    for _ in range(8):
        side = 5 if kind is MatMul else 9  # a product of larger maps is not drawn
        graph = random_graph(rng, (kind,), length=2 if kind is Dense else 1, side=side)
        assert_equal_everywhere(graph, random_inputs(rng, graph))


def test_wide_layers_are_equal_on_every_engine(rng):
    """Enough channels for every vector width and remainder that a kernel may have."""
    for channels in (15, 33, 70):
        graph = random_graph(rng, (Conv2D, DepthwiseConv2D), length=4, side=5, channels=channels)
        assert_equal_everywhere(graph, random_inputs(rng, graph))


def ordinary(graph: IntegerGraph, rng: np.random.Generator) -> IntegerGraph:
    """The same graph with plain int8 weights, as a stock quantizer would give them."""

    def weights(op):
        if not isinstance(op, Conv2D | DepthwiseConv2D | Dense):
            return op
        return replace(op, weights=rng.integers(-127, 128, op.weights.shape).astype(np.int8), bias=op.bias // 3)

    return replace(graph, ops=tuple(weights(op) for op in graph.ops))


def test_ordinary_weights_differ_between_kernel_sets(rng):
    """The tests above can fail: off the lattice accumulators meet ties, and XNNPACK rounds those to even, the others up."""
    shape, channels = (9, 9, 8), 8
    source, output = Tensor("x", shape, False, 0), Tensor("y", shape, True, 0)
    layer = DepthwiseConv2D("layer", "x", "y", np.zeros((3, 3, channels), np.int8), np.zeros(channels, np.int32), (4,) * channels)
    layer = replace(layer, padding=Padding(1, 1, 1, 1), weights=np.full((3, 3, channels), 4, np.int8), bias=np.full(channels, 2, np.int32))
    plain = one_layer(replace(layer, weights=rng.integers(-3, 4, (3, 3, channels)).astype(np.int8)), source, output)
    assert {violation.rule for violation in violations(plain)} == {1}
    inputs = random_inputs(rng, plain)
    artifact = Artifact(graph=plain, tflite=write_unchecked(plain))
    results = {executor.name: values_on(executor, artifact, inputs)["y"] for executor in EXECUTORS}
    assert (results["tflite-reference"] != results["tflite-xnnpack"]).any()
    assert_equal_everywhere(one_layer(layer, source, output), inputs)


def test_random_graphs_with_ordinary_weights_differ(rng):
    """Ties are rare where a shift is large: among twenty graphs some have one."""

    def differs() -> bool:
        graph = ordinary(random_graph(rng, (Conv2D, DepthwiseConv2D), length=4), rng)
        inputs = random_inputs(rng, graph)
        artifact = Artifact(graph=graph, tflite=write_unchecked(graph))
        first, second = (values_on(executor, artifact, inputs) for executor in (REFERENCE_KERNELS, XNNPACK))
        return any((first[name] != second[name]).any() for name in graph.tensors)

    assert any(differs() for _ in range(20))


def test_left_shifts_need_room_for_one_more_bit():
    """n = 0 doubles the accumulator in TFLite's fixed-point multiply: 2**30 + 2 turns negative there and not in XNNPACK."""

    def graph(bias):
        source, output = Tensor("x", (1, 1, 4), False, 0), Tensor("y", (1, 1, 4), True, 0)
        layer = DepthwiseConv2D("layer", "x", "y", np.full((1, 1, 4), 4, np.int8), np.full(4, bias, np.int32), (0,) * 4)
        return one_layer(layer, source, output)

    inputs = np.zeros((1, 1, 1, 4), np.uint8)
    broken = graph((1 << 30) + 2)
    assert {violation.rule for violation in violations(broken)} == {3}
    artifact = Artifact(graph=broken, tflite=write_unchecked(broken))
    assert (values_on(REFERENCE_KERNELS, artifact, inputs)["y"] != values_on(XNNPACK, artifact, inputs)["y"]).all()
    # The largest bias that leaves room: 4 * 255 + bias < 2**30.
    fits = graph((1 << 30) - 4 * 255 - 2)
    assert not list(violations(fits))
    for executor in EXECUTORS:
        np.testing.assert_array_equal(values_on(executor, Artifact(graph=fits), inputs)["y"], 127)


@pytest.mark.parametrize("f", [-63, 63])
def test_extreme_binary_points(f):
    """The scales and their products are still normal numbers, so nothing is flushed to zero."""
    source, output = Tensor("x", (2, 2, 4), False, f), Tensor("y", (2, 2, 4), True, max(-63, min(63, 2 * f - 3)))
    n = 3
    layer = Conv2D("layer", "x", "y", np.full((1, 1, 4, 4), 4, np.int8), np.full(4, 2, np.int32), (n - f + output.binary_point,) * 4)
    graph = one_layer(layer, source, output)
    inputs = random_inputs(np.random.default_rng(0), graph)
    for executor in EXECUTORS:
        np.testing.assert_array_equal(values_on(executor, Artifact(graph=graph), inputs)["y"], run(graph, inputs)["y"])


@pytest.mark.parametrize("shape", [(12,), (3, 4), (1, 1, 12), (2, 3, 2)])
@pytest.mark.parametrize("points", [(3,) * 5, (3, 4, 5, 6, 7)], ids=["one binary point", "per channel"])
def test_dense_flattens_row_major_in_both_forms(shape, points, rng):
    """One binary point gives FULLY_CONNECTED, which flattens by itself on every kernel set; several give a 1x1 convolution."""
    source, output = Tensor("x", shape, True, 2), Tensor("y", (5,), True, 0)
    weights = (4 * rng.integers(-31, 32, (12, 5))).astype(np.int8)
    graph = one_layer(Dense("layer", "x", "y", weights, np.full(5, 6, np.int32), points), source, output)
    assert_equal_everywhere(graph, random_inputs(rng, graph, 16))
    names = {op.name for op in describe(write_tflite(graph))}
    assert names == {"FULLY_CONNECTED"} if len(set(points)) == 1 else "CONV_2D" in names


def test_residual_adds_of_mixed_signs_saturate_alike(rng):
    """0..255 plus -128..127 into either type: all 65536 sums, most of them out of range somewhere."""
    map_shape = (256, 256, 1)
    x = Tensor("x", map_shape, False, 3)
    for signed_out in (True, False):
        z, y = Tensor("z", map_shape, True, 3), Tensor("y", map_shape, signed_out, 3)
        table = rng.permutation(np.arange(-128, 128)).astype(np.int8)
        ops = (Lookup("turn", "x", "z", table), Add("sum", ("x", "z"), "y"))
        graph = IntegerGraph("mixed", {"x": x, "z": z, "y": y}, ops, "x", ("y",))
        inputs = rng.integers(0, 256, (1, *map_shape)).astype(np.uint8)
        assert_equal_everywhere(graph, inputs)
