"""The network's RTL, compiled by Verilator and run: integers of every tensor that can be seen, cycles, and how full each FIFO was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.hls.project.description import Description, StreamedTensor, read_description
from edgekit.hls.rtl.masters import MemoryModel, accelerator_files, result_file
from edgekit.hls.rtl.pipeline import TOP, network_files
from edgekit.hls.rtl.project import ProjectRtl, accelerator_rtl, project_rtl
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
    that its FIFO is to have room for, no more than it was planned with; an accelerator's takes a MemoryModel."""

    rtl: ProjectRtl
    run: Callable[..., RtlRun]


@contextmanager
def open_rtl(project: Path, note: Note) -> Iterator[RtlSimulation]:
    """Translates a project, compiles the simulation of its network and gives what runs it; the project is only read.

    Raises:
        Refused: a stage has something that the translator does not know.
        EdgekitError: a tool is missing, no project in that folder, or it does not compile.
    """
    description = read_description(project)
    rtl = project_rtl(project, note)
    tokens = {
        stream: tensor.values // rtl.shapes[rtl.top.ports[stream]].lanes
        for stream, tensor in zip(_outputs(rtl), description.outputs, strict=True)
    }
    shown = _shown(rtl, description)
    with _built(network_files(rtl, tokens, shown), note) as folder:

        def run(inputs: npt.NDArray[Any], shortened: tuple[str, int] | None = None) -> RtlRun:
            options = [f"+shortened={rtl.top.ports[shortened[0]]}", f"+room={shortened[1]}"] if shortened else []
            batch = _batch(description, inputs)
            (stream,) = [one for one in rtl.top.ends if one not in _outputs(rtl)]
            (folder / "inputs.bin").write_bytes(batch.tobytes())
            said = _said(folder, rtl.shapes[rtl.top.ports[stream]].lanes, len(batch), options)
            return _run(folder, rtl, said, shown, {description.input.name: batch}, len(_outputs(rtl)))

        yield RtlSimulation(rtl, run)


@contextmanager
def open_accelerator(project: Path, frames: int, note: Note) -> Iterator[RtlSimulation]:
    """As `open_rtl`, of the network with the AXI masters around it; what runs it takes up to `frames` images and a MemoryModel.

    Raises:
        EdgekitError: also where the project has no accelerator with AXI masters.
    """
    description = read_description(project)
    rtl = accelerator_rtl(project, frames, note)
    traced = {rtl.top.traced[layer.name]: layer.tensors for layer in description.layers if layer.name in rtl.top.traced}
    sizes = [tensor.values for tensor in description.outputs]
    with _built(accelerator_files(rtl, frames, sizes, traced), note) as folder:

        def run(inputs: npt.NDArray[Any], memory: MemoryModel) -> RtlRun:
            batch = _batch(description, inputs)
            if len(batch) > frames:
                raise ValueError(f"{len(batch)} images for an accelerator that was made for {frames}")
            word, flat = rtl.stored["images"].word_bytes, batch.reshape(len(batch), -1).view(np.uint8)
            padded = np.pad(flat, ((0, 0), (0, -flat.shape[1] % word))).reshape(-1, word)[:, ::-1]
            (folder / "images.hex").write_text("".join(f"{row.tobytes().hex()}\n" for row in padded))
            (folder / "inputs.bin").write_bytes(b"")
            found = _run(folder, rtl, _said(folder, 1, len(batch), memory.options), traced, {description.input.name: batch}, len(sizes))
            results = _results(folder, description.outputs, frames, rtl.stored["results"].word_bytes)
            whole = {name: values[: len(found.frame_ends)] for name, values in results.items()}
            return replace(found, values={**found.values, **whole})

        yield RtlSimulation(rtl, run)


@contextmanager
def _built(files: Mapping[str, str], note: Note) -> Iterator[Path]:
    """The folder with the compiled simulation."""
    verilator = require(VERILATOR)
    with scratch_folder("rtl") as folder:
        for file, text in files.items():
            (folder / file).write_text(text)
        main = resources.files("edgekit.hls.rtl").joinpath("simulate_network.cpp").read_text()
        (folder / "simulate_network.cpp").write_text(main)
        note("compiling the simulation of the RTL with Verilator")
        sources = sorted(path.name for path in folder.glob("*.v"))
        output_of([str(verilator), *FLAGS, *sources, "simulate_network.cpp"], folder, BUILD_SECONDS_MAX)
        yield folder


