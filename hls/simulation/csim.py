"""The C simulation: a project compiled with a C++ compiler and run as child processes, so that a crash stays in the child."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.arrays import shares
from edgekit.children import Ended, TookTooLong, call, call_together
from edgekit.errors import EdgekitError
from edgekit.executor import Run, Values
from edgekit.hls.project.description import Description, read_description
from edgekit.progress import Note
from edgekit.scratch import scratch_folder
from edgekit.tools import GXX, require

FLAGS = ("-std=c++14", "-w", "-I.", '-DWEIGHTS_DIR="firmware/weights"')
AP_TYPES = ("-O2", "-isystem", "firmware/ap_types")
NATIVE = "firmware/native"
NATIVE_TYPES = ("-O2", "-isystem", NATIVE)
"""The processor's own integers stand in for ap_int, where a project brings them."""
VECTORIZE = ("-march=native", "-fvect-cost-model=dynamic")
"""Where the compiler has them: clang++ knows no cost model, and vectorizes at -O2 by itself. g++ -O3 unrolls the loops over lanes before it
could vectorize them: half as fast, and twice as long to compile."""
NETWORK_SOURCE = "firmware/edgekit_network.cpp"
SOURCES = (NETWORK_SOURCE, "simulate.cpp")
Compile: TypeAlias = Callable[[Path, Path], Path]
"""Makes the simulation program of a project in a folder."""
PROBE_SECONDS_MAX, COMPILE_SECONDS_MAX = 60, 1800
START_SECONDS_MAX, IMAGE_SECONDS_MAX = 120, 120
"""A simulation that takes longer than this is taken to hang."""


@contextmanager
def open_simulation(project: Path, note: Note, compiled: Compile | None = None) -> Iterator[Run]:
    """Compiles a project and gives what runs it; the project's folder is only read.

    Args:
        compiled: makes the program; by default `compile_simulation`.

    Raises:
        EdgekitError: no compiler, no project in that folder, or it does not compile.
    """
    description = read_description(project)
    with scratch_folder("csim") as folder:
        note("compiling the C simulation")
        program = (compiled or compile_simulation)(project, folder)

        def run(inputs: npt.NDArray[Any]) -> Values:
            return _run(project, program, description, inputs)

        yield run


def compile_simulation(project: Path, folder: Path) -> Path:
    """The simulation program, in `folder`. Raises EdgekitError."""
    types = [*NATIVE_TYPES, *known_flags(require(GXX), VECTORIZE)] if (project / NATIVE).is_dir() else AP_TYPES
    return compile_program(project, folder, types, SOURCES)


def compile_program(project: Path, folder: Path, flags: Sequence[str], sources: Sequence[str]) -> Path:
    """The program of these sources, in `folder`; names are relative to the project. Raises EdgekitError."""
    cxx = require(GXX)
    program = folder / "simulate"
    command = [str(cxx), *FLAGS, *flags, *sources, "-o", str(program)]
    try:
        done = call(command, COMPILE_SECONDS_MAX, folder=project)
    except TookTooLong:
        raise EdgekitError(f"{cxx} did not compile the C simulation in {project} within {COMPILE_SECONDS_MAX} s") from None
    if done.code != 0:
        raise EdgekitError(f"the C simulation in {project} does not compile with {cxx}:\n{_tail(done.messages_text)}")
    return program


def known_flags(cxx: Path, flags: tuple[str, ...]) -> list[str]:
    """Those of the flags with which the compiler takes an empty file."""

    def compiles(flag: str) -> bool:
        command = [str(cxx), flag, "-fsyntax-only", "-x", "c++", os.devnull]
        try:
            return call(command, PROBE_SECONDS_MAX).code == 0
        except TookTooLong:
            return False

    return [flag for flag in flags if compiles(flag)]


def _run(project: Path, program: Path, description: Description, inputs: npt.NDArray[Any]) -> Values:
    """Shares the batch out between the processors."""
    source = description.input
    if inputs.shape[1:] != source.shape:
        raise ValueError(f"inputs have shape {inputs.shape[1:]}, tensor '{source.name}' has {source.shape}")
    batch = inputs.astype(source.dtype)
    parts = shares(batch)
    with scratch_folder("batch") as place:
        files = [(place / f"inputs{i}", place / f"outputs{i}") for i in range(len(parts))]
        for part, (given, _) in zip(parts, files, strict=True):
            given.write_bytes(part.tobytes())
        limits = [START_SECONDS_MAX + IMAGE_SECONDS_MAX * len(part) for part in parts]
        try:
            call_together([[program, *both] for both in files], limits, _check_ended, folder=project)
        except TookTooLong as error:
            raise EdgekitError(f"the C simulation did not end within {limits[0]} s for {len(parts[0])} images") from error
        written = [_table(description, taken, len(part)) for part, (_, taken) in zip(parts, files, strict=True)]
        return {source.name: batch, **_unpack(description, written)}


def _check_ended(ended: Ended) -> None:
    if ended.code != 0:
        how = f"was killed by signal {-ended.code}" if ended.code < 0 else f"ended with code {ended.code}"
        raise EdgekitError(f"the C simulation {how}: {_tail(ended.messages_text) or 'it said nothing'}")


def _table(description: Description, written: Path, images: int) -> npt.NDArray[np.uint8]:
    """What one process wrote: (images, bytes an image)."""
    values = sum(_sizes(description))
    if written.stat().st_size != images * values:
        raise EdgekitError(f"the C simulation wrote {written.stat().st_size} bytes for {images} images, not {images * values}")
    return np.fromfile(written, np.uint8).reshape(images, values)


def _sizes(description: Description) -> list[int]:
    return [output.values for output in description.outputs] + [layer.values for layer in description.layers]


def _unpack(description: Description, written: list[npt.NDArray[np.uint8]]) -> dict[str, npt.NDArray[Any]]:
    """Tensor name -> (batch, *shape). An output's values are those of its stream, though its layer is traced too."""
    ends = np.cumsum(_sizes(description)).tolist()
    spans = [slice(*ends_of) for ends_of in pairwise([0, *ends])]
    outputs, layers = description.outputs, description.layers
    places = {tensor: span for layer, span in zip(layers, spans[len(outputs) :], strict=True) for tensor in layer.tensors}
    places |= zip(outputs, spans[: len(outputs)], strict=True)
    return {
        tensor.name: np.concatenate([table[:, span] for table in written]).view(tensor.dtype).reshape(-1, *tensor.shape)
        for tensor, span in places.items()
    }


def _tail(text: str, lines: int = 20) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
