"""One class an op: what it computes, one number at a time, and what breaks its rules. Everything else is inherited."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from engines import values_on
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import cells_of, clamp, product, requantize, window
from op_contract import (
    SHAPE,
    OpContract,
    Twin,
    Values,
    WeightedContract,
    WindowContract,
    X,
    Y,
    contracts,
    graph_of_all,
    pair,
)
from random_graphs import integer_graphs, one_layer, random_inputs

from edgekit.executor import Artifact, Executor
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
    op_inputs,
    run,
)
from edgekit.graph.ir import OP_TYPES
from edgekit.hls.simulation.executors import EXECUTORS as SIMULATIONS
from edgekit.keras_models.qfx.executors import EXECUTORS as KERAS


class TestConv2D(WindowContract):
    op, shape, terms, output = Conv2D, (1, 1, 2, 2), 2, SHAPE

    def cell(self, graph, op, sources, at):
        total = int(op.bias[at[2]])
        for i, j, cell in window(op, op.weights.shape, op.dilation, at):
            total += sum(int(op.weights[i, j, c, at[2]]) * sources[0].get((*cell, c), 0) for c in range(op.weights.shape[2]))
        return requantize(graph, op, total, at[2])

    @classmethod
    def broken(cls):
        deeper = np.full((1, 1, 3, 2), 4, np.int8)
        return {**super().broken(), "weights of another depth": Twin(cls.layer(weights=deeper), 0, "for a map")}


class TestDepthwiseConv2D(WindowContract):
    op, shape, terms, output = DepthwiseConv2D, (1, 2, 2), 2, (4, 3, 2)

    def cell(self, graph, op, sources, at):
        total = int(op.bias[at[2]])
        for i, j, cell in window(op, op.weights.shape, op.dilation, at):
            total += int(op.weights[i, j, at[2]]) * sources[0].get((*cell, at[2]), 0)
        return requantize(graph, op, total, at[2])


class TestDepthwiseConv2DTranspose(WeightedContract):
    op, shape, terms, output = DepthwiseConv2DTranspose, (1, 2, 2), 1, (4, 8, 2)

    def cell(self, graph, op, sources, at):
        (cell_row, row), (cell_column, column) = divmod(at[0], op.weights.shape[0]), divmod(at[1], op.weights.shape[1])
        total = sources[0][(cell_row, cell_column, at[2])] * int(op.weights[row, column, at[2]]) + int(op.bias[at[2]])
        return requantize(graph, op, total, at[2])

    @classmethod
    def broken(cls):
        square = one_layer(cls.op("up", "x", "y", np.full((2, 2, 2), 4, np.int8), np.full(2, 2, np.int32), (4, 4)), X, Y)
        return {**super().broken(), "upsampling of another size": Twin(square, 0, r"gives shape \(8, 8, 2\)")}


class TestDense(WeightedContract):
    op, shape, terms, output = Dense, (32, 2), 32, (2,)

    def cell(self, graph, op, sources, at):
        flat = [sources[0][where] for where in np.ndindex(graph.tensors[op.input].shape)]
        total = int(op.bias[at[0]]) + sum(int(w) * x for w, x in zip(op.weights[:, at[0]], flat, strict=True))
        return requantize(graph, op, total, at[0])

    @classmethod
    def broken(cls):
        short = cls.layer(weights=np.full((31, 2), 4, np.int8))
        return {**super().broken(), "dense of another size": Twin(short, 0, "31 weights for")}


class TestAdd(OpContract):
    op = Add

    def cell(self, graph, op, sources, at):
        return clamp(op.activation, graph.tensors[op.output], sources[0][at] + sources[1][at])

    @classmethod
    def broken(cls):
        total, z, y = Add("sum", ("x", "z"), "y"), replace(X, name="z"), replace(X, name="y")
        coarse = replace(X, binary_point=-2)
        six = one_layer(Add("sum", ("x", "x"), "y", Activation.RELU6), coarse, replace(coarse, name="y"))
        return {
            "add of two scales": Twin(pair(total, replace(z, binary_point=3), y), 4, "'z' with bin"),
            "add into another scale": Twin(pair(total, z, Y), 4, "into binary point 1"),
            "six is no integer": Twin(six, 6, "6 is no integer"),
            "add into another shape": Twin(pair(total, z, replace(y, shape=(4, 4, 1))), 0, "gives shape"),
        }

    @classmethod
    def kept(cls):
        mixed = pair(Add("sum", ("x", "z"), "y"), replace(X, name="z", signed=True), replace(X, name="y"))
        return {"add of mixed signs": mixed}


class TestMultiply(OpContract):
    op = Multiply

    def cell(self, graph, op, sources, at):
        gate = at if graph.tensors[op.inputs[1]].shape == graph.tensors[op.output].shape else (0, 0, at[2])
        return product(graph, op, sources[0][at] * sources[1][gate])

    @staticmethod
    def gated(f=2, output=Y):
        return pair(Multiply("gate", ("x", "z"), "y"), Tensor("z", SHAPE, False, f), output)

    @classmethod
    def broken(cls):
        x, gate, y = replace(X, shape=(4,)), replace(X, name="z", shape=(1, 1, 4)), replace(Y, shape=(4,))
        ops = (Reshape("turn", "x", "z"), Multiply("gate", ("x", "z"), "y"))
        vector = IntegerGraph("vector", {"x": x, "z": gate, "y": y}, ops, "x", ("y",))
        return {
            "product shifted left": Twin(cls.gated(output=replace(Y, binary_point=5)), 8, "shifts by -1"),
            "product shifted too far": Twin(cls.gated(f=33), 8, "shifts by 34"),
            "product into another shape": Twin(cls.gated(output=replace(Y, shape=(4, 4, 3))), 0, "gives shape"),
            "gate of a vector": Twin(vector, 0, "cannot take inputs"),
        }

    @classmethod
    def kept(cls):
        one_cell = {"shape": (1, 1, 2)}
        return {
            "product shifted by nothing": cls.gated(output=replace(Y, binary_point=4)),
            "a number a channel": one_layer(Multiply("gate", ("x", "x"), "y"), replace(X, **one_cell), replace(Y, **one_cell)),
        }


class TestMatMul(OpContract):
    op = MatMul

    def cell(self, graph, op, sources, at):
        """Cells of y are counted row by row."""
        x, y = (graph.tensors[name].shape for name in op.inputs)
        cells = list(itertools.product(range(y[0]), range(y[1])))
        width = x[2] // op.heads
        head, rest = divmod(at[2], len(cells) if op.transpose_y else y[2] // op.heads)
        total = int(np.broadcast_to(op.bias, graph.tensors[op.output].shape)[at])
        for k in range(width):
            left = sources[0][(at[0], at[1], head * width + k)]
            cell, channel = (cells[rest], head * width + k) if op.transpose_y else (cells[k], head * (y[2] // op.heads) + rest)
            total += left * sources[1][(*cell, channel)]
        return product(graph, op, total)

    @staticmethod
    def scores(source=None, heads=2, bias=0, shape=(1, 1, 1), activation=Activation.NONE, f=0):
        """Every cell with every cell of one map: 2 channels in two heads give 16 scores a head."""
        op = MatMul("scores", ("x", "x"), "y", heads, True, np.full(shape, bias, np.int32), activation)
        return one_layer(op, source or replace(X, signed=True), Tensor("y", (4, 4, 32), True, f))

    @classmethod
    def broken(cls):
        most = 2**31 - 16384 - 8 - 2048  # 16384 is the product, 8 half an output LSB at a shift of 4, 2048 are 128 of them
        return {
            "unsigned values": Twin(cls.scores(X), 8, "which is unsigned"),
            "beyond int32": Twin(cls.scores(bias=2**31 - 16384), 8, "leaves int32"),
            "rounding and clamp beyond int32": Twin(cls.scores(bias=most), 8, "leaves int32"),
            "shifted left": Twin(cls.scores(f=5), 8, "shifts by -1"),
            "six is no integer": Twin(cls.scores(f=-2, activation=Activation.RELU6), 6, "6 is no integer"),
            "heads that do not divide": Twin(cls.scores(heads=3), 0, "cannot take inputs"),
            "bias of another shape": Twin(cls.scores(shape=(4, 4, 1)), 0, "cannot take inputs"),
        }

    @classmethod
    def kept(cls):
        return {
            "just inside int32": cls.scores(bias=2**31 - 16384 - 8 - 2048 - 1),
            "bias for every score": cls.scores(shape=(4, 4, 32)),
        }


class TestConcat(OpContract):
    op = Concat

    def cell(self, graph, op, sources, at):
        channel = at[-1]
        for name, values in zip(op.inputs, sources, strict=True):
            size = graph.tensors[name].shape[-1]
            if channel < size:
                return values[(*at[:-1], channel)]
            channel -= size
        raise AssertionError(at)

    @classmethod
    def broken(cls):
        join, z, y = Concat("join", ("x", "z"), "y"), replace(X, name="z"), replace(X, name="y", shape=(4, 4, 4))
        return {
            "concat of two types": Twin(pair(join, replace(z, signed=True), y), 6, "'z' has another"),
            "concat of two binary points": Twin(pair(join, replace(z, binary_point=3), y), 6, "'z' has another"),
            "concat into another shape": Twin(pair(join, z, replace(y, shape=(4, 4, 2))), 0, "gives shape"),
            "concat of one": Twin(one_layer(Concat("join", ("x",), "y"), X, replace(X, name="y")), 0, "cannot take inputs"),
        }


class TestSlice(OpContract):
    op = Slice

    def cell(self, graph, op, sources, at):
        return sources[0][(*at[:-1], op.start + at[-1])]

    @classmethod
    def broken(cls):
        def part(start, y):
            return one_layer(Slice("part", "x", "y", start), X, replace(y, name="y"))

        return {
            "channels that are not there": Twin(part(1, X), 0, "cannot take inputs"),
            "channels before the first": Twin(part(-1, replace(X, shape=(4, 4, 1))), 0, "cannot take inputs"),
            "slice that changes the type": Twin(part(1, replace(Y, shape=(4, 4, 1))), 6, "does not change a type"),
        }


class TestMaxPool(OpContract):
    op = MaxPool

    def cell(self, graph, op, sources, at):
        cells = window(op, op.pool, (1, 1), at)
        return max(sources[0][(*cell, at[2])] for _, _, cell in cells if (*cell, at[2]) in sources[0])

    @classmethod
    def broken(cls):
        changed = one_layer(MaxPool("pool", "x", "y", (1, 1), (1, 1)), X, Y)
        empty = one_layer(MaxPool("pool", "x", "y", (1, 1), (1, 1), Padding(1, 0, 0, 0)), X, Y)
        vector = one_layer(MaxPool("pool", "x", "y", (1, 1), (1, 1)), replace(X, shape=(4, 4)), replace(X, name="y", shape=(4, 4)))
        return {
            "pool that changes the type": Twin(changed, 6, "does not change a type"),
            "pool of padding only": Twin(empty, 0, "cannot take inputs"),
            "pool of no map": Twin(vector, 0, "cannot take inputs"),
        }


class TestLookup(OpContract):
    op = Lookup

    def cell(self, graph, op, sources, at):
        return int(op.table[sources[0][at] + (128 if graph.tensors[op.input].signed else 0)])

    @classmethod
    def broken(cls):
        def table(array, y=Y):
            return one_layer(Lookup("table", "x", "y", array), X, y)

        return {
            "short table": Twin(table(np.zeros(255, np.int8)), 7, "not 256 integers"),
            "table of another type": Twin(table(np.zeros(256, np.uint8)), 7, "of type int8"),
            "table into another shape": Twin(table(np.zeros(256, np.int8), replace(Y, shape=(4, 4))), 0, "gives shape"),
        }


class TestReshape(OpContract):
    op = Reshape

    def cell(self, graph, op, sources, at):
        place = list(np.ndindex(graph.tensors[op.output].shape)).index(at)
        return sources[0][list(np.ndindex(graph.tensors[op.input].shape))[place]]

    @classmethod
    def broken(cls):
        def flat(y, length):
            return one_layer(Reshape("flat", "x", "y"), X, replace(y, name="y", shape=(length,)))

        return {
            "reshape that changes the type": Twin(flat(Y, 32), 6, "does not change a type"),
            "reshape to another size": Twin(flat(X, 31), 0, "reshapes"),
        }


def values_of_all(executor: Executor, only_some: bool = False) -> Values:
    graph = graph_of_all()
    inputs = random_inputs(np.random.default_rng(1), graph, noise=4)
    return Values(graph, run(graph, inputs), values_on(executor, Artifact(graph=graph), inputs), only_some)


@pytest.fixture(scope="module")
def keras_values() -> Values:
    return values_of_all(KERAS[0])


@pytest.fixture(scope="module")
def csim_values() -> Values:
    """One compilation for every op; streams that only change their shape are not shown."""
    reason = SIMULATIONS[0].missing(Artifact(graph=graph_of_all()))
    if reason:
        pytest.skip(reason)
    return values_of_all(SIMULATIONS[0], only_some=True)


def test_every_op_has_a_contract() -> None:
    assert [contract.op for contract in contracts()] == list(OP_TYPES)


@settings(max_examples=40)
@given(
    integer_graphs(OP_TYPES, length=4).filter(lambda g: max(np.prod(t.shape) for t in g.tensors.values()) < 200),
    st.integers(0, 2**32 - 1),
)
def test_the_reference_of_a_whole_graph_equals_the_naive_functions(graph: IntegerGraph, seed: int) -> None:
    """Tensor by tensor, each from what the naive functions gave before it."""
    cell_of = {contract.op: contract.cell for contract in contracts()}
    inputs = random_inputs(np.random.default_rng(seed), graph, noise=1)[2:]
    values = run(graph, inputs)
    for number, image in enumerate(inputs):
        naive = {graph.input: cells_of(image)}
        for op in graph.ops:
            sources = [naive[name] for name in op_inputs(op)]
            naive[op.output] = {at: cell_of[type(op)](graph, op, sources, at) for at in np.ndindex(graph.tensors[op.output].shape)}
        for name, expected in naive.items():
            assert {at: int(values[name][(number, *at)]) for at in expected} == expected, name
