"""Inputs that are made for a network bring channels to vary that noise does not, and slopes are those of the reference."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import graph_of_every_op, random_inputs

from edgekit.graph import (
    Activation,
    Conv2D,
    GraphBuilder,
    IntegerGraph,
    check,
    op_inputs,
    run,
)
from edgekit.graph.ir import OP_TYPES
from edgekit.graph.reference import ACCUMULATE
from edgekit.verify.aimed import BACK, TRIES, _aims, aimed_inputs
from edgekit.verify.coverage import Extremes, coverage_of


def template(seed: int) -> tuple[IntegerGraph, np.ndarray]:
    """A layer that answers one picture only: its biases let no other bring a channel above zero, and a layer on it."""
    rng = np.random.default_rng(seed)
    graph = GraphBuilder("template")
    x = graph.input("x", (6, 6, 3), signed=True, binary_point=4)
    weights = (4 * rng.integers(-31, 32, (5, 5, 3, 4))).astype(np.int8)
    largest = np.abs(weights.astype(np.int64)).sum(axis=(0, 1, 2)) * 127
    bias = -(largest * 2 // 3 // 4 * 4) + 2
    first = Conv2D("first", x, "first", weights, bias.astype(np.int32), (7,) * 4, activation=Activation.RELU)
    y = graph.write(first, signed=False, binary_point=0)
    second = (4 * rng.integers(1, 32, (2, 2, 4, 3))).astype(np.int8)
    graph.write(Conv2D("second", y, "second", second, np.full(3, 2, np.int32), (7,) * 3), signed=True, binary_point=1)
    made = graph.graph("second")
    check(made)
    return made, random_inputs(rng, made, noise=20)


def constant(graph: IntegerGraph, inputs: np.ndarray) -> int:
    extremes = Extremes()
    for name, values in run(graph, inputs).items():
        extremes.add(name, values)
    return sum(tensor.constant for tensor in coverage_of(graph, extremes.found))


@pytest.mark.parametrize("seed", range(3))
def test_channels_that_no_noise_reaches_vary(seed: int) -> None:
    graph, starts = template(seed)
    assert constant(graph, starts) == 7
    aimed = list(aimed_inputs(graph, starts, seed))
    again = list(aimed_inputs(graph, starts, seed))
    assert [label for label, _ in aimed] == [label for label, _ in again]
    assert all(np.array_equal(one, other) for (_, one), (_, other) in zip(aimed, again, strict=True))
    assert constant(graph, np.concatenate([starts, np.stack([values for _, values in aimed])])) == 0
    assert len(list(aimed_inputs(graph, starts, seed, most=1))) == 1


def test_slopes_are_those_of_the_reference(rng: np.random.Generator) -> None:
    """An accumulator is linear in each operand: what it changes by is the change of the operand times the slope."""
    graph = graph_of_every_op(rng)
    for op in graph.ops:
        if type(op) not in ACCUMULATE:
            continue
        operands = [rng.integers(-100, 100, (2, *graph.tensors[name].shape)) for name in op_inputs(op)]
        before = ACCUMULATE[type(op)](op, *operands)
        weight = rng.integers(-9, 10, before.shape)
        slopes = BACK[type(op)](graph, op, weight.astype(np.float64), [one.astype(np.float64) for one in operands])
        for place, slope in enumerate(slopes):
            moved = list(operands)
            moved[place] = operands[place] + rng.integers(-5, 6, operands[place].shape)
            change = (weight * (ACCUMULATE[type(op)](op, *moved) - before)).sum()
            assert change == ((moved[place] - operands[place]) * slope).sum(), op.name


def test_what_no_input_reaches_is_not_aimed_at() -> None:
    """A channel without weights, and one whose bias keeps it at 236 to 255, beside one that reaches both ends of its clamp."""
    graph = GraphBuilder("fixed")
    x = graph.input("x", (4, 4, 1), signed=True, binary_point=0)
    weights = np.array([0, 4, 124], np.int8).reshape(1, 1, 1, 3)
    bias = np.array([10, 4 * 600 + 2, 2], np.int32)
    graph.write(Conv2D("conv", x, "conv", weights, bias, (3,) * 3, activation=Activation.RELU), signed=False, binary_point=0)
    made = graph.graph("conv")
    seen = Extremes()
    aims = []
    for value in (3, -128):
        for name, values in run(made, np.full((1, 4, 4, 1), value)).items():
            seen.add(name, values)
        aims.append([(aim.channel, aim.direction) for aim in _aims(made, seen)])
    assert aims == [[(1, -1), (2, 1), (2, -1)] * TRIES, [(2, 1)]]


def test_every_op_lets_slopes_pass() -> None:
    assert set(BACK) == set(OP_TYPES)
