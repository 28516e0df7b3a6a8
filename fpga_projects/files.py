"""Every file of an HLS project for a board but the graph and the manifest: the network, what goes around it, plan and estimates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from edgekit.graph import IntegerGraph
from edgekit.targets import AXI_MASTER, Board

if TYPE_CHECKING:
    from edgekit.hls import Planned

ESTIMATES, PICTURE, FOLDING = "estimates.json", "estimates.svg", "folding.json"


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
