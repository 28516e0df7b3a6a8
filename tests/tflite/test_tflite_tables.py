"""Tables in TFLite: the ops of GELU and hard-swish where all kernels provably give the same one, int32 and GATHER elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from activation_tables import SIDE, all_inputs, gelu_graph, gelu_table, hard_swish_graph
from engines import assert_equal_everywhere, values_on

from edgekit.executor import Artifact
from edgekit.graph import IntegerGraph, Lookup, Tensor, run
from edgekit.tflite import tables
from edgekit.tflite.executors import EXECUTORS
from edgekit.tflite.reader import describe
from edgekit.tflite.tables import hard_swish_raised, is_gelu
from edgekit.tflite.writer import write_tflite

GATHERED = ["CAST", "ADD", "GATHER"]


def ops_of(graph: IntegerGraph) -> list[str]:
    return [op.name for op in describe(write_tflite(graph))]


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize("f_in", range(-1, 10))
def test_the_gelu_op_gives_the_table_on_every_kernel_set(f_in: int, signed: bool) -> None:
    """All 256 inputs, at every binary point for which the proof holds by the numbers of its docstring."""
    graph = gelu_graph(f_in, list(range(f_in, f_in + 6)), signed)
    assert set(ops_of(graph)) == {"GELU"}
    assert_equal_everywhere(graph, all_inputs(graph.tensors["x"]))


@pytest.mark.parametrize("f_in", range(5))
def test_where_halves_are_near_the_table_is_gathered_and_exact(f_in: int) -> None:
    graph = gelu_graph(f_in, [f_in - 1])
    assert ops_of(graph) == 2 * GATHERED
    assert_equal_everywhere(graph, all_inputs(graph.tensors["x"]))


def test_there_the_op_would_be_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """x = 5 + 1/8 at f_out = 2 is 20.5 less 3e-6; float32 knows no such number, and 20.5 becomes 21."""
    graph = gelu_graph(3, [2])
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
