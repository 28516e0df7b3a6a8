"""A whole project as RTL: each stage translated, and the FIFOs between them as they were planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.hls.rtl.circuit import StageRtl, StreamShape
from edgekit.hls.rtl.compiled import compile_stages
from edgekit.hls.rtl.sources import Sources, Top, prepare, prepare_accelerator
from edgekit.hls.rtl.translator.llvm import Module, read_module
from edgekit.hls.rtl.translator.memories import Outside
from edgekit.hls.rtl.translator.verilog import translate
from edgekit.progress import Note
from edgekit.scratch import scratch_folder


@dataclass(frozen=True)
class Stored:
    """An array that lies in memory: bits of its words, and those that are there before the first frame."""

    width: int
    words: tuple[int, ...]

    @property
    def word_bytes(self) -> int:
        """Of the AXI master's port."""
        return 1 << (-(-self.width // 8) - 1).bit_length()


@dataclass(frozen=True)
class ProjectRtl:
    """`stages`: in the order of the top function's calls. `shapes`: of its streams, by number. `stored`: arrays that lie in memory."""

    top: Top
    stages: tuple[StageRtl, ...]
    shapes: Mapping[int, StreamShape]
    stored: Mapping[str, Stored]


def project_rtl(project: Path, note: Note) -> ProjectRtl:
    """Reads a project as synthesis would read it, and writes nothing.

    Raises:
        Refused: a stage has something that the translator does not know.
        EdgekitError: no project, no clang, or clang does not compile it.
    """
    return _made(lambda folder: prepare(project, folder), note)


def accelerator_rtl(project: Path, frames: int, note: Note) -> ProjectRtl:
    """As `project_rtl`, with what reads and writes memory for so many frames; raises EdgekitError also where the project has no such."""
    return _made(lambda folder: prepare_accelerator(project, folder, frames), note)


def _made(prepared: Callable[[Path], Sources], note: Note) -> ProjectRtl:
    with scratch_folder("rtl") as folder:
        sources = prepared(folder)
        note("compiling the kernels with clang")
        module = read_module(compile_stages(folder))
    return translated(sources, module, note)


def translated(sources: Sources, module: Module, note: Note) -> ProjectRtl:
    shapes = {}
    for stream, number in sources.top.ports.items():
        lanes, width, is_signed = module.constants[f"edgekit_stream_{stream}"]
        shapes[number] = StreamShape(lanes, width, bool(is_signed))
    outside, stored = {}, {}
    for name, array in sources.arrays.items():
        width, is_signed = module.constants[f"edgekit_array_{name}"]
        values = tuple(_cut(value, width, bool(is_signed)) for value in array.values)
        bounds = (_cut(1 << (width - 1), width, True), (1 << (width - 1)) - 1) if is_signed else (0, (1 << width) - 1)
        if array.in_memory:
            outside[name], stored[name] = Outside(_bytes(width), array.size, bounds), Stored(width, values)
        else:
            outside[name] = Outside(_bytes(width), array.size, (min((0, *values)), max((0, *values))), values)
    stages = []
    for place, call in enumerate(sources.top.calls):
        note(f"translating stage {place + 1} of {len(sources.top.calls)}: {call.kernel}")
        stages.append(translate(module, f"stage{place}", shapes, outside))
    _check_ends(sources.top, stages)
    return ProjectRtl(sources.top, tuple(stages), shapes, stored)


def _bytes(width: int) -> int:
    """Of an element of an array, as ap_int.h for clang keeps it."""
    return next((size for size in (1, 2, 4, 8) if width <= 8 * size), -(-width // 64) * 8)


def _cut(value: int, width: int, is_signed: bool) -> int:
    """What a variable of so many bits keeps of a number."""
    kept = value & ((1 << width) - 1)
    return kept - (1 << width) if is_signed and kept >> (width - 1) else kept


def _check_ends(top: Top, stages: list[StageRtl]) -> None:
    """Each stream has one stage that writes it and one that reads it, but for the network's own."""
    for stream, number in top.ports.items():
        ends = [sum(number in stage.outputs for stage in stages), sum(number in stage.inputs for stage in stages)]
        if sum(ends) != (1 if stream in top.ends else 2) or max(ends) > 1:
            raise EdgekitError(f"stream {stream} is written by {ends[0]} stages and read by {ends[1]}")
