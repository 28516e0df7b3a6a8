"""Each rule of the contract, broken: the checker names the tensor and the rule. Unbroken neighbours pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from random_graphs import integer_graphs, one_layer

from edgekit.errors import ContractError
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
    Padding,
    Reshape,
    Slice,
    Tensor,
    accumulator_bound,
    check,
    violations,
)

SHAPE = (4, 4, 2)
X = Tensor("x", SHAPE, False, 2)
Y = Tensor("y", SHAPE, True, 1)


def convolution(**changes) -> Conv2D:
    weights, bias = np.full((1, 1, 2, 2), 4, np.int8), np.array([2, -2], np.int32)
    return replace(Conv2D("layer", "x", "y", weights, bias, (4, 4)), **changes)  # f_acc 6, n = 5


def layer(output: Tensor = Y, source: Tensor = X, **changes) -> IntegerGraph:
    return one_layer(convolution(**changes), source, output)


def pair(op, z: Tensor, y: Tensor) -> IntegerGraph:
    """x -> z by a table, then `op` of x and z."""
    table = Lookup("table", "x", "z", np.zeros(256, z.dtype))
    return IntegerGraph("pair", {"x": X, "z": z, "y": y}, (table, op), "x", ("y",))


def gated(f: int = 2, output: Tensor = Y) -> IntegerGraph:
    return pair(Multiply("gate", ("x", "z"), "y"), Tensor("z", SHAPE, False, f), output)


S = Tensor("x", SHAPE, True, 2)


def gated_vector() -> IntegerGraph:
    """Four features and a gate shaped as one for a map of four channels."""
    x, gate, y = replace(X, shape=(4,)), replace(Y, name="z", shape=(1, 1, 4)), replace(Y, shape=(4,))
    ops = (Reshape("turn", "x", "z"), Multiply("gate", ("x", "z"), "y"))
    return IntegerGraph("vector", {t.name: t for t in (x, gate, y)}, ops, "x", ("y",))


NO_BIAS = np.zeros((1, 1, 1), np.int32)


def scores(source: Tensor = S, heads: int = 2, bias: np.ndarray = NO_BIAS, f: int = 0, channels: int = 32) -> IntegerGraph:
    """Every cell with every cell of one map: 2 channels in two heads give 16 scores a head."""
    op = MatMul("scores", ("x", "x"), "y", heads, True, bias)
    return one_layer(op, source, Tensor("y", (4, 4, channels), True, f))


def weights_with(value: int) -> np.ndarray:
    weights = np.full((1, 1, 2, 2), 4, np.int8)
    weights[0, 0, 1, 0] = value
    return weights


BROKEN = {
    "weight off the lattice": (layer(weights=weights_with(6)), "y", 1, r"weight 6 at \(0, 0, 1, 0\)"),
    "weight too large": (layer(weights=weights_with(-128)), "y", 1, "weight -128"),
    "bias a multiple of four": (layer(bias=np.array([2, 4], np.int32)), "y", 1, "bias 4 of channel 1"),
    "odd bias": (layer(bias=np.array([-1, 2], np.int32)), "y", 1, "bias -1 of channel 0"),
    "shift of two": (layer(weight_binary_points=(4, 1)), "y", 2, "channel 1 of 'layer' shifts by 2"),
    "shift too far left": (layer(weight_binary_points=(4, -9)), "y", 2, "shifts by -8"),
    "shift too far right": (layer(weight_binary_points=(30, 4)), "y", 2, "shifts by 31"),
    "float32 accumulator": (layer(weight_binary_points=(16, 4), bias=np.array([1 << 25 | 2, 2], np.int32)), "y", 3, r">= 2\*\*25"),
    "int32 accumulator": (layer(bias=np.array([2**31 - 2, 2], np.int32)), "y", 3, "leaves int32"),
    "left shift out of int32": (layer(weight_binary_points=(-1, 4), bias=np.array([2**30 + 2, 2], np.int32)), "y", 3, "leaves int32"),
    "add of two scales": (
        pair(Add("sum", ("x", "z"), "y"), replace(X, name="z", binary_point=3), replace(X, name="y")),
        "y",
        4,
        "'z' with bin",
    ),
    "add into another scale": (pair(Add("sum", ("x", "z"), "y"), replace(X, name="z"), Y), "y", 4, "into binary point 1"),
    "concat of two types": (
        pair(Concat("join", ("x", "z"), "y"), replace(X, name="z", signed=True), replace(X, name="y", shape=(4, 4, 4))),
        "y",
        6,
        "'z' has another",
    ),
    "pool that changes the type": (one_layer(MaxPool("pool", "x", "y", (1, 1), (1, 1)), X, Y), "y", 6, "does not change a type"),
    "reshape that changes the type": (one_layer(Reshape("flat", "x", "y"), X, replace(Y, shape=(32,))), "y", 6, "does not change a type"),
    "six is no integer": (layer(replace(Y, binary_point=-2), activation=Activation.RELU6), "y", 6, "6 is no integer"),
    "short table": (one_layer(Lookup("table", "x", "y", np.zeros(255, np.int8)), X, Y), "y", 7, "not 256 integers"),
    "table of another type": (one_layer(Lookup("table", "x", "y", np.zeros(256, np.uint8)), X, Y), "y", 7, "of type int8"),
    "wrong output shape": (layer(replace(Y, shape=(4, 4, 3))), "y", 0, r"gives shape \(4, 4, 2\)"),
    "seven bits": (layer(replace(Y, bits=7)), "y", 0, "8 bits, not 7"),
    "binary point out of range": (layer(replace(Y, binary_point=64)), "y", 0, r"outside \+-63"),
    "weights of another depth": (layer(weights=np.full((1, 1, 3, 2), 4, np.int8)), "y", 0, "for a map"),
    "weights as int32": (layer(weights=np.full((1, 1, 2, 2), 4, np.int32)), "y", 0, "weights are int8"),
    "missing bias": (layer(bias=np.array([2], np.int32)), "y", 0, "2 channels, but biases"),
    "window larger than the map": (layer(weights=np.full((5, 5, 2, 2), 4, np.int8)), "y", 0, "cannot take inputs"),
    "negative padding": (layer(padding=Padding(top=-1)), "y", 0, "cannot take inputs"),
    "pool of padding only": (one_layer(MaxPool("pool", "x", "y", (1, 1), (1, 1), Padding(1, 0, 0, 0)), X, Y), "y", 0, "cannot take inputs"),
    "dense of another size": (
        one_layer(Dense("fc", "x", "y", np.full((31, 2), 4, np.int8), np.full(2, 2, np.int32), (4, 4)), X, replace(Y, shape=(2,))),
        "y",
        0,
        "31 weights for",
    ),
    "product shifted left": (gated(output=replace(Y, binary_point=5)), "y", 8, "shifts by -1"),
    "product shifted too far": (gated(f=33), "y", 8, "shifts by 34"),
    "product into another shape": (gated(output=replace(Y, shape=(4, 4, 3))), "y", 0, "gives shape"),
    "matrix product of unsigned values": (scores(X), "y", 8, "which is unsigned"),
    "matrix product beyond int32": (scores(bias=np.full((1, 1, 1), 2**31 - 16384, np.int32)), "y", 8, "leaves int32"),
    # 16384 is the product, 8 is half an output LSB at a shift of 4, 2048 are 128 of them.
    "rounding and clamp beyond int32": (scores(bias=np.full((1, 1, 1), 2**31 - 16384 - 8 - 2048, np.int32)), "y", 8, "leaves int32"),
    "gate of a vector": (gated_vector(), "y", 0, "cannot take inputs"),
    "heads that do not divide": (scores(heads=3), "y", 0, "cannot take inputs"),
    "bias of another shape": (scores(bias=np.zeros((4, 4, 1), np.int32)), "y", 0, "cannot take inputs"),
    "channels that are not there": (one_layer(Slice("part", "x", "y", 1), X, replace(X, name="y")), "y", 0, "cannot take inputs"),
    "slice that changes the type": (
        one_layer(Slice("part", "x", "y", 1), X, replace(Y, shape=(4, 4, 1))),
        "y",
        6,
        "does not change a type",
    ),
    "upsampling of another size": (
        one_layer(DepthwiseConv2DTranspose("up", "x", "y", np.full((2, 2, 2), 4, np.int8), np.full(2, 2, np.int32), (4, 4)), X, Y),
        "y",
        0,
        r"gives shape \(8, 8, 2\)",
    ),
    "reshape to another size": (one_layer(Reshape("flat", "x", "y"), X, replace(X, name="y", shape=(31,))), "y", 0, "reshapes"),
    "op before its input": (one_layer(convolution(input="y"), X, Y), "y", 0, "before they are computed"),
    "tensor without op": (IntegerGraph("g", {"x": X, "y": Y, "z": replace(Y, name="z")}, (convolution(),), "x", ("y",)), "z", 0, "no op"),
    "no outputs": (replace(layer(), outputs=()), "x", 0, "needs outputs"),
    "output that is not there": (replace(layer(), outputs=("z",)), "z", 0, "not one of its tensors"),
    "the input as output": (replace(layer(), outputs=("x", "y")), "x", 0, "computed by an op"),
    "two ops of one name": (
        IntegerGraph("g", {"x": X, "y": Y, "z": replace(Y, name="z")}, (convolution(), convolution(output="z")), "x", ("y", "z")),
        "x",
        0,
        "same name",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_rule_is_named(case):
    graph, tensor, rule, message = BROKEN[case]
    found = list(violations(graph))
    assert {(v.tensor, v.rule) for v in found} == {(tensor, rule)}, "\n".join(map(str, found))
    with pytest.raises(ContractError, match=message) as error:
        check(graph)
    assert f"tensor '{tensor}' breaks rule {rule}: " in str(error.value)


UNBROKEN = {
    "the plain layer": layer(),
    "largest weights": layer(weights=np.full((1, 1, 2, 2), -124, np.int8)),
    "shift of one": layer(weight_binary_points=(0, 4)),
    "shift of three": layer(weight_binary_points=(2, 4)),
    "shift of sixteen with a large bias": layer(weight_binary_points=(15, 4), bias=np.array([(1 << 25) + 2, 2], np.int32)),
    "shift above sixteen, small accumulator": layer(weight_binary_points=(20, 4)),
    "just inside int32": layer(bias=np.array([2**31 - 2 - 4 * 255 * 2, 2], np.int32)),
    "six at binary point -1": layer(replace(Y, binary_point=-1), activation=Activation.RELU6),
    "product shifted by nothing": gated(output=replace(Y, binary_point=4)),
    "product with a number a channel": one_layer(
        Multiply("gate", ("x", "x"), "y"), replace(X, shape=(1, 1, 2)), replace(Y, shape=(1, 1, 2))
    ),
    "matrix product just inside int32": scores(bias=np.full((1, 1, 1), 2**31 - 16384 - 8 - 2048 - 1, np.int32)),
    "bias for every score": scores(bias=np.zeros((4, 4, 32), np.int32)),
    "add of mixed signs": pair(Add("sum", ("x", "z"), "y"), replace(X, name="z", signed=True), replace(X, name="y")),
}


@pytest.mark.parametrize("case", UNBROKEN)
def test_neighbours_pass(case):
    check(UNBROKEN[case])


def test_the_bound_is_reached_by_an_input(rng):
    """All inputs at their largest magnitude, with the sign of the weight."""
    weights = (4 * rng.integers(-31, 32, (2, 2, 3))).astype(np.int8)
    source = Tensor("x", (2, 2, 3), True, 0)
    op = DepthwiseConv2D("layer", "x", "y", weights, np.array([2, 6, 10], np.int32), (8, 8, 8))
    graph = one_layer(op, source, Tensor("y", (1, 1, 3), True, 0))
    worst = np.abs(weights.astype(int)).sum(axis=(0, 1)) * 128 + op.bias
    assert accumulator_bound(graph, op).tolist() == worst.tolist()


@settings(max_examples=30)
@given(integer_graphs())
def test_random_graphs_lose_the_contract_with_one_weight(graph):
    """One weight of one layer moved by one LSB: refused under rule 1, at that layer's tensor."""
    layers = [op for op in graph.ops if isinstance(op, Conv2D | DepthwiseConv2D | Dense)]
    for op in layers[:1]:
        weights = op.weights.copy()
        weights.reshape(-1)[0] += 1
        ops = tuple(replace(other, weights=weights) if other is op else other for other in graph.ops)
        assert {(v.tensor, v.rule) for v in violations(replace(graph, ops=ops))} == {(op.output, 1)}
