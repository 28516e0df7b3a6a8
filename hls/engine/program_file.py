"""The file of an engine's program: jobs, weights and constants as they lie in a board's memory, with a head that says what they are.

This module needs numpy and nothing else, and is copied beside the driver of a project, which reads programs by it. All numbers are
little-endian. The file is put into memory as it is, from a page on:

    0       the head: HEAD below, HEAD_BYTES bytes
    ...     a record of RECORD_BYTES bytes for the input, then one for each output, then the places of the outputs' channels (uint16)
    ...     the jobs of the matrix array, then those of the vector array, JOB_BYTES bytes each
    ...     the weight stream: rows of row_bytes bytes, weights packed at 6 bits

Jobs and weights start at multiples of ALIGNED bytes. The checksum is the CRC-32 (zlib's) of all bytes of the file, with 0 in its place.

An image in memory is its values, a byte each, rows first. A result is the outputs one behind the other, `result_words` words of `simd`
bytes in all; channel c of pixel p of an output is the byte first + p * pixel_bytes + places[c].
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

MAGIC, VERSION = b"edgekitP", 2
ALIGNED, HEAD_BYTES, RECORD_BYTES, JOB_BYTES = 4096, 256, 128, 128
BURST_BYTES = 64
"""The file ends at a multiple of it: a port to memory reads whole words."""
SIZE = ("simd", "words", "banks", "bank_words", "positions", "taps", "row_words")
"""What a program was made for, of the engine's size; as in edgekit.hls.engine.size.EngineSize."""
SECTIONS = ("matrix_jobs", "matrix_at", "vector_jobs", "vector_at", "rows", "rows_at", "row_bytes", "outputs", "records_at")
"""How many there are, and the byte of the file at which they start."""
HEAD = ("version", "engine", "file_bytes", "checksum", *SIZE, "beats", "image_bytes", "result_words", *SECTIONS)
"""uint32 each, behind the magic word; then, from NAME_AT on, the network's name, NAME_BYTES bytes of UTF-8, padded with 0."""
NAME_AT, NAME_BYTES = 8 + 4 * len(HEAD), 64
CHECKSUM_AT = 8 + 4 * HEAD.index("checksum")
RANK_MAX, OUTPUTS_MAX, NAMED = 4, 64, struct.Struct("<64s6Ii2I4I")
"""A record: name, then first, pixels, pixel_bytes, channels, places_at, whether it is signed, binary_point, 0, the rank and the shape."""
JOB = np.dtype([("start", "<i4"), ("row", "<i4"), ("rows", "<i4"), ("unread", "<i4", 2), ("out", "<i4"), ("more", "<i2", 52)])
"""A job as far as it is looked at here; edgekit.hls.engine.descriptor has all of it."""
KERNEL_ROWS, IMAGE_ROWS, LINE, ROW_WORDS = 6, 20, 46, 33
"""Fields of `more`, behind kind, first_row and rows: lines under a kernel, lines of the image, bytes of one, words of one of the result."""
LINE_BYTES_MAX = 8192
"""Bytes of all lines under a kernel; as in edgekit.hls.engine.size."""
LOAD, STORE = 5, 6


class ProgramFileError(ValueError):
    """Why a file is no program that can be run: one sentence."""


@dataclass(frozen=True)
class Named:
    """The input or an output. `places`: of its channels in a pixel; the input has its values one behind the other."""

    name: str
    shape: tuple[int, ...]
    signed: bool
    binary_point: int
    first: int = 0
    pixels: int = 0
    pixel_bytes: int = 0
    places: tuple[int, ...] = ()

    @property
    def values(self) -> int:
        return int(np.prod(self.shape))


@dataclass(frozen=True)
class ProgramFile:
    """`engine`: the identity of the engine that it runs on. `size`: by the names of SIZE. `matrix`, `vector`: the arrays' jobs."""

    network: str
    engine: int
    size: dict[str, int]
    row_bytes: int
    beats: int
    image_bytes: int
    result_words: int
    input: Named
    outputs: tuple[Named, ...]
    matrix: bytes
    vector: bytes
    rows: bytes


@dataclass(frozen=True)
class Placed:
    """A program and where its parts lie in its file, in bytes."""

    program: ProgramFile
    matrix_at: int
    vector_at: int
    rows_at: int


