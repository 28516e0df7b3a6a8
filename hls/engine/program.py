"""The program of an engine: jobs, each a few loops over the map memory, and the beats that they take.

Two arrays run side by side. The **matrix array** multiplies a word of the input by lanes x simd weights a beat. The **vector array** does
what each channel does alone, for all lanes a beat: depthwise convolutions, sums and products of two maps, pools, tables, copies, and what
comes from and goes to DDR. Both are driven by the same loops:

    for each group of output channels                      `words` words of them
        for each pass                                      a tap of the kernel, and for the matrix array a word of inputs
            for each position of the job's rows            one a beat: sums[position] = f(sums[position], input word, weights)
    in the last pass the sums are requantized and written

A pass's weights come out of the stream, a row a beat, while the pass before runs. So a pass takes as many beats as it has positions, or
as the next pass has rows of weights if they are more. Nothing waits for anything while a program runs: each job has the beat at which it
starts, and the compiler sees to it that what it reads is there by then.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import ceil
from typing import TypeAlias

from edgekit.graph.ir import Pair
from edgekit.hls.engine.size import EngineSize

PASS_BEATS_MIN = 10
"""A pass comes back to the same sum after so many beats at least: the registers between reading a sum and writing it."""
JOB_BEATS = 4
"""From the end of a job to the start of the next one of the same array."""
JOB_BYTES = 128
"""A job in memory."""
SPAN_BYTES = 16
"""Of a job, what is read a second time, by what brings its rows of weights."""
JOB_READ_BYTES = JOB_BYTES + SPAN_BYTES
LATENCY = 24
"""From the last beat of a job to the first at which what it wrote can be read, and what it read overwritten."""


@dataclass(frozen=True)
class View:
    """A map in memory: `rows` x `cols` pixels of `pixel` words, the last `ring` rows of it held, from word `base` on."""

    base: int
    rows: int
    cols: int
    pixel: int
    ring: int
    signed: bool

    @property
    def row_words(self) -> int:
        return self.cols * self.pixel

    @property
    def words(self) -> int:
        return self.ring * self.row_words


def banks_of(view: View, size: EngineSize) -> range:
    """The banks in which a map lies."""
    return range(view.base // size.bank_words, (view.base + view.words - 1) // size.bank_words + 1)


NOWHERE = View(0, 0, 0, 0, 1, False)


@dataclass(frozen=True)
class Loops:
    """The positions of a job and what it reads at each: as a convolution's window does."""

    first_row: int
    rows: int
    cols: int
    kernel: Pair = (1, 1)
    strides: Pair = (1, 1)
    pad: Pair = (0, 0)
    dilation: Pair = (1, 1)

    @property
    def positions(self) -> int:
        return self.rows * self.cols


class Weights(enum.Enum):
    """Where the matrix array's second factor comes from. Of a map: its cells are the outputs (ROWS), or the inputs (COLUMNS)."""

    STREAM = 0
    ROWS = 1
    COLUMNS = 2


@dataclass(frozen=True)
class MatrixJob:
    """A convolution, a dense layer, or one head of a product of maps.

    x_word, x_words: the words of an input pixel that are summed over. out_word, out_words: those of an output pixel that are written.
    weights: the stream's row at which the job's constants and weights start. y_word: the first word of y's pixels.
    y_first: ROWS: the cell of y that is the first output.
    y_lanes: values in the last word of a sum over channels of y; what lies behind them counts as 0.
    own_bias: a bias for each position, in front of each group's passes.
    table: the number of the table in which the output is looked up, from 1 on; 0: none.
    brings: the table's rows come in front of the job's own, as another table, or none, is on the chip (edgekit.hls.engine.tables).
    """

    loops: Loops
    x: View
    x_word: int
    x_words: int
    out: View
    out_word: int
    out_words: int
    low: int
    high: int
    weights: int
    source: Weights = Weights.STREAM
    y: View = NOWHERE
    y_word: int = 0
    y_first: int = 0
    y_lanes: int = 0
    own_bias: bool = False
    table: int = 0
    brings: bool = False


class Kind(enum.Enum):
    """What the vector array does with a word and the sum."""

    DEPTHWISE = 0
    ADD = 1
    MULTIPLY = 2
    MAX = 3
    COPY = 4
    LOAD = 5
    STORE = 6
    MOVE = 7


