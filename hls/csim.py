"""The C simulation: a project compiled with a C++ compiler and run as child processes, so that a crash stays in the child."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.executor import Note, Run, Values
from edgekit.hls.project import DESCRIPTION

COMPILER_VARIABLE = "EDGEKIT_CXX"
FLAGS = ("-std=c++14", "-O2", "-w", "-I.", "-isystem", "firmware/ap_types", '-DWEIGHTS_DIR="firmware/weights"')
SOURCES = ("firmware/edgekit_network.cpp", "simulate.cpp")
COMPILE_SECONDS_MAX = 1800
START_SECONDS_MAX, IMAGE_SECONDS_MAX = 120, 120
"""A simulation that takes longer than this is taken to hang."""


def compiler() -> str | None:
    """The C++ compiler's path: EDGEKIT_CXX, or g++ from the path; None if there is none."""
    return shutil.which(os.environ.get(COMPILER_VARIABLE) or "g++")


def missing_compiler() -> str:
    """What to say when there is none."""
    wanted = os.environ.get(COMPILER_VARIABLE)
    what = f"{COMPILER_VARIABLE} is '{wanted}', which is no program here" if wanted else "no g++"
    return f"{what}; install it (Debian: apt install g++) or set {COMPILER_VARIABLE} to a C++ compiler"


@contextmanager
def open_simulation(project: Path, note: Note) -> Iterator[Run]:
    """Compiles a project and gives what runs it; the project's folder is only read.

    Raises:
        EdgekitError: no compiler, no project in that folder, or it does not compile.
    """
    description = _read_description(project)
    with tempfile.TemporaryDirectory(prefix="edgekit-csim-") as name:
        folder = Path(name)
        note("compiling the C simulation")
        program = compile_simulation(project, folder)

        def run(inputs: npt.NDArray[Any]) -> Values:
            return _run(project, program, description, inputs, folder)

        yield run


def compile_simulation(project: Path, folder: Path) -> Path:
    """The simulation program, in `folder`. Raises EdgekitError."""
    cxx = compiler()
    if cxx is None:
        raise EdgekitError(f"the C simulation cannot be compiled: {missing_compiler()}")
    program = folder / "simulate"
    command = [cxx, *FLAGS, *SOURCES, "-o", str(program)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=COMPILE_SECONDS_MAX, check=False)
    if done.returncode != 0:
        raise EdgekitError(f"the C simulation in {project} does not compile with {cxx}:\n{_tail(done.stderr)}")
    return program


def _read_description(project: Path) -> dict[str, Any]:
    try:
        return dict(json.loads((project / DESCRIPTION).read_text()))
    except (OSError, ValueError) as error:
        raise EdgekitError(f"{project} is no HLS project of edgekit: {DESCRIPTION} cannot be read ({error})") from None


def _run(project: Path, program: Path, description: dict[str, Any], inputs: npt.NDArray[Any], folder: Path) -> Values:
    """Shares the batch out between the processors."""
    source = description["input"]
    if list(inputs.shape[1:]) != source["shape"]:
        raise ValueError(f"inputs have shape {inputs.shape[1:]}, tensor '{source['name']}' has {source['shape']}")
    batch = inputs.astype(_dtype(source))
    parts = np.array_split(batch, max(1, min(len(batch), len(os.sched_getaffinity(0)))))
    children: list[subprocess.Popen[str]] = []
    try:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            files = [(Path(name) / f"inputs{i}", Path(name) / f"outputs{i}") for i in range(len(parts))]
            for part, (given, taken) in zip(parts, files, strict=True):
                given.write_bytes(part.tobytes())
                command = [str(program), str(given), str(taken)]
                nothing, messages = subprocess.DEVNULL, subprocess.PIPE
                children.append(subprocess.Popen(command, cwd=project, text=True, stdin=nothing, stdout=nothing, stderr=messages))
            for child, part in zip(children, parts, strict=True):
                _wait(child, len(part))
            return {source["name"]: batch} | _unpack(description, b"".join(taken.read_bytes() for _, taken in files), len(batch))
    finally:
        for child in children:
            child.kill()
            child.wait()


def _wait(child: subprocess.Popen[str], images: int) -> None:
    limit = START_SECONDS_MAX + IMAGE_SECONDS_MAX * images
    try:
        _, messages = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        raise EdgekitError(f"the C simulation did not end within {limit} s for {images} images") from None
    if child.returncode != 0:
        how = f"was killed by signal {-child.returncode}" if child.returncode < 0 else f"ended with code {child.returncode}"
        raise EdgekitError(f"the C simulation {how}: {_tail(messages) or 'it said nothing'}")


def _unpack(description: dict[str, Any], output: bytes, images: int) -> dict[str, npt.NDArray[Any]]:
    """Tensor name -> (images, *shape), from the bytes that the simulation wrote: per image the outputs, then the layers."""
    outputs, layers = description["outputs"], description["layers"]
    sizes = [prod(tensor["shape"]) for tensor in outputs] + [layer["values"] for layer in layers]
    if len(output) != images * sum(sizes):
        raise EdgekitError(f"the C simulation wrote {len(output)} bytes for {images} images, not {images * sum(sizes)}")
    table = np.frombuffer(output, np.uint8).reshape(images, sum(sizes))
    pieces = np.split(table, np.cumsum(sizes)[:-1], axis=1)
    shown = [(tensor, piece) for layer, piece in zip(layers, pieces[len(outputs) :], strict=True) for tensor in layer["tensors"]]
    shown += zip(outputs, pieces, strict=False)  # last, so that a value from an output stream is the one that counts
    return {tensor["name"]: np.ascontiguousarray(piece).view(_dtype(tensor)).reshape(images, *tensor["shape"]) for tensor, piece in shown}


def _dtype(tensor: dict[str, Any]) -> type[np.integer[Any]]:
    return np.int8 if tensor["signed"] else np.uint8


def _tail(text: str, lines: int = 20) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])
