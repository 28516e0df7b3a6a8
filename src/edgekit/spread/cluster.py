"""Workers that are Ray's: on this machine, or on all machines of a cluster on which edgekit is installed."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from edgekit.errors import EdgekitError
from edgekit.spread.processes import VALUE, attempt
from edgekit.spread.tasks import Done, Task

THREADS = 1
"""A task holds one processor."""
INSTALL = "Ray is not installed; pip install 'edgekit[ray]', or leave out --workers: processes of this machine need no Ray"


class RayWorkers:
    """As Workers: a task holds one processor of the cluster. Ray does not run a task again whose worker died."""

    def __init__(self, ray: Any, tasks_each: int | None = None) -> None:
        self._ray = ray
        self._call = ray.remote(max_retries=0, num_cpus=1, max_calls=tasks_each or 0)(attempt)  # 0: a process has any number
        self._running: dict[Any, Task] = {}
        self.cpu_seconds = 0.0

    @property
    def count(self) -> int:
        return max(1, int(self._ray.cluster_resources().get("CPU", 1)))

    def start(self, task: Task) -> None:
        self._running[self._call.remote(task.function, task.argument, THREADS)] = task

    def wait(self) -> Done:
        (ready, *_), _ = self._ray.wait(list(self._running), num_returns=1)
        task = self._running.pop(ready)
        try:
            kind, said, seconds = self._ray.get(ready)
        except self._ray.exceptions.RayError:  # the process, or its machine, is gone
            return Done(task, lost=True)
        self.cpu_seconds += seconds
        return Done(task, value=said) if kind == VALUE else Done(task, error=said)

    def stop(self) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=True)


@contextmanager
def ray_workers(address: str | None, tasks_each: int | None = None) -> Iterator[RayWorkers]:
    """The workers of the cluster at an address, ray://host:port; of one that is made here where there is none.

    Raises EdgekitError: Ray is not installed, or the cluster cannot be reached.
    """
    if find_spec("ray") is None:
        raise EdgekitError(INSTALL)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    try:
        ray.init(address=address, include_dashboard=None if address else False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, TimeoutError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise EdgekitError(f"no Ray cluster at '{address}': {said}; start one with `ray start --head`") from error
    workers = RayWorkers(ray, tasks_each)
    try:
        yield workers
    finally:
        workers.stop()
        ray.shutdown()
