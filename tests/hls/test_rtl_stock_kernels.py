"""The kernels for hls4ml's own networks as RTL: every value in Verilator, beside numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from rtl_tools import needs_verilator
from test_rtl_translator import STOCK, stock_stages

from edgekit.arrays import Int64
from edgekit.hls.rtl.circuit import StageRtl
from edgekit.hls.rtl.pipeline import hex_text, memory_module
from edgekit.hls.rtl.tools import output_of
from edgekit.tools import VERILATOR, require

FRAMES = 3
CYCLES = 400
TABLE = np.arange(-128, 128)[::-1] // 2 + 5
SHIFTS = (4, 5)
MAIN = """
#include "Vtop.h"
#include "verilated.h"
int main() {
    VerilatedContext context;
    Vtop top{&context};
    for (int i = 0; i < 2 * CYCLES; i++) { top.clk = i & 1; top.rst = i < 4; top.eval(); }
    top.final();
}
"""


def tokens_of(rng: np.random.Generator) -> dict[str, tuple[tuple[Int64, ...], Int64]]:
    """Kernel -> tokens (tokens, lanes) that each of its streams brings in FRAMES frames, and those that it writes."""

    def drawn(tokens: int) -> Int64:
        return np.where(rng.random((tokens, 2)) < 0.2, rng.choice([-128, 127], (tokens, 2)), rng.integers(-128, 128, (tokens, 2)))

    left, right, cells = drawn(FRAMES * 6), drawn(FRAMES * 6), drawn(FRAMES * 12)
    maps = np.full((FRAMES, 4, 4, 2), -128)
    maps[:, :3] = cells.reshape(FRAMES, 3, 4, 2)
    pooled = maps.reshape(FRAMES, 2, 2, 2, 2, 2).max(axis=(2, 4)).reshape(-1, 2)
    return {
        "saturating_add": ((left, right), np.clip(left + right, -128, 127)),
        "lookup": ((left,), TABLE[left + 128]),
        "max_pool_2d": ((cells,), pooled),
        "repack": ((left,), left.reshape(-1, 3)),
        "requantize": ((right,), np.clip(right >> (np.array(SHIFTS) - 2), -128, 127)),
    }


@needs_verilator
def test_the_kernels_for_hls4mls_own_networks_compute_every_value(tmp_path: Path) -> None:
    expected = tokens_of(np.random.default_rng(4))
    contents = {"table": tuple(int(one) for one in TABLE), "shifts": SHIFTS}
    stages = dict(zip(STOCK, stock_stages(tuple(STOCK), tmp_path, contents), strict=True))
    lines, instances = [], []
    for name, stage in stages.items():
        (tmp_path / f"{stage.name}.v").write_text(stage.verilog)
        _memories(stage, tmp_path)
        instances += _instance(name, stage, expected[name], tmp_path)
    lines = ["module top(input clk, input rst);", *instances, "endmodule"]
    (tmp_path / "top.v").write_text("\n".join(lines) + "\n")
    (tmp_path / "main.cpp").write_text(MAIN.replace("CYCLES", str(CYCLES)))
    sources = sorted(path.name for path in tmp_path.glob("*.v"))
    flags = ["--cc", "--exe", "--build", "-j", "1", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--top-module", "top"]
    output_of([str(require(VERILATOR)), *flags, *sources, "main.cpp"], tmp_path, 600)
    said = [line.split() for line in output_of(["obj_dir/Vtop"], tmp_path, 60).splitlines()]
    for name, (_, wanted) in expected.items():
        found = np.array([_values(line[1], wanted.shape[1]) for line in said if line and line[0] == name])
        np.testing.assert_array_equal(found, wanted, err_msg=name)


def _memories(stage: StageRtl, folder: Path) -> None:
    for memory in stage.memories:
        module = f"{stage.name}_{memory.name}"
        (folder / f"{module}.v").write_text(memory_module(module, memory, registered=False))
        if memory.content is not None:
            (folder / f"{module}.hex").write_text(hex_text(memory.content, memory.width))


def _instance(name: str, stage: StageRtl, tokens: tuple[tuple[Int64, ...], Int64], folder: Path) -> list[str]:
    """The stage with its memories, its input tokens out of files, and a line for each token that it writes."""
    lines, wires = [], [".clk(clk)", ".rst(rst)", ".fire()"]
    for stream, values in zip(stage.inputs, tokens[0], strict=True):
        own, count = f"{stage.name}_in{stream}", len(values)
        (folder / f"{own}.hex").write_text("".join(f"{_word(token)}\n" for token in values))
        width = 8 * values.shape[1]
        lines += [
            f"  reg [{width - 1}:0] {own} [0:{count}]; integer {own}_at = 0; wire {own}_ready;",
            f'  initial $readmemh("{own}.hex", {own}, 0, {count - 1});',
            f"  always @(posedge clk) if (!rst & {own}_ready & {own}_at < {count}) {own}_at <= {own}_at + 1;",
        ]
        valid, ready = f".in{stream}_valid(!rst & {own}_at < {count})", f".in{stream}_ready({own}_ready)"
        wires += [valid, ready, f".in{stream}_data({own}[{own}_at])"]
    (stream,) = stage.outputs
    own, width = f"{stage.name}_out", 8 * tokens[1].shape[1]
    lines += [
        f"  wire {own}_valid; wire [{width - 1}:0] {own}_data;",
        f'  always @(posedge clk) if (!rst & {own}_valid) $display("{name} %h", {own}_data);',
    ]
    wires += [f".out{stream}_valid({own}_valid)", f".out{stream}_ready(1'b1)", f".out{stream}_data({own}_data)"]
    for memory in stage.memories:
        own, bits = f"{stage.name}_{memory.name}", memory.address_bits
        ports = [(f"a{port}", bits) for port in range(memory.reads)] + [(f"q{port}", memory.width) for port in range(memory.reads)]
        ports += [("we", memory.enables), ("wa", bits), ("wd", memory.width)] if memory.enables else []
        lines += [f"  wire [{width - 1}:0] {own}_{port};" for port, width in ports]
        wires += [f".{memory.name}_{port}({own}_{port})" for port, _ in ports]
        lines.append(f"  {own} memory_{own}(.clk(clk), {', '.join(f'.{port}({own}_{port})' for port, _ in ports)});")
    return [*lines, f"  {stage.name} of_{name}({', '.join(wires)});"]


def _word(token: Int64) -> str:
    return bytes(int(value) & 255 for value in token[::-1]).hex()


def _values(word: str, lanes: int) -> list[int]:
    return [int(value) for value in np.frombuffer(bytes.fromhex(word.zfill(2 * lanes))[::-1], np.int8)]
