"""Every file of an HLS project for a board but the graph and the manifest: the network, what goes around it, plan and estimates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgekit.graph import IntegerGraph
from edgekit.targets import AXI_MASTER, Board

if TYPE_CHECKING:
    from edgekit.hls import Measured, Planned

ESTIMATES, PICTURE, FOLDING = "estimates.json", "estimates.svg", "folding.json"
MAPPED, MAPPED_PICTURE = "mapped.json", "mapped.svg"
"""Where Yosys was asked: no part of what the same arguments always give."""


def project_files(graph: IntegerGraph, board: Board, planned: Planned, interface: str) -> dict[str, bytes]:
    """The files by name. The same graph, board, plan and interface always give the same bytes.

    Raises EdgekitError where the board has no such interface, or cannot be wired to so many weights in memory.
    """
    from edgekit.fpga_projects.project import plan_board
    from edgekit.hls import estimates_svg, folding_json, plan_accelerated_project, plan_project

    depths = planned.estimates.fifo_depths
    if interface == AXI_MASTER:
        files, top = plan_accelerated_project(graph, board, planned.folding, depths)
        files |= plan_board(graph, board, top)
    else:
        files = plan_project(graph, board, planned.folding, depths)
    files[ESTIMATES] = (json.dumps(planned.estimates.to_json(), indent=1) + "\n").encode()
    files[PICTURE] = estimates_svg(planned.estimates).encode()
    files[FOLDING] = folding_json(planned.folding)
    return files


def mapped_files(planned: Planned, mapped: Measured) -> dict[str, bytes]:
    """What Yosys counted, and the picture of the estimates with marks where the counts are."""
    from edgekit.hls import Mark, estimates_svg

    marks = tuple(Mark(one.name, {"lut": one.lut, "bram36": one.bram36, "dsp": one.dsp}) for one in mapped.layers)
    picture = estimates_svg(planned.estimates, marks, f"mapped by {mapped.program}, without FIFOs")
    return {MAPPED: (json.dumps(mapped.to_json(), indent=1) + "\n").encode(), MAPPED_PICTURE: picture.encode()}
