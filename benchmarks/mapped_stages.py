"""Stages of the kernels as Yosys maps them, beside what is estimated of them.

mapped_stages.py draw -o TABLE [--graphs N] [--seed S]     adds stages of drawn graphs in drawn foldings to a table
mapped_stages.py planned -o TABLE GRAPH.onnx FOLDING.json    adds the stages of a planned network, each kind and size once
mapped_stages.py project FOLDER                              what all stages of a written project take, whichever edgekit wrote it
mapped_stages.py fit [TABLE]                                 prints hls/kernels/luts.py, from the stages that are not held out
mapped_stages.py errors [TABLE]                              how far the estimates are off on the stages that the fit did not see, by kernel

A table is JSON: a list of rows, each with the stage's kind, its fields and Yosys' counts. A stage that the table has is not mapped again.
Weight readers are left out: an AXI master is not in the kernels' own code.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from mapped_table import Row, errors, fitted, is_held_out, key_of, luts_module, read_table

from edgekit.graph import (
    Add,
    Concat,
    Conv2D,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    GraphBuilder,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Slice,
    read_onnx,
    same_padding,
)
from edgekit.hls.dataflow import dataflow_of
from edgekit.hls.folding import Folding, WeightPlacement, read_folding
from edgekit.hls.ops import legal_foldings
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.rtl.mapping import Mapped, map_stages
from edgekit.hls.rtl.measured import mapped_stage
from edgekit.hls.rtl.project import project_rtl
from edgekit.hls.rtl.translator.verilog import StageRtl
from edgekit.targets import find_board
from edgekit.tools import YOSYS, require, version

TABLE = Path(__file__).parent / "mapped_stages.json"
FAMILY = "xc7"
LANES_MAX = 32
"""Products a cycle of a drawn folding: what is wider takes Yosys minutes."""
TOGETHER = 2
"""Stages that one call of Yosys maps."""
DRAWN_MOST = {"Fork": 0, "Resize": 2, "Window": 2}, {"Fork": 1, "Resize": 1}
"""Of a drawn graph of weighted ops, of a drawn graph of others: so many of these at most."""


def drawn_graph(rng: np.random.Generator) -> IntegerGraph:
    """Weighted ops of every kind, and a few others, all on one input."""
    made = GraphBuilder("drawn")
    side, channels = int(rng.integers(4, 15)), int(rng.choice([8, 12, 16, 24, 32, 48]))
    x = made.input("x", (side, side, channels), signed=True, binary_point=4)
    kernels = ((1, Conv2D), (1, Conv2D), (3, Conv2D), (3, DepthwiseConv2D), (3, DepthwiseConv2D), (side, DepthwiseConv2D))
    maps = [x]
    for kernel, kind in (*kernels, (2, DepthwiseConv2DTranspose)):
        maps.append(_weighted(made, rng, kind, x, kernel))
    channels_of = {made.tensors[name].shape: name for name in maps}
    same = channels_of.get((side, side, channels), x)
    outputs = [
        *maps[1:],
        made.write(Add("sum", (x, maps[4]), "sum"), signed=True) if made.tensors[maps[4]].shape == (side, side, channels) else same,
        made.write(MaxPool("pool", x, "pool", (2, 2), (2, 2))),
        made.write(Multiply("product", (x, x), "product"), signed=True, binary_point=1),
        made.write(Multiply("gated", (x, maps[6]), "gated"), signed=True, binary_point=1),
        made.write(Slice("part", x, "part", channels // 4), shape=(channels // 2,)),
    ]
    return made.graph(*dict.fromkeys(name for name in outputs if name != x))


def drawn_others(rng: np.random.Generator) -> IntegerGraph:
    """Ops without weights on one input: matrix products of both layouts, tables, sums, joins, products, slices, pools."""
    made = GraphBuilder("drawn")
    side, heads, depth = int(rng.integers(2, 8)), int(rng.choice([1, 1, 2, 3])), int(rng.choice([8, 12, 16, 20, 24]))
    cells, channels = side * side, heads * depth
    x = made.input("x", (side, side, channels), signed=True, binary_point=4)
    many = bool(rng.random() < 0.3)
    biases = [4 * rng.integers(-600, 600, (side, side, last) if many else (1, 1, 1)).astype(np.int32) for last in (heads * cells, channels)]
    pool = int(rng.choice([2, min(3, side)]))
    table = rng.integers(-128, 128, 256).astype(np.int8)
    outputs = [
        made.write(MatMul("scores", (x, x), "scores", heads, True, biases[0]), signed=True, binary_point=-2),
        made.write(MatMul("mixed", ("scores", x), "mixed", heads, False, biases[1]), signed=True, binary_point=-5),
        made.write(Lookup("table", x, "table", table), signed=True, binary_point=4),
        made.write(Add("sum", (x, "table"), "sum"), signed=True),
        made.write(Multiply("product", (x, "table"), "product"), signed=True, binary_point=1),
        made.write(Concat("joined", (x, "sum"), "joined")),
        made.write(MaxPool("pool", x, "pool", (pool, pool), (pool, pool))),
        made.write(Slice("part", x, "part", channels // 4), shape=(channels // 2,)),
    ]
    return made.graph(*outputs)


def _weighted(made: GraphBuilder, rng: np.random.Generator, kind: type, source: str, kernel: int) -> str:
    """Weights of six bits, or of few set bits; shifts from a smallest one up to 1, 3, 7 or 11 more."""
    rows, columns, depth = made.tensors[source].shape
    name = f"{kind.__name__.lower()}{len(made.ops)}"
    outputs = int(rng.choice([8, 16, 24, 40])) if kind is Conv2D else depth
    shape = (kernel, kernel, depth, outputs) if kind is Conv2D else (kernel, kernel, depth)
    few = rng.random() < 0.15
    magnitudes = rng.choice([1, 2, 4, 8, 16], shape) if few else np.clip(np.abs(rng.normal(0, 10, shape)).astype(np.int64), 0, 31)
    weights = (4 * magnitudes * rng.choice([-1, 1], shape)).astype(np.int8)
    bias = (4 * rng.integers(-600, 600, outputs) + 2).astype(np.int32)
    least, further = int(rng.integers(4, 9)), int(rng.choice([0, 1, 2, 3, 5, 7, 11]))
    shifts = least + rng.integers(0, further + 1, outputs)
    signed = bool(rng.random() < 0.4)
    options: dict[str, Any] = {}
    if kind is not DepthwiseConv2DTranspose and kernel == 3:
        stride = int(rng.choice([1, 1, 2]))
        options = {"strides": (stride, stride), "padding": same_padding((rows, columns), (3, 3), (stride, stride))}
    points = tuple(int(shift) - made.tensors[source].binary_point + 4 for shift in shifts)
    op = kind(name, source, name, weights, bias, points, **options)
    return made.write(op, signed=True if kind is Conv2D and kernel == 1 else signed, binary_point=4)


def drawn_plan(graph: IntegerGraph, rng: np.random.Generator) -> dict[str, Folding]:
    plan = {}
    for op in graph.ops:
        legal = [one for one in legal_foldings(graph, op) if one.pe * one.simd <= LANES_MAX and one.pe <= 16 and one.simd <= 16]
        lanes = np.array([one.pe * one.simd * (4 if one.weights is WeightPlacement.DDR else 1) for one in legal])
        chances = 1 / lanes**0.5
        plan[op.name] = legal[int(rng.choice(len(legal), p=chances / chances.sum()))]
    return plan


def flat(one: Any) -> Any:
    """A stage's fields as JSON has them, without its names."""
    if is_dataclass(one):
        return {field.name: flat(getattr(one, field.name)) for field in fields(one) if field.name not in ("name", "op")}
    return one.value if isinstance(one, Enum) else list(one) if isinstance(one, tuple) else one