def _batch(description: Description, inputs: npt.NDArray[Any]) -> Array:
    source = description.input
    if inputs.shape[1:] != source.shape:
        raise ValueError(f"inputs have shape {inputs.shape[1:]}, tensor '{source.name}' has {source.shape}")
    return inputs.astype(source.dtype)


def _outputs(rtl: ProjectRtl) -> list[str]:
    written = {stream for stage in rtl.stages for stream in stage.outputs}
    return [stream for stream in rtl.top.ends if rtl.top.ports[stream] in written]


def _shown(rtl: ProjectRtl, description: Description) -> dict[str, tuple[StreamedTensor, ...]]:
    """Stream -> the tensors that it carries."""
    found = {rtl.top.traced[layer.name]: layer.tensors for layer in description.layers if layer.name in rtl.top.traced}
    for stream, tensor in zip(_outputs(rtl), description.outputs, strict=True):
        found[stream] = (*(one for one in found.get(stream, ()) if one.name != tensor.name), tensor)
    return found


def _said(folder: Path, lanes: int, frames: int, options: list[str]) -> list[str]:
    command = ["obj_dir/Vnetwork", "inputs.bin", str(lanes), str(CYCLES_MAX), f"+frames={frames}", *options]
    return output_of(command, folder, RUN_SECONDS_MAX).split("\n")


def _run(
    folder: Path,
    rtl: ProjectRtl,
    said: list[str],
    shown: Mapping[str, tuple[StreamedTensor, ...]],
    given: Mapping[str, Array],
    outputs: int,
) -> RtlRun:
    """What the simulation said, and left in files."""
    (batch,) = given.values()
    ends: dict[int, list[int]] = {}
    for line in said:
        if line.startswith("end "):
            _, frame, cycle = line.split()
            ends.setdefault(int(frame), []).append(int(cycle))
    whole = [frame for frame in sorted(ends) if len(ends[frame]) == outputs][: len(batch)]
    names = {number: name for name, number in rtl.top.ports.items()}
    fifos = [[int(one) for one in line.split()[1:]] for line in said if line.startswith("fifo ")]
    cycles = next(int(line.split()[1]) for line in said if line.startswith("cycles "))
    values = dict(given)
    for name, tensors in shown.items():
        for tensor in tensors:
            values[tensor.name] = _values(folder / f"{name}.hex", tensor, len(whole))
    return RtlRun(
        values=values,
        frame_ends=tuple(max(ends[frame]) for frame in whole),
        fifos=tuple(FifoUse(names[number], rtl.top.depths[names[number]], *rest) for number, *rest in sorted(fifos)),
        cycles=cycles,
    )


def _results(folder: Path, outputs: tuple[StreamedTensor, ...], frames: int, word: int) -> dict[str, Array]:
    """(frames, *shape) of each output, out of the words that the accelerator left in memory."""
    found, first = {}, 0
    for place, tensor in enumerate(outputs):
        lines = [line for line in (folder / result_file(place)).read_text().split() if not line.startswith(("/", "@"))]
        words = np.array([list(int(line, 16).to_bytes(word + 1, "little")[:word]) for line in lines], np.uint8)
        size = -(-tensor.values // word)
        own = words.reshape(frames, -1, word)[:, first : first + size].reshape(frames, -1)[:, : tensor.values]
        found[tensor.name], first = np.ascontiguousarray(own).view(tensor.dtype).reshape(-1, *tensor.shape), first + size
    return found


def _values(file: Path, tensor: StreamedTensor, frames: int) -> Array:
    """(frames, *shape) of the tokens of a stream; values lie in bytes, the first in the lowest."""
    words = file.read_text().split()
    found = np.frombuffer(b"".join(bytes.fromhex(word)[::-1] for word in words), np.uint8)
    if found.size < frames * tensor.values:
        raise EdgekitError(f"the RTL's stream of tensor '{tensor.name}' has {found.size} values for {frames} frames of {tensor.values}")
    return found[: frames * tensor.values].view(tensor.dtype).reshape(-1, *tensor.shape)
