"""Whatever `check` accepts, every executor runs: names, ranks and binary points at the ends of what is allowed."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
import pytest
from engines import ONNXRUNTIME
from random_graphs import random_graph

from edgekit.errors import ContractError
from edgekit.executor import Artifact
from edgekit.graph import (
    Activation,
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    GraphBuilder,
    IntegerGraph,
    Lookup,
    Multiply,
    Op,
    Padding,
    Reshape,
    Slice,
    check,
    equal,
    read_onnx,
    run,
    write_onnx,
)
from edgekit.graph.check import RANK_MAX, sum_leaves_float32
from edgekit.graph.ir import OP_TYPES
from edgekit.graph.names import HEADS, PARTS, SHARED
from edgekit.graph.onnx_write import onnx_model
from edgekit.keras_models.qfx.executors import EXECUTORS as KERAS
from edgekit.tflite import parse
from edgekit.tflite.executors import EXECUTORS as TFLITE
from edgekit.tflite.writer import write_tflite
from edgekit.verify.onnxruntime import open_onnxruntime


def assert_equal_on(graph: IntegerGraph, *executors: object) -> None:
    tensor = graph.tensors[graph.input]
    drawn = np.random.default_rng(1).integers(tensor.low, tensor.high + 1, (3, *tensor.shape))
    inputs = np.concatenate([np.full((1, *tensor.shape), tensor.low), np.full((1, *tensor.shape), tensor.high), drawn]).astype(tensor.dtype)
    expected = run(graph, inputs)
    for executor in executors:
        assert executor.missing(Artifact(graph=graph)) is None  # type: ignore[attr-defined]
        with executor.open(Artifact(graph=graph), lambda _: None) as execute:  # type: ignore[attr-defined]
            found = execute(inputs)
        assert set(graph.outputs) <= set(found)
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[name], err_msg=f"{executor.name}: {name}")  # type: ignore[attr-defined]


def weights(*shape: int) -> np.ndarray:
    return (4 * np.random.default_rng(2).integers(-31, 32, shape)).astype(np.int8)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("binary_point", [-1, 4, 27, 28, 29, 30, 31, 32, 45])
def test_relu6_at_every_binary_point(binary_point: int, signed: bool) -> None:
    """At 30 and more, 6 * 2**f in onnxruntime's fused Clip gave other integers on signed outputs."""
    graph = GraphBuilder("clip")
    x = graph.input("x", (2, 2, 3), signed=True, binary_point=binary_point)
    kept = {"signed": signed, "binary_point": binary_point}
    total = graph.write(Add("add", (x, x), "sum", activation=Activation.RELU6), **kept)
    bias, points = np.full(2, 2, np.int32), (8,) * 2
    conv = graph.write(Conv2D("conv", total, "map", weights(1, 1, 3, 2), bias, points, activation=Activation.RELU6), **kept)
    graph.write(Dense("dense", conv, "out", weights(8, 2), bias, points, activation=Activation.RELU6), **kept)
    made = graph.graph("out")
    assert_equal_on(made, ONNXRUNTIME, *TFLITE)
    assert write_onnx(read_onnx(write_onnx(made))) == write_onnx(made)


OF_ANY_RANK = {
    "dense": lambda shape: Dense("op", "x", "y", weights(prod(shape), 3), np.full(3, 2, np.int32), (8,) * 3),
    "concat": lambda shape: Concat("op", ("x", "x"), "y"),
    "add": lambda shape: Add("op", ("x", "x"), "y"),
    "slice": lambda shape: Slice("op", "x", "y", 1),
    "lookup": lambda shape: Lookup("op", "x", "y", np.arange(-128, 128).astype(np.int8)),
    "multiply": lambda shape: Multiply("op", ("x", "x"), "y"),
    "reshape": lambda shape: Reshape("op", "x", "y"),
}
WANTED = {"slice": lambda shape: (*shape[:-1], 1), "reshape": lambda shape: (prod(shape),)}


def of_rank(kind: str, rank: int) -> IntegerGraph:
    shape = (2,) * rank
    graph = GraphBuilder(kind)
    graph.input("x", shape, signed=True, binary_point=0)
    op: Op = OF_ANY_RANK[kind](shape)
    graph.write(op, signed=True, binary_point=0, shape=WANTED[kind](shape) if kind in WANTED else ())
    return graph.graph("y")


@pytest.mark.parametrize("kind", OF_ANY_RANK)
def test_every_op_in_as_many_dimensions_as_are_allowed(kind: str) -> None:
    assert_equal_on(of_rank(kind, RANK_MAX), ONNXRUNTIME, *TFLITE, *KERAS)
    with pytest.raises(ContractError, match="rule 0: has 6 dimensions, more than 5"):
        of_rank(kind, RANK_MAX + 1)


