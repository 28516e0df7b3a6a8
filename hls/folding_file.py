"""The user's own foldings, in a small JSON file: {"layer name": {"pe": 4, "simd": 8, "weights": "rom"}, ...}."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError
from edgekit.files import read_json_object
from edgekit.hls.folding import Folding, FoldingPlan, WeightPlacement

PARTS_MAX = 1 << 20
FORM = '{"layer name": {"pe": 4, "simd": 8, "weights": "rom"}}; "simd" is 1 and "weights" is "rom" where they are left out, else "ddr"'


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
