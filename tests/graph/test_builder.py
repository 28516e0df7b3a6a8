"""GraphBuilder: shapes and types follow from the ops, and what cannot follow is refused where it is written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from random_graphs import integer_graphs

from edgekit.errors import ContractError
from edgekit.graph import (
    Activation,
    Add,
    Concat,
    Conv2D,
    GraphBuilder,
    IntegerGraph,
    Lookup,
    MaxPool,
    Reshape,
    Slice,
    Tensor,
    equal,
)
from edgekit.graph.ir import OP_TYPES


def started() -> GraphBuilder:
    graph = GraphBuilder("net")
    graph.input("x", (4, 6, 2), signed=False, binary_point=3)
    return graph


def table(name: str, output: str, source: str = "x") -> Lookup:
    return Lookup(name, source, output, np.zeros(256, np.int8))


@settings(max_examples=30)
@given(integer_graphs(OP_TYPES, length=8))
def test_a_graph_written_again_is_the_same(graph: IntegerGraph) -> None:
    """Op by op, each with the type of its output and, where the op leaves it open, its shape."""
    again = GraphBuilder(graph.name)
    source = graph.tensors[graph.input]
    again.input(source.name, source.shape, signed=source.signed, binary_point=source.binary_point)
    for op in graph.ops:
        output = graph.tensors[op.output]
        shape = output.shape if isinstance(op, Slice | Reshape) else ()
        again.write(op, signed=output.signed, binary_point=output.binary_point, shape=shape)
    assert equal(graph, again.graph(*graph.outputs))


def test_ops_that_keep_a_type_need_not_be_told() -> None:
    graph = started()
    pooled = graph.write(MaxPool("pool", "x", "p", (2, 2), (2, 2)))
    joined = graph.write(Concat("join", (pooled, pooled), "j"))
    part = graph.write(Slice("part", joined, "s", 1), shape=(3,))
    graph.write(Reshape("flat", part, "f"), shape=(18,))
    made = graph.graph()
    assert made.outputs == ("f",)
    assert list(made.tensors.values())[1:] == [
        Tensor("p", (2, 3, 2), False, 3),
        Tensor("j", (2, 3, 4), False, 3),
        Tensor("s", (2, 3, 3), False, 3),
        Tensor("f", (18,), False, 3),
    ]


def test_a_sum_has_the_binary_point_of_what_it_adds() -> None:
    graph = started()
    graph.write(Add("sum", ("x", "x"), "y", Activation.RELU), signed=True)
    assert graph.tensors["y"] == Tensor("y", (4, 6, 2), True, 3)


def test_the_graph_goes_on_without_touching_what_was_given() -> None:
    graph = started()
    graph.write(table("one", "y"), signed=True, binary_point=0)
    made = graph.graph("y")
    graph.write(table("two", "z", "y"), signed=True, binary_point=0)
    assert set(made.tensors) == {"x", "y"} and len(made.ops) == 1


REFUSED = {
    "a second input": (lambda g: g.input("z", (1,), signed=True, binary_point=0), "'z' breaks rule 0: the graph has an input already, 'x'"),
    "a tensor that is not there": (lambda g: g.write(table("t", "y", "z"), signed=True, binary_point=0), r"op 't' reads \['z'\] before"),
    "a tensor written twice": (lambda g: g.write(table("t", "x"), signed=True, binary_point=0), "op 't' writes it a second time"),
    "no sign": (lambda g: g.write(table("t", "y"), binary_point=0), "op 't' needs to know whether it is signed, and its binary point"),
    "a sum without a sign": (lambda g: g.write(Add("t", ("x", "x"), "y")), "op 't' needs to know"),
    "no binary point": (lambda g: g.write(table("t", "y"), signed=True), "op 't' needs to know"),
    "a slice of no length": (lambda g: g.write(Slice("t", "x", "y", 0)), "op 't': cannot take inputs of shape"),
    "a reshape to nothing": (lambda g: g.write(Reshape("t", "x", "y")), r"op 't': reshapes \(4, 6, 2\) to \(\)"),
    "weights of another depth": (
        lambda g: g.write(
            Conv2D("t", "x", "y", np.full((1, 1, 3, 1), 4, np.int8), np.array([2], np.int32), (4,)), signed=True, binary_point=0
        ),
        "op 't': weights .* for a map",
    ),
    "outputs that are not there": (lambda g: g.graph("y"), "'y' breaks rule 0"),
    "a graph without ops": (lambda g: g.graph(), "'x' breaks rule 0: the graph needs outputs"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(case: str) -> None:
    do, message = REFUSED[case]
    with pytest.raises(ContractError, match=message):
        do(started())


def test_a_graph_that_breaks_the_contract_is_refused() -> None:
    graph = started()
    graph.write(Concat("join", ("x", "x"), "y"), signed=True)
    with pytest.raises(ContractError, match="'y' breaks rule 6"):
        graph.graph()


def test_a_graph_without_an_input_is_refused() -> None:
    with pytest.raises(ContractError):
        GraphBuilder("empty").graph("y")
