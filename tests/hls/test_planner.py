"""The planner: what a plan promises, and what is said where there is none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import integer_graphs

from edgekit.errors import EdgekitError, UnknownName
from edgekit.graph import Activation, Conv2D, Dense, DepthwiseConv2D, IntegerGraph, Padding, Tensor, check
from edgekit.graph.ir import OP_TYPES
from edgekit.hls.folding import Folding, WeightPlacement, folding_json, read_folding
from edgekit.hls.ops import legal_foldings
from edgekit.hls.plan.estimates import estimate, over_budget
from edgekit.hls.plan.limits import spent, weight_readers
from edgekit.hls.plan.planner import DoesNotFit, plan_foldings
from edgekit.targets.boards import Board, find_board

SMALL = find_board("pynq_z2")


def chain(side: int = 16, channels: int = 16, classes: int = 10) -> IntegerGraph:
    """Convolution, depthwise, pointwise, dense: a mobile network in small."""
    rng = np.random.default_rng(1)

    def weights(*shape: int) -> np.ndarray:
        return (4 * rng.integers(-31, 32, shape)).astype(np.int8)

    def bias(length: int) -> np.ndarray:
        return np.full(length, 2, np.int32)

    half = side // 2
    tensors = {
        "x": Tensor("x", (side, side, 3), True, 7),
        "a": Tensor("a", (half, half, channels), False, 4),
        "b": Tensor("b", (half, half, channels), False, 4),
        "c": Tensor("c", (half, half, 2 * channels), False, 4),
        "y": Tensor("y", (classes,), True, 3),
    }
    relu = {"activation": Activation.RELU}
    ops = (
        Conv2D("stem", "x", "a", weights(3, 3, 3, channels), bias(channels), (7,) * channels, (2, 2), Padding(0, 1, 0, 1), **relu),
        DepthwiseConv2D("dw", "a", "b", weights(3, 3, channels), bias(channels), (9,) * channels, padding=Padding(1, 1, 1, 1), **relu),
        Conv2D("pw", "b", "c", weights(1, 1, channels, 2 * channels), bias(2 * channels), (9,) * 2 * channels, **relu),
        Dense("head", "c", "y", weights(half * half * 2 * channels, classes), bias(classes), (9,) * classes),
    )
    graph = IntegerGraph("chain", tensors, ops, "x", ("y",))
    check(graph)
    return graph


def tiny(share: float) -> Board:
    """A board with a part of the Pynq-Z2's resources."""
    have = SMALL.part.resources
    scaled = replace(have, lut=int(have.lut * share), ff=int(have.ff * share), bram36=int(have.bram36 * share), dsp=int(have.dsp * share))
    return replace(SMALL, part=replace(SMALL.part, resources=scaled))


@settings(max_examples=25)
@given(integer_graphs(OP_TYPES), st.sampled_from([0.15, 0.3, 1.0]))
def test_a_plan_is_legal_and_within_the_shares(graph: IntegerGraph, share: float) -> None:
    target = tiny(share)
    try:
        found = plan_foldings(graph, target)
    except DoesNotFit as refused:
        assert refused.best is None and "does not fit" in str(refused)
        return
    assert over_budget(found.estimates, target.part.planned) == {}
    assert found.estimates.ddr_bytes_per_s <= target.ddr_bytes_per_s
    assert found.estimates == estimate(graph, found.folding, target)  # which refuses a folding that does not divide
    assert plan_foldings(graph, target) == found


@settings(max_examples=15)
@given(integer_graphs(OP_TYPES), st.lists(st.floats(0.02, 1.0), min_size=2, max_size=3))
def test_more_frames_never_cost_less(graph: IntegerGraph, parts: list[float]) -> None:
    fastest = plan_foldings(graph, SMALL).estimates.fps
    costs = []
    for part in sorted(parts):
        found = plan_foldings(graph, SMALL, fps=part * fastest).estimates
        assert found.fps >= part * fastest * 0.999999
        costs.append(sum(spent(found, SMALL).values()))
    assert costs == sorted(costs)
    assert costs[-1] <= sum(spent(plan_foldings(graph, SMALL).estimates, SMALL).values()) + 1e-9


def test_no_layer_idles_for_the_slowest() -> None:
    """Every layer is as slow as it may be: the next cheaper folding of it would be the slowest."""
    graph = chain()
    found = plan_foldings(graph, SMALL, fps=2000)
    interval = found.estimates.interval_cycles
    cycles = {layer.name: layer.cycles for layer in found.estimates.layers}
    for op in graph.ops:
        slower = [estimate(graph, {**found.folding, op.name: other}, SMALL) for other in legal_foldings(graph, op)]
        cheaper = [
            one
            for one in slower
            if one.interval_cycles <= interval
            and one.lut < found.estimates.lut * 0.97
            and not one.ddr_bytes_per_frame > found.estimates.ddr_bytes_per_frame
        ]
        assert [one for one in cheaper if one.bram36 <= found.estimates.bram36 and one.dsp <= found.estimates.dsp] == [], op.name
    assert max(cycles.values()) == interval


def test_a_wish_that_cannot_be_met_names_what_limits_and_the_best() -> None:
    graph = chain()
    with pytest.raises(DoesNotFit, match=r"chain at 90000 frames a second does not fit the TUL Pynq-Z2") as refused:
        plan_foldings(graph, tiny(0.25), fps=90_000)
    assert "layer '" in str(refused.value) and "The best that fits: " in str(refused.value)
    assert refused.value.best is not None
    best = refused.value.best.estimates.fps
    assert plan_foldings(graph, tiny(0.25)).estimates.fps == best
    assert plan_foldings(graph, tiny(0.25), fps=best).estimates.fps >= best * 0.999999


