"""From a graph to the program of an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.graph import (
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Op,
    Reshape,
    Slice,
)
from edgekit.hls.engine.estimate import DdrRate, memory_waits
from edgekit.hls.engine.lower import Lowered
from edgekit.hls.engine.lowering import Lowering, begin
from edgekit.hls.engine.matrix_ops import conv, dense, matmul
from edgekit.hls.engine.order import cuts_of, heights, order_of, uses_of
from edgekit.hls.engine.placement import place
from edgekit.hls.engine.program import JOB_READ_BYTES, Program, Step, Traffic, chain_beats, map_bytes
from edgekit.hls.engine.schedule import access_of, scheduled
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.engine.tables import with_tables
from edgekit.hls.engine.vector_ops import add, concat, cut, depthwise, keep, load, lookup, max_pool, multiply, reshape, upsample

LOWER: Mapping[type[Op], Callable[[Lowering, Any], None]] = {
    Conv2D: conv,
    DepthwiseConv2D: depthwise,
    DepthwiseConv2DTranspose: upsample,
    Dense: dense,
    Add: add,
    Multiply: multiply,
    MatMul: matmul,
    Concat: concat,
    Slice: cut,
    MaxPool: max_pool,
    Lookup: lookup,
    Reshape: reshape,
}
"""What adds an op's tasks."""
POSITIONS = (512, 256, 128, 64, 1)
"""Cells of a job that are tried, for all layers and then for those of one width: large jobs read weights less often and have fewer ends,
small ones need less memory and let the two arrays overlap."""
SLACKS = (1, 0)
CUTS = (0, 1 / 32, 1 / 8, 1 / 4, 1 / 2)
"""Shares of the map memory up to which a tensor that everything goes through is held whole."""
ROUNDS = 2


@dataclass(frozen=True)
class Plan:
    """How the order and the memory are made: cells of a job by the width of its map, and of some tasks by their own, tiles of slack,
    the words up to which maps are cuts."""

    positions: Mapping[int, int]
    own: Mapping[int, int]
    slack: int
    cut_words: int


@dataclass
class _Search:
    """The best program so far, its cycles and the plan that it was made with; what was tried; the words that were missing."""

    here: Lowering
    rate: DdrRate | None
    best: Program | None = None
    cycles: int = 0
    plan: Plan | None = None
    tried: set[tuple[tuple[int, ...], int, frozenset[str]]] = field(default_factory=set)
    missing: list[int] = field(default_factory=list)

    def attempt(self, plan: Plan) -> None:
        lowered = self.here.lowered
        height = heights(lowered.tasks, self.here.size, plan.positions, plan.own)
        cuts = cuts_of(lowered, plan.cut_words)
        key = (tuple(height), plan.slack, cuts)
        if key in self.tried:
            return
        self.tried.add(key)
        found = _program(self.here, height, plan.slack, cuts, self.cycles)
        if isinstance(found, int):
            self.missing.append(found)
            return
        if found is None:
            return
        cycles = found.beats + (memory_waits(found, self.rate) if self.rate else 0)
        if self.best is None or cycles < self.cycles:
            self.best, self.cycles, self.plan = found, cycles, plan


def compile_graph(graph: IntegerGraph, size: EngineSize, rate: DdrRate | None = None) -> Program:
    """The fastest program that was found.

    Args:
        rate: what memory gives; None where waiting for it shall not count.

    Raises:
        EdgekitError: the network does not fit the engine; the message names what is too small.
    """
    here = lower(graph, size)
    widths = sorted({task.cols for task in here.lowered.tasks}, reverse=True)
    search = _Search(here, rate)
    for number, slack, share in product(POSITIONS, SLACKS, CUTS):
        search.attempt(Plan(dict.fromkeys(widths, number), {}, slack, int(share * size.map_words)))
    for _, width in product(range(ROUNDS), widths):
        for number, slack in product(POSITIONS, SLACKS):
            if search.plan:
                search.attempt(replace(search.plan, positions={**search.plan.positions, width: number}, slack=slack))
    for task, number in product(_narrowing(here.lowered), POSITIONS):
        if search.plan:
            search.attempt(replace(search.plan, own={**search.plan.own, task: number}))
    if search.best is None:
        raise EdgekitError(
            f"{graph.name} does not fit an engine with {size.map_bytes:,} bytes of map memory: there is no room for"
            f" {min(search.missing) * size.simd:,} bytes of rows that are needed at the same time. Take a board with more block RAM, or a"
            " smaller --size"
        )
    return search.best


