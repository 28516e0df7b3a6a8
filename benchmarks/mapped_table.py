"""A table of mapped stages, read: its rows as stages, which of them the fit sees, and how far the estimates are off on the others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.graph.ir import Padding, Window
from edgekit.hls.kernels.arithmetic import Arithmetic, Sums
from edgekit.hls.kernels.base import Stage
from edgekit.hls.kernels.registry import STAGES
from edgekit.hls.plan.resources import stage_cost

SEED = "15"
HELD_OUT_PART = 3
"""One stage of so many is held out of the fit."""
ADDED = ("weight_rom_bits", "bias_rom_bits")
Row = dict[str, Any]
ASSUMED = {"WeightReader": 1_300.0}


def read_table(path: Path) -> list[Row]:
    return list(json.loads(path.read_text())) if path.is_file() else []


def key_of(row: Mapping[str, Any]) -> str:
    return json.dumps([row["kind"], row["fields"]], sort_keys=True)


def is_held_out(row: Mapping[str, Any]) -> bool:
    """A draw that depends on the stage alone, so that it stays when rows are added.

    What is known of ROMs was added to the rows when the draw was made already, so it is left out.
    """
    found = dict(row["fields"])
    if "sums" in found:
        found["sums"] = {name: value for name, value in found["sums"].items() if name not in ADDED}
    key = key_of({"kind": row["kind"], "fields": found})
    return sha256(f"{SEED} {key}".encode()).digest()[0] % HELD_OUT_PART == 0


def stage_of(row: Mapping[str, Any]) -> Stage:
    """The stage of a row of a table."""
    kind = next(kind for kind in STAGES if kind.__name__ == row["kind"])
    return kind("", "", **{field.name: _field(field.name, row["fields"][field.name]) for field in fields(kind)[2:]})


def _field(name: str, value: Any) -> Any:
    if name == "sums":
        return Sums(**{**value, "arithmetic": Arithmetic(value["arithmetic"])})
    if name == "window":
        pairs = {part: tuple(found) for part, found in value.items() if part != "padding"}
        return Window(**pairs, padding=Padding(**value["padding"]))
    return tuple(value) if isinstance(value, list) else value


@dataclass(frozen=True)
class Errors:
    """Of |estimated / mapped - 1| over `stages` stages: the median and the worst. `estimated`, `mapped`: in total."""

    kind: str
    stages: int
    estimated: float
    mapped: float
    median: float
    worst: float


def errors(rows: Iterable[Mapping[str, Any]], what: str) -> list[Errors]:
    """By kind, and of "all". `what`: logic (LUTs without those of memories), lut, dsp or bram18. Stages without any are left out."""
    by_kind: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        stage = stage_of(row)
        cost = stage_cost(stage)
        ours, theirs = {
            "logic": (stage.logic.lut, row["lut"]),
            "lut": (cost.lut, row["lut"] + row["memory_lut"]),
            "dsp": (cost.dsp, row["dsp"]),
            "bram18": (cost.bram18, row["bram18"]),
        }[what]
        if ours or theirs:
            by_kind.setdefault(row["kind"], []).append((ours, theirs))
    kinds = [*sorted(by_kind.items()), ("all", [pair for pairs in by_kind.values() for pair in pairs])]
    return [_errors(kind, pairs) for kind, pairs in kinds]


def _errors(kind: str, pairs: list[tuple[float, float]]) -> Errors:
    off = [abs(ours / theirs - 1) if theirs else 1.0 for ours, theirs in pairs]
    totals = [float(sum(side)) for side in zip(*pairs, strict=True)] or [0.0, 0.0]
    return Errors(kind, len(pairs), totals[0], totals[1], float(np.median(off or [0.0])), max(off, default=0.0))


def fitted(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """LUTs of one of each part: those, none negative, with the least squares of the relative errors of stages' logic."""
    from scipy.optimize import nnls

    counted = [(stage_of(row).parts, max(1, row["lut"])) for row in rows]
    names = list(dict.fromkeys(name for parts, _ in counted for name in parts))
    matrix = np.array([[parts.get(name, 0) / luts for name in names] for parts, luts in counted])
    found, _ = nnls(matrix, np.ones(len(counted)))
    return dict(zip(names, (round(float(one), 3) for one in found), strict=True))


def luts_module(found: Mapping[str, float]) -> str:
    """The text of hls/kernels/luts.py."""
    lines = [
        '"""LUTs of one of each part that stages are made of (`Stage.parts`). Made by `benchmarks/mapped_stages.py fit`. Pure Python.',
        "",
        "Least squares of the relative errors of stages' logic as Yosys maps it for 7-series chips, none negative; the stages are those of",
        "benchmarks/mapped_stages.json that are not held out. A part that costs nothing lies in what is counted beside it. A weight reader",
        'was not mapped: its AXI master (about 900) and a port of the interconnect (about 400) are an assumption."""',
        "",
        "from __future__ import annotations",
        "",
        "LUTS = {",
        *(f'    "{name}": {value:g},' for name, value in {**found, **ASSUMED}.items()),
        "}",
    ]
    return "\n".join(lines) + "\n"
