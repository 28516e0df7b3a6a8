"""The exact simulation computes what the reference does, and sees what the C simulation cannot: widths, packed products, and the weights
that synthesis takes."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pytest
from compilers import needs_compiler
from hand_graphs import Builder, extreme_images
from projects import EVERY_STAGE, plan_with_memory

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor
from edgekit.graph import Activation, IntegerGraph, Padding, run
from edgekit.hls.folding import Folding
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.simulation.executors import EXECUTORS
from edgekit.targets.boards import find_board

CSIM, EXACT, _ = EXECUTORS

pytestmark = [pytest.mark.csim, needs_compiler]


@cache
def packed_graph() -> IntegerGraph:
    b = Builder(np.random.default_rng(3))
    x = b.tensor("image", (4, 4, 4), signed=False, binary_point=4)
    conv = b.conv("conv", x, (3, 3), 4, padding=Padding(1, 1, 1, 1), shifts=(9, 10), signed=False, activation=Activation.RELU)
    return b.graph(b.dense("dense", conv, 2, shifts=(10,), signed=False, activation=Activation.RELU))


@cache
def packed_project() -> dict[str, bytes]:
    """Two products in one multiplier, in the convolution."""
    plan = {"conv": Folding(pe=2, simd=4), "dense": Folding(pe=1, simd=4)}
    project = plan_simulation(packed_graph(), find_board("ultra96"), plan)
    assert b"nnet::packed" in project["firmware/parameters.h"]
    return project


def differing(executor: Executor, graph: IntegerGraph, project: dict[str, bytes]) -> int:
    inputs = extreme_images(graph.tensors[graph.input], np.random.default_rng(2), noise=2)
    expected = run(graph, inputs)
    with executor.open(Artifact(hls_project=project), lambda _: None) as simulate:
        computed = simulate(inputs)
    assert set(computed) == set(expected)
    return sum(int(np.count_nonzero(values != expected[name])) for name, values in computed.items())


def changed(file: str, old: str, new: str) -> dict[str, bytes]:
    """The project with one place of a file replaced, found by a regular expression."""
    project = packed_project()
    text, count = re.subn(old, new, project[file].decode(), count=1)
    assert count == 1 and text.encode() != project[file]
    return {**project, file: text.encode()}


def of_synthesis(array: str, number: str) -> dict[str, bytes]:
    return changed(f"firmware/weights/{array}.h", r"= \{-?\d+,", f"= {{{number},")


def first(kind: str) -> str:
    """The first array of that kind, such as weight3."""
    names = re.findall(rf"weights/({kind}\d+)\.h", " ".join(packed_project()))
    return min(names, key=lambda name: int(name.removeprefix(kind)))


ARITHMETIC, DEFINES, PARAMETERS = "firmware/nnet_utils/edgekit_arithmetic.h", "firmware/defines.h", "firmware/parameters.h"
CHANGES = {
    "product type": lambda: changed(ARITHMETIC, r"ap_int<14> product_t", "ap_int<10> product_t"),
    "result": lambda: changed(ARITHMETIC, r"ap_int<9> requantize_value", "ap_int<7> requantize_value"),
    "weight type": lambda: changed(DEFINES, r"ap_int<6> (\w+weight_t)", r"ap_int<3> \1"),
    "map": lambda: changed(DEFINES, r"ap_uint<8>, (\w+\*\w+)> (layer(?!2_)\w+)", r"ap_uint<4>, \1> \2"),
    "accumulator": lambda: changed(PARAMETERS, r"typedef ap_int<\d+> accum_t", "typedef ap_int<9> accum_t"),
    "shifted accumulator": lambda: changed(PARAMETERS, r"n_wide = \d+", "n_wide = 9"),
    "field of packed products": lambda: changed(ARITHMETIC, "field = 18", "field = 10"),
    "upper of packed weights": lambda: changed(ARITHMETIC, "pair_t\\(w1\\)", "pair_t(w0)"),
    "half of packed products": lambda: changed(ARITHMETIC, r"half = 1 << \(field - 1\)", "half = 1 << (field - 6)"),
    "pair of packed weights": lambda: changed(ARITHMETIC, "ap_int<27> pair_t", "ap_int<22> pair_t"),
    "weight of synthesis": lambda: of_synthesis(first("weight"), "31"),
    "bias of synthesis": lambda: of_synthesis(first("bias"), "77"),
    "shift of synthesis": lambda: of_synthesis(first("shift"), "11"),
    "weight that is too large": lambda: of_synthesis(first("weight"), "99"),
}
UNSEEN = {*CHANGES} - {"accumulator", "shifted accumulator"}
"""Those that the C simulation computes without a difference: it is why there is an exact one."""
QUICK = ("weight of synthesis", "map")


def test_it_computes_the_same() -> None:
    assert differing(EXACT, packed_graph(), packed_project()) == 0


@pytest.mark.slow
@pytest.mark.parametrize("make", EVERY_STAGE, ids=lambda make: make.__name__)
def test_every_stage_keeps_its_widths(make: object) -> None:
    graph = make()  # type: ignore[operator]
    assert differing(EXACT, graph, plan_simulation(graph, find_board("ultra96"), plan_with_memory(graph))) == 0


@pytest.mark.parametrize("change", [pytest.param(one, marks=() if one in QUICK else pytest.mark.slow) for one in CHANGES])
def test_what_it_sees(change: str) -> None:
    """It ends with a message, or gives other integers."""
    try:
        assert differing(EXACT, packed_graph(), CHANGES[change]()) > 0
    except EdgekitError as error:
        assert re.search(r"does not fit|does not hold the integers|was killed by signal", str(error)), error


@pytest.mark.slow
@pytest.mark.parametrize("change", sorted(UNSEEN))
def test_what_the_c_simulation_does_not_see(change: str) -> None:
    assert differing(CSIM, packed_graph(), CHANGES[change]()) == 0
