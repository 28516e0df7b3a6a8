"""Which of the two forms a network takes on a board: a kernel a layer, or a program for the board's engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekit.bundle import ENGINE_FORM
from edgekit.errors import EdgekitError, UnknownName
from edgekit.graph import IntegerGraph
from edgekit.progress import Note
from edgekit.targets import AXI_MASTER, Board

if TYPE_CHECKING:
    from edgekit.fpga_projects.engine_plan import EnginePlan
    from edgekit.hls import DoesNotFit, Folding, Planned

ENGINE, LAYERS = FORMS = (ENGINE_FORM, "layers")
"""One engine that runs any network as a program; or a kernel a layer, all at the same time."""


@dataclass(frozen=True)
class Chosen:
    """One of both plans, why it is that one, and what the user should be warned of."""

    why: str
    layers: Planned | None = None
    engine: EnginePlan | None = None
    warnings: tuple[str, ...] = ()

    @property
    def form(self) -> str:
        return LAYERS if self.engine is None else ENGINE


def check_form(form: str | None, *, interface: str, folding: bool, measured: bool) -> None:
    """Raises UnknownName and EdgekitError for a form that there is not, or that cannot have what else was asked for."""
    if form is not None and form not in FORMS:
        raise UnknownName("form", form, FORMS)
    if form != ENGINE:
        return
    asked = {"--folding": folding, f"--interface {interface}": interface != AXI_MASTER, "--measure": measured}
    wrong = [option for option, given in asked.items() if given]
    if wrong:
        raise EdgekitError(f"{' and '.join(wrong)}: that is of kernels a layer, and an engine has none; ask for --form {LAYERS}")


def choose_form(
    graph: IntegerGraph,
    board: Board,
    *,
    form: str | None,
    fps: float | None,
    clock_mhz: float | None,
    pinned: Mapping[str, Folding],
    only_layers: bool,
    note: Note,
) -> Chosen:
    """What is faster within the board's shares. Where both fit, cycles are compared: the forms differ in what clock is asked of them.

    Args:
        board: at the clock that kernels a layer get.
        fps: frames a second to reach; kernels a layer that do so with the least resources are taken where there are any.
        clock_mhz: the clock that was asked for, None for each form's own.
        only_layers: what else was asked for has kernels a layer.

    Raises:
        EdgekitError: no form fits, or none is as fast as was asked.
    """
    from edgekit.fpga_projects.engine_plan import fewest_cycles, plan_engine
    from edgekit.hls import DoesNotFit, plan_foldings

    if form == ENGINE:
        note("making the program of the engine")
        plan = plan_engine(graph, board, clock_mhz)
        if fps is not None and plan.estimate.fps < fps:
            raise EdgekitError(f"the engine of the {board.title} makes {plan.estimate.fps:.1f} of {fps:g} frames a second of {graph.name}")
        return Chosen("--form engine asks for it", engine=plan)
    failed: DoesNotFit | None = None
    planned: Planned | None = None
    try:
        planned = plan_foldings(graph, board, fps=fps, pinned=pinned)
    except DoesNotFit as error:
        failed = error
    if form == LAYERS or only_layers:
        why = "--form layers asks for it" if form == LAYERS else "what was asked for has kernels a layer"
        return _layers(why, planned, failed, fps)
    if planned is not None and fps is not None:
        return Chosen(f"kernels a layer reach {fps:g} frames a second", layers=planned)
    try:
        if planned is not None and planned.estimates.interval_cycles <= fewest_cycles(graph, board):
            return Chosen("kernels a layer fit the board, and no program of the engine takes fewer cycles a frame", layers=planned)
        note("making the program of the engine")
        plan = plan_engine(graph, board, clock_mhz)
    except EdgekitError as error:
        return _layers(f"the engine cannot run it: {error}", planned, failed, fps)
    if planned is None and fps is not None and plan.estimate.fps < fps:
        raise EdgekitError(f"{failed} The engine makes {plan.estimate.fps:.1f} frames a second.")
    if planned is None:
        return Chosen("kernels a layer do not fit the board", engine=plan)
    cycles, interval = plan.estimate.cycles, planned.estimates.interval_cycles
    if cycles < interval:
        return Chosen(f"kernels a layer fit the board, and would take {interval:,} cycles a frame", engine=plan)
    return Chosen(f"kernels a layer fit the board, and the engine would take {cycles:,} cycles a frame", layers=planned)


def _layers(why: str, planned: Planned | None, failed: DoesNotFit | None, fps: float | None) -> Chosen:
    """The plan that fits, else the nearest: estimates are estimates, and the simulation is exact whatever the board holds."""
    if failed is None:
        return Chosen(why, layers=planned)
    if fps is not None:
        raise failed
    warning = f"{failed} The project is written all the same, as the plan that comes nearest: to simulate, or for another board."
    return Chosen(why, layers=failed.nearest, warnings=(warning,))
