"""Foldings, stages and dataflows as numbers: hand-counted cycles and memories, what is refused, and that streams fit together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import pytest
from foldings import random_plan
from hand_graphs import Builder
from random_graphs import random_graph

from edgekit.errors import EdgekitError
from edgekit.graph import Conv2D, IntegerGraph, Padding, Reshape
from edgekit.graph.ir import OP_TYPES
from edgekit.hls.dataflow import ample_depths, dataflow_of
from edgekit.hls.folding import Folding, WeightPlacement
from edgekit.hls.kernels import tokens
from edgekit.hls.kernels.arithmetic import Arithmetic, coded, weight_code
from edgekit.hls.kernels.matvec import HeldMatVec, MatVec, WeightReader
from edgekit.hls.kernels.window import Window
from edgekit.hls.ops import DDR_WORD_BITS_MAX, check_plan, legal_foldings, moderate_foldings, op_stages, refusal

DDR = WeightPlacement.DDR


def one_conv(rng: np.random.Generator, **options: object) -> IntegerGraph:
    b = Builder(rng)
    x = b.tensor("x", (6, 5, 4), signed=True, binary_point=3)
    return b.graph(b.conv("y", x, (3, 3), 6, padding=Padding(1, 1, 1, 1), **options))


def test_cycles_and_memories_of_a_convolution(rng: np.random.Generator) -> None:
    """A 6 x 5 x 4 map, 3 x 3, 6 outputs, PE 2, SIMD 2: the window fills a row and 2 cells of 2 words each, and one for window 1, which
    needs two more by iteration 18 - 8, when one has come; then 6 rows of 5 * 2 * 9 reads. Its line buffer has 2 rows and 5 words, and
    what comes in addition by iteration 36 + 8, when window 1 was read from column 0."""
    graph = one_conv(rng)
    window, matvec = op_stages(graph, graph.ops[0], Folding(pe=2, simd=2))
    assert isinstance(window, Window) and isinstance(matvec, MatVec)
    assert window.cycles == (5 + 2) * 2 + 1 + 6 * (5 * 2 * 9)
    assert [(memory.words, memory.word_bits) for memory in window.memories] == [(2 * 5 * 2 + 5 + 44 // 9, 16)]
    assert matvec.cycles == 6 * 5 * (6 // 2) * (9 * 4 // 2)
    weights, requantize, vector = matvec.memories
    assert (weights.words, weights.word_bits, weights.rom) == (3 * 18, 2 * 2 * 6, True)
    assert (vector.words, vector.word_bits, vector.rom) == (18, 16, False)
    assert requantize.words == 3
    assert (matvec.sums.arithmetic, matvec.multipliers) == (Arithmetic.PACKED, 2)


def test_a_strided_window_waits_for_its_rows(rng: np.random.Generator) -> None:
    """Stride 4 of a 1 x 1 kernel on 6 x 5: each of 2 rows of windows reads 2 cells, but 4 rows of 5 cells come in for the next."""
    b = Builder(rng)
    x = b.tensor("x", (6, 5, 1), signed=True, binary_point=3)
    graph = b.graph(b.depthwise("y", x, (1, 1), strides=(4, 4), shifts=(6,)))
    window, depthwise = op_stages(graph, graph.ops[0], Folding())
    assert (window.cycles, depthwise.cycles) == (1 * 5 + 2 * (4 * 5), 2 * 2)


def test_weights_from_memory_are_read_once(rng: np.random.Generator) -> None:
    """PE 3, SIMD 4: words of 3 * 4 * 6 = 72 bits, in 128-bit words of memory; the outputs are sent after the sums."""
    graph = one_conv(rng)
    window, reader, held = op_stages(graph, graph.ops[0], Folding(3, 4, DDR))
    assert isinstance(window, Window) and isinstance(reader, WeightReader) and isinstance(held, HeldMatVec)
    assert (reader.words, reader.word_bits, reader.ddr_bytes) == (2 * 9, 128, 2 * 9 * 16)
    assert held.cycles == 30 * 2 * 9 + 30 * 2
    assert not [memory for memory in held.memories if memory.name == "weights"]


def test_arithmetic_follows_from_the_weights(rng: np.random.Generator) -> None:
    """One set bit: a sign and a place. 7 * 4 has three: a multiplier; packed where two outputs are computed side by side."""

    def matvec(fill: int, pe: int) -> MatVec:
        graph = one_conv(rng, fill=fill)
        stage = op_stages(graph, graph.ops[0], Folding(pe=pe))[-1]
        assert isinstance(stage, MatVec)
        return stage

    assert (matvec(-64, 2).sums.arithmetic, matvec(-64, 2).sums.weight_bits, matvec(-64, 2).multipliers) == (Arithmetic.SHIFT_ADD, 4, 0)
    assert (matvec(4 * 5, 2).sums.arithmetic, matvec(4 * 5, 2).sums.weight_bits) == (Arithmetic.SHIFT_ADD, 7)
    assert (matvec(4 * 7, 2).sums.arithmetic, matvec(4 * 7, 2).sums.weight_bits) == (Arithmetic.PACKED, 6)
    assert (matvec(4 * 7, 3).sums.arithmetic, matvec(4 * 7, 3).multipliers) == (Arithmetic.MULTIPLY, 3)
    assert weight_code(one_conv(rng, fill=0).ops[0]) == 1  # type: ignore[arg-type]


def test_codes_say_sign_and_places(rng: np.random.Generator) -> None:
    """Decoded, every weight of at most two set bits is itself again."""
    weights = np.array([w for w in range(-31, 32) if bin(abs(w)).count("1") <= 2])
    conv = one_conv(rng).ops[0]
    assert isinstance(conv, Conv2D)
    codes = coded(replace(conv, weights=(4 * weights).astype(np.int8).reshape(1, 1, 1, -1)), weights)
    assert codes.max() < 1 << 7
    places = [(codes >> shift) & 7 for shift in (1, 4)]
    magnitudes = sum(np.where(place == 7, 0, 1 << np.minimum(place, 4)) for place in places)
    np.testing.assert_array_equal(np.where(codes & 1, -magnitudes, magnitudes), weights)


@pytest.mark.parametrize(
    ("folding", "message"),
    [
        (Folding(pe=4), "op 'y' cannot have PE 4: it has to divide 6; take one of 1, 2, 3, 6"),
        (Folding(simd=3), "op 'y' cannot have SIMD 3: it has to divide 4; take one of 1, 2, 4"),
        (Folding(pe=0), "cannot have PE 0"),
        (Folding(simd=-1), "cannot have SIMD -1"),
    ],
)
def test_foldings_that_do_not_divide_are_refused(rng: np.random.Generator, folding: Folding, message: str) -> None:
    graph = one_conv(rng)
    for refused in (lambda: op_stages(graph, graph.ops[0], folding), lambda: dataflow_of(graph, {"y": folding})):
        with pytest.raises(EdgekitError, match=message):
            refused()


def test_weights_from_memory_are_refused_where_they_cannot_be(rng: np.random.Generator) -> None:
    b = Builder(rng)
    x = b.tensor("x", (2, 2, 32), signed=True, binary_point=3)
    b.depthwise("deep", x, (1, 1))
    b.conv("wide", "deep", (1, 1), 32)
    graph = b.graph("wide")
    deep, wide = graph.ops
    assert "only Conv2D and Dense can" in str(refusal(graph, deep, Folding(weights=DDR)))
    assert f"PE * SIMD is at most {DDR_WORD_BITS_MAX // 7} there" in str(refusal(graph, wide, Folding(32, 32, DDR)))
    assert refusal(graph, wide, Folding(32, 4, DDR)) is None


def test_a_plan_has_to_name_each_op_once(rng: np.random.Generator) -> None:
    with pytest.raises(EdgekitError, match=r"lacks the ops \['y'\] and names \['z'\]"):
        check_plan(one_conv(rng), {"z": Folding()})


def test_an_op_without_kernel_is_refused(rng: np.random.Generator) -> None:
    @dataclass(frozen=True)
    class Softmax:
        name: str = "odd"
        input: str = "x"
        output: str = "y"

    with pytest.raises(EdgekitError, match="op 'odd': there is no HLS kernel for a Softmax"):
        op_stages(one_conv(rng), Softmax(), Folding())  # type: ignore[arg-type]


def test_legal_foldings_are_all_divisors(rng: np.random.Generator) -> None:
    graph = one_conv(rng)
    rom = [folding for folding in legal_foldings(graph, graph.ops[0]) if folding.weights is WeightPlacement.ROM]
    assert {(folding.pe, folding.simd) for folding in rom} == {(pe, simd) for pe in (1, 2, 3, 6) for simd in (1, 2, 4)}
    assert not list(legal_foldings(graph, Reshape("r", "x", "y")))
    assert moderate_foldings(graph, 4, 3) == {"y": Folding(3, 2)}


@pytest.mark.parametrize("seed", range(60))
def test_streams_fit_together(seed: int) -> None:
    """Every stream has one writer and one reader that agree on its tokens, and no loop is shorter than what it moves."""
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, op_types=OP_TYPES, length=16)
    flow = dataflow_of(graph, random_plan(graph, rng))
    stages = {stage.name: stage for stage in flow.stages}
    assert len(stages) == len(flow.stages) and len({stream.name for stream in flow.streams}) == len(flow.streams)
    assert sum(stream.producer == "" for stream in flow.streams) == 1
    assert [stream.tensor for stream in flow.streams if stream.consumer == ""] == list(graph.outputs)
    assert set(ample_depths(flow)) == {stream.name for stream in flow.streams}
    order = {name: index for index, name in enumerate(stages)}
    for stream in flow.streams:
        assert order.get(stream.producer, -1) < order.get(stream.consumer, len(order))
        if stream.tensor:
            assert stream.tokens * stream.token == prod(graph.tensors[stream.tensor].shape)
    for stage in flow.stages:
        inputs, outputs = flow.inputs(stage), flow.outputs(stage)
        assert len(inputs) == stage.sources
        assert {(stream.tokens, stream.token, stream.value_bits) for stream in outputs} == {
            (stage.written.tokens, stage.written.token, stage.written.value_bits)
        }
        assert len(outputs) == (2 if isinstance(stage, tokens.Fork) else 1)
        assert stage.cycles >= max(stream.tokens for stream in (*inputs, *outputs))
        if isinstance(stage, tokens.Resize):
            assert (inputs[0].token, outputs[0].token) == (stage.token_in, stage.token_out)
        if isinstance(stage, tokens.Concat):
            assert stage.tokens == sum(stream.tokens for stream in inputs) == outputs[0].tokens


def test_an_output_of_the_input_reshaped_is_copied(rng: np.random.Generator) -> None:
    """Hardware cannot end where it starts."""
    b = Builder(rng)
    x = b.tensor("x", (2, 3, 4), signed=True, binary_point=3)
    b.reshape("flat", x, (24,))
    graph = b.graph("flat", b.conv("y", x, (1, 1), 2))
    flow = dataflow_of(graph, {"y": Folding(2, 2)})
    (copy,) = [stage for stage in flow.stages if isinstance(stage, tokens.Resize)]
    assert (copy.token_in, copy.token_out, flow.outputs(copy)[0].tensor) == (2, 2, "flat")


def test_a_plan_for_an_op_that_no_output_needs_is_accepted(rng: np.random.Generator) -> None:
    b = Builder(rng)
    x = b.tensor("x", (6, 5, 4), signed=True, binary_point=3)
    b.conv("y", x, (3, 3), 6)
    b.lookup("unused", x, signed=True)
    flow = dataflow_of(b.graph("y"), {"y": Folding(), "unused": Folding()})
    assert {stage.op for stage in flow.stages} == {"y"}
