"""The comparison: every tensor that a candidate and the baseline both expose, value by value, with equality.

Inputs go through in chunks: all executors run one chunk, it is counted, its tensors are dropped. So memory holds one chunk's
tensors of two executors, whatever the number of inputs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Observed, Run, Values
from edgekit.progress import Note, Progress
from edgekit.scratch import is_full
from edgekit.verify.coverage import Extremes
from edgekit.verify.executors import describe
from edgekit.verify.variation import OutputVariation, VariationCount


@dataclass(frozen=True)
class Difference:
    """One value that differs: `index` is within the tensor of one input."""

    tensor: str
    input: int
    index: tuple[int, ...]
    expected: float
    actual: float


@dataclass(frozen=True, kw_only=True)
class TensorResult:
    """`largest`: largest distance; of integers in LSB. `magnitude`: largest |value| of the baseline, of floats only."""

    name: str
    is_float: bool
    values: int
    differing: int
    largest: float
    magnitude: float
    first: Difference | None


@dataclass(frozen=True)
class Result:
    """One candidate against the baseline; `tensors` in graph order. `error` says why it was not compared to the end. `remarks`: what the
    executor tells of its last chunk of inputs."""

    name: str
    tensors: tuple[TensorResult, ...] = ()
    error: str | None = None
    remarks: tuple[str, ...] = ()

    @property
    def values(self) -> int:
        return sum(tensor.values for tensor in self.tensors)

    @property
    def differing(self) -> int:
        return sum(tensor.differing for tensor in self.tensors)

    @property
    def largest(self) -> float:
        return max((tensor.largest for tensor in self.tensors), default=0.0)

    @property
    def first(self) -> Difference | None:
        """The first difference in the first tensor, in graph order, that differs."""
        return next((tensor.first for tensor in self.tensors if tensor.first is not None), None)


@dataclass(frozen=True)
class Comparison:
    """`error` says why the baseline failed; then nothing was compared. `extremes`: of each value of each integer tensor of the baseline, by
    tensor name, the lowest and the highest over all inputs, both of the tensor's shape."""

    baseline: str
    results: tuple[Result, ...]
    outputs: tuple[OutputVariation, ...]
    extremes: Mapping[str, tuple[Array, Array]]
    error: str | None = None


@dataclass
class _TensorCount:
    """What is known of one tensor after some chunks."""

    is_float: bool
    values: int = 0
    differing: int = 0
    largest: float = 0.0
    magnitude: float = 0.0
    first: Difference | None = None


@dataclass
class _Candidate:
    executor: Executor
    run: Run | None = None
    error: str | None = None
    remarks: tuple[str, ...] = ()
    counts: dict[str, _TensorCount] = field(default_factory=dict)


def compare(
    artifact: Artifact,
    executors: Sequence[Executor],
    inputs: Iterable[Array],
    *,
    count: int,
    order: Sequence[str],
    outputs: Sequence[str],
    progress: Progress,
) -> Comparison:
    """The first executor is the baseline, each other one a candidate. All are opened once.

    Args:
        inputs: batches (at most so many as are to go through at a time, *shape), as the executors take them.
        count: of inputs, in all batches together.
        order: names of tensors in graph order; others follow as the baseline gives them.
        outputs: names of the tensors that every executor has to expose; at least one.
    """
    with ExitStack() as stack:
        candidates = [_open(executor, artifact, stack, count, progress) for executor in executors]
        taken = [_taken(executor, count) for executor in executors[1:]]
        baseline, rest = candidates[0], candidates[1:]
        variation: dict[str, VariationCount] = {name: VariationCount() for name in outputs}
        extremes = Extremes()
        names: list[str] = list(order)
        start = 0
        for batch in inputs:
            if baseline.error:
                break
            expected = _run(baseline, batch, outputs, start, count, progress)
            if expected is None:
                break
            names = list(dict.fromkeys([*names, *expected]))
            for name in outputs:
                variation[name].add(expected[name])
            for name, values in expected.items():
                if values.dtype.kind != "f":
                    extremes.add(name, values)
            for candidate, numbers in zip(rest, taken, strict=True):
                rows = numbers[(start <= numbers) & (numbers < start + len(batch))] - start
                actual = _run(candidate, batch[rows], outputs, start, count, progress) if len(rows) else None
                if actual is not None:
                    these = expected if len(rows) == len(batch) else {name: values[rows] for name, values in expected.items()}
                    candidate.error = _count(candidate.counts, these, actual, start + rows)
            start += len(batch)
    results = tuple(Result(c.executor.name, _tensor_results(c.counts, names), c.error, c.remarks) for c in rest)
    measured = tuple(count.result(name) for name, count in variation.items()) if baseline.error is None else ()
    return Comparison(baseline.executor.name, results, measured, extremes.found, baseline.error)