def named(tensor: str, op: str = "op") -> IntegerGraph:
    graph = GraphBuilder("names")
    graph.input("x", (2, 2, 3), signed=True, binary_point=2)
    conv = Conv2D(op, "x", tensor, weights(1, 1, 3, 2), np.full(2, 2, np.int32), (8,) * 2, activation=Activation.RELU6)
    graph.write(conv, signed=False, binary_point=2)
    graph.write(Multiply("product", (tensor, tensor), "y"), signed=True, binary_point=-2)
    return graph.graph("y")


@pytest.mark.parametrize(
    "name", ["zero_int8", "scale_2^-2", "double_half", "double_-128", "relu6/low", "op/weights", "op/sum", "x/real", "", "\ud800"]
)
def test_names_that_a_file_gives_to_its_own_are_refused_by_the_rule(name: str) -> None:
    with pytest.raises(ContractError, match=r"breaks rule 0: (is what|has no name|has a name)"):
        named(name)
    if name in ("", "\ud800"):
        with pytest.raises(ContractError, match="breaks rule 0: its op"):
            named("map", name)


IN_KERAS = ("größe", 'a;b"')
"""Letters that TensorFlow does not take in names of layers; a model is slow to build."""


@pytest.mark.parametrize("name", ["op", "op/out", "relu6", " ", "a b", "\n\0", "größe", "../x", "int", 'a;b"', "x" * 3000, "zero_int8/x"])
def test_all_other_names_run(name: str) -> None:
    for graph in (named(name), named("map", name)):
        assert_equal_on(graph, ONNXRUNTIME, *TFLITE, *(KERAS if name in IN_KERAS else ()))
        assert write_onnx(read_onnx(write_onnx(graph))) == write_onnx(graph)


def test_the_names_of_both_file_forms_are_known() -> None:
    """Of every value and constant that random graphs of every op have beside their tensors."""
    for seed in range(24):
        graph = random_graph(np.random.default_rng(seed), OP_TYPES, length=12)
        owners = {*graph.tensors, *(op.name for op in graph.ops)}
        onnx = onnx_model(graph, graph.outputs).graph
        names = {one.name for one in onnx.initializer} | {output for node in onnx.node for output in node.output}
        names |= {tensor.name.decode() for tensor in parse(write_tflite(graph)).subgraphs[0].tensors}
        for name in names - set(graph.tensors):
            owner, _, what = name.partition("/")
            assert SHARED.fullmatch(name) or (owner in owners and (what.split("/")[0] in PARTS or HEADS.match(what))), name


def test_the_rule_lists_no_name_that_is_not_written() -> None:
    """Each is somewhere in the writers' code."""
    from pathlib import Path

    from edgekit import graph, tflite

    code = "".join(path.read_text() for one in (graph, tflite) for path in Path(str(one.__file__)).parent.glob("*.py"))
    quoted = set(re.findall(r"[\w]+", code.replace((Path(str(graph.__file__)).parent / "names.py").read_text(), "")))
    derived = {f"{one}_{part}" for one in ("weights", "bias") for part in ("dequantized", "scale", "zero_point")}
    derived |= {f"{one}_{part}" for one in ("input", "weights") for part in ("int32", "raised", "uint8")}
    derived |= {f"{one}_{part}" for one in "xy" for part in ("heads", "shape")} | {"input_0", "input_1"}
    assert set() == PARTS - quoted - derived


SUMS = {Conv2D: ((3, 3, 9, 4), 4), DepthwiseConv2D: ((3, 3, 9), 9), Dense: ((5 * 6 * 9, 4), 4)}


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("kind", SUMS)
def test_a_sum_that_float32_does_not_hold(kind: type, signed: bool, optimize: bool) -> None:
    """Biases of about 2**25, of either sign, which the weights bring back into the range of the output; a shift of 16."""
    rng = np.random.default_rng(3)
    shape, channels = SUMS[kind]
    bias = (-1) ** np.arange(channels) * ((1 << 25) + 4 * rng.integers(1 << 8, 1 << 16, channels)) + 2
    graph = GraphBuilder("beyond")
    x = graph.input("input", (5, 6, 9), signed=signed, binary_point=4)
    drawn = (4 * rng.integers(-31, 32, shape)).astype(np.int8)
    fields: dict[str, Any] = {} if kind is Dense else {"padding": Padding(2, 1, 2, 1), "strides": (1, 2), "dilation": (2, 1)}
    op = kind("sum", x, "sum", drawn, bias.astype(np.int32), (16,) * channels, activation=Activation.RELU, **fields)
    made = graph.graph(graph.write(op, signed=False, binary_point=4))
    check(made)
    assert sum_leaves_float32(made, op)
    assert equal(read_onnx(write_onnx(made)), made)
    assert_equal_on(made, replace(ONNXRUNTIME, open=partial(open_onnxruntime, optimize=optimize)), *KERAS, *TFLITE)
