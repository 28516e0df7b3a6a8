"""A network planned for the engine of a board: its program, how long it takes, and every file of its project but graph and manifest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from math import ceil, prod

from edgekit.errors import EdgekitError
from edgekit.fpga_projects.engine_project import engine_files, engine_identity, network_files
from edgekit.fpga_projects.files import ESTIMATES
from edgekit.graph import Conv2D, Dense, DepthwiseConv2D, IntegerGraph
from edgekit.hls.engine.board_program import program_for
from edgekit.hls.engine.cost import Design, design_for, over, resources
from edgekit.hls.engine.estimate import START_BEATS, EngineEstimate, estimate
from edgekit.hls.engine.program import Program
from edgekit.hls.engine.timeline import Timeline, timeline, timeline_svg
from edgekit.targets import Board, Resources, at_clock

TIMELINE = "timeline.svg"


@dataclass(frozen=True)
class EnginePlan:
    """`board`: at the engine's clock. `takes`: what the engine takes of the chip."""

    board: Board
    design: Design
    program: Program
    estimate: EngineEstimate
    timeline: Timeline
    takes: Resources

    @property
    def identity(self) -> int:
        return engine_identity(self.design, self.board)


def engine_of(board: Board, clock_mhz: float | None = None) -> tuple[Design, Board]:
    """The engine of a board, and the board at its clock. Raises EdgekitError: there is none, or it cannot have that clock or the shares."""
    design = design_for(board)
    design = replace(design, clock_mhz=design.clock_mhz if clock_mhz is None else clock_mhz)
    beyond = over(design, board)
    if beyond:
        shares = ", ".join(f"{name} {share:.0%}" for name, share in beyond.items())
        raise EdgekitError(f"the engine of the {board.title} takes more than may be planned with: {shares}")
    return design, at_clock(board, design.clock_mhz)


def plan_engine(graph: IntegerGraph, board: Board, clock_mhz: float | None = None) -> EnginePlan:
    """Raises EdgekitError: the board has no engine, or the network does not fit it."""
    design, target = engine_of(board, clock_mhz)
    program = program_for(graph, design, target)
    found = estimate(program, design, target)
    return EnginePlan(target, design, program, found, timeline(program, design, target), resources(design))


def engine_project_files(graph: IntegerGraph, plan: EnginePlan) -> dict[str, bytes]:
    """The files by name. The same graph, board and clock always give the same bytes; all but those of `network_files`, estimates and
    timeline do not depend on the graph. Raises EdgekitError where the board has no AXI master interface."""
    files = engine_files(plan.design, plan.board) | network_files(graph, plan.program, plan.design, plan.board)
    files[ESTIMATES] = (json.dumps(_to_json(plan), indent=1) + "\n").encode()
    files[TIMELINE] = timeline_svg(plan.timeline, plan.estimate).encode()
    return files


def fewest_cycles(graph: IntegerGraph, board: Board) -> int:
    """Cycles of a frame that no program of the board's engine comes below: of the layers that each of its arrays has to work on."""
    size = design_for(board).size
    matrix = vector = 0
    for op in graph.ops:
        positions = prod(graph.tensors[op.output].shape[:-1])
        if isinstance(op, Conv2D):
            kernel_h, kernel_w, inputs, outputs = op.weights.shape
            matrix += (
                positions
                * ceil(outputs / size.lanes)
                * kernel_h
                * min(kernel_w * ceil(inputs / size.simd), ceil(kernel_w * inputs / size.simd))
            )
        elif isinstance(op, Dense):
            matrix += ceil(op.weights.shape[1] / size.lanes) * ceil(op.weights.shape[0] / size.simd)
        elif isinstance(op, DepthwiseConv2D):
            kernel_h, kernel_w, channels = op.weights.shape[:3]
            vector += positions * ceil(channels / size.lanes) * kernel_h * ceil(kernel_w / size.taps)
    return max(matrix, vector) + START_BEATS


def _to_json(plan: EnginePlan) -> dict[str, object]:
    found = plan.estimate
    return {
        "what": "estimates before any synthesis, of the program's beats",
        "form": "engine",
        "engine": f"{plan.identity:08x}",
        "fps": found.fps,
        "latency_ms": found.cycles / found.clock_mhz / 1e3,
        "cycles": found.cycles,
        "limit": found.limit,
        **asdict(found),
        "takes": asdict(plan.takes),
        "timeline": {"matrix": plan.timeline.matrix, "vector": plan.timeline.vector, "ddr": plan.timeline.ddr},
        "layers": [asdict(layer) for layer in plan.timeline.layers],
    }
