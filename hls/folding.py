"""How an op is folded in time: how many channels it takes and gives a cycle, and where its weights lie. Pure Python.

Streams carry tokens of a few channels, in the order rows, columns, channel groups. An op that sums over channels (Conv2D,
Dense, MatMul) reads tokens of SIMD values and writes tokens of PE values, with PE * SIMD products a cycle. Every other op works
on PE channels side by side and reads and writes tokens of PE values; its SIMD is 1. Which foldings an op may have, its row in ops.py
says. The user's own lie in a small JSON file: {"layer name": {"pe": 4, "simd": 8, "weights": "rom"}, ...}.
"""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from edgekit.errors import EdgekitError
from edgekit.files import read_json_object

PARTS_MAX = 1 << 20
FORM = '{"layer name": {"pe": 4, "simd": 8, "weights": "rom"}}; "simd" is 1 and "weights" is "rom" where they are left out, else "ddr"'


class WeightPlacement(enum.Enum):
    ROM = "rom"
    """On chip, in words of PE * SIMD weights."""
    DDR = "ddr"
    """Read from memory once a frame while the layer's input map is held on chip. Conv2D and Dense only."""


@dataclass(frozen=True)
class Folding:
    pe: int = 1
    simd: int = 1
    weights: WeightPlacement = WeightPlacement.ROM


FoldingPlan: TypeAlias = Mapping[str, Folding]
"""Op name -> its folding, for every op but Reshape, which is no hardware."""


def read_folding(path: Path) -> dict[str, Folding]:
    """Raises EdgekitError: the file cannot be read, or is not of that form. Whether it suits a network is the planner's business."""
    found = read_json_object(path, "a folding file", FORM)
    return {name: _folding(path, name, entry) for name, entry in found.items()}


def folding_json(plan: FoldingPlan) -> bytes:
    """The file that pins every layer of a plan."""
    entries = {name: {"pe": one.pe, "simd": one.simd, "weights": one.weights.value} for name, one in plan.items()}
    return (json.dumps(entries, indent=1) + "\n").encode()


def _folding(path: Path, name: str, entry: Any) -> Folding:
    if not isinstance(entry, dict) or not entry.keys() <= {"pe", "simd", "weights"} or "pe" not in entry:
        raise EdgekitError(f"'{path}', layer '{name}': {json.dumps(entry)[:100]} has not the form {FORM}")
    for field in ("pe", "simd"):
        value = entry.get(field, 1)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= PARTS_MAX:
            raise EdgekitError(f"'{path}', layer '{name}': \"{field}\" is {json.dumps(value)[:40]}; it has to be a whole number above 0")
    placements = [placement.value for placement in WeightPlacement]
    if entry.get("weights", "rom") not in placements:
        given = json.dumps(entry["weights"])[:40]
        raise EdgekitError(f"'{path}', layer '{name}': \"weights\" is {given}; it has to be one of {', '.join(placements)}")
    return Folding(entry["pe"], entry.get("simd", 1), WeightPlacement(entry.get("weights", "rom")))