def mapped_rows(graph: IntegerGraph, plan: Mapping[str, Folding], source: str, known: set[str], most: Mapping[str, int]) -> Iterator[Row]:
    """Of each stage that is not known: its kind, its fields, Yosys' counts. `most`: of a kind. Slow: seconds for each."""
    flow = dataflow_of(graph, plan)
    with tempfile.TemporaryDirectory() as name:
        for file, content in plan_simulation(graph, find_board("pynq_z2"), plan).items():
            (Path(name) / file).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / file).write_bytes(content)
        rtl = project_rtl(Path(name), lambda _: None)
    wanted: list[tuple[dict[str, Any], StageRtl]] = []
    for stage, found in zip(flow.stages, rtl.stages, strict=True):
        row = {"kind": type(stage).__name__, "fields": flat(stage)}
        enough = sum(one["kind"] == row["kind"] for one, _ in wanted) >= most.get(row["kind"], len(flow.stages))
        if stage.sources and not enough and key_of(row) not in known:
            known.add(key_of(row))
            wanted.append((row, found))
    for begin in range(0, len(wanted), TOGETHER):
        part = wanted[begin : begin + TOGETHER]
        for (row, _), one in zip(part, map_stages([found for _, found in part], FAMILY), strict=True):
            memories = {"memory_lut": sum(found.lut for found in one.memories.values()), "bram18": one.total.bram18}
            yield {"from": source, **row, "lut": one.logic.lut, "ff": one.logic.ff, "dsp": one.total.dsp, **memories}