@dataclass(frozen=True)
class VectorJob:
    """What the vector array does, a group of `words` words after the other.

    taps, walk: DEPTHWISE takes so many neighbouring columns of the kernel a pass, and reads so many columns a row for it.
    x_word, out_word, count: the first word of a pixel that is read, the first that is written, and how many.
    out_first, out_step: where in the output position (0, 0) lies, and how far the next one is.
    y_cell: y is one pixel for all positions, read before them. pair: x and y lie in different banks and are read in one beat.
    shift: MULTIPLY's requantize.
    table, brings: DEPTHWISE and COPY: as a MatrixJob's.
    line: LOAD and STORE: bytes of a row in DDR. columns: LOAD: bytes from a pixel to the next, where the first starts, how many it has of
        each line. The lines are those under the window of its loops; x has their number.
    moved: MOVE: how many steps, bytes a step, and for x and the output the first byte and the bytes from one step to the next.
    """

    kind: Kind
    loops: Loops
    out: View
    count: int
    x: View = NOWHERE
    y: View = NOWHERE
    x_word: int = 0
    out_word: int = 0
    taps: int = 1
    walk: int = 0
    out_first: Pair = (0, 0)
    out_step: Pair = (1, 1)
    y_cell: bool = False
    pair: bool = False
    low: int = -128
    high: int = 255
    shift: int = 0
    table: int = 0
    brings: bool = False
    line: int = 0
    columns: tuple[int, int, int] = (0, 0, 0)
    moved: tuple[int, int, int, int, int, int] = (0, 0, 0, 0, 0, 0)
    weights: int = 0


Job: TypeAlias = MatrixJob | VectorJob


@dataclass(frozen=True)
class Passes:
    """The beats of a job, and the rows of the stream that it reads.

    head: rows that must have come before it starts. last: beats of its last pass, in which the next job's head comes.
    written: beats until its first group is written. group: from one group to the next. word: MatrixJob: from one input word to the next.
    table: rows of the table that it brings, which come before the head. spare: beats of the last pass in which the next job's table may
        come: none where the job looks its own outputs up.
    """

    beats: int
    head: int
    last: int
    rows: int
    written: int
    group: int
    word: int = 0
    table: int = 0
    spare: int = 0


def map_bytes(job: Job) -> int:
    """Bytes that LOAD and STORE move between DDR and the chip."""
    if not isinstance(job, VectorJob) or job.kind not in (Kind.LOAD, Kind.STORE):
        return 0
    loops = job.loops
    if job.kind is Kind.STORE:
        return job.line * loops.rows
    tops = [row * loops.strides[0] - loops.pad[0] for row in range(loops.first_row, loops.first_row + loops.rows)]
    return job.line * sum(0 <= top + number < job.x.rows for top in tops for number in range(loops.kernel[0]))


def passes_of(job: Job, size: EngineSize) -> Passes:
    """From the same loops that run."""
    found = _matrix(job, size) if isinstance(job, MatrixJob) else _vector(job, size)
    table = size.table_rows * job.brings
    return replace(found, table=table, rows=table + found.rows, spare=0 if job.table else found.last)


def gap_beats(before: Passes, now: Passes) -> int:
    """From the end of a job to the start of the next one of the same array: what comes in front of it comes in the last pass of the job
    before as far as it may."""
    return max(JOB_BEATS, now.table + now.head - (before.spare if now.table else before.last))


def _streamed(groups: int, passes: int, positions: int, constants: int, each: Pair) -> Passes:
    """Each pass takes its positions, or the rows of the pass behind it.

    each: rows of a pass of all groups but the last, and of the last one.
    """
    place = max(positions, PASS_BEATS_MIN)
    rows, last = each
    first = rows if groups > 1 else last
    before = (groups - 1) * (passes - 1) * max(place, rows) + max(0, groups - 2) * max(place, constants + rows)
    beats = before + (groups > 1) * max(place, constants + last) + (passes - 1) * max(place, last) + place
    written = (passes - 1) * max(place, first) + place
    group = written - place + max(place, constants + first)
    read = groups * constants + passes * ((groups - 1) * rows + last)
    return Passes(beats, constants + first, place, read, written, group, max(place, first))


def _matrix(job: MatrixJob, size: EngineSize) -> Passes:
    groups = ceil(job.out_words / size.words)
    kernel_h, kernel_w = job.loops.kernel
    passes = kernel_h * kernel_w * job.x_words
    if job.source is Weights.STREAM:
        each = size.group_rows(size.words), size.group_rows(job.out_words - (groups - 1) * size.words)
        return _streamed(groups, passes, job.loops.positions, size.constant_rows, each)
    place = max(job.loops.positions, PASS_BEATS_MIN)
    constants = size.constant_rows * (job.loops.positions if job.own_bias else 1)
    group = constants + passes * (size.lanes + place)
    return Passes(groups * group, 0, place, groups * constants, group, group, size.lanes + place)


