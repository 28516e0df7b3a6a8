"""The engine's arithmetic as RTL, out of its own headers: values beside numpy, DSP slices and memories beside the engine's estimate.

Its control is not translated: what it does in a beat is in the jobs, which are data.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from rtl_bench import written_tokens
from rtl_tools import TOKEN, needs_verilator, needs_yosys

from edgekit.arrays import Int64
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.rtl.circuit import StageRtl, StreamShape
from edgekit.hls.rtl.compiled import compile_stages
from edgekit.hls.rtl.mapping import map_stages
from edgekit.hls.rtl.sources import for_clang
from edgekit.hls.rtl.translator.llvm import read_module
from edgekit.hls.rtl.translator.verilog import translate
from edgekit.hls.simulation.engine import kernel_sources

SIZE = EngineSize(simd=4, words=2, banks=2, bank_words=16, positions=12)
PASSES, FRAMES, CYCLES = 3, 2, 600
LOW, HIGH = -128, 127
MATRIX = """
typedef array<ap_uint<8>, SIZE::simd> xs;
typedef array<ap_uint<8>, SIZE::row_bytes> row;
typedef array<ap_int<8>, SIZE::lanes> ys;
static nnet::engine_row<SIZE> taken(hls::stream<row> &rows) {
    const row token = rows.read();
    nnet::engine_row<SIZE> found;
    #pragma clang loop unroll(full)
    for (unsigned byte = 0; byte < SIZE::row_bytes; byte++) { found.byte[byte] = (unsigned)token[byte]; }
    return found;
}
extern "C" void stage0() {
    hls::stream<xs> x(0); hls::stream<row> rows(1); hls::stream<ys> out(2);
    struct { int lane[SIZE::lanes]; } sums[SIZE::positions];
    int bias[SIZE::lanes], code[SIZE::lanes];
    signed char weight[SIZE::lanes][SIZE::simd];
    for (unsigned number = 0; number < SIZE::constant_rows; number++) {
        const nnet::engine_row<SIZE> one = taken(rows);
        #pragma clang loop unroll(full)
        for (unsigned c = 0; c < SIZE::constants_a_row; c++) {
            const unsigned lane = number * SIZE::constants_a_row + c;
            if (lane < SIZE::lanes) { nnet::engine_constant(one, c, bias[lane], code[lane]); }
        }
    }
    for (unsigned pass = 0; pass < passes; pass++) {
        for (unsigned place = 0; place < weight_rows; place++) {
            const nnet::engine_row<SIZE> one = taken(rows);
            #pragma clang loop unroll(full)
            for (unsigned w = 0; w < SIZE::row_words; w++) {
                #pragma clang loop unroll(full)
                for (unsigned s = 0; s < SIZE::simd; s++) {
                    weight[place * SIZE::row_words + w][s] = (signed char)nnet::engine_weight(one, w * SIZE::simd + s);
                }
            }
        }
        for (unsigned number = 0; number < SIZE::positions; number++) {
            const xs token = x.read();
            int value[SIZE::simd], sum[SIZE::lanes];
            #pragma clang loop unroll(full)
            for (unsigned s = 0; s < SIZE::simd; s++) { value[s] = nnet::engine_value((unsigned)token[s], is_signed); }
            #pragma clang loop unroll(full)
            for (unsigned p = 0; p < SIZE::lanes; p++) { sum[p] = pass == 0 ? bias[p] : sums[number].lane[p]; }
            nnet::engine_dot<SIZE::lanes, SIZE::simd>(value, weight, sum);
            #pragma clang loop unroll(full)
            for (unsigned p = 0; p < SIZE::lanes; p++) { sums[number].lane[p] = sum[p]; }
            if (pass + 1 == passes) {
                ys y;
                #pragma clang loop unroll(full)
                for (unsigned p = 0; p < SIZE::lanes; p++) { y[p] = nnet::engine_requantize(sum[p], code[p], -128, 127); }
                out.write(y);
            }
        }
    }
}
"""
"""A job of the matrix array with its control taken away: the weights of a pass, then its positions."""
PARTS = """
namespace nnet { struct engine_part; }
namespace hls { template <> struct stream<nnet::engine_part> { nnet::engine_part read(); }; }
"""
"""The parts of jobs come by streams that nothing here reads."""


def matrix_stage(size: EngineSize, is_signed: bool, folder: Path) -> StageRtl:
    """The matrix array's arithmetic with streams for activations (0), rows of weights and constants (1), results (2)."""
    for file in resources.files("edgekit.hls.rtl").joinpath("include").iterdir():
        (folder / file.name).write_text(file.read_text())
    for name, content in kernel_sources(size).items():
        (folder / name).write_text(for_clang(content.decode()))
    headers = PARTS + '#include "edgekit_engine_size.h"\n#include "edgekit_engine_matrix.h"\ntypedef engine_size SIZE;'
    numbers = f"enum {{ passes = {PASSES}, weight_rows = {size.group_rows(size.words)}, is_signed = {int(is_signed)} }};"
    (folder / "stages.cpp").write_text("\n".join([TOKEN, headers, numbers, MATRIX]))
    shapes = {0: StreamShape(size.simd, 8, False), 1: StreamShape(size.row_bytes, 8, False), 2: StreamShape(size.lanes, 8, True)}
    return translate(read_module(compile_stages(folder)), "stage0", shapes, {})


