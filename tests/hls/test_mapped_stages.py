"""The estimates beside recorded counts of Yosys: what was fitted, and how far they are off on stages that the fit did not see."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edgekit.hls.kernels.luts import LUTS
from edgekit.hls.kernels.registry import STAGES

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
STAGES_LEAST = 60
MEDIAN_MOST, WORST_MOST = 0.15, 0.40


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mapped_table", BENCHMARKS / "mapped_table.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as dataclasses ask for it
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("what", ["lut", "dsp", "bram18"])
def test_estimates_are_near_to_what_yosys_maps_on_stages_that_the_fit_did_not_see(what: str, table: ModuleType) -> None:
    """Stages that have none of it, as estimated and as mapped, count as stages and not as errors."""
    rows = [row for row in table.read_table(BENCHMARKS / "mapped_stages.json") if table.is_held_out(row)]
    found = table.errors(rows, what)[-1]
    assert found.kind == "all" and len(rows) >= STAGES_LEAST
    assert found.median <= MEDIAN_MOST and found.worst <= WORST_MOST, found


def test_the_coefficients_are_those_that_the_table_gives(table: ModuleType) -> None:
    rows = table.read_table(BENCHMARKS / "mapped_stages.json")
    found = table.fitted([row for row in rows if not table.is_held_out(row)]) | table.ASSUMED
    assert found.keys() == LUTS.keys()
    assert all(abs(LUTS[part] - value) <= 0.01 * max(1, value) for part, value in found.items())


def test_the_table_has_every_kind_of_stage_but_the_one_with_an_axi_master(table: ModuleType) -> None:
    kinds = {row["kind"] for row in table.read_table(BENCHMARKS / "mapped_stages.json")}
    assert {stage.__name__ for stage in STAGES} - kinds == set(table.ASSUMED)
