"""Evaluations of tests, in a module that workers import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from edgekit.search.cost import MS, PREDICTED, Cost
from edgekit.search.trials import Scored


def score(chosen: dict[str, Any]) -> Scored:
    """Wide networks are good and slow; the best ones have kernels of 5 all along."""
    wide = sum(int(value) for name, value in chosen.items() if name.endswith("filters"))
    fives = sum(value == 5 for name, value in chosen.items() if name.endswith("kernel"))
    cost = 0.01 * wide + 0.05 * fives
    return Scored(Cost(cost, MS, PREDICTED, cost / 1.0 - 1), min(1.0, 0.005 * wide + 0.1 * fives) if cost <= 1 else None)


def score_or_die(argument: tuple[dict[str, Any], str]) -> Scored:
    """As `score`; the first of all that come to it kills its process."""
    chosen, file = argument
    if not Path(file).exists():
        Path(file).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return score(chosen)


def score_and_log(argument: tuple[dict[str, Any], str]) -> Scored:
    """As `score`, slowly; every evaluation that ends is a line of the file."""
    chosen, file = argument
    time.sleep(0.05)
    with Path(file).open("a") as log:
        log.write(f"{sorted(chosen.items())}\n")
    return score(chosen)
