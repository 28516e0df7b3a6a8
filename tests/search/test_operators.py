"""The table of operators: units that are alike share one time, a gate is one unit, and the fit finds what times are made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekit.bench.graphs import TimedOn, graph_timer
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.graph import Activation, Concat, Conv2D, GraphBuilder, IntegerGraph, MatMul, run
from edgekit.keras_models import Precisions, find_network
from edgekit.keras_models.zoo.network import make_request
from edgekit.keras_models.zoo.table import Stage, Table, network_of
from edgekit.search import graph_layers
from edgekit.search.graph_layers import graph_of
from edgekit.search.operators import (
    FITTED,
    TESTED,
    OperatorTable,
    fitted,
    load_table,
    measure_units,
    rank_correlation,
    save_table,
    units_of,
)
from edgekit.search.space import DEVICE, own_space, point_of, random_choice
from edgekit.targets import LOCAL, find_device

HERE = TimedOn("a device", "x86_64", "2.3.0", "xnnpack", 1)


def graphs(count: int) -> list[IntegerGraph]:
    space, rng = own_space(DEVICE), np.random.default_rng(0)
    points = [point_of(space, random_choice(space, rng)) for _ in range(count)]
    return [graph_of(make_request(network_of(point.table), classes=10)) for point in points]


def test_units_are_graphs_of_their_own_and_alike_ones_share_a_key() -> None:
    stages = (Stage(stride=2, expansion=2, filters=8), Stage(expansion=2, filters=8, repeats=2), Stage(filters=8, squeeze_excite=True))
    graph = graph_of(make_request(network_of(Table(name="table", size=32, stem=8, stages=stages, head=0)), classes=10))
    units = units_of(graph)
    keys = [key for key, _ in units]
    gate = next(unit for key, unit in units if "Multiply" in key)
    assert [type(op).__name__ for op in gate.ops] == [*("DepthwiseConv2D", "DepthwiseConv2D", "Conv2D", "Conv2D", "Lookup", "Multiply")]
    repeated = [op.name for op in graph.ops].index("block_1_0_expand"), [op.name for op in graph.ops].index("block_1_1_expand")
    assert keys[repeated[0]] == keys[repeated[1]] and len(set(keys)) < len(keys)
    for _, unit in units:
        source = unit.tensors[unit.input]
        run(unit, np.ones((1, *source.shape), source.dtype))


def conv(name: str, source: str, channels: int, filters: int) -> Conv2D:
    weights = np.full((1, 1, channels, filters), 4, np.int8)
    return Conv2D(name, source, name, weights, np.full(filters, 2, np.int32), (7,) * filters)


def test_an_attention_and_a_join_are_one_unit_with_all_that_makes_them() -> None:
    """The join reads what the attention gave and its keys, which come from one tensor; what comes before and after it stands alone."""
    builder, one = GraphBuilder("attended"), np.full((1, 1, 1), 2, np.int32)
    builder.input("input", (4, 4, 3), signed=True, binary_point=6)
    for op in (conv("before", "input", 3, 8), conv("queries", "before", 8, 8), conv("keys", "before", 8, 8)):
        builder.write(op, signed=True, binary_point=4)
    scores = MatMul("scores", ("queries", "keys"), "scores", 2, True, one, Activation.RELU)
    builder.write(scores, signed=True, binary_point=4)
    builder.write(MatMul("attended", ("scores", "keys"), "attended", 2, False, one), signed=True, binary_point=4)
    builder.write(Concat("joined", ("attended", "keys"), "joined"))
    builder.write(conv("after", "joined", 16, 4), signed=True, binary_point=4)
    graph = builder.graph()
    units = [unit for _, unit in units_of(graph)]
    assert [[op.name for op in unit.ops] for unit in units] == [
        ["before"],
        ["queries", "keys", "scores", "attended", "joined"],
        ["after"],
    ]
    rows = np.arange(48, dtype=np.int8).reshape(1, 4, 4, 3)
    values = run(graph, rows)
    source = values["before"]
    assert np.array_equal(run(units[1], source)["joined"], values["joined"]), "alone it computes what it does in the network"


def test_a_network_with_other_verbs_has_its_graph_from_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    request = make_request(find_network("sbcformer_xs"), size=64, classes=10)
    monkeypatch.setattr(graph_layers, "_frozen", lambda *asked: asked)
    assert graph_of(request) == ("sbcformer_xs", 1.0, 64, 10, 0)
    with pytest.raises(UnsupportedLayer, match="is a layer norm"):
        graph_of(request, Precisions())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("sbcformer_xs", 64), ("rapidnet_ti", 32)])
def test_all_ops_of_a_network_from_keras_are_in_units(name: str, size: int) -> None:
    """Each once, and each unit computes."""
    graph = graph_of(make_request(find_network(name), size=size, classes=10))
    units = [unit for _, unit in units_of(graph)]
    assert sorted(op.name for unit in units for op in unit.ops) == sorted(op.name for op in graph.ops)
    for unit in units:
        source = unit.tensors[unit.input]
        run(unit, np.ones((1, *source.shape), source.dtype))


def cells(unit: IntegerGraph) -> float:
    """A time that units might have."""
    return 1e-6 * sum(float(np.prod(unit.tensors[op.output].shape)) for op in unit.ops) + 0.01


def test_the_fit_finds_what_times_are_made_of(tmp_path: Path) -> None:
    """A device on which a network takes 0.9 of its units' times, and each unit spares an invocation of 0.009 ms."""
    networks = graphs(FITTED + TESTED)
    timer = lambda graph: (cells(graph) + 0.001,)  # noqa: E731
    table = measure_units(OperatorTable(HERE, {}), networks, timer)

    def whole(graph: IntegerGraph) -> tuple[float, ...]:
        total, count = table.sums(graph)
        return (5.0, 0.02 + 0.9 * total - 0.009 * count)

    table = fitted(table, networks, whole)
    assert table.fit is not None and table.errors is not None
    assert (table.fit.start, table.fit.scale, table.fit.unit) == pytest.approx((0.02, 0.9, -0.009), rel=1e-3)
    assert table.errors.networks == TESTED and table.errors.worst < 1e-6 and table.errors.rank_correlation == pytest.approx(1)
    save_table(table, tmp_path / "table.json")
    assert load_table(tmp_path / "table.json") == table
    assert not table.lacking(networks[0]) and table.predicted(networks[0]) == pytest.approx(whole(networks[0])[1])


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    for text in ("{}", "[]", '{"schema": "edgekit-operators/1", "times": 3}', "\0"):
        (tmp_path / "table.json").write_text(text)
        with pytest.raises(EdgekitError, match="no table of operators"):
            load_table(tmp_path / "table.json")


def test_ranks() -> None:
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 20.0, 40.0])) == pytest.approx(1)
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])) == pytest.approx(-1)


def test_units_are_timed_here_and_their_outputs_are_checked() -> None:
    unit = units_of(graphs(1)[0])[1][1]
    try:
        with graph_timer(LOCAL, find_device("linux-x86_64"), runs=5) as (timed_on, timer):
            assert len(timer(unit)) == 5 and min(timer(unit)) > 0
            assert timed_on.device == "this machine" and timed_on.threads == 1
    except EdgekitError as error:
        pytest.skip(str(error))
