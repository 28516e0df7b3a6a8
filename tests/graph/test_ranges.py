"""The lowest integer of a tensor, against what random graphs give."""

from __future__ import annotations

import numpy as np
import pytest
from random_graphs import graph_of_every_op, random_graph, random_inputs

from edgekit.graph import Activation, Concat, IntegerGraph, Lookup, MatMul, Multiply, Slice, Tensor, lowest, product_bound, run
from edgekit.graph.ir import OP_TYPES
from edgekit.graph.ranges import product_range


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_lower(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = graph_of_every_op(rng) if seed % 2 else random_graph(rng, op_types=OP_TYPES)
    for name, values in run(graph, random_inputs(rng, graph)).items():
        assert values.min() >= lowest(graph, name) >= graph.tensors[name].low, name


def test_what_each_kind_of_op_says() -> None:
    """A table's least entry, a relu's 0, the least of what is joined; an input may have all of its type."""
    table = np.maximum(np.arange(-128, 128), -5).astype(np.int8)
    tensors = [Tensor(name, (1, 1, 2), True, 0) for name in ("x", "looked_up", "part")]
    tensors += [Tensor("product", (1, 1, 1), True, 0), Tensor("joined", (1, 1, 3), True, 0), Tensor("first", (1, 1, 1), True, 0)]
    ops = (
        Lookup("table", "x", "looked_up", table),
        Slice("cut", "looked_up", "first", 0),
        MatMul("relu", ("x", "x"), "product", 1, True, np.zeros((1, 1, 1), np.int32), Activation.RELU),
        Concat("join", ("product", "looked_up"), "joined"),
    )
    graph = IntegerGraph("ranges", {t.name: t for t in tensors if t.name != "part"}, ops, "x", ("first", "joined"))
    found = {name: lowest(graph, name) for name in graph.tensors}
    assert found == {"x": -128, "looked_up": -5, "product": 0, "joined": -5, "first": -5}


@pytest.mark.parametrize("signs", [(True, True), (True, False), (False, True), (False, False)])
def test_the_range_of_a_product_is_that_of_all_pairs(signs: tuple[bool, bool]) -> None:
    x, y = (Tensor(name, (1, 1, 1), signed, 0) for name, signed in zip("xy", signs, strict=True))
    graph = IntegerGraph("pair", {"x": x, "y": y}, (), "x", ())
    pairs = np.multiply.outer(np.arange(x.low, x.high + 1), np.arange(y.low, y.high + 1))
    low, high = product_range(graph, Multiply("gate", ("x", "y"), "z"))
    assert (low, high) == (pairs.min(), pairs.max())
    assert product_bound(graph, Multiply("gate", ("x", "y"), "z")) == max(abs(low), high)


def test_the_range_of_a_sum_has_each_sign_of_bias_at_its_own_end() -> None:
    """Three terms of -128 * 127 to -128 * -128, and biases of -7 and 5; the bound takes the larger magnitudes together."""
    x = Tensor("x", (1, 2, 3), True, 0)
    op = MatMul("scores", ("x", "x"), "y", 1, True, np.array([[[-7, 5], [0, 0]]], np.int32))
    graph = IntegerGraph("scores", {"x": x}, (op,), "x", ("y",))
    assert product_range(graph, op) == (3 * -128 * 127 - 7, 3 * 128 * 128 + 5)
    assert product_bound(graph, op) == 3 * 128 * 128 + 7
