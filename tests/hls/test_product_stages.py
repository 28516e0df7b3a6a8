"""Stages of products, slices and upsampling as numbers: hand-counted cycles and memories, and what is refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hand_graphs import Builder, every_product

from edgekit.graph import IntegerGraph
from edgekit.hls.dataflow import dataflow_of
from edgekit.hls.folding import Folding, WeightPlacement
from edgekit.hls.kernels import tokens
from edgekit.hls.kernels.arithmetic import Arithmetic
from edgekit.hls.kernels.base import Stage
from edgekit.hls.kernels.matmul import MatMul
from edgekit.hls.kernels.products import Gate, Product
from edgekit.hls.kernels.taps import MapSums
from edgekit.hls.kernels.upsample import Upsample
from edgekit.hls.ops import moderate_foldings, op_stages, refusal, row_of
from edgekit.hls.plan.estimates import estimate
from edgekit.hls.plan.resources import stage_cost
from edgekit.targets.boards import find_board


def only_stage(rng: np.random.Generator, add: Callable[[Builder, str], str], folding: Folding) -> Stage:
    """The stage of the last op on a 4 x 3 x 12 map."""
    b = Builder(rng)
    graph = b.graph(add(b, b.tensor("x", (4, 3, 12), signed=True, binary_point=3)))
    (stage,) = op_stages(graph, graph.ops[-1], folding)
    return stage


def test_a_product_takes_a_multiplier_a_value(rng: np.random.Generator) -> None:
    """Products reach 128 * 128, the rounding constant adds 8: 16392 and a sign are 16 bits."""
    stage = only_stage(rng, lambda b, x: b.multiply("y", x, x, 4), Folding(3))
    assert isinstance(stage, Product) and stage.held is None
    assert (stage.cycles, stage.multipliers, stage.accumulator_bits, stage.memories) == (4 * 3 * 4, 3, 16, ())


def test_a_gate_is_kept(rng: np.random.Generator) -> None:
    stage = only_stage(rng, lambda b, x: b.multiply("y", x, b.depthwise("gate", x, (4, 3), signed=False), 4), Folding(3))
    assert isinstance(stage, Gate) and stage.held == 1
    assert (stage.cycles, stage.multipliers, stage.accumulator_bits) == (4 * 3 * 4, 3, 16)  # 128 * 255 + 8 < 2**15
    assert [(memory.words, memory.word_bits) for memory in stage.memories] == [(4, 24)]


def test_scores_hold_a_map_in_a_bank_for_each_output(rng: np.random.Generator) -> None:
    """12 cells each, 3 heads of 4 terms, PE 6, SIMD 2: 12 * 6 tokens are loaded; then 12 cells * 3 heads * 2 groups * 2 groups."""
    stage = only_stage(rng, lambda b, x: b.matmul("y", x, x, 3, 7, transpose_y=True, bias=9), Folding(6, 2))
    assert isinstance(stage, MatMul) and stage.held == 1
    assert (stage.load_cycles, stage.cycles, stage.multipliers) == (72, 72 + 12 * 3 * 2 * 2, 12)
    *banks, bias, vector = stage.memories
    assert [(bank.words, bank.word_bits) for bank in banks] == [(2 * 6, 16)] * 6
    assert sum(bank.bits for bank in banks) == 12 * 12 * 8
    assert (bias.words, bias.word_bits, bias.rom) == (12 * 36 // 6, 6 * 8, True)  # |bias| + 64 <= 73: 8 bits
    assert (vector.words, vector.word_bits) == (2, 16)


def test_mixing_holds_a_map_in_a_bank_for_each_term(rng: np.random.Generator) -> None:
    """36 channels of x are 3 heads of 12 terms; y has 4 outputs a head. PE 4, SIMD 3: tokens of 4, 3 banks of 4 cells."""

    def add(b: Builder, x: str) -> str:
        return b.matmul("y", b.conv("scores", x, (1, 1), 36), x, 3, 7)

    stage = only_stage(rng, add, Folding(4, 3))
    assert isinstance(stage, MatMul)
    assert (stage.load_cycles, stage.cycles) == (12 * 3, 12 * 3 + 12 * 3 * 1 * 4)
    assert [(bank.words, bank.word_bits) for bank in stage.memories] == [(4 * 3, 32)] * 3  # one bias for all: no ROM; one group: no vector
    cost = stage_cost(stage)
    assert cost.dsp == 12 and cost.lut > 300


@pytest.mark.parametrize(("fill", "taps"), [(4 * 7, 1), (None, 12)])
def test_a_window_of_the_whole_map_keeps_sums_and_no_lines(fill: int | None, taps: int, rng: np.random.Generator) -> None:
    """A mean's weights are all alike and stored once, in a ROM that is a constant."""
    stage = only_stage(rng, lambda b, x: b.depthwise("y", x, (4, 3), fill=fill), Folding(3))
    assert isinstance(stage, MapSums) and stage.held == 0
    assert (stage.cycles, stage.multipliers) == (12 * 4 + 4, 3)
    weights, _, sums = stage.memories
    assert (weights.words, weights.word_bits) == (taps * 4, 0 if fill else 3 * 6)
    assert (sums.words, sums.word_bits, sums.rom) == (4, 3 * stage.sums.accumulator_bits, False)


