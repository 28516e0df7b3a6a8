"""Jobs as the engine reads them: JOB_BYTES bytes each, of numbers of 16 and 32 bits, little endian; and the C++ that takes them apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import numpy as np

from edgekit.arrays import Array
from edgekit.hls.engine.program import JOB_BYTES, SPAN_BYTES, Job, Kind, MatrixJob, Program, VectorJob, View, gap_beats, passes_of
from edgekit.hls.engine.size import GATHERED_WORDS, EngineSize

FIELDS: tuple[tuple[str, int], ...] = (
    ("start", 32),
    ("stream_row", 32),
    ("stream_rows", 32),
    ("x_base", 32),
    ("y_base", 32),
    ("out_base", 32),
    *((name, 16) for name in ("kind", "first_row", "rows", "cols", "last", "flags")),
    *((name, 16) for name in ("kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w", "dilation_h", "dilation_w")),
    *((name, 16) for name in ("taps", "walk", "first_h", "first_w", "step_h", "step_w")),
    *((f"{view}_{name}", 16) for view in "xy" for name in ("rows", "cols", "pixel", "ring", "lift", "signed")),
    *((f"out_{name}", 16) for name in ("pixel", "row_words", "ring", "lift")),
    *((name, 16) for name in ("x_word", "x_words", "y_word", "y_first", "y_lanes", "out_word", "count", "low", "high", "shift")),
    *((name, 16) for name in ("line", "column_step", "column_first", "column_bytes")),
)
"""Name and bits. A MOVE's six numbers of 32 bits lie in the fourteen fields from kernel_h on."""
MOVED_FROM = "kernel_h"
OWN_BIAS, Y_CELL, TABLE, PAIR, BRINGS = 1, 2, 4, 8, 16
"""Bits of `flags`."""


