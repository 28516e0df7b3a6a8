"""The beat at which each step starts: as early as what it reads is there, what it overwrites is no longer needed, its array is free and
no other step has its banks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from edgekit.hls.engine.lower import Lowered
from edgekit.hls.engine.order import Tile
from edgekit.hls.engine.program import JOB_BEATS, LATENCY, Step, View, banks_of, chained
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.engine.tables import behind, first_table

AHEAD = 40
"""Steps of an array, in order, among which the next one is chosen."""


@dataclass(frozen=True)
class Span:
    """Rows of a store that a step reads or writes."""

    store: str
    low: int
    high: int


@dataclass(frozen=True)
class Access:
    """What a step touches."""

    reads: tuple[Span, ...]
    writes: tuple[Span, ...]


def access_of(lowered: Lowered, tile: Tile) -> Access:
    task = lowered.tasks[tile.task]
    reads = tuple(Span(read.store, *read.needs(tile.first, tile.rows)) for read in task.reads)
    low, high = tile.first * task.out_rows, (tile.first + tile.rows) * task.out_rows
    return Access(tuple(one for one in reads if one.low < one.high), (Span(task.output, low, high),) if task.output else ())


def previous_writers(accesses: Sequence[Access]) -> list[int | None]:
    """Of each step, the one before it that writes its store: only a store's first step waits for what was in its memory before."""
    last: dict[str, int] = {}
    found: list[int | None] = []
    for index, access in enumerate(accesses):
        found.append(next((last[span.store] for span in access.writes if span.store in last), None))
        last |= {span.store: index for span in access.writes}
    return found


def before(accesses: Sequence[Access], views: Mapping[str, View]) -> list[dict[int, bool]]:
    """Of each step, those that it waits for: True where it only reads what they write, False where it writes where they read or wrote."""
    neighbours = _neighbours(views)
    readers: dict[str, list[tuple[int, Span]]] = defaultdict(list)
    writers: dict[str, list[tuple[int, Span]]] = defaultdict(list)
    found: list[dict[int, bool]] = []
    for index, access in enumerate(accesses):
        waits: dict[int, bool] = {}
        for span in access.reads:
            waits |= {step: True for step, one in writers[span.store] if one.low < span.high and span.low < one.high}
        for span in access.writes:
            high = span.high - views[span.store].ring
            waits |= {step: False for step, one in (*readers[span.store], *writers[span.store]) if one.low < high}
            if not writers[span.store]:
                for other in neighbours[span.store]:
                    waits |= {step: False for step, _ in (*readers[other], *writers[other])}
        for span in access.reads:
            readers[span.store].append((index, span))
        for span in access.writes:
            writers[span.store].append((index, span))
        found.append(waits)
    return found


def _neighbours(views: Mapping[str, View]) -> dict[str, list[str]]:
    """Stores that share words."""
    found: dict[str, list[str]] = {name: [] for name in views}
    names = sorted(views, key=lambda name: views[name].base)
    for number, left in enumerate(names):
        end = views[left].base + views[left].words
        for right in names[number + 1 :]:
            if views[right].base >= end:
                break
            found[left].append(right)
            found[right].append(left)
    return found


def scheduled(
    steps: Sequence[Step], accesses: Sequence[Access], views: Mapping[str, View], size: EngineSize, worth: int = 0
) -> tuple[list[Step], int] | None:
    """The steps with their beats, in the same order, and the beats of all; None once these must be `worth` or more, if that is not 0.

    As the order of an array's steps is known here, so is which of their jobs bring a table; steps are given as if none did.
    """
    steps = list(steps)
    waits, follows = before(accesses, views), previous_writers(accesses)
    banks = [_ports(access, views, size) for access in accesses]
    arrays = [step.matrix for step in steps]
    queues = {matrix: [index for index, one in enumerate(arrays) if one == matrix] for matrix in (True, False)}
    free, head_from, table_from, held = ({True: 0, False: 0} for _ in range(4))
    tables = [first_table(step.jobs) for step in steps]
    bringing: dict[int, Step] = {}
    ports = {matrix: [0] * (2 * size.banks) for matrix in (True, False)}
    ends: dict[int, int] = {}
    starts: dict[int, int] = {}
    ready: dict[int, int] = {}
    blocked: dict[int, int] = {}  # a step, and one that it waits for
    left = {matrix: sum(steps[index].passes.beats + JOB_BEATS for index in queue) for matrix, queue in queues.items()}
    while queues[True] or queues[False]:
        best: tuple[int, int] | None = None
        for matrix, queue in queues.items():
            floor, others = free[matrix], ports[not matrix]
            for index in queue[:AHEAD]:
                if best is not None and best < (floor, index):
                    break  # none of these starts before `floor`, and of those that start there the first is taken
                if index not in ready:
                    if index in blocked and blocked[index] not in ends:
                        continue
                    missing = next((step for step in (*waits[index], follows[index]) if step is not None and step not in ends), None)
                    if missing is not None:
                        blocked[index] = missing
                        continue
                    ready[index] = max(
                        (
                            starts[step] + chained(steps[step], steps[index], size) if reads else ends[step] + LATENCY
                            for step, reads in waits[index].items()
                        ),
                        default=0,
                    )
                if tables[index] in (0, held[matrix]):
                    start = max(ready[index], floor, head_from[matrix] + steps[index].passes.head)
                else:
                    if index not in bringing:
                        bringing[index], _ = behind(steps[index], 0, size)
                    passes = bringing[index].passes
                    start = max(ready[index], floor, (table_from if passes.table else head_from)[matrix] + passes.table + passes.head)
                if best is not None and best < (start, index):
                    continue
                for port in banks[index]:
                    if others[port] > start:
                        start = others[port]
                if best is None or (start, index) < best:
                    best = (start, index)
        if best is None:
            raise AssertionError("steps wait for each other")
        start, index = best
        matrix, least = arrays[index], steps[index].passes.beats
        if tables[index]:
            steps[index], held[matrix] = behind(steps[index], held[matrix], size)
        passes = steps[index].passes
        end = start + passes.beats
        starts[index], ends[index] = start, end
        free[matrix], head_from[matrix], table_from[matrix] = end + JOB_BEATS, end - passes.last, end - passes.spare
        for port in banks[index]:
            ports[matrix][port] = end + LATENCY
        queues[matrix].remove(index)
        left[matrix] -= least + JOB_BEATS
        if 0 < worth <= end + left[matrix]:
            return None
    return [replace(step, start=starts[index], end=ends[index]) for index, step in enumerate(steps)], max(
        ends.values(), default=0
    ) + LATENCY


def _ports(access: Access, views: Mapping[str, View], size: EngineSize) -> tuple[int, ...]:
    """Of every bank that a step uses: its number where it is written, and behind all of these where it is read."""
    found: set[int] = set()
    for first, spans in ((size.banks, access.reads), (0, access.writes)):
        for span in spans:
            found.update(first + bank for bank in banks_of(views[span.store], size))
    return tuple(found)
