"""Workers that are processes of this machine, each with one pipe. They end with the process that started them, however it ends."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import connection, get_context, parent_process
from typing import Any

from edgekit.errors import EdgekitError
from edgekit.spread.spent import processor_seconds
from edgekit.spread.tasks import Done, Task

START = "spawn"
"""A forked copy of a process with TensorFlow's threads hangs."""
STOP_SECONDS = 5.0
VALUE, ERROR = "value", "error"


class _Worker:
    """A process, and the task that it has."""

    def __init__(self, threads: int) -> None:
        context: Any = get_context(START)
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.tasks = 0

    def stop(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class ProcessWorkers:
    """As Workers. A process is started when it is needed first, and anew after it died, or after `tasks_each` tasks. It has its part of
    the machine's processors."""

    def __init__(self, count: int, tasks_each: int | None = None) -> None:
        self._count, self._tasks_each = count, tasks_each
        self._threads = max(1, (os.cpu_count() or 1) // count)
        self._workers: list[_Worker] = []
        self.cpu_seconds = 0.0

    @property
    def count(self) -> int:
        return self._count

    def start(self, task: Task) -> None:
        worker = next((one for one in self._workers if one.task is None), None)
        if worker is None:
            worker = _Worker(self._threads)
            self._workers.append(worker)
        worker.task, worker.tasks = task, worker.tasks + 1
        with suppress(BrokenPipeError, ConnectionResetError):  # it has died: `wait` finds its pipe closed
            worker.pipe.send((task.function, task.argument))

    def wait(self) -> Done:
        busy = {one.pipe: one for one in self._workers if one.task is not None}
        worker = busy[connection.wait(list(busy))[0]]
        task, worker.task = worker.task, None
        assert task is not None
        try:
            kind, said, seconds = worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            worker.stop()
            return Done(task, lost=True)
        self.cpu_seconds += seconds
        if worker.tasks == self._tasks_each:
            self._workers.remove(worker)
            worker.stop()
        return Done(task, value=said) if kind == VALUE else Done(task, error=said)

    def stop(self) -> None:
        for worker in self._workers:
            worker.stop()


@contextmanager
def process_workers(count: int, tasks_each: int | None = None) -> Iterator[ProcessWorkers]:
    """So many workers; on the way out they are ended."""
    workers = ProcessWorkers(count, tasks_each)
    try:
        yield workers
    finally:
        workers.stop()


def attempt(function: Callable[[Any], Any], argument: Any, threads: int) -> tuple[str, Any, float]:
    """What a call gives, or says of what went wrong: an error of edgekit's in its own words, any other with its type; and the seconds of
    processor time that it took. `threads`: TensorFlow's, unless the environment says how many."""
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", str(threads))
    before = processor_seconds()
    try:
        kind, said = VALUE, function(argument)
    except EdgekitError as error:
        kind, said = ERROR, str(error)
    except Exception as error:
        kind, said = ERROR, f"unexpected {type(error).__name__}: {error}"
    return kind, said, processor_seconds() - before


def _serve(pipe: Any, threads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal it goes to all; the parent ends this process
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it warns of every fifth network that one process builds
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from edgekit.scratch import scratch_of_process

    with scratch_of_process(), suppress(EOFError, BrokenPipeError):
        while True:
            function, argument = pipe.recv()
            pipe.send(attempt(function, argument, threads))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)
