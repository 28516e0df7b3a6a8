"""A compiled program as its file, for an engine of one identity."""

from __future__ import annotations

from math import prod
from pathlib import Path

from edgekit.digest import digest_of_parts
from edgekit.errors import EdgekitError
from edgekit.files import MODEL_BYTES_MAX, read_bounded
from edgekit.graph import IntegerGraph, Tensor
from edgekit.hls.engine.descriptor import descriptors
from edgekit.hls.engine.program import Program
from edgekit.hls.engine.program_file import SIZE, Named, Placed, ProgramFile, ProgramFileError, read_program, write_program
from edgekit.plan import safe_name


def identity_of(sources: dict[str, bytes]) -> int:
    """Of an engine, from the C++ that it is synthesized of: 32 bits that its programs name, and that it compares with its own."""
    parts = (part for name, content in sorted(sources.items()) for part in (name.encode(), content))
    return int(digest_of_parts(parts)[:8], 16)


def program_file(program: Program, graph: IntegerGraph, engine: int) -> bytes:
    """The file of a program. Raises EdgekitError for what the format has no room for."""
    tensor = graph.tensors[graph.input]
    named = ProgramFile(
        network=safe_name(graph.name),
        engine=engine,
        size={name: getattr(program.size, name) for name in SIZE},
        row_bytes=program.size.row_bytes,
        beats=program.beats,
        image_bytes=prod(tensor.shape),
        result_words=result_words(program),
        input=Named(tensor.name, tensor.shape, tensor.signed, tensor.binary_point),
        outputs=_outputs(program, [graph.tensors[name] for name in graph.outputs]),
        matrix=descriptors(program, True).astype("<i2").tobytes(),
        vector=descriptors(program, False).astype("<i2").tobytes(),
        rows=program.stream,
    )
    try:
        return write_program(named)
    except ProgramFileError as error:
        raise EdgekitError(f"{graph.name}: {error}") from error


def open_program(path: Path, engine: int | None = None) -> Placed:
    """The program in a file. Raises EdgekitError: it cannot be read, or `engine`, if any, cannot run it."""
    try:
        return read_program(read_bounded(path, MODEL_BYTES_MAX), engine)
    except ProgramFileError as error:
        raise EdgekitError(f"{path}: {error}") from error


def result_words(program: Program) -> int:
    """Words of all results in DDR: each tensor once, whole rows of whole words."""
    return sum(program.views[name][0].rows * program.views[name][0].row_words for name in dict.fromkeys(program.outputs))


def _outputs(program: Program, tensors: list[Tensor]) -> tuple[Named, ...]:
    """Where each is in the result: those that are one tensor in the map memory lie there once."""
    first, place = {}, 0
    for name in dict.fromkeys(program.outputs):
        first[name] = place * program.size.simd
        place += program.views[name][0].rows * program.views[name][0].row_words
    found = []
    for tensor, name in zip(tensors, program.outputs, strict=True):
        view, places = program.views[name]
        pixels, pixel_bytes = view.rows * view.cols, view.pixel * program.size.simd
        found.append(Named(tensor.name, tensor.shape, tensor.signed, tensor.binary_point, first[name], pixels, pixel_bytes, places))
    return tuple(found)