def job_words(job: Job, start: int, size: EngineSize) -> Array:
    """int16 (JOB_BYTES / 2,): the descriptor of a job that starts at beat `start`."""
    passes = passes_of(job, size)
    loops = job.loops
    values = {
        "start": start,
        "stream_row": job.weights,
        "stream_rows": passes.rows,
        "first_row": loops.first_row,
        "rows": loops.rows,
        "cols": loops.cols,
        "out_base": job.out.base,
        "out_pixel": job.out.pixel,
        "out_row_words": job.out.row_words,
        "out_ring": job.out.ring,
        "out_word": job.out_word,
        "x_word": job.x_word,
        "low": job.low,
        "high": job.high,
        **_pair("kernel", loops.kernel),
        **_pair("stride", loops.strides),
        **_pair("pad", loops.pad),
        **_pair("dilation", loops.dilation),
        **_view("x", job.x, max(0, loops.first_row * loops.strides[0] - loops.pad[0])),
        **_view("y", job.y, loops.first_row),
    }
    if isinstance(job, MatrixJob):
        values |= {"kind": job.source.value, "x_words": job.x_words, "count": job.out_words}
        values["flags"] = OWN_BIAS * job.own_bias + TABLE * (job.table > 0) + BRINGS * job.brings
        values |= {"y_word": job.y_word, "y_first": job.y_first, "y_lanes": job.y_lanes}
        values["out_lift"] = _lift(loops.first_row, job.out.ring)
    else:
        values |= {"kind": job.kind.value, "count": job.count, "taps": job.taps, "walk": job.walk, "shift": job.shift, "line": job.line}
        values |= {
            "flags": Y_CELL * job.y_cell + TABLE * (job.table > 0) + PAIR * job.pair + BRINGS * job.brings,
            **_pair("first", job.out_first),
            **_pair("step", job.out_step),
        }
        values |= dict(zip(("column_step", "column_first", "column_bytes"), job.columns, strict=True))
        values["out_lift"] = _lift(job.out_first[0] + loops.first_row * job.out_step[0], job.out.ring)
        if job.kind is Kind.MOVE:
            values |= _moved(job)
    found = np.zeros(JOB_BYTES // 2, np.int16)
    place = 0
    for name, bits in FIELDS:
        number = int(values.get(name, 0))
        if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
            raise OverflowError(f"{name} = {number} of a job is beyond {bits} bits")
        for part in range(bits // 16):
            found[place] = np.array(number >> (16 * part) & 0xFFFF, np.uint16).astype(np.int16)
            place += 1
    return found


def _pair(name: str, pair: tuple[int, int]) -> dict[str, int]:
    return {f"{name}_h": pair[0], f"{name}_w": pair[1]}


def _lift(first: int, ring: int) -> int:
    """What takes a row to its place among the rows that are held, or one ring beyond it."""
    return -(first // ring * ring)


def _view(name: str, view: View, first: int) -> dict[str, int]:
    fields = {"base": view.base, "rows": view.rows, "cols": view.cols, "pixel": view.pixel, "ring": view.ring, "signed": int(view.signed)}
    return {f"{name}_{key}": value for key, value in fields.items()} | {f"{name}_lift": _lift(first, view.ring)}


def _moved(job: VectorJob) -> dict[str, int]:
    names = [name for name, _ in FIELDS]
    first = names.index(MOVED_FROM)
    found = {}
    for number, value in enumerate(job.moved):
        low = value & 0xFFFF
        found[names[first + 2 * number]] = low - (low >> 15 << 16)
        found[names[first + 2 * number + 1]] = value >> 16
    return found


def descriptors(program: Program, matrix: bool) -> Array:
    """int16 (jobs, JOB_BYTES / 2): what one array runs, in the order in which it does."""
    found = []
    for step in sorted((step for step in program.steps if step.matrix == matrix), key=lambda one: one.start):
        for job, start in zip(step.jobs, job_starts(step.jobs, step.start, program.size), strict=True):
            found.append(job_words(job, start, program.size))
    return np.stack(found) if found else np.zeros((0, JOB_BYTES // 2), np.int16)


def job_starts(jobs: Sequence[Job], start: int, size: EngineSize) -> list[int]:
    """The beats at which the jobs of a step start."""
    every = [passes_of(job, size) for job in jobs]
    found = [start]
    for before, now in pairwise(every):
        found.append(found[-1] + before.beats + gap_beats(before, now))
    return found


def reader_cpp() -> str:
    """The C++ struct of a job, and the function that reads one: a file that the kernel includes."""
    lines = ["// Made by edgekit.hls.engine.descriptor, which has the meaning of each field.", "", "#ifndef EDGEKIT_ENGINE_JOB_H_"]
    lines += ["#define EDGEKIT_ENGINE_JOB_H_", "", "namespace nnet {", "", "struct engine_job {"]
    lines += [f"    int {name};" for name, _ in FIELDS]
    lines += ["    int moved[6];", "};", ""]
    lines += [f"static const unsigned engine_job_halves = {JOB_BYTES // 2};", ""]
    lines += ["inline engine_job read_engine_job(const short half[engine_job_halves]) {", "    #pragma HLS INLINE", "    engine_job job;"]
    place = 0
    for name, bits in FIELDS:
        if name == MOVED_FROM:
            moved = place
        if bits == 32:
            lines.append(f"    job.{name} = int(half[{place}] & 0xFFFF) + half[{place + 1}] * 65536;")
        else:
            lines.append(f"    job.{name} = half[{place}];")
        place += bits // 16
    lines += ["    for (unsigned i = 0; i < 6; i++) {", "        #pragma HLS UNROLL"]
    lines += [f"        job.moved[i] = int(half[{moved} + 2 * i] & 0xFFFF) + half[{moved} + 2 * i + 1] * 65536;", "    }"]
    lines += ["    return job;", "}", "", *_span_cpp(), "} // namespace nnet", "", "#endif", ""]
    return "\n".join(lines)


def _span_cpp() -> list[str]:
    """What brings an array's rows of weights needs of a job: the numbers of 32 bits in its first SPAN_BYTES."""
    first = [name for name, bits in FIELDS if bits == 32][: SPAN_BYTES // 4]
    lines = [f"static const unsigned engine_span_bytes = {SPAN_BYTES};", "", "struct engine_span {"]
    lines += [*(f"    int {name};" for name in first), "};", ""]
    lines += ["inline engine_span read_engine_span(const short half[engine_span_bytes / 2]) {", "    #pragma HLS INLINE"]
    lines += ["    engine_span of;"]
    lines += [f"    of.{name} = int(half[{2 * at}] & 0xFFFF) + half[{2 * at + 1}] * 65536;" for at, name in enumerate(first)]
    return [*lines, "    return of;", "}", ""]


def size_cpp(size: EngineSize) -> str:
    """The C++ struct of an engine's constants."""
    constants = {
        "simd": size.simd,
        "words": size.words,
        "lanes": size.lanes,
        "banks": size.banks,
        "bank_words": size.bank_words,
        "positions": size.positions,
        "taps": size.taps,
        "row_words": size.row_words,
        "row_bytes": size.row_bytes,
        "constants_a_row": size.constants_a_row,
        "constant_rows": size.constant_rows,
        "table_rows": size.table_rows,
        "table_bytes": size.table_bytes,
        "gathered": GATHERED_WORDS * size.simd,
        "bank_part": ceil(size.bank_words / size.words),
    }
    lines = ["struct engine_size {", *(f"    static const unsigned {name} = {value};" for name, value in constants.items()), "};", ""]
    return "\n".join(lines)
