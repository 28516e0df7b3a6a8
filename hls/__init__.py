"""From the integer graph to C++ for high-level synthesis.

folding     how many channels an op takes and gives a cycle, and where its weights lie; as users write it
kernels     each kernel: its C++, and what it computes, holds and takes
needed      what of a graph becomes hardware
ops         a row an op: how it may be folded, and the stages that it becomes
dataflow    the stages and streams that a folded graph becomes
plan        the folding that fits a board, with estimates and FIFO depths
project     the C++ project, written through hls4ml
engine      one engine for all layers: its programs, its kernel, how long they take
simulation  the C simulation, and Vitis HLS
rtl         the kernels as Verilog, without a vendor, and their simulation

hls4ml_kernels is the same project with hls4ml's own kernels, to compare with.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.faces import lazy

if TYPE_CHECKING:
    from edgekit.hls.folding import Folding, FoldingPlan, WeightPlacement, folding_json, read_folding
    from edgekit.hls.ops import moderate_foldings
    from edgekit.hls.plan.estimates import Estimates
    from edgekit.hls.plan.picture import Mark, estimates_svg
    from edgekit.hls.plan.planner import DoesNotFit, Planned, plan_foldings, plan_of
    from edgekit.hls.project.project import plan_accelerated_project, plan_project, plan_simulation
    from edgekit.hls.project.top import MEMORY_FOLDER, TopFunction
    from edgekit.hls.rtl.measured import Measured, measure
    from edgekit.hls.simulation.csim import open_simulation
    from edgekit.hls.simulation.synthesis import Synthesis, synthesize
else:
    __getattr__ = lazy(
        __name__,
        {
            "folding": ("Folding", "FoldingPlan", "WeightPlacement", "folding_json", "read_folding"),
            "ops": ("moderate_foldings",),
            "plan.estimates": ("Estimates",),
            "plan.picture": ("Mark", "estimates_svg"),
            "plan.planner": ("DoesNotFit", "Planned", "plan_foldings", "plan_of"),
            "project.project": ("plan_accelerated_project", "plan_project", "plan_simulation"),
            "project.top": ("MEMORY_FOLDER", "TopFunction"),
            "rtl.measured": ("Measured", "measure"),
            "simulation.csim": ("open_simulation",),
            "simulation.synthesis": ("Synthesis", "synthesize"),
        },
    )

__all__ = [
    "MEMORY_FOLDER",
    "DoesNotFit",
    "Estimates",
    "Folding",
    "FoldingPlan",
    "Mark",
    "Measured",
    "Planned",
    "Synthesis",
    "TopFunction",
    "WeightPlacement",
    "estimates_svg",
    "folding_json",
    "measure",
    "moderate_foldings",
    "open_simulation",
    "plan_accelerated_project",
    "plan_foldings",
    "plan_of",
    "plan_project",
    "plan_simulation",
    "read_folding",
    "synthesize",
]
