"""The C simulations equal the numpy reference in every value of every tensor: hand-made graphs, one compilation each."""

from __future__ import annotations

import numpy as np
import pytest
from compilers import needs_compiler
from hand_graphs import Builder, extreme_images

from edgekit.executor import Artifact, Executor
from edgekit.graph import Activation, IntegerGraph, Padding, check, run
from edgekit.hls.simulation.executors import EXECUTORS

pytestmark = [pytest.mark.csim, needs_compiler]
FOLDED, EXACT, HLS4ML = EXECUTORS


@pytest.fixture(params=[pytest.param(FOLDED, id="folded"), pytest.param(HLS4ML, id="hls4ml", marks=pytest.mark.slow)])
def csim(request: pytest.FixtureRequest) -> Executor:
    return request.param


def assert_exact(
    csim: Executor, graph: IntegerGraph, rng: np.random.Generator, constant: tuple[str, ...] = (), absent: tuple[str, ...] = ()
) -> None:
    """Every tensor, but those `absent` by design, is shown and equal; and varies, or the comparison would be worth nothing."""
    check(graph)
    inputs = extreme_images(graph.tensors[graph.input], rng, noise=4)
    with csim.open(Artifact(graph=graph), lambda _: None) as simulate:
        computed = simulate(inputs)
    expected = run(graph, inputs)
    assert sorted(computed) == sorted(set(expected) - set(absent))
    differing = {name: int(np.count_nonzero(computed[name] != expected[name])) for name in computed}
    assert differing == dict.fromkeys(computed, 0)
    assert all(computed[name].dtype == expected[name].dtype for name in computed)
    assert [name for name in computed if np.ptp(expected[name]) == 0] == list(constant)


def test_convolutions(csim: Executor, rng: np.random.Generator) -> None:
    b = Builder(rng)
    x = b.tensor("x", (8, 7, 3), signed=True, binary_point=5)
    # Strides with padding on one side only, as TensorFlow's SAME gives on even sizes; a shift per channel, from the lowest allowed,
    # where all but the smallest accumulators saturate, over 1, the only right shift by less than 3, to 16.
    b.conv("shifts", x, (3, 3), 8, strides=(2, 2), padding=Padding(0, 1, 0, 1), shifts=(-7, -1, 0, 1, 3, 4, 10, 16))
    # The largest accumulators that the lattice allows: 27 taps of 124 on inputs of -128.
    b.conv("largest", x, (3, 3), 5, padding=Padding(1, 1, 1, 1), fill=124, shifts=(12, 13), binary_point=0)
    b.conv("lowest", x, (2, 2), 1, fill=-124, shifts=(11,), signed=False)
    x = b.max_pool("again", x, (1, 1), (1, 1))  # hls4ml copies a stream 7 times at most
    # Weights of one and of two set bits, which the folded kernels take as shifts and adds.
    b.conv("one_bit", x, (3, 3), 2, fill=-64, shifts=(10,))
    b.conv("two_bits", x, (3, 3), 2, fill=-36, shifts=(9,))
    # Kernels of one row and one column; a stride longer than the kernel; the clamp of ReLU6 at 6 * 2**3 and at 6 * 2**-1.
    b.conv("row", x, (1, 3), 3, strides=(2, 1), padding=Padding(0, 0, 2, 0))
    b.conv("column", x, (3, 1), 3, strides=(1, 3), activation=Activation.RELU6, signed=False)
    b.conv("sparse", x, (2, 1), 2, strides=(3, 2), activation=Activation.RELU6, signed=False, binary_point=-1, shifts=(4, 8))
    # Dilation, which hls4ml itself ignores: both axes, and one axis of a kernel of one row.
    dilated = b.conv("dilated", x, (3, 2), 5, dilation=(2, 3), padding=Padding(2, 2, 1, 2), signed=False, activation=Activation.RELU)
    b.conv("dilated_row", dilated, (1, 3), 2, dilation=(1, 2), padding=Padding(0, 0, 2, 2), strides=(3, 1), shifts=(9,))
    # 1 x 1 convolutions take another path in hls4ml: from unsigned, with a stride, with padding, where only the bias is left.
    b.conv("pointwise", dilated, (1, 1), 8, strides=(2, 2), shifts=(9, 1, -2))
    b.conv("padded_pointwise", dilated, (1, 1), 1, padding=Padding(1, 0, 0, 2), shifts=(8,))
    names = list(b.tensors)[1:]
    assert_exact(csim, b.graph(*names), rng)


