"""The table of operators of a device: how long each one that a space needs takes there, and what they say of whole networks.

MnasNet's and ProxylessNAS's practice (arXiv 1812.00332, section 3.2.1). A unit is one op of the integer graph, or a gate, a product of
two tensors or a join with all that makes it from one tensor, alone in a file. A network takes

    time = start + scale * (sum of the times of its units) + unit * (number of units)

in milliseconds; the three numbers are fitted to whole networks that were measured on the device, and so hold what an invocation costs,
of which a unit that is measured alone has a whole one, and what neighbours in one file do to each other's caches. Other networks,
measured and not fitted to, give the errors that the table states.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.bench.graphs import GraphTimer, TimedOn
from edgekit.digest import digest_of
from edgekit.errors import EdgekitError
from edgekit.files import CONFIG_BYTES_MAX, read_bounded
from edgekit.graph import Add, Concat, GraphBuilder, IntegerGraph, MatMul, Multiply, Op, op_inputs
from edgekit.plan import write_file
from edgekit.progress import Note

SCHEMA = "edgekit-operators/1"
FITTED, TESTED = 20, 30
"""Whole networks that the three numbers are fitted to, and others that the errors are stated of."""
ROUNDS = 3
"""So often all networks are measured, in turns; of each the shortest time counts."""


@dataclass(frozen=True)
class Fit:
    """Milliseconds; `scale` has no unit."""

    start: float
    scale: float
    unit: float


@dataclass(frozen=True)
class Errors:
    """Of networks that were not fitted to: their number, Spearman's rank correlation, and errors relative to the measured time."""

    networks: int
    rank_correlation: float
    mean: float
    worst: float


@dataclass(frozen=True)
class OperatorTable:
    """`times`: milliseconds of each unit, by its key."""

    timed_on: TimedOn
    times: Mapping[str, float]
    fit: Fit | None = None
    errors: Errors | None = None
    pairs: tuple[tuple[float, float], ...] = ()
    """Measured and predicted milliseconds of each network of `errors`."""

    def lacking(self, graph: IntegerGraph) -> dict[str, IntegerGraph]:
        """Units of a graph that were not measured, by key."""
        return {key: unit for key, unit in units_of(graph) if key not in self.times}

    def predicted(self, graph: IntegerGraph) -> float:
        """Milliseconds of one inference. All units are in the table, and it is fitted."""
        assert self.fit is not None
        total, count = self.sums(graph)
        return self.fit.start + self.fit.scale * total + self.fit.unit * count

    def sums(self, graph: IntegerGraph) -> tuple[float, int]:
        """The sum of the units' times, and how many there are."""
        times = [self.times[key] for key, _ in units_of(graph)]
        return sum(times), len(times)


def units_of(graph: IntegerGraph) -> list[tuple[str, IntegerGraph]]:
    """The units of a graph in order, each as a graph of its own, under a key that is equal where the times are."""
    groups: dict[str, tuple[Op, ...]] = {}
    within = set[str]()
    for op in reversed(graph.ops):
        if op.name not in within:
            groups[op.name] = _group(graph, op) if isinstance(op, Multiply | MatMul | Concat) else (op,)
            within |= {one.name for one in groups[op.name]}
    return [(_key(graph, groups[op.name]), _alone(graph, groups[op.name])) for op in graph.ops if op.name in groups]


def measure_units(table: OperatorTable, graphs: Iterable[IntegerGraph], timer: GraphTimer, note: Note = lambda _: None) -> OperatorTable:
    """The table with every unit of the graphs in it."""
    wanted: dict[str, IntegerGraph] = {}
    for graph in graphs:
        wanted |= table.lacking(graph)
    times = dict(table.times)
    for number, (key, unit) in enumerate(wanted.items(), 1):
        note(f"measuring operators: {number} of {len(wanted)}")
        times[key] = min(timer(unit))
    return replace(table, times=times)


