"""The network's RTL, compiled by Verilator and run: integers of every tensor that can be seen, cycles, and how full each FIFO was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.hls.project.description import Description, StreamedTensor, read_description
from edgekit.hls.rtl.pipeline import TOP, network_files
from edgekit.hls.rtl.project import ProjectRtl, project_rtl
from edgekit.hls.rtl.tools import output_of
from edgekit.progress import Note
from edgekit.scratch import scratch_folder
from edgekit.tools import VERILATOR, require

FLAGS = (
    *("--cc", "--exe", "--build", "-j", "1", "-O3", "--x-initial", "unique", "--output-split", "20000"),
    *("-MAKEFLAGS", "OPT_FAST=-O0", "-MAKEFLAGS", "OPT_SLOW=-O0", "-MAKEFLAGS", "OPT_GLOBAL=-O0"),
    *("-Wno-fatal", "-Wno-lint", "-Wno-style", "-Wno-UNOPTFLAT", "--top-module", TOP, "--prefix", "Vnetwork"),
)
BUILD_SECONDS_MAX, RUN_SECONDS_MAX = 7200, 24 * 3600
CYCLES_MAX = 2_000_000_000


@dataclass(frozen=True)
class FifoUse:
    """`high`: the most tokens that were in it. `full`, `empty`: cycles in which it alone kept the stage before, or behind it, waiting."""

    stream: str
    depth: int
    high: int
    full: int
    empty: int


@dataclass(frozen=True)
class RtlRun:
    """`frame_ends`: the cycle in which each frame's last token has left; fewer than frames where the pipeline stopped for good."""

    values: Mapping[str, Array]
    frame_ends: tuple[int, ...]
    fifos: tuple[FifoUse, ...]
    cycles: int

    @property
    def interval(self) -> int | None:
        """Cycles between the last two frames."""
        return self.frame_ends[-1] - self.frame_ends[-2] if len(self.frame_ends) > 1 else None


@dataclass(frozen=True)
class RtlSimulation:
    """`run`: takes a batch of the input tensor's values, (batch, *shape), and, where FIFOs are tried out, a stream's name and the tokens
    that its FIFO is to have room for, no more than it was planned with."""

    rtl: ProjectRtl
    run: Callable[..., RtlRun]


@contextmanager
def open_rtl(project: Path, note: Note) -> Iterator[RtlSimulation]:
    """Translates a project, compiles its simulation and gives what runs it; the project is only read.

    Raises:
        Refused: a stage has something that the translator does not know.
        EdgekitError: a tool is missing, no project in that folder, or it does not compile.
    """
    verilator, description = require(VERILATOR), read_description(project)
    rtl = project_rtl(project, note)
    with scratch_folder("rtl") as folder:
        shown = _shown(rtl, description)
        outputs = _outputs(rtl)
        tokens = {
            stream: tensor.values // rtl.shapes[rtl.top.ports[stream]].lanes
            for stream, tensor in zip(outputs, description.outputs, strict=True)
        }
        for file, text in network_files(rtl, tokens, shown).items():
            (folder / file).write_text(text)
        main = resources.files("edgekit.hls.rtl").joinpath("simulate_network.cpp").read_text()
        (folder / "simulate_network.cpp").write_text(main)
        note("compiling the simulation of the RTL with Verilator")
        sources = sorted(path.name for path in folder.glob("*.v"))
        output_of([str(verilator), *FLAGS, *sources, "simulate_network.cpp"], folder, BUILD_SECONDS_MAX)

        def run(inputs: npt.NDArray[Any], shortened: tuple[str, int] | None = None) -> RtlRun:
            options = [f"+shortened={rtl.top.ports[shortened[0]]}", f"+room={shortened[1]}"] if shortened else []
            return _run(folder, rtl, description, shown, options, inputs)

        yield RtlSimulation(rtl, run)


def _outputs(rtl: ProjectRtl) -> list[str]:
    written = {stream for stage in rtl.stages for stream in stage.outputs}
    return [stream for stream in rtl.top.ends if rtl.top.ports[stream] in written]


def _shown(rtl: ProjectRtl, description: Description) -> dict[str, tuple[StreamedTensor, ...]]:
    """Stream -> the tensors that it carries."""
    found = {rtl.top.traced[layer.name]: layer.tensors for layer in description.layers if layer.name in rtl.top.traced}
    for stream, tensor in zip(_outputs(rtl), description.outputs, strict=True):
        found[stream] = (*(one for one in found.get(stream, ()) if one.name != tensor.name), tensor)
    return found


def _run(
    folder: Path,
    rtl: ProjectRtl,
    description: Description,
    shown: Mapping[str, tuple[StreamedTensor, ...]],
    options: list[str],
    inputs: npt.NDArray[Any],
) -> RtlRun:
    source = description.input
    if inputs.shape[1:] != source.shape:
        raise ValueError(f"inputs have shape {inputs.shape[1:]}, tensor '{source.name}' has {source.shape}")
    batch = inputs.astype(source.dtype)
    (stream,) = [one for one in rtl.top.ends if one not in _outputs(rtl)]
    lanes = rtl.shapes[rtl.top.ports[stream]].lanes
    (folder / "inputs.bin").write_bytes(batch.tobytes())
    command = ["obj_dir/Vnetwork", "inputs.bin", str(lanes), str(CYCLES_MAX), f"+frames={len(batch)}", *options]
    said = output_of(command, folder, RUN_SECONDS_MAX).split("\n")
    ends: dict[int, list[int]] = {}
    for line in said:
        if line.startswith("end "):
            _, frame, cycle = line.split()
            ends.setdefault(int(frame), []).append(int(cycle))
    outputs = len(_outputs(rtl))
    whole = [frame for frame in sorted(ends) if len(ends[frame]) == outputs][: len(batch)]
    names = {number: name for name, number in rtl.top.ports.items()}
    fifos = [[int(one) for one in line.split()[1:]] for line in said if line.startswith("fifo ")]
    cycles = next(int(line.split()[1]) for line in said if line.startswith("cycles "))
    values: dict[str, Array] = {source.name: batch}
    for name, tensors in shown.items():
        for tensor in tensors:
            values[tensor.name] = _values(folder / f"{name}.hex", tensor, len(whole))
    return RtlRun(
        values=values,
        frame_ends=tuple(max(ends[frame]) for frame in whole),
        fifos=tuple(FifoUse(names[number], rtl.top.depths[names[number]], *rest) for number, *rest in sorted(fifos)),
        cycles=cycles,
    )


def _values(file: Path, tensor: StreamedTensor, frames: int) -> Array:
    """(frames, *shape) of the tokens of a stream; values lie in bytes, the first in the lowest."""
    words = file.read_text().split()
    found = np.frombuffer(b"".join(bytes.fromhex(word)[::-1] for word in words), np.uint8)
    if found.size < frames * tensor.values:
        raise EdgekitError(f"the RTL's stream of tensor '{tensor.name}' has {found.size} values for {frames} frames of {tensor.values}")
    return found[: frames * tensor.values].view(tensor.dtype).reshape(-1, *tensor.shape)
