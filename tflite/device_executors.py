"""The executors of TFLite files on a device that a Session reaches: run.py there, one for each runtime and kernel set.

EXECUTORS are those on the emulated devices; `device_executor` makes one for any other.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import resources
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.connections.emulator import missing_emulator
from edgekit.connections.folder import emulated_session
from edgekit.connections.session import Session, check_ran
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Note, Run, Values
from edgekit.targets.emulators import EMULATORS, Emulator
from edgekit.tflite.executors import KERNEL_SETS, as_graph_values, as_stored, missing_for_kernels
from edgekit.tflite.reader import parse, probe
from edgekit.tflite.writer import write_tflite

Connect: TypeAlias = Callable[[], AbstractContextManager[Session]]
RUN = "run.py"
RUN_SECONDS = 3600
THREADS = 2
"""Of a run that is compared, not timed."""


def run_script() -> bytes:
    """The program that every bundle brings, and that runs TFLite files on devices."""
    return resources.files("edgekit.tflite").joinpath("templates", RUN).read_bytes()


def device_executor(name: str, connect: Connect, package: str, kernels: str, missing: Callable[[], str | None] = lambda: None) -> Executor:
    """An executor `name` that runs in a session of `connect`, on the runtime `package` with one of KERNEL_SETS."""

    def lacking(artifact: Artifact) -> str | None:
        return missing() or missing_for_kernels(kernels, artifact)

    def open_(artifact: Artifact, note: Note) -> AbstractContextManager[Run]:
        return _open(artifact, note, connect, package, kernels)

    return Executor(name, lacking, open_)


@contextmanager
def _open(artifact: Artifact, note: Note, connect: Connect, package: str, kernels: str) -> Iterator[Run]:
    graph, tflite = artifact.graph, artifact.tflite
    if tflite is None:
        if graph is None:
            raise EdgekitError("there is no TFLite file to run")
        tflite = write_tflite(graph)
    parse(tflite)
    note("connecting")
    with connect() as session:
        session.push({RUN: run_script(), "model.tflite": tflite, "probe.tflite": probe(tflite, None if graph is None else graph.tensors)})

        def run(inputs: npt.NDArray[Any]) -> Values:
            session.push({"inputs.npy": _npy(as_stored(graph, inputs))})
            values: dict[str, npt.NDArray[Any]] = {}
            for model in ("probe.tflite", "model.tflite"):
                words = [
                    "tensors",
                    model,
                    "inputs.npy",
                    "outputs.npz",
                    "--runtime",
                    package,
                    "--kernels",
                    kernels,
                    "--threads",
                    str(THREADS),
                ]
                check_ran(session.run([*session.python(package), RUN, *words], RUN_SECONDS), f"{package} on {session.title}")
                values |= _tensors(session.pull("outputs.npz"))
            return values if graph is None else as_graph_values(graph, inputs, values)

        yield run


def _npy(values: npt.NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=False)
    return stream.getvalue()


def _tensors(content: bytes) -> dict[str, npt.NDArray[Any]]:
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as found:
            return {str(name): found[str(i)] for i, name in enumerate(found["names"])}
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as error:
        raise EdgekitError(f"the device sent back no tensors: {error}") from error


def _emulated(emulator: Emulator) -> Iterator[Executor]:
    for wheel in emulator.wheels:
        package = wheel.runtime.package
        for kernels in KERNEL_SETS:
            name = f"{emulator.device}-{package}-{kernels}"
            yield device_executor(name, lambda: emulated_session(emulator), package, kernels, lambda: missing_emulator(emulator))


EXECUTORS: tuple[Executor, ...] = tuple(executor for emulator in EMULATORS.values() for executor in _emulated(emulator))
