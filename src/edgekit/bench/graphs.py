"""Many small integer graphs timed on a device, one after the other, in one session: for tables of operators, and networks to compare.

Each answer is checked before its times are taken: the outputs on the device are those of the numpy reference, for one random input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from edgekit.bench.measure import LONG_SECONDS, application_for, library_version
from edgekit.bundle import GOLDEN_INPUT, GOLDEN_OUTPUT, TFLITE
from edgekit.connections.address import session_on
from edgekit.connections.session import Session, ended
from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph, run
from edgekit.progress import Note
from edgekit.targets import EMULATED, LOCAL, Device
from edgekit.tflite import write_tflite
from edgekit.tflite.application import LIBRARY, WRONG, Settings, arguments, folder_command, parse_report
from edgekit.tflite.tensors import logical, stored

GraphTimer: TypeAlias = Callable[[IntegerGraph], tuple[float, ...]]
"""The time of each run of a graph, in milliseconds, in order."""


@dataclass(frozen=True)
class TimedOn:
    """What was timed on: the device, its architecture, the runtime's version, kernels and threads."""

    device: str
    arch: str
    runtime: str
    kernels: str
    threads: int


@contextmanager
def graph_timer(
    on: str, target: Device, *, kernels: str = "xnnpack", threads: int = 1, runs: int = 100, note: Note = lambda _: None
) -> Iterator[tuple[TimedOn, GraphTimer]]:
    """A function that times graphs on the device that `on` names, and what it times them on.

    Raises:
        EdgekitError: the device cannot be reached, is of another architecture than the target, or the latency application cannot run
            there. The function raises it where the outputs are wrong.
    """
    note("connecting")
    with session_on(on, target) as session:
        if on not in (LOCAL, EMULATED) and session.arch != target.arch:
            raise EdgekitError(f"{session.title} is {session.arch}; the target is {target.title}, {target.arch}: name that device's target")
        application = application_for(session.arch, kernels, note)
        if isinstance(application, str):
            raise EdgekitError(f"the latency application does not run on {session.title}: {application}")
        note(f"copying to {session.title}")
        session.push(application)
        runtime = library_version(session.arch)
        settings = Settings(kernels, threads, iterations=runs, runtime_version=runtime)
        timed_on = TimedOn(session.title, session.arch, runtime, kernels, threads)
        yield timed_on, lambda graph: _times(session, graph, settings)


def _times(session: Session, graph: IntegerGraph, settings: Settings) -> tuple[float, ...]:
    source = graph.tensors[graph.input]
    inputs = np.random.default_rng(0).integers(-128, 128, (1, *source.shape), np.int8)
    values = run(graph, logical(source, inputs))
    outputs = b"".join(stored(graph.tensors[name], values[name]).tobytes() for name in graph.outputs)
    golden = {GOLDEN_INPUT: inputs.tobytes(), GOLDEN_OUTPUT: outputs}
    session.push({TFLITE: write_tflite(graph), **golden})
    loader, *rest = folder_command(session.arch)
    words = [*session.program(loader.removeprefix("./")), *rest, *arguments(f"./{LIBRARY}", TFLITE, "golden", replace(settings))]
    finished = session.run(words, LONG_SECONDS)
    if finished.code not in (0, WRONG):
        raise EdgekitError(f"the latency application on {session.title}: {ended(finished)}")
    report = parse_report(finished.stdout)
    if report["problem"] is not None:
        raise EdgekitError(f"{session.title} does not compute '{graph.name}': {report['problem']}")
    return tuple(float(one) for one in report["latency_ms"]["samples"])
