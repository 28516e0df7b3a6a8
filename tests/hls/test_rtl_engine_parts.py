"""Parts of the engine's arithmetic alone, mapped by Yosys, beside the rules of hls/engine/cost.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from rtl_engine_stage import part_stage
from rtl_tools import needs_yosys

from edgekit.hls.engine.cost import LUTS_OF_A_REQUANTIZE, LUTS_OF_AN_INPUT, dot_luts
from edgekit.hls.rtl.mapping import Mapped, map_stages

pytestmark = [pytest.mark.slow, needs_yosys]
OFF = 0.12
"""How far a rule may be from what is mapped: clang's and Yosys's versions differ by some percent."""
REQUANTIZE = "out[0] = engine_requantize(engine_whole_of(in, 0), in[4], in[5], in[6]);"


def mapped(body: str, numbers: int, results: int, bits: int, folder: Path) -> Mapped:
    (found,) = map_stages([part_stage(body, numbers, results, bits, folder)], "xc7", wide_luts=False)
    return found.total


def dots(lanes: int, simd: int) -> str:
    """All weights of all lanes have 8 bits, as those have that come out of a map."""
    return f"""
    int x[{simd}], sum[{lanes}];
    signed char weight[{lanes}][{simd}];
    for (unsigned s = 0; s < {simd}; s++) {{
        #pragma HLS UNROLL
        x[s] = engine_value((unsigned char)in[s], in[{simd}] & 1);
        for (unsigned p = 0; p < {lanes}; p++) {{
            #pragma HLS UNROLL
            weight[p][s] = (signed char)in[{simd + 1} + p * {simd} + s];
        }}
    }}
    for (unsigned p = 0; p < {lanes}; p++) {{
        #pragma HLS UNROLL
        sum[p] = engine_whole_of(in, {simd + 1 + lanes * simd} + 4 * p);
    }}
    engine_dot<{lanes}, {simd}>(x, weight, sum);
    for (unsigned p = 0; p < {lanes}; p++) {{
        #pragma HLS UNROLL
        out[p] = sum[p];
    }}
    """


@pytest.mark.parametrize("simd", [16, 8])
def test_two_products_of_bytes_are_a_dsp_slice(simd: int, tmp_path: Path) -> None:
    few, many = (mapped(dots(lanes, simd), simd + 1 + lanes * (simd + 4), lanes, 32, tmp_path) for lanes in (2, 4))
    assert (few.dsp, many.dsp) == (simd, 2 * simd)
    a_lane = (many.lut - few.lut) / 2
    print(f"\n{simd} inputs: {a_lane} LUTs a lane, {few.lut - 2 * a_lane} for all")
    assert a_lane == pytest.approx(dot_luts(simd), rel=OFF)
    assert few.lut - 2 * a_lane <= LUTS_OF_AN_INPUT * simd


def test_a_requantize_is_a_shifter_and_a_clamp(tmp_path: Path) -> None:
    found = mapped(REQUANTIZE, 7, 1, 8, tmp_path)
    print(f"\n{found}")
    assert found.lut == pytest.approx(LUTS_OF_A_REQUANTIZE, rel=OFF)
