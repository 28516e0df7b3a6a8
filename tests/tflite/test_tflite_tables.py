"""Tables in TFLite: the ops of GELU and hard-swish where all kernels provably give the same one, int32 and GATHER elsewhere."""

from __future__ import annotations

from fractions import Fraction
from math import erfc, floor, sqrt

import numpy as np
import pytest
from engines import assert_equal_everywhere, values_on

from edgekit.executor import Artifact
from edgekit.graph import IntegerGraph, Lookup, Tensor, run
from edgekit.tflite import tables
from edgekit.tflite.executors import EXECUTORS
from edgekit.tflite.reader import describe
from edgekit.tflite.tables import hard_swish_raised, is_gelu
from edgekit.tflite.writer import write_tflite

SIDE = (16, 16, 1)
GATHERED = ["CAST", "ADD", "GATHER"]


def gelu_table(source: Tensor, output: Tensor) -> np.ndarray:
    """By the formula, halves up, one entry after the other."""
    entries = []
    for q in range(source.low, source.high + 1):
        x = q * 2.0**-source.binary_point
        entries.append(min(max(np.floor(0.5 * x * erfc(-x / sqrt(2)) * 2.0**output.binary_point + 0.5), output.low), output.high))
    return np.array(entries).astype(output.dtype)


def all_inputs(tensor: Tensor) -> np.ndarray:
    return np.arange(tensor.low, tensor.high + 1).astype(tensor.dtype).reshape(1, *SIDE)


def graph_of(f_in: int, points: list[int], signed_in: bool = True) -> IntegerGraph:
    """GELU from one input to a signed and an unsigned output at each binary point."""
    source = Tensor("x", SIDE, signed_in, f_in)
    outputs = [Tensor(f"y_{point}_{signed}", SIDE, signed, point) for point in points for signed in (True, False)]
    ops = tuple(Lookup(f"gelu_{y.name}", "x", y.name, gelu_table(source, y)) for y in outputs)
    return IntegerGraph("gelu", {t.name: t for t in (source, *outputs)}, ops, "x", tuple(y.name for y in outputs))


def ops_of(graph: IntegerGraph) -> list[str]:
    return [op.name for op in describe(write_tflite(graph))]


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("f_in", range(-1, 10))
def test_the_gelu_op_gives_the_table_on_every_kernel_set(f_in: int, signed: bool) -> None:
    """All 256 inputs, at every binary point for which the proof holds by the numbers of its docstring."""
    graph = graph_of(f_in, list(range(f_in, f_in + 6)), signed)
    assert set(ops_of(graph)) == {"GELU"}
    assert_equal_everywhere(graph, all_inputs(graph.tensors["x"]))


@pytest.mark.parametrize("f_in", range(5))
def test_where_halves_are_near_the_table_is_gathered_and_exact(f_in: int) -> None:
    graph = graph_of(f_in, [f_in - 1])
    assert ops_of(graph) == 2 * GATHERED
    assert_equal_everywhere(graph, all_inputs(graph.tensors["x"]))


def test_there_the_op_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """x = 5 + 1/8 at f_out = 2 is 20.5 less 3e-6; float32 knows no such number, and 20.5 becomes 21."""
    graph = graph_of(3, [2])
    monkeypatch.setattr(tables, "is_gelu", lambda *_: True)
    assert ops_of(graph) == 2 * ["GELU"]
    expected = run(graph, all_inputs(graph.tensors["x"]))
    for executor in EXECUTORS:
        found = values_on(executor, Artifact(graph=graph, tflite=write_tflite(graph)), all_inputs(graph.tensors["x"]))
        assert (found["y_2_True"] != expected["y_2_True"]).any(), executor.name


