"""Yosys' counts of hand-made stages, whose multipliers, sums and memories are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hand_graphs import Builder
from projects import write
from rtl_tools import SHAPES, compiled, needs_yosys

from edgekit.errors import EdgekitError
from edgekit.hls.dataflow import dataflow_of
from edgekit.hls.folding import Folding
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.rtl.mapping import map_stages
from edgekit.hls.rtl.project import project_rtl
from edgekit.hls.rtl.translator.verilog import translate
from edgekit.targets.boards import find_board

LOGIC = {"MatVec": 269, "Depthwise": 303, "Window": 192, "Resize": 90}
"""LUTs by Yosys 0.23."""

MULTIPLIED = "for (int i = 0; i < 16; i++) { one x = in.read(); int v = x[0]; one y; y[0] = (v * v) >> 7; out.write(y); }"
KEPT = """{type} kept[{words}];
    for (unsigned i = 0; i < {words}; i++) {{ kept[i] = pairs.read(); }}
    for (unsigned i = 0; i < {words}; i++) {{ pairs.write(kept[{words} - 1 - i]); }}"""


@needs_yosys
def test_multipliers_and_memories_of_both_kinds_are_counted(tmp_path: Path) -> None:
    """A square is a DSP slice; 48 x 16 bits are LUTs, two of 64 bits for each bit; 2,000 x 16 are two halves of a block RAM."""
    bodies = [MULTIPLIED, KEPT.format(type="two", words=48), KEPT.format(type="two", words=2000)]
    module = compiled(bodies, tmp_path)
    found = map_stages([translate(module, f"stage{place}", SHAPES, {}) for place in range(3)], "xc7")
    assert [one.total.dsp for one in found] == [1, 0, 0]
    assert [one.total.bram18 for one in found] == [0, 0, 2]
    (short,), (long,) = found[1].memories.values(), found[2].memories.values()
    assert 16 <= short.lut <= 32 and long.lut == 0
    assert all(0 < one.logic.lut < 100 and 0 < one.logic.ff < 100 for one in found)
    assert found[1].total.lut == found[1].logic.lut + short.lut


def test_a_family_that_it_does_not_know_is_refused() -> None:
    with pytest.raises(EdgekitError, match="families xc7, xcup, not to 'ecp5'"):
        map_stages([], "ecp5")


@needs_yosys
def test_kernels_take_no_more_logic_than_they_did_when_they_were_measured(tmp_path: Path) -> None:
    """Shifts from 5 to 12. A shifter by a signed amount would take three times as many LUTs, a part that is looked for in a token twice."""
    b = Builder(np.random.default_rng(5))
    x, shifts = b.tensor("x", (6, 6, 16), signed=True, binary_point=4), (5, 6, 7, 8, 9, 10, 11, 12)
    graph = b.graph(b.conv("matrix", x, (1, 1), 32, shifts=shifts), b.depthwise("deep", x, (3, 3), shifts=shifts))
    plan = {"matrix": Folding(2, 8), "deep": Folding(4)}
    rtl = project_rtl(write(plan_simulation(graph, find_board("pynq_z2"), plan), tmp_path), lambda _: None)
    wanted = [(type(stage).__name__, made) for stage, made in zip(dataflow_of(graph, plan).stages, rtl.stages, strict=True)]
    wanted = [(kind, made) for kind, made in wanted if kind in LOGIC]
    found = map_stages([made for _, made in wanted], "xc7")
    counts = {kind: one.logic.lut for (kind, _), one in zip(wanted, found, strict=True)}
    assert counts.keys() == LOGIC.keys()
    assert all(0.5 * LOGIC[kind] < count <= 1.1 * LOGIC[kind] for kind, count in counts.items())
