"""Architecture tables in files: the same table back, networks like those of the zoo, and what is no table refused by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgekit.errors import EdgekitError
from edgekit.keras_models import count, find_network, is_network
from edgekit.keras_models.zoo.table import BlockOp, Stage, Table
from edgekit.keras_models.zoo.table_file import SCHEMA, read_table, table_json

EVERY_BLOCK = Table(
    name="every",
    size=32,
    stem=8,
    stages=(
        Stage(op=BlockOp.CONV, stride=2, filters=16, repeats=2),
        Stage(op=BlockOp.SEPARABLE, kernel=5, filters=16),
        Stage(op=BlockOp.SEPARABLE, filters=16, skip=False),
        Stage(stride=2, expansion=3, filters=24, squeeze_excite=True, repeats=2),
    ),
    head=48,
)


def written(folder: Path, change: Callable[[dict[str, Any]], object] = lambda _: None) -> Path:
    found = json.loads(table_json(EVERY_BLOCK))
    change(found)
    path = folder / "table.json"
    path.write_text(json.dumps(found))
    return path


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_table(written(tmp_path)) == EVERY_BLOCK


def test_what_is_left_out_is_as_usual(tmp_path: Path) -> None:
    path = tmp_path / "short.json"
    path.write_text(json.dumps({"schema": SCHEMA, "name": "short", "size": 32, "stem": {"filters": 8}, "stages": [{"filters": 16}]}))
    assert read_table(path) == Table(name="short", size=32, stem=8, stages=(Stage(filters=16),), head=0)


def test_it_is_a_network_by_its_path(tmp_path: Path) -> None:
    name = str(written(tmp_path))
    assert is_network(name) and find_network(name).default_size == 32
    layers = {layer.name: layer for layer in count(name, classes=10).layers}
    assert layers["stem"].shape == (16, 16, 8) and layers["head"].shape == (4, 4, 48)
    assert layers["block_0_0_conv"].kind == "conv 3x3/2, relu6" and layers["block_0_1_add"].shape == (8, 8, 16)
    assert layers["block_1_0_depthwise"].kind == "depthwise 5x5, relu6"
    assert "block_1_0_add" in layers and "block_2_0_add" not in layers, "skip is False there"
    assert layers["block_3_1_expand"].shape == (4, 4, 72) and "block_3_1_se_multiply" in layers


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda table: table.update(schema="edgekit-network/2"), "the schema is"),
        (lambda table: table.update(name="../x"), "the name '../x'"),
        (lambda table: table.update(size=True), "size is True"),
        (lambda table: table.update(size=8), "size is 8, and no whole number of 32 to 1024"),
        (lambda table: table.update(stages=[]), "a list of 1 to 64"),
        (lambda table: table["stages"][1].update(kernel=4), r"stages\[1\].kernel is 4, and not one of 1, 3, 5, 7"),
        (lambda table: table["stages"][1].update(kernel=3.0), r"stages\[1\].kernel is 3.0"),
        (lambda table: table["stages"][0].update(skip=1), r"stages\[0\].skip is 1, and not one of False, True"),
        (lambda table: table["stages"][0].update(op="lambda"), "not one of inverted, separable, conv"),
        (lambda table: table["stages"][0].update(filter=8), "'filter', and takes op, kernel"),
        (lambda table: table["stages"][0].pop("filters"), r"stages\[0\] has no 'filters'"),
        (lambda table: table.pop("stem"), "the table has no 'stem'"),
        (lambda table: table.update(head=3), "head is 3, and no object"),
        (lambda table: table.update(activation="none"), "not one of relu, relu6"),
        (lambda table: table.update(preprocessing={"mean": [1, 2], "std": [1]}), "one number or three"),
        (lambda table: table.update(preprocessing={"mean": [1], "std": [0]}), "std"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str) -> None:
    with pytest.raises(EdgekitError, match=said):
        read_table(written(tmp_path, change))