@pytest.mark.parametrize("entry", [0, 127, 128, 200, 255])
def test_a_table_that_differs_in_one_entry_is_gathered(entry: int) -> None:
    source, output = Tensor("x", SIDE, True, 4), Tensor("y", SIDE, True, 4)
    table = gelu_table(source, output)
    assert is_gelu(source, output, table)
    table[entry] ^= 1
    assert not is_gelu(source, output, table)
    graph = IntegerGraph("changed", {"x": source, "y": output}, (Lookup("table", "x", "y", table),), "x", ("y",))
    assert ops_of(graph) == GATHERED
    assert_equal_everywhere(graph, all_inputs(source))


@pytest.mark.parametrize("points", [(63, 63), (-63, -63), (-63, 63), (63, -63)])
def test_extreme_binary_points_are_no_trouble(points: tuple[int, int]) -> None:
    source, output = Tensor("x", SIDE, True, points[0]), Tensor("y", SIDE, True, points[1])
    is_gelu(source, output, np.zeros(256, np.int8))  # no warning, which would be an error


def hard_swish_table(source: Tensor, output: Tensor, halves_up: bool = True) -> np.ndarray:
    """In fractions, so that a half is one."""
    entries = []
    for q in range(source.low, source.high + 1):
        x = Fraction(q) / Fraction(2) ** source.binary_point
        v = x * min(max(x + 3, 0), 6) / 6 * Fraction(2) ** output.binary_point
        entries.append(min(max(floor(v + Fraction(1, 2)) if halves_up else -floor(Fraction(1, 2) - v), output.low), output.high))
    return np.array(entries).astype(output.dtype)


def hard_swish_graph(f_in: int, points: list[int], halves_up: bool = True) -> IntegerGraph:
    source, outputs = Tensor("x", SIDE, True, f_in), [Tensor(f"y_{point}", SIDE, True, point) for point in points]
    ops = tuple(Lookup(f"act_{y.name}", "x", y.name, hard_swish_table(source, y, halves_up)) for y in outputs)
    return IntegerGraph("hard_swish", {t.name: t for t in (source, *outputs)}, ops, "x", tuple(y.name for y in outputs))


# With halves: f_out of the networks' maps. (3, 3) has none: 48 v = q (q + 24) is never 24 modulo 48.
HARD_SWISH_OPS = {
    (3, 3): ["DEQUANTIZE", "HARD_SWISH", "QUANTIZE"],
    (3, 4): ["DEQUANTIZE", "HARD_SWISH", "ADD", "QUANTIZE"],
    (4, 4): ["DEQUANTIZE", "HARD_SWISH", "ADD", "QUANTIZE"],
    (5, 4): ["DEQUANTIZE", "HARD_SWISH", "ADD", "QUANTIZE"],
}


@pytest.mark.parametrize("points", HARD_SWISH_OPS)
def test_hard_swish_is_three_ops_or_four(points: tuple[int, int]) -> None:
    assert ops_of(hard_swish_graph(points[0], [points[1]])) == HARD_SWISH_OPS[points]


@pytest.mark.parametrize("f_in", range(9))
def test_hard_swish_gives_the_table_on_every_kernel_set(f_in: int) -> None:
    """All 256 inputs at six binary points, by whichever ops: where 2**-8 would take others over a half, the table is gathered."""
    graph = hard_swish_graph(f_in, list(range(f_in - 2, f_in + 4)))
    assert "HARD_SWISH" in ops_of(graph)
    assert_equal_everywhere(graph, all_inputs(graph.tensors["x"]))


def test_halves_of_hard_swish_that_go_down_are_gathered() -> None:
    graph = hard_swish_graph(4, [4], halves_up=False)
    assert (graph.ops[0].table != hard_swish_graph(4, [4]).ops[0].table).sum() == 4
    assert ops_of(graph) == GATHERED
    assert_equal_everywhere(graph, all_inputs(graph.tensors["x"]))


def test_what_2_to_the_minus_8_takes_over_a_half_is_seen() -> None:
    """At f_in = 8 and f_out = 6 some v are halves, and others multiples of 1/6144 just below one."""
    graph = hard_swish_graph(8, [6])
    assert hard_swish_raised(graph.tensors["x"], graph.tensors["y_6"], graph.ops[0].table) is None
    assert ops_of(graph) == GATHERED