def fitted(table: OperatorTable, graphs: Sequence[IntegerGraph], timer: GraphTimer, note: Note = lambda _: None) -> OperatorTable:
    """The table fitted to the first FITTED of FITTED + TESTED graphs, whose units it has; its errors are those of the others."""
    measured = np.full(len(graphs), np.inf)
    for turn in range(ROUNDS):
        for number, graph in enumerate(graphs):
            note(f"measuring networks: round {turn + 1} of {ROUNDS}, {number + 1} of {len(graphs)}")
            measured[number] = min(measured[number], *timer(graph))
    sums = np.array([(1.0, *table.sums(graph)) for graph in graphs])
    # Each equation divided by its time: relative errors count, not those of the slowest networks.
    solved = np.linalg.lstsq(sums[:FITTED] / measured[:FITTED, None], np.ones(FITTED), rcond=None)[0]
    fit = Fit(*(float(one) for one in solved))
    predicted, real = sums[FITTED:] @ solved, measured[FITTED:]
    relative = np.abs(predicted / real - 1)
    errors = Errors(len(real), rank_correlation(predicted, real), float(relative.mean()), float(relative.max()))
    pairs = tuple((float(one), float(other)) for one, other in zip(real, predicted, strict=True))
    return replace(table, fit=fit, errors=errors, pairs=pairs)


def rank_correlation(left: Any, right: Any) -> float:
    """Spearman's, of two series of one length without ties."""
    first, second = (np.argsort(np.argsort(one)).astype(np.float64) for one in (left, right))
    return float(np.corrcoef(first, second)[0, 1])


def save_table(table: OperatorTable, path: Path) -> None:
    """Writes it, whole or not at all."""
    write_file(path, (json.dumps({"schema": SCHEMA, **asdict(table)}, indent=1, allow_nan=False) + "\n").encode())


def load_table(path: Path) -> OperatorTable:
    """Raises EdgekitError: the file cannot be read, or is none that `save_table` wrote."""
    try:
        found = json.loads(read_bounded(path, CONFIG_BYTES_MAX))
        if found["schema"] != SCHEMA:
            raise ValueError(f"its schema is {found['schema']!r:.40}")
        times = {str(key): float(time) for key, time in found["times"].items()}
        fit = Fit(**found["fit"]) if found["fit"] else None
        errors = Errors(**found["errors"]) if found["errors"] else None
        pairs = tuple((float(one), float(other)) for one, other in found["pairs"])
        return OperatorTable(TimedOn(**found["timed_on"]), times, fit, errors, pairs)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise EdgekitError(f"'{path}' is no table of operators that edgekit wrote ({error}); remove it, to measure it again") from error


def _group(graph: IntegerGraph, op: Op) -> tuple[Op, ...]:
    """An op of several tensors and all ops that make these from one tensor, the last that there is, in order."""
    places = {one.output: place for place, one in enumerate(graph.ops)}
    group, reads = [op], set(op_inputs(op))
    while len(reads) > 1:
        last = max(reads, key=lambda name: places.get(name, -1))
        group.insert(0, graph.ops[places[last]])
        reads = (reads - {last}) | set(op_inputs(group[0]))
    return tuple(group)


def _key(graph: IntegerGraph, group: Sequence[Op]) -> str:
    """What the time of a unit depends on, in words that can be read, and a digest of the rest."""
    parts = []
    for op in group:
        shapes = [graph.tensors[name].shape for name in (*op_inputs(op), op.output)]
        weights = getattr(getattr(op, "weights", None), "shape", ())
        facts = [getattr(op, name, None) for name in ("strides", "padding", "dilation", "activation")]
        types = [graph.tensors[name].signed for name in (*op_inputs(op), op.output)]
        text = f"{type(op).__name__} {' '.join('x'.join(map(str, one)) for one in (*shapes, weights))}"
        parts.append(f"{text} {digest_of(repr((facts, types)).encode())[:8]}")
    return "; ".join(parts)


def _alone(graph: IntegerGraph, group: Sequence[Op]) -> IntegerGraph:
    """Ops as a graph that has one input: what the first reads. A sum of two maps adds one to itself."""
    first, made = graph.tensors[op_inputs(group[0])[0]], {op.output for op in group}
    builder = GraphBuilder(group[-1].name)
    builder.input("input", first.shape, signed=first.signed, binary_point=first.binary_point)
    for op in group:
        tensor = graph.tensors[op.output]
        builder.write(_reading(op, made), signed=tensor.signed, binary_point=tensor.binary_point, shape=tensor.shape)
    return builder.graph()


def _reading(op: Op, made: set[str]) -> Op:
    """An op that reads the unit's input in place of what no op of the unit writes."""
    names = tuple(name if name in made else "input" for name in op_inputs(op))
    other: Any = {"inputs": names} if isinstance(op, Add | Multiply | MatMul | Concat) else {"input": names[0]}
    return replace(op, **other)
