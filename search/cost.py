"""What a network costs: milliseconds on a device, frames a second on a board, or multiply-accumulates where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from edgekit.bench.graphs import graph_timer
from edgekit.errors import EdgekitError
from edgekit.fpga_projects.engine_plan import plan_engine
from edgekit.graph import IntegerGraph
from edgekit.hls import DoesNotFit, plan_foldings
from edgekit.jobs.hls_form import ENGINE, LAYERS
from edgekit.keras_models import Precisions
from edgekit.keras_models.zoo.network import Request, count_request, make_request
from edgekit.keras_models.zoo.table import network_of
from edgekit.search.graph_layers import graph_of
from edgekit.search.operators import load_table
from edgekit.search.space import Point, precisions_of
from edgekit.targets import at_clock, find_board, find_device

MS, FPS, MACS = "ms", "frames/s", "MACs"
MEASURED, PREDICTED, PLANNED, COUNTED = "measured", "predicted", "planned", "counted"
ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """`value` in `unit`; `how` it is known. `excess`: by which part of the limit it misses it, 0 or less where it keeps it; what fits no
    board misses every limit. `facts`: what else is known, such as a board's resources."""

    value: float
    unit: str
    how: str
    excess: float
    facts: Mapping[str, float] = field(default_factory=dict)

    @property
    def feasible(self) -> bool:
        return self.excess <= 0


class CostModel(Protocol):
    """Tells the cost of a network. `unit`: of its values; fewer are better, but of frames a second. `device`: what is busy meanwhile."""

    @property
    def unit(self) -> str: ...

    @property
    def device(self) -> str | None: ...

    def cost(self, request: Request, precisions: Precisions | None, clock_mhz: float | None, form: str = LAYERS) -> Cost: ...


@dataclass(frozen=True)
class PredictedLatency:
    """By a table of operators, in a file, that has every unit of the space's networks. `limit`: milliseconds."""

    table: Path
    limit: float | None = None
    unit: str = MS
    device: str | None = None

    def cost(self, request: Request, precisions: Precisions | None, clock_mhz: float | None, form: str = LAYERS) -> Cost:
        value = load_table(self.table).predicted(graph_of(request, precisions))
        return Cost(value, MS, PREDICTED, _excess(value, self.limit))


@dataclass(frozen=True)
class MeasuredLatency:
    """On a device, which is busy meanwhile: the shortest of some rounds."""

    on: str
    target: str
    limit: float | None = None
    unit: str = MS

    @property
    def device(self) -> str | None:
        return self.on

    def cost(self, request: Request, precisions: Precisions | None, clock_mhz: float | None, form: str = LAYERS) -> Cost:
        graph = graph_of(request, precisions)
        with graph_timer(self.on, find_device(self.target)) as (_, timer):
            value = min(min(timer(graph)) for _ in range(ROUNDS))
        return Cost(value, MS, MEASURED, _excess(value, self.limit))


@dataclass(frozen=True)
class PlannedFrames:
    """By the planner, of a kernel a layer or of the board's engine. `fps`: the least frames a second."""

    board: str
    fps: float | None = None
    unit: str = FPS
    device: str | None = None

    def cost(self, request: Request, precisions: Precisions | None, clock_mhz: float | None, form: str = LAYERS) -> Cost:
        if form == ENGINE:
            return self._of_engine(graph_of(request, precisions), clock_mhz)
        board = at_clock(find_board(self.board), clock_mhz)
        try:
            found, fits = plan_foldings(graph_of(request, precisions), board).estimates, True
        except DoesNotFit as error:
            found, fits = error.nearest.estimates, False
        facts = {"lut": found.lut, "ff": found.ff, "bram36": found.bram36, "dsp": found.dsp, "clock_mhz": found.clock_mhz}
        missed = 0.0 if self.fps is None else 1 - found.fps / self.fps
        over = max(found.share[name] / found.planned_share[name] - 1 for name in ("lut", "ff", "bram36", "dsp"))
        return Cost(found.fps, FPS, PLANNED, missed if fits else max(missed, over, 1e-6), facts)

    def _of_engine(self, graph: IntegerGraph, clock_mhz: float | None) -> Cost:
        """A network that the engine cannot run makes no frames."""
        try:
            plan = plan_engine(graph, find_board(self.board), clock_mhz)
        except EdgekitError:
            return Cost(0.0, FPS, PLANNED, 1.0)
        takes, fps = plan.takes, plan.estimate.fps
        facts = {"lut": takes.lut, "ff": takes.ff, "bram36": takes.bram36, "dsp": takes.dsp, "clock_mhz": plan.estimate.clock_mhz}
        return Cost(fps, FPS, PLANNED, 0.0 if self.fps is None else 1 - fps / self.fps, facts)


@dataclass(frozen=True)
class CountedMacs:
    """Multiply-accumulates: a proxy, which says little of any device. `limit`: the most."""

    limit: float | None = None
    unit: str = MACS
    device: str | None = None

    def cost(self, request: Request, precisions: Precisions | None, clock_mhz: float | None, form: str = LAYERS) -> Cost:
        value = float(count_request(request).macs)
        return Cost(value, MACS, COUNTED, _excess(value, self.limit))


def cost_of(model: CostModel, point: Point, classes: int) -> Cost:
    """The cost of a point. One whose maps no kernel fits costs more than any limit."""
    request = make_request(network_of(point.table), classes=classes)
    return model.cost(request, precisions_of(point), point.clock_mhz, point.form)


def written(value: float) -> str:
    """A cost for people: four digits, and all of those before the point: 203,800 rather than 2.038e+05."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def better(unit: str, left: float, right: float) -> bool:
    """Whether a cost is strictly better than another."""
    return left > right if unit == FPS else left < right


def _excess(value: float, limit: float | None) -> float:
    if limit is not None and not limit > 0:
        raise EdgekitError(f"a limit of {limit:g} cannot be kept; it has to be above 0")
    return 0.0 if limit is None else value / limit - 1
