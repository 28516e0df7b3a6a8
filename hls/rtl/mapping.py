"""Stages mapped by Yosys to what AMD's chips are made of: LUTs, flip-flops, DSP slices, block RAM. No placement and no timing.

A stage's logic and each of its memories are modules of their own, counted one by one, so that rules for both can be held against them.
Yosys is no vendor's tool: its counts are a witness, not what Vivado would report.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.hls.kernels.base import Memory
from edgekit.hls.plan.resources import memory_cost
from edgekit.hls.rtl.circuit import MemoryPorts, StageRtl
from edgekit.hls.rtl.pipeline import hex_text, memory_module
from edgekit.hls.rtl.tools import output_of
from edgekit.scratch import scratch_folder
from edgekit.tools import YOSYS, require

FAMILIES = ("xc7", "xcup")
"""As Yosys names them: Zynq-7000, and UltraScale+."""
SECONDS_MAX = 4 * 3600
LUTS_OF_CELL = {
    **dict.fromkeys((*(f"LUT{inputs}" for inputs in range(1, 7)), "LUT6_2", "SRL16E", "SRLC32E", "RAM32X1S", "RAM64X1S"), 1),
    **dict.fromkeys(("RAM32X1D", "RAM64X1D", "RAM128X1S"), 2),
    **dict.fromkeys(("RAM32M", "RAM64M", "RAM128X1D", "RAM256X1S"), 4),
    **dict.fromkeys(("RAM32M16", "RAM64M8", "RAM256X1D", "RAM32X16DR8", "RAM64X8SW"), 8),
}
"""LUTs that a cell takes. An inverter takes none: it goes into the cell behind it."""
BRAM18_OF_CELL = {"RAMB18E1": 1, "RAMB18E2": 1, "RAMB36E1": 2, "RAMB36E2": 2}


@dataclass(frozen=True)
class Mapped:
    """`bram18`: 18-kbit halves of a block RAM."""

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram18: int = 0

    def __add__(self, other: Mapped) -> Mapped:
        return Mapped(self.lut + other.lut, self.ff + other.ff, self.dsp + other.dsp, self.bram18 + other.bram18)


@dataclass(frozen=True)
class MappedStage:
    """`logic`: without memories. `memories`: by their names in `StageRtl.memories`; what is behind an AXI master is none of the chip's."""

    logic: Mapped
    memories: Mapping[str, Mapped]

    @property
    def total(self) -> Mapped:
        return sum(self.memories.values(), self.logic)


def map_stages(stages: Sequence[StageRtl], family: str, wide_luts: bool = True) -> tuple[MappedStage, ...]:
    """In the order of the stages, whose names differ. Takes seconds to minutes for each.

    wide_luts: whether Yosys may join LUTs by the multiplexers beside them to functions of 7 and 8 inputs. It takes them wherever they make
        a path shorter, at two and four LUTs each: a shifter of 41 bits by data, which is 45 LUTs in three levels, becomes 107.

    Raises:
        EdgekitError: no Yosys, an unknown family, or Yosys refuses a module; the message has its end.
    """
    if family not in FAMILIES:
        raise EdgekitError(f"Yosys maps to the families {', '.join(FAMILIES)}, not to '{family}'")
    yosys = require(YOSYS)
    modules = []
    with scratch_folder("map") as folder:
        for stage in stages:
            (folder / f"{stage.name}.v").write_text(stage.verilog)
            modules.append(stage.name)
            for memory in _beside(stage):
                module = f"{stage.name}_{memory.name}"
                (folder / f"{module}.v").write_text(memory_module(module, memory, registered=_in_block_ram(memory)))
                if memory.content is not None:
                    (folder / f"{module}.hex").write_text(hex_text(memory.content, memory.width))
                modules.append(module)
        kept = "\n".join(f"  (* keep *) {module} of_{module}();" for module in modules)
        (folder / "top.v").write_text(f"module top();\n{kept}\nendmodule\n")
        read = " ".join(f"{module}.v" for module in modules)
        synthesis = f"synth_xilinx -family {family} {'' if wide_luts else '-nowidelut '}-noiopad -noclkbuf -top top"
        script = f"read_verilog -sv {read} top.v; {synthesis}; tee -o cells.json stat -json"
        output_of([str(yosys), "-q", "-p", script], folder, SECONDS_MAX)
        cells = {module.lstrip("\\"): found["num_cells_by_type"] for module, found in _statistics(folder / "cells.json").items()}
    return tuple(
        MappedStage(_counted(cells[one.name]), {memory.name: _counted(cells[f"{one.name}_{memory.name}"]) for memory in _beside(one)})
        for one in stages
    )


def _beside(stage: StageRtl) -> list[MemoryPorts]:
    """The memories that are on the chip."""
    return [memory for memory in stage.memories if not memory.waits]


def _in_block_ram(memory: MemoryPorts) -> bool:
    """Whether the estimates have it there: the choice is theirs, its count is not."""
    return memory_cost(Memory(memory.name, memory.words, memory.width, rom=memory.content is not None)).bram18 > 0


def _counted(cells: Mapping[str, int]) -> Mapped:
    """Carry chains and wide multiplexers lie beside LUTs and take none."""
    return Mapped(
        lut=sum(LUTS_OF_CELL.get(cell, 0) * count for cell, count in cells.items()),
        ff=sum(count for cell, count in cells.items() if cell in ("FDRE", "FDSE", "FDCE", "FDPE")),
        dsp=sum(count for cell, count in cells.items() if cell.startswith("DSP")),
        bram18=sum(BRAM18_OF_CELL.get(cell, 0) * count for cell, count in cells.items()),
    )


def _statistics(file: Path) -> dict[str, dict[str, dict[str, int]]]:
    text = file.read_text()
    found: dict[str, dict[str, dict[str, int]]] = json.loads(text[text.index("{") :])["modules"]
    return found
