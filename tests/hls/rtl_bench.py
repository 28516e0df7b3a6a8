"""Stages alone in Verilator: tokens in, tokens out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgekit.arrays import Int64
from edgekit.hls.rtl.circuit import StageRtl
from edgekit.hls.rtl.pipeline import hex_text, memory_module
from edgekit.hls.rtl.tools import output_of
from edgekit.tools import VERILATOR, require

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


COUNTED = "  integer cycle = 0; always @(posedge clk) if (!rst) cycle <= cycle + 1;"


def written_tokens(
    stages: Mapping[str, StageRtl], tokens: Mapping[str, tuple[tuple[Int64, ...], int]], cycles: int, folder: Path
) -> dict[str, Int64]:
    """What each stage has written after so many cycles, (tokens, lanes), as signed bytes. `tokens`: of each stage what its streams bring,
    (tokens, lanes) each, and the lanes of what it writes."""
    said = simulated(stages, tokens, cycles, folder)
    return {name: np.array([byte_values(word, tokens[name][1]) for word, _ in found]) for name, found in said.items()}


def simulated(
    stages: Mapping[str, StageRtl], tokens: Mapping[str, tuple[tuple[Int64, ...], int]], cycles: int, folder: Path
) -> dict[str, list[tuple[str, int]]]:
    """As `written_tokens`: of each token its digits, and how many cycles there were before it."""
    instances = []
    for name, stage in stages.items():
        (folder / f"{stage.name}.v").write_text(stage.verilog)
        _memories(stage, folder)
        instances += _instance(name, stage, *tokens[name], folder)
    (folder / "top.v").write_text("\n".join(["module top(input clk, input rst);", COUNTED, *instances, "endmodule"]) + "\n")
    (folder / "main.cpp").write_text(MAIN.replace("CYCLES", str(cycles)))
    sources = sorted(path.name for path in folder.glob("*.v"))
    flags = ["--cc", "--exe", "--build", "-j", "1", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--top-module", "top"]
    output_of([str(require(VERILATOR)), *flags, *sources, "main.cpp"], folder, 600)
    said = [line.split() for line in output_of(["obj_dir/Vtop"], folder, 60).splitlines()]
    return {name: [(line[1], int(line[2])) for line in said if line and line[0] == name] for name in stages}


def _memories(stage: StageRtl, folder: Path) -> None:
    for memory in stage.memories:
        module = f"{stage.name}_{memory.name}"
        (folder / f"{module}.v").write_text(memory_module(module, memory, registered=False))
        if memory.content is not None:
            (folder / f"{module}.hex").write_text(hex_text(memory.content, memory.width))


def _instance(name: str, stage: StageRtl, given: tuple[Int64, ...], lanes: int, folder: Path) -> list[str]:
    """The stage with its memories, its input tokens out of files, and a line for each token that it writes."""
    lines, wires = [], [".clk(clk)", ".rst(rst)", ".fire()"]
    for stream, values in zip(stage.inputs, given, strict=True):
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
    own, width = f"{stage.name}_out", 8 * lanes
    lines += [
        f"  wire {own}_valid; wire [{width - 1}:0] {own}_data;",
        f'  always @(posedge clk) if (!rst & {own}_valid) $display("{name} %h %0d", {own}_data, cycle);',
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


def byte_values(word: str, lanes: int) -> list[int]:
    return [int(value) for value in np.frombuffer(bytes.fromhex(word.zfill(2 * lanes))[::-1], np.int8)]