def test_upsampling_keeps_a_row(rng: np.random.Generator) -> None:
    stage = only_stage(rng, lambda b, x: b.upsample("y", x, (2, 3)), Folding(4))
    assert isinstance(stage, Upsample)
    assert (stage.cycles, stage.multipliers) == (8 * 9 * 3, 4)
    weights, _, row = stage.memories
    assert (weights.words, weights.word_bits, row.words, row.word_bits) == (6 * 3, 4 * 6, 3 * 3, 32)
    hot = only_stage(rng, lambda b, x: b.upsample("y", x, (2, 3), fill=-8), Folding(4))
    assert isinstance(hot, Upsample) and (hot.sums.arithmetic, hot.multipliers) == (Arithmetic.SHIFT_ADD, 0)
    assert hot.sums.accumulator_bits <= 11  # one product, 2 * 128, and a bias of 500 and a rounding constant of 64


def test_a_slice_reads_every_token_and_writes_some(rng: np.random.Generator) -> None:
    stage = only_stage(rng, lambda b, x: b.slice("y", x, 6, 3), Folding(3))
    assert isinstance(stage, tokens.Slice)
    assert (stage.cycles, stage.cell, stage.begin, stage.count) == (12 * 4, 4, 2, 1)


def test_a_slice_inside_tokens_is_repacked(rng: np.random.Generator) -> None:
    """Start 5: no token but of one value ends there. The producer's tokens of 4 are taken apart first."""
    b = Builder(rng)
    x = b.tensor("x", (2, 2, 4), signed=True, binary_point=3)
    graph = b.graph(b.slice("y", b.conv("wide", x, (1, 1), 12), 5, 6))
    assert row_of(graph.ops[1]).lengths(graph, graph.ops[1]) == (1, 1)
    flow = dataflow_of(graph, {"wide": Folding(4, 4), "y": Folding()})
    assert [(stage.token_in, stage.token_out) for stage in flow.stages if isinstance(stage, tokens.Resize)] == [(4, 1)]


@pytest.mark.parametrize(
    ("name", "folding", "message"),
    [
        ("attention_scores", Folding(pe=4), "op 'attention_scores' cannot have PE 4: it has to divide 6; take one of 1, 2, 3, 6"),
        ("attention_scores", Folding(simd=4), "op 'attention_scores' cannot have SIMD 4: it has to divide 2"),
        ("attention_mixed", Folding(pe=2), "op 'attention_mixed' cannot have PE 2: it has to divide 3; take one of 1, 3"),
        ("attention_mixed", Folding(weights=WeightPlacement.DDR), "op 'attention_mixed' cannot read weights from DDR"),
        ("odd", Folding(pe=4), "op 'odd' cannot have PE 4: it has to divide 1"),
        ("tall", Folding(pe=3), "op 'tall' cannot have PE 3: it has to divide 4"),
        ("se_scaled", Folding(simd=2), "op 'se_scaled' cannot have SIMD 2: it has to divide 1"),
    ],
)
def test_foldings_that_do_not_divide_are_refused(name: str, folding: Folding, message: str) -> None:
    graph = every_product()
    (op,) = [op for op in graph.ops if op.name == name]
    assert message in str(refusal(graph, op, folding))


def test_what_is_held_comes_in_tokens_of_its_own() -> None:
    ops = {op.name: op for op in every_product().ops}
    assert row_of(ops["attention_scores"]).reads(ops["attention_scores"], Folding(3, 2)) == (2, 2)
    assert row_of(ops["attention_mixed"]).reads(ops["attention_mixed"], Folding(3, 2)) == (2, 3)
    assert row_of(ops["se_scaled"]).reads(ops["se_scaled"], Folding(4)) == (4, 4)


def test_estimates_show_every_op_with_its_cycles() -> None:
    graph = every_product()
    found = estimate(graph, moderate_foldings(graph), find_board("ultra96"))
    layers = {layer.name: layer for layer in found.layers}
    assert [op.name for op in graph.ops if op.name not in layers] == []
    assert {layers[name].kind for name in ("se_scaled", "alike", "odd", "tall")} == {
        "Multiply",
        "MatMul",
        "Slice",
        "DepthwiseConv2DTranspose",
    }
    for op in graph.ops:
        assert layers[op.name].cycles >= max(stage.cycles for stage in op_stages(graph, op, moderate_foldings(graph)[op.name]))


def test_a_result_that_waits_for_a_map_is_late(rng: np.random.Generator) -> None:
    """The gate's first product comes after the last value of the map, so the latency is more than a frame's input and a frame's output."""

    def latency(graph: IntegerGraph) -> float:
        return estimate(graph, moderate_foldings(graph, 1, 1), find_board("ultra96")).latency_ms

    b = Builder(rng)
    x = b.tensor("x", (8, 8, 4), signed=True, binary_point=3)
    gated = b.graph(b.multiply("y", x, b.depthwise("gate", x, (8, 8)), 3))
    b = Builder(rng)
    x = b.tensor("x", (8, 8, 4), signed=True, binary_point=3)
    plain = b.graph(b.multiply("y", x, x, 3))
    assert latency(gated) > 2 * latency(plain)
