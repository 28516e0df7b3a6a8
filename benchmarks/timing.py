"""Two things timed in turns, and a row of the table."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Row:
    """`value` and its quartiles in `unit`: "ratio", "s" or "s/image". `seconds`: the medians that it was made of, by name."""

    part: str
    what: str
    value: float
    low: float
    high: float
    unit: str
    seconds: dict[str, float]

    def line(self) -> str:
        sides = ", ".join(f"{name} {_readable(seconds)}" for name, seconds in self.seconds.items())
        spread = f" [{self.low:.3g} .. {self.high:.3g}]" if self.low != self.high else ""
        return f"{self.part:<11} {self.what:<58} {self.value:>8.3f} {self.unit:<8}{spread:<18} {sides}"


def _readable(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.2f} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f} us"


def ratio(part: str, what: str, candidate: tuple[str, Callable[[], float]], baseline: tuple[str, Callable[[], float]], rounds: int) -> Row:
    """candidate's time / baseline's, a ratio each round, of two that measure their seconds; they swap places every round."""
    sides = (candidate, baseline)
    times: dict[str, list[float]] = {name: [] for name, _ in sides}
    for number in range(rounds):
        for name, measure in sides if number % 2 else reversed(sides):
            times[name].append(measure())
    each = np.array(times[candidate[0]]) / np.array(times[baseline[0]])
    low, median, high = (float(np.quantile(each, q)) for q in (0.25, 0.5, 0.75))
    return Row(part, what, median, low, high, "ratio", {name: float(np.median(values)) for name, values in times.items()})


def seconds_of(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def seconds_in_a_row(run: Callable[[], object]) -> float:
    """The time of a run behind another one, as in a stream of images: what the other side left in the caches is gone."""
    run()
    return seconds_of(run)