def _narrowing(lowered: Lowered) -> list[int]:
    """Tasks of the vector array that make a narrower map than they read: jobs that suit the layers behind them may be too large for those
    before."""
    return [
        index
        for index, task in enumerate(lowered.tasks)
        if not task.matrix and any(lowered.stores[read.store].cols > task.cols > 1 for read in task.reads)
    ]


def lower(graph: IntegerGraph, size: EngineSize) -> Lowering:
    """The tasks of all ops, the image and the results. Raises EdgekitError for a tensor that is no map."""
    here = begin(graph, size)
    load(here)
    for op in graph.ops:
        LOWER[type(op)](here, op)
    for name in dict.fromkeys(here.root(name) for name in graph.outputs):
        keep(here, name)
    return here


def _program(here: Lowering, height: list[int], slack: int, cuts: frozenset[str], worth: int) -> Program | int | None:
    """A program whose tiles have these heights; the words for which there was no room; None where it takes `worth` beats or more.

    `worth`: the cycles of the best program so far, 0 if there is none.
    """
    lowered, size = here.lowered, here.size
    order = order_of(lowered, height, cuts)
    uses = uses_of(lowered, order, slack)
    bases, missing = place(lowered, uses, size)
    if missing:
        return missing
    views = {name: lowered.stores[name].view(base, uses[name].ring) for name, base in bases.items()}
    rows = np.cumsum([0, *(len(task.stream) for task in lowered.tasks)]).tolist()
    steps = []
    for tile in order:
        task = lowered.tasks[tile.task]
        jobs = task.make(views, rows[tile.task], tile.first, tile.rows)
        first, count = tile.first * task.out_rows, tile.rows * task.out_rows
        steps.append(Step(task.op, jobs, chain_beats(jobs, size), task.tensor, first, count, passed=task.passed))
    if 0 < worth <= max(sum(step.passes.beats for step in steps if step.matrix == matrix) for matrix in (True, False)):
        return None
    timing = scheduled(steps, [access_of(lowered, tile) for tile in order], views, size, worth)
    if timing is None:
        return None
    timed, beats = timing
    timed, stream = with_tables(timed, [tile.task for tile in order], [task.stream for task in lowered.tasks], lowered.tables, size)
    traffic = Traffic(
        weights=size.row_bytes * sum(step.passes.rows for step in timed),
        image=sum(map_bytes(job) for step in timed for job in step.jobs if step.tensor or step.op == "input"),
        results=sum(map_bytes(job) for step in timed for job in step.jobs if step.op.startswith("output ")),
        program=JOB_READ_BYTES * sum(len(step.jobs) for step in timed),
    )
    graph = here.graph
    return Program(
        network=graph.name,
        size=size,
        steps=tuple(timed),
        stream=stream.tobytes(),
        input=graph.input,
        outputs=tuple(here.root(name) for name in graph.outputs),
        views=_seen(here, lowered, views),
        same=dict(lowered.same),
        beats=beats,
        traffic=traffic,
    )


def _seen(here: Lowering, lowered: Lowered, views: Mapping[str, Any]) -> dict[str, Any]:
    """Each tensor that a task makes: where it lies, and the bytes of its channels."""
    made = {name: task.output for task in lowered.tasks for name in (task.tensor, task.passed) if name}
    return {name: (views[store], tuple(here.layouts[name].bytes.tolist())) for name, store in made.items()}
