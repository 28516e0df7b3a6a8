"""Which jobs bring the table that they look their outputs up in: those whose array has another one, or none, when they start.

Each array has one table. A program starts with none on either of them, so that a frame does not rest on the one before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekit.arrays import Array
from edgekit.hls.engine.program import Job, Step, chain_beats
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.engine.stream import table_rows


def first_table(jobs: Sequence[Job]) -> int:
    """The number of the table that has to be there first, 0 if none has."""
    return next((job.table for job in jobs if job.table), 0)


def brought(jobs: Sequence[Job], held: int) -> tuple[tuple[Job, ...], int]:
    """The jobs of an array, in the order in which they run, with those that bring their table; and the number of the table that is there
    behind them. `held`: of the one that is there before, 0 if there is none."""
    found = []
    for job in jobs:
        found.append(replace(job, brings=job.table not in (0, held)))
        held = job.table or held
    return tuple(found), held


def behind(step: Step, held: int, size: EngineSize) -> tuple[Step, int]:
    """The step where its array has the table `held`, and the table that it has then."""
    jobs, then = brought(step.jobs, held)
    return replace(step, jobs=jobs, passes=chain_beats(jobs, size)), then


def with_tables(
    steps: Sequence[Step], tasks: Sequence[int], streams: Sequence[Array], tables: Sequence[Array], size: EngineSize
) -> tuple[list[Step], Array]:
    """The whole weight stream: of each task its table, where one of its jobs brings it, and its rows; and the steps with the rows at which
    their jobs start there.

    Args:
        tasks: the number of each step's task.
        streams: uint8 (rows, row_bytes) of each task; where these lie one behind the other the steps' jobs have their rows.
        tables: uint8 (256,) each.
    """
    brings = {task: job.table for step, task in zip(steps, tasks, strict=True) for job in step.jobs if job.brings}
    more = [size.table_rows * (task in brings) for task in range(len(streams))]
    first = np.cumsum([0, *more]).tolist()
    moved = []
    for step, task in zip(steps, tasks, strict=True):
        jobs = tuple(replace(job, weights=job.weights + first[task] + (0 if job.brings else more[task])) for job in step.jobs)
        moved.append(replace(step, jobs=jobs))
    parts = []
    for task, rows in enumerate(streams):
        if task in brings:
            parts.append(table_rows(tables[brings[task] - 1], size))
        parts.append(rows)
    return moved, np.concatenate(parts)