def _taken(executor: Executor, count: int) -> npt.NDArray[np.int64]:
    """The numbers of the inputs that an executor is given: of all where it has no limit."""
    most = count if executor.inputs_max is None else min(count, executor.inputs_max)
    return np.linspace(0, count - 1, most).round().astype(np.int64)


def _open(executor: Executor, artifact: Artifact, stack: ExitStack, total: int, progress: Progress) -> _Candidate:
    note: Note = lambda text: progress(executor.name, text, 0, total)  # noqa: E731
    note("opening")
    try:
        return _Candidate(executor, stack.enter_context(executor.open(artifact, note)))
    except Exception as error:  # a failure of this executor, named in the report; the others go on
        _raise_full(error)
        return _Candidate(executor, error=describe(error))


def _raise_full(error: Exception) -> None:
    """A full disk says nothing of an executor: it ends the comparison."""
    if isinstance(error, EdgekitError) and is_full(error):
        raise error


def _run(candidate: _Candidate, batch: Array, outputs: Sequence[str], done: int, total: int, progress: Progress) -> Values | None:
    if candidate.run is None or candidate.error:
        return None
    progress(candidate.executor.name, "running", done, total)
    try:
        values = candidate.run(batch)
    except Exception as error:
        _raise_full(error)
        candidate.error = describe(error)
        return None
    if isinstance(values, Observed):
        candidate.remarks = values.remarks
    lacking = [name for name in outputs if name not in values]
    if lacking:
        candidate.error = f"does not expose the network's output '{lacking[0]}'"
        return None
    short = [name for name in values if len(values[name]) != len(batch)]
    if short:
        candidate.error = f"gave {len(values[short[0]])} of '{short[0]}' for {len(batch)} inputs"
        return None
    return values


def _count(counts: dict[str, _TensorCount], expected: Values, actual: Values, numbers: npt.NDArray[np.int64]) -> str | None:
    """Adds one chunk, inputs of these numbers, to the counts; returns what makes the two incomparable, or None."""
    for name in (name for name in expected if name in actual):  # the outputs, at least
        one, other = np.asarray(expected[name]), np.asarray(actual[name])
        if one.shape != other.shape:
            return f"tensor '{name}' has shape {other.shape[1:]}, the baseline's has {one.shape[1:]}"
        if (one.dtype.kind == "f") != (other.dtype.kind == "f"):
            return f"tensor '{name}' is {other.dtype}, the baseline's is {one.dtype}"
        _count_tensor(counts.setdefault(name, _TensorCount(one.dtype.kind == "f")), name, one, other, numbers)
    return None


def _count_tensor(count: _TensorCount, name: str, expected: Array, actual: Array, numbers: npt.NDArray[np.int64]) -> None:
    count.values += expected.size
    if not expected.size:
        return
    if count.is_float:  # bit by bit: a NaN equals itself, and 0.0 is not -0.0
        bits = f"u{expected.itemsize}"
        differs = np.ascontiguousarray(expected).view(bits) != np.ascontiguousarray(actual, expected.dtype).view(bits)
        count.magnitude = max(count.magnitude, float(np.fmax.reduce(np.abs(expected), axis=None)))
    else:
        differs = expected != actual
    where = np.flatnonzero(differs)
    if not len(where):
        return
    wide = np.float64 if count.is_float else np.int64
    expected_values, actual_values = expected.reshape(-1)[where].astype(wide), actual.reshape(-1)[where].astype(wide)
    with np.errstate(invalid="ignore"):
        distance = float(np.abs(expected_values - actual_values).max())
    count.differing += len(where)
    count.largest = max(count.largest, math.inf if math.isnan(distance) else distance)
    if count.first is None:
        row, *index = (int(i) for i in np.unravel_index(where[0], expected.shape))
        count.first = Difference(name, int(numbers[row]), tuple(index), expected_values[0].item(), actual_values[0].item())


def _tensor_results(counts: Mapping[str, _TensorCount], order: Sequence[str]) -> tuple[TensorResult, ...]:
    return tuple(
        TensorResult(
            name=name,
            is_float=count.is_float,
            values=count.values,
            differing=count.differing,
            largest=count.largest,
            magnitude=count.magnitude,
            first=count.first,
        )
        for name in order
        if (count := counts.get(name)) is not None
    )
