"""An op is one row: every op of the integer graph stands in each of the tables that ops are looked up in."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from edgekit.graph.ir import OP_TYPES

EXTENDING = Path(__file__).resolve().parents[2] / "docs" / "extending.md"
TABLES = {
    "edgekit.graph.shapes": "SHAPES",
    "edgekit.graph.check": "RULES",
    "edgekit.graph.reference": "RUN",
    "edgekit.graph.onnx_write": "WRITE",
    "edgekit.graph.onnx_read": "READ",
    "edgekit.tflite.writer": "LOWER",
    "edgekit.hls.ops": "ROWS",
    "edgekit.hls.engine.compiler": "LOWER",
    "edgekit.keras_models.qfx.freeze": "FREEZE",
    "edgekit.keras_models.qfx.thaw": "THAW",
}


def rows(module: str, name: str) -> Collection[type]:
    """The ops that a table has rows for; freeze's are looked up by layer, and name the ops that the layers become."""
    table: Mapping = getattr(import_module(module), name)
    if module.endswith(".freeze"):
        return {op for row in table.values() for op in row.ops}
    return table.keys()


@pytest.mark.parametrize("module", TABLES)
def test_every_op_has_a_row(module: str) -> None:
    missing = [op.__name__ for op in OP_TYPES if op not in rows(module, TABLES[module])]
    assert not missing, f"{module}.{TABLES[module]} has no row for {', '.join(missing)}"


@pytest.mark.parametrize("module", TABLES)
def test_nothing_else_has_a_row(module: str) -> None:
    assert set(rows(module, TABLES[module])) <= set(OP_TYPES)


@pytest.mark.parametrize("module", TABLES)
def test_the_document_lists_the_tables(module: str) -> None:
    parts = module.split(".")[1:]
    path = "/".join((["src", "edgekit"] if parts[0] == "graph" else []) + parts)
    assert f"| `{path}.py` | `{TABLES[module]}` |" in EXTENDING.read_text()
