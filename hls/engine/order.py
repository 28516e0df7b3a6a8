"""In which order rows are made: each as late as something needs it, so that of a tensor only the rows are held that are needed still.

The order is right when its tiles run one by one. The schedule lets them overlap, and keeps what the order says of each byte of memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.hls.engine.lower import Lowered, Task
from edgekit.hls.engine.size import EngineSize


@dataclass(frozen=True)
class Tile:
    """Rows of positions of a task, an index into Lowered.tasks."""

    task: int
    first: int
    rows: int


@dataclass(frozen=True)
class Use:
    """What a store needs: rows held at a time, and the first and last tile, as indices into the order, between which it is in use."""

    ring: int
    first: int
    last: int


def heights(tasks: Sequence[Task], size: EngineSize, positions: Mapping[int, int], own: Mapping[int, int]) -> list[int]:
    """Rows a tile of each task: so many that it has about `positions` cells, by its columns, or by its index in `own`.

    Raises EdgekitError where one row is too much for the engine.
    """
    found = []
    for index, task in enumerate(tasks):
        if task.cols > size.positions:
            raise EdgekitError(
                f"layer '{task.op}' has rows of {task.cols} cells; this engine sums at most {size.positions}. Take a smaller --size"
            )
        rows = max(1, min(own.get(index, positions[task.cols]), size.positions) // task.cols)
        found.append(min(rows, task.rows))
    return found


def cuts_of(lowered: Lowered, words: int) -> frozenset[str]:
    """Stores of at most `words` words, all rows of them, through which everything goes: no other is in use from before it to behind it."""
    tasks = lowered.tasks
    last = {read.store: index for index, task in enumerate(tasks) for read in task.reads}
    found: set[str] = set()
    across: set[str] = set()
    for index, task in enumerate(tasks):
        across = {name for name in across if last[name] > index}
        if task.output in last:
            across.add(task.output)
        if len(across) == 1:
            found |= across
    return frozenset(name for name in found if lowered.stores[name].rows * lowered.stores[name].row_words <= words)


def order_of(lowered: Lowered, height: Sequence[int], cuts: frozenset[str]) -> list[Tile]:
    """All tiles, results first to last. Each task's rows come in ascending order.

    What reads one of `cuts` comes after all of its rows: it is held whole, and what is held of the layers before it is free by then.
    """
    tasks = lowered.tasks
    writer = {task.output: index for index, task in enumerate(tasks) if task.output}
    done = [0] * len(tasks)
    found: list[Tile] = []
    read = {one.store for task in tasks for one in task.reads}
    ends = [index for index, task in enumerate(tasks) if task.output not in read]
    for end in ends:
        stack = [(end, tasks[end].rows * tasks[end].out_rows)]
        while stack:
            index, until = stack[-1]
            task = tasks[index]
            if done[index] * task.out_rows >= until:
                stack.pop()
                continue
            first, rows = done[index], min(height[index], task.rows - done[index])
            missing = _missing(task, first, rows, writer, done, tasks, cuts)
            if missing is not None:
                stack.append(missing)
                continue
            found.append(Tile(index, first, rows))
            done[index] += rows
    return found


def _missing(
    task: Task, first: int, rows: int, writer: dict[str, int], done: Sequence[int], tasks: Sequence[Task], cuts: frozenset[str]
) -> tuple[int, int] | None:
    """The first task that has not yet made the rows that this tile reads, and up to which row it has to.

    The last tile waits for all rows, also those that no window reaches: they are part of the tensor.
    """
    for read in task.reads:
        high = read.rows if first + rows == task.rows or read.store in cuts else read.needs(first, rows)[1]
        source = writer[read.store]
        if done[source] * tasks[source].out_rows < high:
            return source, high
    return None


def uses_of(lowered: Lowered, order: Sequence[Tile], slack: int) -> dict[str, Use]:
    """What each store needs while the order runs.

    Where one array reads what the other wrote, `slack` more tiles of its rows, so that the next ones need not wait for the last.
    """
    tasks = lowered.tasks
    arrays = {task.output: task.matrix for task in tasks}
    crossing = {read.store for task in tasks for read in task.reads if arrays[read.store] != task.matrix}
    made: dict[str, list[tuple[int, int, int]]] = {name: [] for name in lowered.stores}
    needed: dict[str, list[tuple[int, int]]] = {name: [] for name in lowered.stores}
    last: dict[str, int] = {}
    for index, tile in enumerate(order):
        task = tasks[tile.task]
        for read in task.reads:
            low, high = read.needs(tile.first, tile.rows)
            last[read.store] = index
            if low < high:
                needed[read.store].append((index, low))
        if task.output:
            last[task.output] = index
            made[task.output].append((index, tile.first * task.out_rows, (tile.first + tile.rows) * task.out_rows))
    found = {}
    for name, store in lowered.stores.items():
        if not made[name]:
            continue
        ring = store.rows if store.whole else min(store.rows, _ring(made[name], needed[name], slack if name in crossing else 0))
        found[name] = Use(ring, made[name][0][0], last[name])
    return found


def _ring(made: Sequence[tuple[int, int, int]], needed: Sequence[tuple[int, int]], slack: int) -> int:
    """The most rows between the first that a later tile reads and the last that is made."""
    tile = max(high - low for _, low, high in made)
    if not needed:
        return tile
    indices = np.array([index for index, _ in needed])
    lows = np.minimum.accumulate(np.array([low for _, low in needed])[::-1])[::-1]
    most = tile
    for index, _, high in made:
        later = int(np.searchsorted(indices, index, side="right"))
        if later < len(lows):
            most = max(most, high - int(lows[later]))
    return most + slack * tile