def write_table(path: Path, rows: list[Row]) -> None:
    path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


def add_rows(path: Path, found: Iterator[Row], rows: list[Row]) -> None:
    for row in found:
        rows.append(row)
        write_table(path, rows)
        print(f"{row['kind']:12} {row['lut']:5} LUT  {row['from']}", file=sys.stderr, flush=True)


def project_lines(folder: Path) -> Iterator[str]:
    """Of each kernel of a project how many stages it is in and what they take together, and of all; readers of weights are left out."""
    program = version(YOSYS, require(YOSYS))
    rtl = project_rtl(folder, lambda _: None)
    found: dict[str, list[Mapped]] = {}
    for call, stage in zip(rtl.top.calls, rtl.stages, strict=True):
        if call.kernel != "read_weights":
            found.setdefault(call.kernel, []).append(mapped_stage(stage, FAMILY, program))
    yield "| kernel | stages | LUT | FF | DSP | BRAM36 |\n| --- | --- | --- | --- | --- | --- |"
    for kernel, counts in (*found.items(), ("all", [one for many in found.values() for one in many])):
        total = sum(counts, Mapped())
        yield f"| {kernel} | {len(counts)} | {total.lut:,} | {total.ff:,} | {total.dsp} | {total.bram18 / 2:g} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    commands = parser.add_subparsers(dest="command", required=True)
    draw = commands.add_parser("draw")
    draw.add_argument("-o", "--output", type=Path, required=True)
    draw.add_argument("--graphs", type=int, default=1)
    draw.add_argument("--seed", type=int, default=1)
    draw.add_argument("--others", action="store_true", help="ops without weights")
    planned = commands.add_parser("planned")
    planned.add_argument("-o", "--output", type=Path, required=True)
    planned.add_argument("graph", type=Path)
    planned.add_argument("folding", type=Path)
    commands.add_parser("project").add_argument("folder", type=Path)
    for name in ("fit", "errors"):
        commands.add_parser(name).add_argument("table", type=Path, nargs="?", default=TABLE)
    options = parser.parse_args()
    if options.command == "fit":
        print(luts_module(fitted([row for row in read_table(options.table) if not is_held_out(row)])), end="")
        return 0
    if options.command == "errors":
        rows = [row for row in read_table(options.table) if is_held_out(row)]
        for what in ("logic", "lut", "dsp", "bram18"):
            print(f"| {what} | stages | estimated | mapped | median error | worst |\n| --- | --- | --- | --- | --- | --- |")
            for one in errors(rows, what):
                print(f"| {one.kind} | {one.stages} | {one.estimated:,.0f} | {one.mapped:,.0f} | {one.median:.0%} | {one.worst:.0%} |")
            print()
        return 0
    if options.command == "project":
        for line in project_lines(options.folder):
            print(line, flush=True)
        return 0
    rows = read_table(options.output)
    known = {key_of(row) for row in rows}
    if options.command == "planned":
        graph = read_onnx(options.graph.read_bytes())
        add_rows(options.output, mapped_rows(graph, read_folding(options.folding), graph.name, known, {}), rows)
        return 0
    for seed in range(options.seed, options.seed + options.graphs):
        rng = np.random.default_rng(seed)
        graph, most = (drawn_others(rng), DRAWN_MOST[1]) if options.others else (drawn_graph(rng), DRAWN_MOST[0])
        source = f"drawn{' others' if options.others else ''} {seed}"
        add_rows(options.output, mapped_rows(graph, drawn_plan(graph, rng), source, known, most), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
