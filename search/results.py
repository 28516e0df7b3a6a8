"""What a search is asked for, and what it gives."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.search.cost import Cost
from edgekit.search.operators import OperatorTable
from edgekit.search.trials import NSGA2, RANDOM, Trials
from edgekit.spread.spent import Phase

PREDICT, MEASURE, COUNT_MACS = "predict", "measure", "macs"
COSTS = (PREDICT, MEASURE, COUNT_MACS)


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """`target` and `on`, or `board`. `latency_ms` and `fps`: what a network has to keep. `trials`: of the search, and as many at random.
    `tuning_epochs`: of each network of a trial, from the supernet's weights."""

    data: str
    target: str | None = None
    on: str = "local"
    board: str | None = None
    latency_ms: float | None = None
    fps: float | None = None
    cost: str = PREDICT
    sampler: str = NSGA2
    trials: int = 64
    finalists: int = 3
    supernet_epochs: int = 40
    tuning_epochs: int = 2
    epochs: int = 20
    qfx_epochs: int = 8
    seeds: int = 1
    seed: int = 0
    workers: str = "local"


@dataclass(frozen=True, kw_only=True)
class Finalist:
    """A network that was trained from scratch. Accuracies, 0..1, are of the held-out images, one for each seed, of the exact form.

    `searched`: what the search thought of its accuracy, on other images. `predicted`: what it cost there; `measured`: milliseconds of
    the exact file on the device, one thread, where it was measured. `differing`: bits that differ between executors, of the first seed.
    """

    name: str
    origin: str
    accuracies: tuple[float, ...]
    searched: float | None
    cost: Cost
    measured: float | None
    differing: int
    compared: int
    folder: str

    @property
    def accuracy(self) -> float:
        return float(np.mean(self.accuracies))


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a search gave. `area`: hypervolume of each sampler's front, by its name; `wins` the one with the largest. `phases`: what its
    parts took; of a search that was resumed, since then."""

    folder: Path
    unit: str
    limit: float | None
    finalists: tuple[Finalist, ...]
    searched: Trials
    random: Trials
    area: dict[str, float]
    operators: OperatorTable | None
    options: SearchOptions
    phases: tuple[Phase, ...]

    @property
    def wins(self) -> str:
        return max(self.area, key=lambda name: self.area[name])


def as_json(found: Found) -> dict[str, Any]:
    """What --json prints, and what the folder has."""
    operators = found.operators
    return {
        "folder": str(found.folder),
        "unit": found.unit,
        "limit": found.limit,
        "finalists": [{**asdict(one), "accuracy": one.accuracy} for one in found.finalists],
        "hypervolume": found.area,
        "wins": found.wins,
        "phases": [asdict(one) for one in found.phases],
        "operators": None if operators is None else {"timed_on": asdict(operators.timed_on), "errors": _errors(operators)},
        "searches": {
            name: {
                "trials": len(trials.completed),
                "failed": trials.failed,
                "resumed_after": trials.resumed_after,
                "completed": [asdict(one) for one in trials.completed],
            }
            for name, trials in ((found.options.sampler, found.searched), (f"{RANDOM}, same budget", found.random))
        },
    }


def _errors(table: OperatorTable) -> dict[str, float] | None:
    return None if table.errors is None else asdict(table.errors)
