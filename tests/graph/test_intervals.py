"""Between which integers values stay: nothing that a random graph gives is outside, and inputs reach the ends of what is said of an op."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from random_graphs import graph_of_every_op, random_graph, random_inputs

from edgekit.graph import Dense, GraphBuilder, IntegerGraph, Lookup, MatMul, Multiply, Tensor, channel_ends, run, value_intervals
from edgekit.graph.ir import OP_TYPES


@pytest.mark.parametrize("seed", range(12))
def test_no_value_is_outside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = graph_of_every_op(rng) if seed % 2 else random_graph(rng, op_types=OP_TYPES)
    intervals = value_intervals(graph)
    for name, values in run(graph, random_inputs(rng, graph)).items():
        low, high = intervals[name]
        tensor = graph.tensors[name]
        assert low.shape == high.shape == tensor.shape and low.dtype == high.dtype == tensor.dtype
        assert (low <= values).all() and (values <= high).all(), name
        assert tensor.low <= low.min() and high.max() <= tensor.high, name


def test_a_layer_reaches_both_ends() -> None:
    """The inputs that are highest where weights are positive, and lowest elsewhere, and the contrary."""
    rng = np.random.default_rng(3)
    one = GraphBuilder("dense")
    x = one.input("x", (5,), signed=True, binary_point=0)
    weights = (4 * rng.integers(-31, 32, (5, 3))).astype(np.int8)
    one.write(Dense("dense", x, "dense", weights, np.array([2, -398, 402], np.int32), (9,) * 3), signed=True, binary_point=0)
    dense = one.graph("dense")
    lowest, highest = (np.diagonal(run(dense, np.where(weights.T > 0, one, other))["dense"]) for one, other in ((-128, 127), (127, -128)))
    assert [end.tolist() for end in value_intervals(dense)["dense"]] == [lowest.tolist(), highest.tolist()]
    assert (lowest < highest).all()


def of_ops(shapes: dict[str, tuple[int, ...]], *ops: Lookup | Multiply | MatMul) -> IntegerGraph:
    tensors = {name: Tensor(name, shape, True, 0) for name, shape in shapes.items()}
    return IntegerGraph("ranges", tensors, ops, "x", (ops[-1].output,))


def test_tables_and_products_of_what_a_table_leaves() -> None:
    """A table that falls and rises leaves 3..9 of -128..127: from it products, and a scalar product of two terms with a bias."""
    table = np.clip(abs(np.arange(-128, 128)), 3, 9).astype(np.int8)
    bias = np.full((1, 1, 1), -7, np.int32)
    shapes: dict[str, tuple[int, ...]] = {"x": (1, 1, 2), "y": (1, 1, 2), "z": (1, 1, 2), "sum": (1, 1, 1)}
    ops = (Lookup("table", "x", "y", table), Multiply("square", ("y", "y"), "z"), MatMul("both", ("y", "y"), "sum", 1, True, bias))
    intervals = value_intervals(of_ops(shapes, *ops))
    ends = {name: [end.tolist() for end in channel_ends(*intervals[name])] for name in ("y", "z", "sum")}
    assert ends == {"y": [[3, 3], [9, 9]], "z": [[9, 9], [81, 81]], "sum": [[2 * 3 * 3 - 7], [127]]}


@pytest.mark.parametrize("low,high", [(-128, -5), (-9, 4), (3, 9)])
def test_a_product_of_signs(low: int, high: int) -> None:
    """The corners of what two tables leave; a scalar product's interval is wider where both have both signs."""
    tables = [np.clip(np.arange(-128, 128), *ends).astype(np.int8) for ends in ((low, high), (-3, 2))]
    shapes: dict[str, tuple[int, ...]] = dict.fromkeys(("x", "a", "b", "z", "sum"), (1, 1, 1))
    ops = (
        *(Lookup(f"table {name}", "x", name, table) for name, table in zip("ab", tables, strict=True)),
        Multiply("both", ("a", "b"), "z"),
        MatMul("sum", ("a", "b"), "sum", 1, True, np.zeros((1, 1, 1), np.int32)),
    )
    intervals = value_intervals(of_ops(shapes, *ops))
    pairs = np.clip([a * b for a, b in product((low, high), (-3, 2))], -128, 127)
    assert channel_ends(*intervals["z"]) == (pairs.min(), pairs.max())
    least, most = channel_ends(*intervals["sum"])
    both_signs = low < 0 < high
    assert (least, most) == ((low * 2 + high * -3, low * -3 + high * 2) if both_signs else (pairs.min(), pairs.max()))
