"""The kernels of products, slices and upsampling: values by hand, and every form against the reference in native and ap_int builds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from compilers import needs_compiler
from foldings import random_plan
from hand_graphs import Builder, every_product, extreme_images
from projects import write
from random_graphs import random_graph
from simulations import check_folded

from edgekit.executor import Artifact
from edgekit.graph import IntegerGraph, run
from edgekit.graph.ir import OP_TYPES
from edgekit.hls.folding import Folding
from edgekit.hls.hls4ml_kernels.project import plan_hls4ml_simulation
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.simulation.csim import open_simulation
from edgekit.hls.simulation.executors import EXECUTORS
from edgekit.targets.boards import find_board

FOLDED, EXACT, HLS4ML = EXECUTORS

TIES = [
    (2, 2, 1, "4 / 8 is half-way between 0 and 1: up"),
    (-2, 2, 0, "-4 / 8 is half-way between -1 and 0: up, where rounding away from zero gives -1"),
    (-6, 2, -1, "-12 / 8 is half-way between -2 and -1: up, where rounding to even gives -2"),
    (6, 2, 2, "12 / 8 is half-way between 1 and 2: up"),
    (-3, 1, 0, "-3 / 8 lies nearer to 0; truncation gives -1"),
    (-5, 1, -1, "-5 / 8 lies nearer to -1"),
    (127, 8, 127, "1016 / 8 is the highest value"),
    (128 - 256, 8, -128, "-1024 / 8 is the lowest value"),
    (127, 127, 127, "16129 / 8 saturates"),
    (-128, 127, -128, "-16256 / 8 saturates"),
    (-128, -128, 127, "the largest product, 16384, which leaves 15 bits"),
    (0, -128, 0, "nothing"),
]


def pairs() -> IntegerGraph:
    """The map's first channel times its second one: as two maps, as map and gate, and as products of one term in either form."""
    b = Builder(np.random.default_rng(0))
    x = b.tensor("x", (1, 1, 2), signed=True, binary_point=3)
    left, right = b.slice("left", x, 0, 1), b.slice("right", x, 1, 1)
    b.multiply("maps", left, right, 3)
    b.multiply("gated", b.upsample("cells", left, (2, 1), fill=4, shifts=(1,)), b.slice("gate", x, 1, 1), 3)
    b.matmul("by_terms", left, right, 1, 3, transpose_y=True)
    b.matmul("by_cells", left, right, 1, 3)
    return b.graph("maps", "by_terms", "by_cells", "gated")


@pytest.mark.csim
@needs_compiler
def test_products_by_hand() -> None:
    graph = pairs()
    inputs = np.array([[[pair[:2]]] for pair in TIES], np.int8)
    with FOLDED.open(Artifact(graph), lambda _: None) as execute:
        found = execute(inputs)
    for name in ("maps", "by_terms", "by_cells"):
        for index, (x, y, expected, why) in enumerate(TIES):
            assert found[name][index].item() == expected, f"{name}: {x} * {y}: {why}"
    np.testing.assert_array_equal(found["gated"], run(graph, inputs)["gated"])


@pytest.mark.csim
@needs_compiler
def test_every_form_of_product_slice_and_upsampling(rng: np.random.Generator, tmp_path: Path) -> None:
    """Outputs vary, or the comparison would be worth nothing."""
    graph = every_product()
    values = run(graph, extreme_images(graph.tensors["x"], rng, noise=4))
    assert [name for name, seen in values.items() if len(np.unique(seen)) < 10] == []
    check_folded(graph, random_plan(graph, rng), rng, tmp_path)


@pytest.mark.csim
@needs_compiler
def test_heads_in_several_groups_of_outputs_and_terms(rng: np.random.Generator, tmp_path: Path) -> None:
    """Banks of more than one cell, and tokens that are part of a head: 2 heads of 4 terms on 6 cells."""
    b = Builder(rng)
    x = b.tensor("x", (3, 2, 8), signed=True, binary_point=3)
    y = b.conv("y", x, (1, 1), 8, shifts=(8, 9))
    scores = b.matmul("scores", x, y, 2, 7, transpose_y=True, bias=3000)
    graph = b.graph(b.matmul("mixed", scores, y, 2, 7, bias=3000))
    foldings = {"y": Folding(4, 4), "scores": Folding(3, 2), "mixed": Folding(2, 3)}
    inputs = extreme_images(graph.tensors["x"], rng, noise=4)
    with open_simulation(write(plan_simulation(graph, find_board("ultra96"), foldings), tmp_path), lambda _: None) as execute:
        found = execute(inputs)
    for name, expected in run(graph, inputs).items():
        np.testing.assert_array_equal(found[name], expected, err_msg=name)


@pytest.mark.csim
@needs_compiler
@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=pytest.mark.slow) for number in range(1, 20))])
def test_random_graphs_of_every_op(number: int, rng: np.random.Generator, tmp_path: Path) -> None:
    graph = random_graph(rng, op_types=OP_TYPES, length=14 if number else 8)
    check_folded(graph, random_plan(graph, rng), rng, tmp_path)


def test_the_kernels_of_hls4ml_refuse_products_by_name() -> None:
    from edgekit.errors import EdgekitError

    reason = "op 'left': hls4ml's own kernels have none for a Slice; the folded kernels do"
    with pytest.raises(EdgekitError, match=reason):
        plan_hls4ml_simulation(pairs(), find_board("ultra96"))
    assert reason in str(HLS4ML.missing(Artifact(pairs())))