def write_program(program: ProgramFile) -> bytes:
    """The file of a program; read_program is the inverse. Raises ProgramFileError for what the format has no room for."""
    records = [_record(program.input, 0)]
    places_at, places = HEAD_BYTES + RECORD_BYTES * (1 + len(program.outputs)), b""
    for output in program.outputs:
        records.append(_record(output, places_at + len(places)))
        places += np.array(output.places, "<u2").tobytes()
    content = bytearray(HEAD_BYTES) + b"".join(records) + places
    starts = {}
    for name, part in (("matrix_at", program.matrix), ("vector_at", program.vector), ("rows_at", program.rows)):
        content += bytes(-len(content) % ALIGNED)
        starts[name] = len(content)
        content += part
    content += bytes(-len(content) % BURST_BYTES)
    numbers = {
        "version": VERSION,
        "engine": program.engine,
        "file_bytes": len(content),
        "checksum": 0,
        **program.size,
        "beats": program.beats,
        "image_bytes": program.image_bytes,
        "result_words": program.result_words,
        "matrix_jobs": len(program.matrix) // JOB_BYTES,
        "vector_jobs": len(program.vector) // JOB_BYTES,
        "rows": len(program.rows) // program.row_bytes,
        "row_bytes": program.row_bytes,
        "outputs": len(program.outputs),
        "records_at": HEAD_BYTES,
        **starts,
    }
    if len(content) >= 1 << 32:
        raise ProgramFileError(f"a program of {len(content):,} bytes: a file holds less than 4 GiB")
    content[: NAME_AT + NAME_BYTES] = MAGIC + struct.pack(f"<{len(HEAD)}I", *(numbers[name] for name in HEAD)) + _text(program.network)
    content[CHECKSUM_AT : CHECKSUM_AT + 4] = struct.pack("<I", zlib.crc32(content))
    return bytes(content)


def read_program(content: bytes, engine: int | None = None) -> Placed:
    """The program in a file.

    Args:
        engine: the identity of the engine that is to run it; None where it may be any.

    Raises:
        ProgramFileError: it is no program, is damaged, of another version, for another engine, or reads or writes beyond its memory.
    """
    head = _head(content, engine)
    parts = [
        _part(content, head["matrix_at"], head["matrix_jobs"], JOB_BYTES, "jobs of the matrix array"),
        _part(content, head["vector_at"], head["vector_jobs"], JOB_BYTES, "jobs of the vector array"),
        _part(content, head["rows_at"], head["rows"], head["row_bytes"], "weights"),
    ]
    if head["outputs"] > OUTPUTS_MAX:
        raise ProgramFileError(f"the program has {head['outputs']:,} outputs; there are {OUTPUTS_MAX} at most")
    records = _part(content, head["records_at"], 1 + head["outputs"], RECORD_BYTES, "records", aligned=1)
    named = [_named(content, records[RECORD_BYTES * number :][:RECORD_BYTES]) for number in range(1 + head["outputs"])]
    program = ProgramFile(
        network=_name(content[NAME_AT : NAME_AT + NAME_BYTES]),
        engine=head["engine"],
        size={name: head[name] for name in SIZE},
        row_bytes=head["row_bytes"],
        beats=head["beats"],
        image_bytes=head["image_bytes"],
        result_words=head["result_words"],
        input=named[0],
        outputs=tuple(named[1:]),
        matrix=parts[0],
        vector=parts[1],
        rows=parts[2],
    )
    _check_reach(program, head["rows"])
    return Placed(program, head["matrix_at"], head["vector_at"], head["rows_at"])


def _head(content: bytes, engine: int | None) -> dict[str, int]:
    if len(content) < HEAD_BYTES or content[:8] != MAGIC:
        raise ProgramFileError("this is no program of an engine; 'edgekit hls NETWORK --board BOARD' writes one")
    head = dict(zip(HEAD, struct.unpack_from(f"<{len(HEAD)}I", content, 8)))  # noqa: B905  boards have Python 3.8
    if head["version"] != VERSION:
        raise ProgramFileError(
            f"the program is of version {head['version']} and this reads {VERSION}; make program and project with one version of edgekit"
        )
    if head["file_bytes"] != len(content):
        raise ProgramFileError(f"the program has {len(content):,} of {head['file_bytes']:,} bytes; copy it again")
    blank = content[:CHECKSUM_AT] + bytes(4) + content[CHECKSUM_AT + 4 : HEAD_BYTES]
    if zlib.crc32(memoryview(content)[HEAD_BYTES:], zlib.crc32(blank)) != head["checksum"]:
        raise ProgramFileError("the program is damaged: its checksum is not that of its bytes; copy it again")
    if engine is not None and head["engine"] != engine:
        size = ", ".join(f"{name} {head[name]}" for name in SIZE)
        raise ProgramFileError(
            f"the program is for engine {head['engine']:08x} ({size}), and this is engine {engine:08x};"
            " make it with 'edgekit hls' for this board, with the edgekit that the bitstream is of"
        )
    return head


