"""Search spaces: what a file says is what can be chosen, one network is one point, and what is no space is refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import EdgekitError
from edgekit.fpga_projects.engine_plan import plan_engine
from edgekit.graph import IntegerGraph
from edgekit.jobs.hls_form import FORMS
from edgekit.keras_models import Precisions, WeightPrecision, build_model, freeze, quantize
from edgekit.keras_models.qfx.precision import read_precisions
from edgekit.keras_models.zoo.network import make_request
from edgekit.keras_models.zoo.table import BlockOp, Stage, Table, network_of
from edgekit.keras_models.zoo.table_file import table_json
from edgekit.search.cost import PlannedFrames, cost_of
from edgekit.search.graph_layers import graph_of
from edgekit.search.space import (
    BOARD,
    DEVICE,
    Member,
    extreme,
    own_space,
    own_space_text,
    point_of,
    precisions_json,
    precisions_of,
    random_choice,
    read_space,
)
from edgekit.targets import find_board

SPACE: dict[str, Any] = {
    "schema": "edgekit-space/1",
    "size": [32, 48],
    "stem": {"filters": 8},
    "stages": [
        {"op": ["inverted", "separable", "conv"], "expansion": [1, 3], "filters": 16, "stride": 2, "repeats": [0, 1, 2]},
        {"filters": [16, 24], "squeeze_excite": [False, True], "weight_bits": [3, 6], "k_hot": [None, 1, 2]},
    ],
    "head": {"filters": [0, 64]},
    "board": {"clock_mhz": [100, 125.0], "form": ["layers", "engine"]},
    "families": {"mobilenet_v2": {"alpha": [0.35, 0.5], "size": 32}},
}


def space_in(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    found = json.loads(json.dumps(SPACE))
    change(found)
    path = folder / "space.json"
    path.write_text(json.dumps(found))
    return path


def test_lists_are_choices_and_values_are_settled(tmp_path: Path) -> None:
    space = read_space(space_in(tmp_path))
    assert space.points == 2 * 3 * 2 * 3 * 2 * 2 * 2 * 3 * 2 * 2 * 2
    assert space.choices["stages[1].k_hot"] == (None, 1, 2) and "stem.filters" not in space.open_names
    assert space.members == (Member("mobilenet_v2", 0.35, 32), Member("mobilenet_v2", 0.5, 32))


def test_a_point_is_what_was_chosen(tmp_path: Path) -> None:
    space = read_space(space_in(tmp_path))
    chosen = {"size": 48, "stages[0].op": "conv", "stages[0].repeats": 2, "stages[1].weight_bits": 3, "stages[1].k_hot": 1}
    point = point_of(space, {**chosen, "head.filters": 64, "board.clock_mhz": 125.0, "board.form": "engine"})
    assert (point.table.size, point.table.head, point.clock_mhz, point.form) == (48, 64, 125.0, "engine")
    assert point.table.stages[0] == Stage(op=BlockOp.CONV, stride=2, filters=16, repeats=2)
    precisions = precisions_of(point)
    assert precisions is not None and precisions.of("block_1_0_expand") == WeightPrecision(3, 1) and precisions.of("head").bits == 6
    file = tmp_path / "bits.json"
    file.write_text(precisions_json(point))
    assert read_precisions(file).of("block_1_0_project") == WeightPrecision(3, 1)


def test_one_network_is_one_point(tmp_path: Path) -> None:
    space = read_space(space_in(tmp_path))

    def digest(**chosen: Any) -> str:
        names = {"op": "stages[0].op", "expansion": "stages[0].expansion", "repeats": "stages[0].repeats", "hot": "stages[1].k_hot"}
        return point_of(space, {"stages[0].repeats": 1, **{names[name]: value for name, value in chosen.items()}}).digest

    assert digest(op="conv", expansion=1) == digest(op="conv", expansion=3)
    assert digest(op="inverted", expansion=1) == digest(op="separable", expansion=3) != digest(op="inverted", expansion=3)
    assert digest(repeats=0, op="conv") == digest(repeats=0, op="separable")
    assert digest(hot=2) != digest(hot=1)
    three = {"stages[1].weight_bits": 3}
    assert point_of(space, {**three, "stages[1].k_hot": 2}).digest == point_of(space, three).digest, "levels of 3 bits are 0 to 3"


def test_the_largest_and_the_smallest(tmp_path: Path) -> None:
    space = read_space(space_in(tmp_path))
    large, small = (extreme(space, largest=which) for which in (True, False))
    assert (large.table.size, large.table.stages[0].repeats, large.table.stages[1].filters, large.table.head) == (48, 2, 24, 64)
    assert (small.table.size, small.table.stages[0].repeats, small.table.stages[1].filters, small.table.head) == (32, 0, 16, 0)
    assert extreme(space, largest=True, op=9).table.stages[0].op is BlockOp.CONV


@pytest.mark.parametrize("name", [DEVICE, BOARD])
def test_own_spaces_can_be_edited_and_their_networks_built(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(own_space_text(name))
    space = read_space(path)
    assert space == own_space(name)
    rng = np.random.default_rng(0)
    for _ in range(5):
        point = point_of(space, random_choice(space, rng))
        graph = graph_of(make_request(network_of(point.table), classes=10), precisions_of(point))
        assert graph.tensors[graph.outputs[0]].shape == (10,)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda space: space.update(schema=1), "the schema is 1"),
        (lambda space: space.update(size=[]), "size is an empty list"),
        (lambda space: space.update(size=[32, 32]), "size has a choice twice"),
        (lambda space: space.update(speed=3), "'speed', and takes schema, size"),
        (lambda space: space["stages"][1].update(weight_bits=[6, 8]), r"stages\[1\].weight_bits is 8, and no whole number of 3 to 6"),
        (lambda space: space["stages"][1].update(k_hot=0), r"stages\[1\].k_hot is 0"),
        (lambda space: space["stages"][0].update(op=["inverted", "dense"]), "is 'dense', and not one of"),
        (lambda space: space["board"].update(clock_mhz="fast"), "board.clock_mhz is 'fast'"),
        (lambda space: space["board"].update(form="kernels"), "board.form is 'kernels', and not one of"),
        (lambda space: space["families"].update(mobilenet_v9={"alpha": 1, "size": 32}), "families.mobilenet_v9: unknown network"),
        (lambda space: space["families"].update(mobilenet_v2={"alpha": 0.1, "size": 32}), "has no alpha 0.1"),
        (lambda space: space.update(stages={}), "a list of 1 to 64"),
    ],
)
def test_what_is_no_space_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str) -> None:
    with pytest.raises(EdgekitError, match=said):
        read_space(space_in(tmp_path, change))


def structure(graph: IntegerGraph) -> list[tuple[object, ...]]:
    """Of each op what its time and its hardware depend on."""
    facts = ("strides", "padding", "activation", "dilation")
    return [
        (
            type(op).__name__,
            op.name,
            graph.tensors[op.output].shape,
            graph.tensors[op.output].signed,
            getattr(getattr(op, "weights", None), "shape", None),
            *(getattr(op, fact, None) for fact in facts),
        )
        for op in graph.ops
    ]


def test_a_random_graph_is_built_like_the_one_that_is_frozen(tmp_path: Path) -> None:
    """Every kind of block, and the levels of weights of fewer bits."""
    stages = (
        Stage(op=BlockOp.CONV, stride=2, filters=16, repeats=2),
        Stage(op=BlockOp.SEPARABLE, kernel=5, filters=16),
        Stage(stride=2, expansion=2, filters=16, squeeze_excite=True),
    )
    path = tmp_path / "table.json"
    path.write_text(table_json(table := Table(name="every", size=32, stem=8, stages=stages, head=24)))
    precisions = Precisions(layers={"block_1_*": WeightPrecision(3, 1)})
    model = build_model(str(path), classes=10)
    images = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32, 3)).astype(np.float32)
    frozen = freeze(quantize(model, images, precisions=precisions).model)
    made = graph_of(make_request(network_of(table), classes=10), precisions)
    assert structure(made) == structure(frozen)
    levels = {op.name: set(np.unique(np.abs(op.weights) // 4)) for op in made.ops if hasattr(op, "weights")}
    assert levels["block_1_0_project"] == {0, 1, 2} and max(levels["stem"]) == 31


def test_a_point_costs_what_its_form_costs_on_a_board(tmp_path: Path) -> None:
    space = read_space(space_in(tmp_path))
    layers, engine = (point_of(space, {"size": 32, "head.filters": 0, "board.clock_mhz": 100, "board.form": form}) for form in FORMS[::-1])
    assert layers.digest != engine.digest
    model = PlannedFrames("pynq_z2", 1000.0)
    costs = [cost_of(model, one, 10) for one in (layers, engine)]
    assert all(one.how == "planned" and one.facts["clock_mhz"] == 100 for one in costs)
    request = make_request(network_of(engine.table), classes=10)
    assert costs[1].value == plan_engine(graph_of(request), find_board("pynq_z2"), 100.0).estimate.fps != costs[0].value
    assert cost_of(PlannedFrames("pynq_z2", 1e6), engine, 10).excess > 0
