"""What work costs: the seconds that pass, and the seconds of processor time of this process, of programs that it ran, and of workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.spread.tasks import Workers


@dataclass(frozen=True)
class Phase:
    """A part of the work. `cpu_seconds` can be more than `seconds`: several processors work at a time."""

    name: str
    seconds: float
    cpu_seconds: float


@contextmanager
def phase(name: str, phases: list[Phase], workers: Workers | None = None) -> Iterator[None]:
    """Appends what the block took, even if it fails. With `workers` that of their tasks counts, in place of programs that ended here:
    a worker is one of those, and would count twice."""
    started, before = time.monotonic(), _processor_seconds(workers)
    try:
        yield
    finally:
        phases.append(Phase(name, time.monotonic() - started, _processor_seconds(workers) - before))


def processor_seconds() -> float:
    """Of this process, and of the programs that it ran and that are over."""
    return time.process_time() + _programs_seconds()


def _processor_seconds(workers: Workers | None) -> float:
    return processor_seconds() if workers is None else time.process_time() + workers.cpu_seconds


def _programs_seconds() -> float:
    """0 where the system does not tell, which is so on Windows."""
    try:
        import resource
    except ImportError:
        return 0.0
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
