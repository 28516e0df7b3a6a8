"""A project's stages mapped by Yosys, beside what was estimated for them. What was mapped once is kept in the cache.

FIFOs and what is around the network are in neither number. Nothing is placed or routed, so nothing is known of the clock.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from edgekit.cache import cache_folder
from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph
from edgekit.hls.dataflow import dataflow_of
from edgekit.hls.folding import FoldingPlan
from edgekit.hls.kernels.base import Cost
from edgekit.hls.plan.resources import stage_cost
from edgekit.hls.rtl.circuit import StageRtl
from edgekit.hls.rtl.mapping import Mapped, map_stages
from edgekit.hls.rtl.project import project_rtl
from edgekit.hls.simulation.executors import written
from edgekit.progress import Note
from edgekit.targets import Part
from edgekit.tools import YOSYS, require, version

FAMILY_OF_PART = {"xc7z": "xc7", "xczu": "xcup", "xck26": "xcup"}
"""Yosys' family by the beginning of a part's name."""


@dataclass(frozen=True, kw_only=True)
class MappedLayer:
    """A layer's stages: `lut` .. `bram36` as Yosys maps them, `estimated` by the same names."""

    name: str
    stages: int
    lut: int
    ff: int
    dsp: int
    bram36: float
    estimated: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """`program`: Yosys and its version. `total`: of all layers, named ""."""

    program: str
    family: str
    layers: tuple[MappedLayer, ...]
    total: MappedLayer

    def to_json(self) -> dict[str, Any]:
        what = "stages mapped by Yosys, without FIFOs and what is around the network; not placed, not routed, no timing; not Vivado's"
        return {"what": what, **asdict(self)}


def family_of(part: Part) -> str:
    """Raises EdgekitError: Yosys knows no family for it."""
    found = [family for start, family in FAMILY_OF_PART.items() if part.name.lower().startswith(start)]
    if not found:
        raise EdgekitError(f"Yosys maps to chips whose parts begin with {', '.join(FAMILY_OF_PART)}; {part.name} is none")
    return found[0]


def measure(project: Mapping[str, bytes], graph: IntegerGraph, plan: FoldingPlan, part: Part, note: Note) -> Measured:
    """Maps every stage of what `graph` and `plan` became, a project's files by name; takes minutes, but for what the cache has.

    Raises:
        EdgekitError: a tool is missing, or the board's chip is of no family that Yosys knows.
        Refused: a stage has something that the translator does not know.
    """
    family, program = family_of(part), version(YOSYS, require(YOSYS))
    stages = dataflow_of(graph, plan).stages
    with written(project) as folder:
        rtl = project_rtl(folder, note)
    owner = {op.output: op.name for op in graph.ops} | {op.name: op.name for op in graph.ops}
    mapped: dict[str, list[tuple[Mapped, Cost]]] = {}
    for place, (stage, made) in enumerate(zip(stages, rtl.stages, strict=True)):
        note(f"mapping stage {place + 1} of {len(stages)} with Yosys: {stage.name}")
        mapped.setdefault(owner.get(stage.op, graph.input), []).append((mapped_stage(made, family, program), stage_cost(stage)))
    order = [name for name in dict.fromkeys((graph.input, *(op.name for op in graph.ops))) if name in mapped]
    layers = tuple(_layer(name, mapped[name]) for name in order)
    return Measured(program=program, family=family, layers=layers, total=_layer("", [one for found in mapped.values() for one in found]))


def _layer(name: str, found: list[tuple[Mapped, Cost]]) -> MappedLayer:
    total, cost = sum((one for one, _ in found), Mapped()), sum((cost for _, cost in found), Cost())
    estimated = {"lut": round(cost.lut), "ff": round(cost.ff), "dsp": cost.dsp, "bram36": cost.bram36}
    numbers = {"lut": total.lut, "ff": total.ff, "dsp": total.dsp}
    return MappedLayer(name=name, stages=len(found), **numbers, bram36=total.bram18 / 2, estimated=estimated)


def mapped_stage(stage: StageRtl, family: str, program: str) -> Mapped:
    """From the cache, if this circuit was mapped before by `program`, Yosys with its version, whatever its streams' numbers."""
    text = stage.verilog.replace(stage.name, "stage")
    for place, stream in enumerate((*stage.inputs, *stage.outputs)):
        text = re.sub(rf"\b((?:use_)?(?:in|out)){stream}(_\w+)?\b", rf"\g<1>_{place}\g<2>", text)
    memories = [(one.name, one.words, one.width, one.reads, one.enables, one.content) for one in stage.memories]
    key = sha256(repr((program, family, text, memories)).encode()).hexdigest()
    file = cache_folder() / "mapped" / f"{key}.json"
    try:
        return Mapped(**{name: int(value) for name, value in json.loads(file.read_text()).items()})
    except (OSError, ValueError, TypeError, AttributeError):
        (found,) = map_stages([stage], family)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(found.total)))
    return found.total