def _vector(job: VectorJob, size: EngineSize) -> Passes:
    groups, loops = ceil(job.count / size.words), job.loops
    if job.kind is Kind.DEPTHWISE:
        rows = size.weight_rows(job.taps * size.words)
        passes = loops.kernel[0] * ceil(loops.kernel[1] / job.taps)
        return _streamed(groups, passes, loops.rows * job.walk, size.constant_rows, (rows, rows))
    if job.kind in (Kind.MOVE, Kind.LOAD, Kind.STORE):
        steps = job.moved[0] * job.moved[1] if job.kind is Kind.MOVE else ceil(loops.cols * job.count / size.words)
        beats = max(loops.rows * steps, PASS_BEATS_MIN)
        return Passes(beats, 0, beats, 0, beats, 0)
    place = max(loops.positions, PASS_BEATS_MIN)
    two = 1 if job.pair else 2
    passes = {Kind.ADD: two, Kind.MULTIPLY: two, Kind.MAX: loops.kernel[0] * loops.kernel[1]}.get(job.kind, 1)
    group = PASS_BEATS_MIN + place if job.y_cell else passes * place
    return Passes(groups * group, 0, place, 0, group, group)


def chained(before: Step, after: Step, size: EngineSize) -> int:
    """Beats from the start of a step to the earliest start of one that reads what it writes.

    The other array need not wait for the end: both go through the words of a pixel in the same order, each when it has been written.
    """
    end = before.passes.beats + LATENCY
    if len(before.jobs) > 1 or len(after.jobs) > 1 or before.matrix == after.matrix:
        return end
    maker, taker = before.jobs[0], after.jobs[0]
    made, taken = before.passes, after.passes
    words = maker.out.pixel
    if not made.group or maker.out_word or words != (maker.out_words if isinstance(maker, MatrixJob) else maker.count):
        return end
    last = (words - 1) // size.words
    if isinstance(taker, MatrixJob):
        if taker.x_word or taker.x_words != words or taker.y.words:
            return end
        gaps = [made.written + group * made.group - group * size.words * taken.word for group in (0, last)]
    else:
        if not taken.group or taker.x_word or taker.count != words:
            return end
        gaps = [made.written + group * (made.group - taken.group) for group in (0, last)]
    return max(gaps) + LATENCY


@dataclass(frozen=True)
class Step:
    """The jobs that make some rows of a tensor, one after the other on one array, from beat `start` on until `end`.

    `passes`: of all jobs. `tensor`, `first_row`, `rows`: what they write; "" if it is none of the graph's. `passed`: the tensor that they
    look up on its way to it, "" if there is none.
    """

    op: str
    jobs: tuple[Job, ...]
    passes: Passes
    tensor: str
    first_row: int
    rows: int
    start: int = 0
    end: int = 0
    passed: str = ""

    @property
    def matrix(self) -> bool:
        return isinstance(self.jobs[0], MatrixJob)


@dataclass(frozen=True)
class Traffic:
    """DDR bytes a frame."""

    weights: int = 0
    image: int = 0
    results: int = 0
    program: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.image + self.results + self.program


@dataclass(frozen=True)
class Program:
    """What an engine of one size runs for one network.

    steps: in an order in which they give the right result one by one; their beats let the two arrays overlap.
    stream: uint8 (rows, row_bytes) as bytes: weights and constants. views: tensor -> where its rows are after a step that wrote them,
        and the byte of a pixel that each channel lies in. beats: of a frame, without waiting for memory.
    """

    network: str
    size: EngineSize
    steps: tuple[Step, ...]
    stream: bytes
    input: str
    outputs: tuple[str, ...]
    views: dict[str, tuple[View, tuple[int, ...]]]
    same: dict[str, str] = field(default_factory=dict)
    beats: int = 0
    traffic: Traffic = Traffic()


def busy(program: Program, matrix: bool) -> int:
    """Beats in which an array has a job."""
    return sum(passes_of(job, program.size).beats for step in program.steps if step.matrix == matrix for job in step.jobs)


def chain_beats(jobs: Sequence[Job], size: EngineSize) -> Passes:
    """Of jobs on one array, one behind the other."""
    every = [passes_of(job, size) for job in jobs]
    if len(every) == 1:
        return every[0]
    beats = every[0].beats
    for before, now in pairwise(every):
        beats += gap_beats(before, now) + now.beats
    return replace(every[-1], beats=beats, head=every[0].head, table=every[0].table, rows=sum(one.rows for one in every))
