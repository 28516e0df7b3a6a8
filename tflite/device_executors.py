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

from edgekit.bundle import PIXELS, RUN, VALUES
from edgekit.connections.emulator import missing_emulator
from edgekit.connections.folder import emulated_session
from edgekit.connections.session import Session, check_ran, ended
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.images.preprocessing import PIXELS as OF_PIXELS
from edgekit.progress import Note
from edgekit.targets import EMULATORS, Device, Emulator, emulator_for, runtimes_for
from edgekit.tflite.executors import as_graph_values, as_stored, file_and_probe, missing_for_kernels
from edgekit.tflite.kernel_sets import KERNEL_SETS, device_executor_name
from edgekit.tflite.reader import parse

Connect: TypeAlias = Callable[[], AbstractContextManager[Session]]
RUN_SECONDS = 3600
THREADS = 2
"""Threads of the runtime in a run that is compared, not timed."""


def run_script() -> bytes:
    """The program that every bundle brings, and that runs TFLite files on devices."""
    return resources.files("edgekit.tflite").joinpath("templates", RUN).read_bytes()


def device_scripts(of: str = OF_PIXELS) -> dict[str, bytes]:
    """What a bundle brings to run on a device by itself: run.py, and the module of edgekit.images with which it reads images, or the
    arrays of a network that takes none. `of` as in Preprocessing."""
    name = PIXELS if of == OF_PIXELS else VALUES
    return {RUN: run_script(), name: resources.files("edgekit.images").joinpath(name).read_bytes()}


def device_executor(name: str, connect: Connect, package: str, kernels: str, missing: Callable[[], str | None] = lambda: None) -> Executor:
    """An executor `name` that runs in a session of `connect`, on the runtime `package` with one of KERNEL_SETS."""

    def lacking(artifact: Artifact) -> str | None:
        return missing() or missing_for_kernels(kernels, artifact)

    def open_(artifact: Artifact, note: Note) -> AbstractContextManager[Run]:
        return _open(artifact, note, connect, package, kernels)

    return Executor(name, lacking, open_)


@contextmanager
def _open(artifact: Artifact, note: Note, connect: Connect, package: str, kernels: str) -> Iterator[Run]:
    graph = artifact.graph
    tflite, probing = file_and_probe(artifact, note)
    note("connecting")
    with connect() as session:
        session.push({RUN: run_script(), "model.tflite": tflite, "probe.tflite": probing})

        def run(inputs: npt.NDArray[Any]) -> Values:
            session.push({"inputs.npy": _npy(as_stored(graph, inputs))})
            values: dict[str, npt.NDArray[Any]] = {}
            for model in ("probe.tflite", "model.tflite"):
                values |= _run_model(session, model, package, kernels)
            return values if graph is None else as_graph_values(graph, inputs, values)

        yield run


@contextmanager
def open_for_outputs(tflite: bytes, connect: Connect, package: str, kernels: str, note: Note) -> Iterator[Run]:
    """From inputs as the file stores them to its outputs alone, by name and as stored: far less than every tensor is sent back.

    Raises EdgekitError where the device cannot be reached, or the runtime fails there.
    """
    parse(tflite)
    note("connecting")
    with connect() as session:
        session.push({RUN: run_script(), "model.tflite": tflite})

        def run(inputs: npt.NDArray[Any]) -> Values:
            session.push({"inputs.npy": _npy(inputs)})
            return _run_model(session, "model.tflite", package, kernels)

        yield run


def _run_model(session: Session, model: str, package: str, kernels: str) -> dict[str, npt.NDArray[Any]]:
    """What a model there makes of the inputs that were sent."""
    words = ["tensors", model, "inputs.npy", "outputs.npz", "--runtime", package, "--kernels", kernels, "--threads", str(THREADS)]
    check_ran(session.run([*session.python(package), RUN, *words], RUN_SECONDS), f"{package} on {session.title}")
    return _tensors(session.pull("outputs.npz"))


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
            name = device_executor_name(emulator.device, package, kernels)
            yield device_executor(name, lambda: emulated_session(emulator), package, kernels, lambda: missing_emulator(emulator))


def prove_runs(tflite: bytes, target: Device, wanted: str | None, note: Note) -> list[str]:
    """Runs a file once on each runtime that it is for, on the emulated device; op versions do not tell of every failure.

    Returns what could not be tried, as sentences. Raises EdgekitError where a runtime rejects the file or crashes on it.
    """
    emulator = emulator_for(target.arch)
    if emulator is None:
        return []
    runtimes = {wheel.runtime for wheel in emulator.wheels} & set(runtimes_for(target, wanted))
    reason = missing_emulator(emulator)
    if reason is not None and runtimes:
        return [f"its op versions were checked, but it was not run on the device's runtimes: {reason}"]
    for runtime in sorted(runtimes, key=lambda one: one.package):
        note(f"running it on {runtime.title}, emulated")
        with emulated_session(emulator) as session:
            session.push({RUN: run_script(), "model.tflite": tflite, "inputs.npy": _npy(_zeros(tflite))})
            words = ["tensors", "model.tflite", "inputs.npy", "outputs.npz", "--runtime", runtime.package]
            finished = session.run([*session.python(runtime.package), RUN, *words], RUN_SECONDS)
        if finished.code:
            others = [one.package for one in target.runtimes if one != runtime]
            advice = f"Use --runtime {others[0]} to export for that runtime alone" if others and wanted is None else "Use --precision qfx"
            raise EdgekitError(f"{runtime.title} does not run this file: {ended(finished)}. {advice}")
    return []


def _zeros(tflite: bytes) -> npt.NDArray[Any]:
    """One input of the file, all zero."""
    from ai_edge_litert.interpreter import Interpreter

    (detail,) = Interpreter(model_content=tflite).get_input_details()
    return np.zeros(detail["shape"], detail["dtype"])


EXECUTORS: tuple[Executor, ...] = tuple(executor for emulator in EMULATORS.values() for executor in _emulated(emulator))