def _part(content: bytes, first: int, count: int, each: int, what: str, aligned: int = ALIGNED) -> bytes:
    end = first + count * each
    if each == 0 or first % aligned or not HEAD_BYTES <= first <= end <= len(content):
        raise ProgramFileError(f"the program's {what} do not lie in the file")
    return content[first:end]


def _record(named: Named, places_at: int) -> bytes:
    shape = (*named.shape, 0, 0, 0, 0)[:RANK_MAX]
    if len(named.shape) > RANK_MAX:
        raise ProgramFileError(f"'{named.name}' has {len(named.shape)} axes; there are {RANK_MAX} at most")
    numbers = (named.first, named.pixels, named.pixel_bytes, len(named.places), places_at if named.places else 0, int(named.signed))
    found = NAMED.pack(_text(named.name), *numbers, named.binary_point, 0, len(named.shape), *shape)
    return found.ljust(RECORD_BYTES, b"\0")


def _named(content: bytes, record: bytes) -> Named:
    name, first, pixels, pixel_bytes, channels, places_at, signed, point, _, rank, *shape = NAMED.unpack_from(record)
    if rank > RANK_MAX or signed > 1 or 0 in shape[:rank]:
        raise ProgramFileError("a record of the program says no shape or type")
    places: Any = np.frombuffer(_part(content, places_at, channels, 2, "places of channels", aligned=1), "<u2") if channels else ()
    return Named(_name(name), tuple(shape[:rank]), bool(signed), point, first, pixels, pixel_bytes, tuple(int(one) for one in places))


def _check_reach(program: ProgramFile, rows: int) -> None:
    """Whoever runs it reads and writes memory by these numbers."""
    if program.input.values != program.image_bytes:
        raise ProgramFileError(f"the program's image has {program.image_bytes:,} bytes, and its input {program.input.values:,} values")
    result_bytes = program.result_words * program.size["simd"]
    for output in program.outputs:
        inside = output.places and max(output.places) < output.pixel_bytes
        if (
            not inside
            or output.pixels * len(output.places) != output.values
            or output.first + output.pixels * output.pixel_bytes > result_bytes
        ):
            raise ProgramFileError(f"the program's output '{output.name}' does not lie in its result")
    for part in (program.matrix, program.vector):
        jobs = np.frombuffer(part, JOB)
        if ((jobs["row"] < 0) | (jobs["rows"] < 0) | (jobs["row"].astype(np.int64) + jobs["rows"] > rows)).any():
            raise ProgramFileError("a job of the program reads weights that are not there")
    vector = np.frombuffer(program.vector, JOB)
    kind, first, count = (vector["more"][:, number].astype(np.int64) for number in (0, 1, 2))
    lines, height, line = (vector["more"][:, number].astype(np.int64) for number in (KERNEL_ROWS, IMAGE_ROWS, LINE))
    outside = (height < 0) | (line < 0) | (height * line > program.image_bytes) | (lines * line > LINE_BYTES_MAX)
    if ((kind == LOAD) & outside).any():
        raise ProgramFileError("a job of the program reads beyond the image")
    end = vector["out"] + (first + count) * vector["more"][:, ROW_WORDS].astype(np.int64)
    if ((kind == STORE) & ((first < 0) | (vector["out"] < 0) | (end > program.result_words))).any():
        raise ProgramFileError("a job of the program writes beyond the result")


def _text(text: str) -> bytes:
    return text.encode()[:NAME_BYTES].decode(errors="ignore").encode().ljust(NAME_BYTES, b"\0")


def _name(content: bytes) -> str:
    text = content.rstrip(b"\0").decode(errors="replace")
    if not text or not text.isprintable():
        raise ProgramFileError("a name in the program is empty or unprintable")
    return text