def packed_rows(size: EngineSize, biases: Int64, codes: Int64, weights: Int64) -> Int64:
    """Rows of the stream, (rows, row_bytes): constants of 40 bits, then of each pass weights (passes, lanes, simd) of 6 bits."""
    rows = []
    for first in range(0, size.lanes, size.constants_a_row):
        lanes = range(first, min(size.lanes, first + size.constants_a_row))
        text = b"".join(
            int(biases[lane]).to_bytes(4, "little", signed=True) + int(codes[lane]).to_bytes(1, "little", signed=True) for lane in lanes
        )
        rows.append(list(text.ljust(size.row_bytes, b"\0")))
    for group in weights.reshape(-1, size.row_words * size.simd):
        bits = sum((int(weight) & 63) << (6 * place) for place, weight in enumerate(group))
        rows.append(list(bits.to_bytes(size.row_bytes, "little")))
    return np.array(rows)


def requantized(sums: Int64, codes: Int64) -> Int64:
    right = sums >> np.maximum(codes, 0)
    left = (2 * np.clip(sums, -256, 256) + 1) << np.maximum(-codes - 1, 0)
    return np.clip(np.where(codes >= 0, right, left), LOW, HIGH)


@needs_verilator
@pytest.mark.parametrize("is_signed", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_the_matrix_arrays_arithmetic_computes_every_value(is_signed: bool, tmp_path: Path) -> None:
    rng = np.random.default_rng(int(is_signed))
    codes = np.array([0, 3, 5, 7, 9, 11, -1, -3])
    xs, rows, wanted = [], [], []
    for _ in range(FRAMES):
        biases = rng.integers(-5_000, 5_000, SIZE.lanes)
        weights = rng.choice([-31, -1, 0, 31, *rng.integers(-31, 32, 8)], (PASSES, SIZE.lanes, SIZE.simd))
        x = np.where(rng.random((PASSES, SIZE.positions, SIZE.simd)) < 0.3, 255, rng.integers(0, 256, (PASSES, SIZE.positions, SIZE.simd)))
        value = np.where(x > 127, x - 256, x) if is_signed else x
        xs.append(x.reshape(-1, SIZE.simd))
        rows.append(packed_rows(SIZE, biases, codes, weights))
        wanted.append(requantized(biases + np.einsum("aps,als->pl", value, weights), codes))
    stage = matrix_stage(SIZE, is_signed, tmp_path)
    found = written_tokens({"matrix": stage}, {"matrix": ((np.concatenate(xs), np.concatenate(rows)), SIZE.lanes)}, CYCLES, tmp_path)
    np.testing.assert_array_equal(found["matrix"], np.concatenate(wanted))


@pytest.mark.slow
@needs_yosys
def test_two_products_of_the_matrix_array_are_a_dsp_slice(tmp_path: Path) -> None:
    """As the estimate has it; and its sums are a memory."""
    (found,) = map_stages([matrix_stage(SIZE, True, tmp_path)], "xcup")
    assert found.total.dsp == SIZE.products // 2
    assert found.memories
    print(f"\n{SIZE}: {found}")
