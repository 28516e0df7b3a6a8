"""The file of an engine's program: what is written is read; what is damaged, hostile or for another engine is refused by one message."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engine_runs import TINY, WIDE
from hand_graphs import small_mobilenet
from random_graphs import graph_of_every_op

from edgekit.errors import EdgekitError
from edgekit.hls.engine import descriptor, program_file, size
from edgekit.hls.engine.compiler import compile_graph
from edgekit.hls.engine.pack import open_program
from edgekit.hls.engine.pack import program_file as packed
from edgekit.hls.engine.program import JOB_BYTES, Kind
from edgekit.hls.engine.program_file import CHECKSUM_AT, HEAD, HEAD_BYTES, ProgramFileError, read_program, write_program

ENGINE = 0xC0FFEE05


@pytest.fixture(scope="module")
def content() -> bytes:
    graph = small_mobilenet(np.random.default_rng(1), size=16)
    return packed(compile_graph(graph, WIDE), graph, ENGINE)


def with_head(content: bytes, **numbers: int) -> bytes:
    """The file with other numbers in its head, and the checksum that belongs to them."""
    found = bytearray(content)
    for name, number in numbers.items():
        struct.pack_into("<I", found, 8 + 4 * HEAD.index(name), number)
    return with_checksum(found)


def with_checksum(found: bytearray) -> bytes:
    found[CHECKSUM_AT : CHECKSUM_AT + 4] = bytes(4)
    found[CHECKSUM_AT : CHECKSUM_AT + 4] = struct.pack("<I", zlib.crc32(found))
    return bytes(found)


def test_numbers_that_the_module_for_the_board_has_of_its_own_are_those_of_the_compiler() -> None:
    names = [name for name, bits in descriptor.FIELDS for _ in range(bits // 16)]
    more = names[program_file.JOB.fields["more"][1] // 2 :]
    assert more[:3] == ["kind", "first_row", "rows"]
    fields = program_file.KERNEL_ROWS, program_file.IMAGE_ROWS, program_file.LINE, program_file.ROW_WORDS
    assert tuple(more.index(name) for name in ("kernel_h", "x_rows", "line", "out_row_words")) == fields
    assert program_file.LINE_BYTES_MAX == size.LINE_BYTES_MAX
    assert [names[2 * number] for number in range(6)] == ["start", "stream_row", "stream_rows", "x_base", "y_base", "out_base"]
    assert program_file.JOB.itemsize == program_file.JOB_BYTES == JOB_BYTES
    assert (Kind.LOAD.value, Kind.STORE.value) == (program_file.LOAD, program_file.STORE)
    assert set(program_file.SIZE) == set(size.EngineSize.__dataclass_fields__)


@pytest.mark.parametrize("engine", [TINY, WIDE], ids=["tiny", "wide"])
def test_what_is_written_is_read(rng: np.random.Generator, engine: size.EngineSize) -> None:
    graph = graph_of_every_op(rng) if engine is WIDE else small_mobilenet(rng, size=8)
    program = compile_graph(graph, engine)
    found = read_program(packed(program, graph, ENGINE), ENGINE)
    assert write_program(found.program) == packed(program, graph, ENGINE)
    assert found.program.rows == program.stream and found.program.beats == program.beats
    assert {name: getattr(engine, name) for name in program_file.SIZE} == found.program.size
    assert [(one.name, one.shape) for one in found.program.outputs] == [(name, graph.tensors[name].shape) for name in graph.outputs]
    assert {at % 4096 for at in (found.matrix_at, found.vector_at, found.rows_at)} == {0}


def test_weights_are_packed_at_six_bits(content: bytes) -> None:
    program = read_program(content).program
    assert program.row_bytes == 6 * program.size["simd"] * program.size["row_words"] // 8


def test_every_changed_byte_and_every_cut_is_seen(content: bytes, rng: np.random.Generator) -> None:
    places = [*range(HEAD_BYTES), *rng.integers(HEAD_BYTES, len(content), 200).tolist()]
    for place in places:
        with pytest.raises(ProgramFileError):
            read_program(content[:place] + bytes([content[place] ^ (1 << place % 8)]) + content[place + 1 :])
    for end in (0, 7, HEAD_BYTES - 1, HEAD_BYTES, len(content) - 1):
        with pytest.raises(ProgramFileError):
            read_program(content[:end])


def test_hostile_numbers_with_a_right_checksum_lead_nowhere_outside(content: bytes, rng: np.random.Generator) -> None:
    """Whatever is accepted lies in the file, and its jobs in what it says it reads and writes."""
    extremes = [0, 1, 255, 4096, 1 << 16, (1 << 31) - 1, 1 << 31, (1 << 32) - 1]
    for name in HEAD[4:]:
        for number in extremes:
            _refused_or_whole(with_head(content, **{name: number}))
    for _ in range(300):
        found = bytearray(content)
        for place in rng.integers(8, len(content), 4):
            found[place] = int(rng.integers(256))
        struct.pack_into("<I", found, 8 + 4 * HEAD.index("version"), program_file.VERSION)
        struct.pack_into("<I", found, 8 + 4 * HEAD.index("file_bytes"), len(content))
        _refused_or_whole(with_checksum(found))


def _refused_or_whole(content: bytes) -> None:
    try:
        found = read_program(content).program
    except ProgramFileError as error:
        assert str(error).isprintable() and len(str(error)) < 400
        return
    for output in found.outputs:
        assert output.first + output.pixels * output.pixel_bytes <= found.result_words * found.size["simd"]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda whole: b"PK" + whole[2:], "no program of an engine; 'edgekit hls NETWORK --board BOARD' writes one"),
        (lambda whole: with_head(whole, version=1), "of version 1 and this reads 2"),
        (lambda whole: with_head(whole, engine=7), r"for engine 00000007 \(simd 16, words 2,.*, and this is engine c0ffee05"),
        (lambda whole: whole[:-1], "bytes; copy it again"),
        (lambda whole: whole[:-1] + b"\x55", "damaged: its checksum"),
        (lambda whole: with_head(whole, rows=3), "reads weights that are not there"),
        (lambda whole: with_head(whole, rows_at=4097), "weights do not lie in the file"),
        (lambda whole: with_head(whole, image_bytes=5), "image has 5 bytes, and its input 768 values"),
        (lambda whole: with_head(whole, result_words=0), "output 'logits' does not lie in its result"),
        (lambda whole: with_head(whole, outputs=65), "there are 64 at most"),
    ],
)
def test_what_is_refused_and_how(content: bytes, tmp_path: Path, spoil: Callable[[bytes], bytes], complaint: str) -> None:
    path = tmp_path / "network.program"
    path.write_bytes(spoil(content))
    with pytest.raises(EdgekitError, match=complaint) as error:
        open_program(path, ENGINE)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)
