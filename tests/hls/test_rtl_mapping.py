"""Yosys' counts of hand-made stages, whose multipliers, sums and memories are known."""

from __future__ import annotations

from pathlib import Path

import pytest
from rtl_tools import SHAPES, compiled, needs_yosys

from edgekit.errors import EdgekitError
from edgekit.hls.rtl.mapping import map_stages
from edgekit.hls.rtl.verilog import translate

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
