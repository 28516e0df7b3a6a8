"""Tasks, and how they are spread: as many at a time as there are workers, and never two that want the same device.

A worker that dies loses the task that it had, and nothing else: `Done.lost` says so, and whoever asked decides what becomes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from edgekit.errors import EdgekitError

LOCAL, RAY = "local", "ray"
WORKERS_MAX = 1024
FORM = "local (one for each processor), a number of processes, ray, or the address of a Ray cluster, ray://host:port"


@dataclass(frozen=True)
class Task:
    """A call of a function of some module, which a worker can import. `device`: what no other task may use while this one does."""

    key: str
    function: Callable[[Any], Any]
    argument: Any
    device: str | None = None


@dataclass(frozen=True)
class Done:
    """What became of a task: its `value`; or an `error`, in words; or it is `lost`, since its worker died."""

    task: Task
    value: Any = None
    error: str | None = None
    lost: bool = False


class Workers(Protocol):
    """Who runs tasks. `count`: how many at a time. `cpu_seconds`: processor time of the tasks that are over, but of lost ones."""

    @property
    def count(self) -> int: ...

    @property
    def cpu_seconds(self) -> float: ...

    def start(self, task: Task) -> None:
        """Gives a task to a worker that has none."""

    def wait(self) -> Done:
        """The next task that is over; there is one that was started."""


@contextmanager
def workers_at(where: str, *, tasks_each: int | None = None) -> Iterator[Workers]:
    """The workers that --workers names. After `tasks_each` tasks a process is replaced by a new one: TensorFlow keeps what it has loaded.

    Raises EdgekitError: it names none, or Ray is not installed or cannot be reached.
    """
    if where == RAY or where.startswith("ray://"):
        from edgekit.spread.cluster import ray_workers

        with ray_workers(None if where == RAY else where, tasks_each) as workers:
            yield workers
        return
    from edgekit.spread.processes import process_workers

    with process_workers(_count(where), tasks_each) as workers:
        yield workers


def spread(workers: Workers, tasks: Iterable[Task]) -> Iterator[Done]:
    """Runs the tasks, and gives each as soon as it is over.

    A task is taken from `tasks` only when a worker is free, and after all that was given before was looked at: so with one worker, what
    the next task is may follow from all results before it.
    """
    source, running = iter(tasks), dict[str, Task]()
    held: Task | None = None
    more = True
    while more or running:
        while more and len(running) < workers.count:
            held = held or next(source, None)
            if held is None:
                more = False
                break
            if held.device is not None and any(one.device == held.device for one in running.values()):
                break
            running[held.key] = held
            workers.start(held)
            held = None
        if running:
            done = workers.wait()
            del running[done.task.key]
            yield done


def results_of(workers: Workers, tasks: Sequence[Task]) -> Iterator[Done]:
    """The tasks' results as they come. One whose worker died is done once more by another; no task is given twice.

    Raises EdgekitError: a task failed, in its own words, or lost its worker twice.
    """
    lost = set[str]()
    left = list(tasks)
    while left:
        again = []
        for done in spread(workers, left):
            key = done.task.key
            if done.error is not None:
                raise EdgekitError(done.error)
            if not done.lost:
                yield done
            elif key in lost:
                raise EdgekitError(f"{key}: its worker died, twice; is there too little memory for so many? Use fewer --workers")
            else:
                lost.add(key)
                again.append(done.task)
        left = again


def _count(where: str) -> int:
    import os

    if where == LOCAL:
        return os.cpu_count() or 1
    if not where.isdecimal() or not 1 <= int(where) <= WORKERS_MAX:
        raise EdgekitError(f"--workers {where!r:.60} is not one of: {FORM}")
    return int(where)