def test_depthwise_convolutions_and_dense(csim: Executor, rng: np.random.Generator) -> None:
    b = Builder(rng)
    x = b.tensor("x", (6, 5, 5), signed=False, binary_point=4)
    b.depthwise("square", x, (3, 3), strides=(2, 2), padding=Padding(1, 1, 0, 1), shifts=(8, 1, 16, 0, -3))
    b.depthwise("point", x, (1, 1), strides=(2, 3), shifts=(6,))  # hls4ml has no line for a kernel of one row
    b.depthwise("row", x, (1, 3), dilation=(1, 2), strides=(2, 1), shifts=(7,), signed=False, activation=Activation.RELU6)
    b.depthwise("dilated", x, (2, 2), dilation=(3, 2), padding=Padding(1, 1, 1, 1), shifts=(8,))
    # Global average pooling: a depthwise convolution over the whole map, here of one constant weight.
    pooled = b.depthwise("pooled", x, (6, 5), fill=4, shifts=(7,), signed=False)
    b.dense("whole_map", x, 4, shifts=(11, 16))
    flat = b.reshape("flat", pooled, (5,))
    vector = b.dense("vector", flat, 3, shifts=(8, -1))
    b.dense("scalar", vector, 1, shifts=(9,))
    tall = b.depthwise("tall", x, (6, 1), shifts=(8,))  # leaves a map of one row
    b.dense("row_map", tall, 2, shifts=(11,))
    assert_exact(csim, b.graph("square", "point", "row", "dilated", "whole_map", "scalar", "row_map"), rng)


def test_adds_concats_lookups_and_reads_of_one_tensor(csim: Executor, rng: np.random.Generator) -> None:
    b = Builder(rng)
    x = b.tensor("x", (4, 5, 3), signed=True, binary_point=3)
    branch = b.conv("branch", x, (3, 3), 3, padding=Padding(1, 1, 1, 1))
    skip = b.add("skip", branch, x)  # saturates at both ends
    b.add("doubled", skip, skip)  # one stream read twice by one op
    positive = b.add("positive", skip, x, signed=False, activation=Activation.RELU)
    b.add("brighter", positive, positive, signed=False)  # saturates at 255
    b.add("clamped", positive, branch, signed=False, activation=Activation.RELU6)  # unsigned and signed, at most 48
    b.add("below", branch, x, signed=False)  # a negative sum into an unsigned tensor saturates at 0
    joined = b.concat("joined", branch, skip, x, branch)
    b.conv("after_concat", joined, (1, 1), 2, shifts=(9,))
    curve = b.lookup("curve", skip, signed=False)
    b.lookup("back", curve, signed=True)
    b.lookup("same_sign", skip, signed=True)
    outputs = ("doubled", "brighter", "clamped", "below", "after_concat", "back", "same_sign", "skip")  # an output read inside too
    assert_exact(csim, b.graph(*outputs), rng)


def test_max_pools_and_reshapes(csim: Executor, rng: np.random.Generator) -> None:
    b = Builder(rng)
    x = b.tensor("x", (7, 6, 2), signed=True, binary_point=3)
    b.max_pool("same", x, (3, 3), (2, 2), Padding(1, 1, 0, 1))  # padding may not win, though all inputs may be -128
    b.max_pool("wide", x, (2, 3), (1, 2), Padding(0, 1, 2, 0))
    b.max_pool("apart", x, (2, 1), (3, 2))  # strides longer than the pool
    b.max_pool("rest", x, (3, 4), (3, 4))  # rows and columns that no window reaches
    unsigned = b.lookup("unsigned", x, signed=False)
    b.max_pool("bright", unsigned, (2, 2), (2, 2), Padding(1, 0, 1, 1))
    # Reshapes: to other channels (tokens are repacked), to a vector that a dense op reads from the map, twice the same tensor out.
    square = b.reshape("square", unsigned, (4, 7, 3))
    b.conv("after_reshape", square, (2, 2), 2, shifts=(8,))
    # The same channels in other rows and columns: the stream stays.
    turned = b.reshape("turned", unsigned, (6, 7, 2))
    b.depthwise("after_turn", turned, (3, 2), padding=Padding(1, 1, 0, 1), shifts=(7,))
    flat = b.reshape("flat", unsigned, (84,))
    b.dense("after_flat", flat, 3, shifts=(12,))
    b.reshape("rows", flat, (12, 7))
    table = b.lookup("table", "rows", signed=True)
    b.concat("beside", table, table)
    graph = b.graph("same", "wide", "apart", "rest", "bright", "after_reshape", "after_turn", "after_flat", "flat", "unsigned", "beside")
    assert_exact(csim, graph, rng)


def test_an_op_that_no_output_needs_is_left_out(csim: Executor, rng: np.random.Generator) -> None:
    b = Builder(rng)
    x = b.tensor("x", (2, 2, 1), signed=True, binary_point=3)
    b.lookup("kept", x, signed=True)
    b.lookup("unused", x, signed=True)
    assert_exact(csim, b.graph("kept"), rng, absent=("unused",))