def test_a_layer_that_cannot_be_so_fast_is_named() -> None:
    """The stem takes one position of 3 x 3 cells in 9 cycles at best, since its input has 3 channels: 64 * 9 and the first rows."""
    with pytest.raises(DoesNotFit, match=r"Layer 'stem' takes [0-9,]+ cycles a frame at its widest folding, and 100 are allowed"):
        plan_foldings(chain(), find_board("zcu104"), fps=1e6)


def test_a_network_without_room_says_by_how_much() -> None:
    with pytest.raises(DoesNotFit, match=r"LUTs: [0-9,]+ estimated, [0-9,]+ may be used \([0-9]+%\); layer '\w+' takes most") as refused:
        plan_foldings(chain(), tiny(0.05))
    assert refused.value.best is None and "No plan that fits" in str(refused.value)


def test_weights_that_do_not_fit_on_chip_are_read_from_memory() -> None:
    """A classifier of 512 x 1000 weights takes 85 block RAMs, of 112 that may be used on a whole board."""
    graph = chain(side=8, channels=16, classes=1000)
    on_chip = plan_foldings(graph, SMALL)
    assert on_chip.estimates.ddr_bytes_per_frame < 5000
    found = plan_foldings(graph, tiny(0.5))
    assert found.folding["head"].weights is WeightPlacement.DDR
    assert found.estimates.ddr_bytes_per_frame > 512 * 1000 * 6 / 8


def test_slow_memory_limits_and_is_named() -> None:
    graph = chain(side=8, channels=16, classes=1000)
    with pytest.raises(DoesNotFit, match=r"DDR bandwidth: [0-9,]+ bytes a frame take [0-9,]+ cycles"):
        plan_foldings(graph, replace(tiny(0.5), ddr_peak_bytes_per_s=2e6), fps=5, pinned={"head": Folding(1, 1, WeightPlacement.DDR)})


def test_pinned_foldings_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "folding.json"
    path.write_text(json.dumps({"pw": {"pe": 4, "simd": 8}, "dw": {"pe": 1}}))
    found = plan_foldings(chain(), SMALL, fps=100, pinned=read_folding(path))
    assert found.folding["pw"] == Folding(4, 8) and found.folding["dw"] == Folding(1)
    path.write_bytes(folding_json(found.folding))
    assert plan_foldings(chain(), SMALL, pinned=read_folding(path)).folding == found.folding


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"pw": {"pe": 5}}', "op 'pw' cannot have PE 5: it has to divide 32; take one of 1, 2, 4, 8, 16, 32"),
        ('{"wp": {"pe": 4}}', "unknown layer to fold 'wp'. Did you mean pw"),
        ('{"dw": {"pe": 4, "weights": "ddr"}}', "op 'dw' cannot read weights from DDR"),
        ('{"pw": {"pe": 0}}', '"pe" is 0; it has to be a whole number above 0'),
        ('{"pw": {"pe": true}}', '"pe" is true'),
        ('{"pw": {"pe": 4, "smid": 2}}', "has not the form"),
        ('{"pw": {"pe": 4, "weights": "bram"}}', '"weights" is "bram"; it has to be one of rom, ddr'),
        ("[]", "is no JSON object"),
        ("pe = 4", "is not JSON"),
    ],
)
def test_folding_files_that_are_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "folding.json"
    path.write_text(content)
    with pytest.raises((EdgekitError, UnknownName)) as refused:
        plan_foldings(chain(), SMALL, pinned=read_folding(path))
    assert complaint in str(refused.value)


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), float("inf")])
def test_a_wish_is_a_positive_number(fps: float) -> None:
    with pytest.raises(EdgekitError, match="it has to be a number above 0"):
        plan_foldings(chain(), SMALL, fps=fps)


def wide_chain(rng: np.random.Generator, layers: int) -> IntegerGraph:
    """1x1 convolutions of 256 channels on a 2x2 map: hardly any work, 64 KiB of weights each."""
    tensors = {"t0": Tensor("t0", (2, 2, 256), True, 4)}
    ops = []
    for i in range(layers):
        weights = (4 * rng.integers(-31, 32, (1, 1, 256, 256))).astype(np.int8)
        tensors[f"t{i + 1}"] = replace(tensors["t0"], name=f"t{i + 1}")
        ops.append(Conv2D(f"conv{i}", f"t{i}", f"t{i + 1}", weights, np.full(256, 2, np.int32), (10,) * 256))
    return IntegerGraph("wide", tensors, tuple(ops), "t0", (f"t{layers}",))


def test_no_more_layers_read_from_memory_than_masters_there_are(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A board with little block RAM puts three of four layers into memory. With two masters it needs room for two, or says so."""
    graph = wide_chain(rng, 4)

    def target(brams: int) -> Board:
        return replace(SMALL, part=replace(SMALL.part, resources=replace(SMALL.part.resources, lut=20_000, bram36=brams)))

    little, more = target(32), target(64)
    assert weight_readers(plan_foldings(graph, little).estimates) > 2
    for module in ("planner", "limits"):
        monkeypatch.setattr(f"edgekit.hls.plan.{module}.WEIGHT_READERS_MAX", 2)
    assert weight_readers(plan_foldings(graph, more).estimates) <= 2
    with pytest.raises(DoesNotFit) as refused:
        plan_foldings(graph, little)
    assert "block RAM" in str(refused.value)
    assert weight_readers(refused.value.nearest.estimates) <= 2, "the nearest plan is written, so it can be wired"
