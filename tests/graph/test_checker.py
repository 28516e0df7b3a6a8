"""What makes a graph a graph, broken: the checker names the tensor and the rule. The rules of each op are in test_op_contract."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from random_graphs import integer_graphs, one_layer

from edgekit.errors import ContractError
from edgekit.graph import (
    Conv2D,
    Dense,
    DepthwiseConv2D,
    IntegerGraph,
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


BROKEN = {
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
