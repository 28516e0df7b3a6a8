"""What each op asks of the engine: tasks, of which each gives the jobs that make any rows of its output.

A task knows nothing of addresses: it is given the views of what it reads and writes when the compiler has placed them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from edgekit.arrays import Array
from edgekit.graph.ir import Pair
from edgekit.hls.engine.maps import Layout
from edgekit.hls.engine.program import Job, View

Views: TypeAlias = Mapping[str, View]


@dataclass(frozen=True)
class Read:
    """Rows of a map that rows of the output need. `kernel`: rows from its first tap to its last; 0: all."""

    store: str
    rows: int
    kernel: int = 1
    stride: int = 1
    pad: int = 0

    def needs(self, first: int, count: int) -> Pair:
        """The first row, and the one behind the last; both 0 if it is all padding."""
        if not self.kernel:
            return 0, self.rows
        low = max(0, first * self.stride - self.pad)
        high = min(self.rows, (first + count - 1) * self.stride - self.pad + self.kernel)
        return (low, high) if low < high else (0, 0)


@dataclass(frozen=True)
class Store:
    """Memory for a map: `rows` of `cols` pixels. `whole`: all rows have to be held at a time, as something reads it in another shape."""

    name: str
    rows: int
    cols: int
    layout: Layout
    signed: bool
    whole: bool = False

    @property
    def row_words(self) -> int:
        return self.cols * self.layout.pixel

    def view(self, base: int, ring: int) -> View:
        return View(base, self.rows, self.cols, self.layout.pixel, ring, self.signed)


Make: TypeAlias = Callable[[Views, int, int, int], tuple[Job, ...]]
"""Views by store, the stream's row where the task's rows start, first row, rows -> jobs, all on one array."""


@dataclass(frozen=True)
class Task:
    """An op, or a part of it, on one array.

    rows, cols: of the positions that it goes through. output: the store that it writes, "" for results that leave the chip.
    out_rows: rows of that store for each row of positions. stream: uint8 (rows, row_bytes), what it reads of the weight stream but for
        tables; jobs that look up use one table, and start at its first row.
    tensor: the tensor of the graph that is there when it has run, "" if none; passed: the one that it was before it was looked up.
    """

    op: str
    matrix: bool
    reads: tuple[Read, ...]
    output: str
    rows: int
    cols: int
    make: Make
    stream: Array
    tensor: str = ""
    passed: str = ""
    out_rows: int = 1


@dataclass
class Lowered:
    """What a graph becomes: stores and tasks by name, in the order of the ops. `same`: a tensor -> the one that holds its integers.
    `tables`: uint8 (256,) each, of which jobs have the numbers, from 1 on."""

    stores: dict[str, Store] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)
    same: dict[str, str] = field(default_factory=dict)
    tables: list[Array] = field(default_factory=list)
