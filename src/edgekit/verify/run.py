"""verify(): from an opened bundle to a Verification. What to compare with what, on which inputs, and what counts as a failure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Array
from edgekit.bundle import GOLDEN_INPUT, Bundle, with_changes
from edgekit.errors import EdgekitError
from edgekit.executor import Executor
from edgekit.files import MODEL_BYTES_MAX, read_bounded
from edgekit.images.preprocessing import PIXELS
from edgekit.progress import Progress
from edgekit.tolerances import DYNAMIC_KERNELS, FLOAT_KERNELS
from edgekit.verify.aimed import AIMED_MAX, AIMED_SHARE, aimed_inputs, starts_most
from edgekit.verify.compare import Comparison, Result, compare
from edgekit.verify.coverage import TensorCoverage, coverage_of
from edgekit.verify.executors import Available, executors_for, look
from edgekit.verify.file_check import DIFFERS, UNCHECKED, FileCheck, check_files, made_elsewhere
from edgekit.verify.inputs import InputType, draw_inputs, graph_input, make_inputs
from edgekit.verify.variation import OutputVariation

BASELINE, STOCK_BASELINE = "reference", "tflite-reference"
COUNT = 64
FILES = "files"
"""In the place of an executor's name, while files are compared."""
FAILURES_SHOWN = 20
CHUNK_VALUES = 1 << 25
"""Tensor values of one executor that are in memory at a time."""
CHUNK_MAX = 64
STOCK_GROWTH = 64
"""All tensors of a stock network hold about so many times the values of its input (MobileNetV2: 47)."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was compared and found.

    `labels`: a word or two for each input. `baseline`: the executor that all `results` were compared with, None if nothing ran.
    `missing`: those that cannot run here. `tolerance`: largest distance that float outputs may have, relative to the largest value; None
    where all outputs are integers. `coverage`: what the inputs reached in each tensor of an integer graph. `files`: what was found of the
    bundle's files. `failures`: a sentence each.
    """

    bundle: Bundle
    seed: int
    labels: tuple[str, ...] = ()
    baseline: str | None = None
    results: tuple[Result, ...] = ()
    missing: tuple[Available, ...] = ()
    outputs: tuple[OutputVariation, ...] = ()
    coverage: tuple[TensorCoverage, ...] = ()
    tolerance: float | None = None
    files: FileCheck = UNCHECKED
    failures: tuple[str, ...]

    @property
    def exact(self) -> bool:
        """Whether an integer graph was compared, with equality, and not a stock TFLite file."""
        return self.bundle.artifact.graph is not None

    @property
    def passed(self) -> bool:
        return not self.failures


@dataclass(frozen=True)
class _Subject:
    """What the comparison needs to know of the network. `outputs`: by tensor name, whether it is float."""

    input: InputType
    order: tuple[str, ...]
    outputs: dict[str, bool]
    values: int


def verify(
    bundle: Bundle,
    *,
    accept_changes: bool = False,
    count: int = COUNT,
    seed: int = 0,
    executors: Sequence[str] | None = None,
    also: Sequence[Executor] = (),
    images: npt.NDArray[Any] | None = None,
    progress: Progress = lambda *_: None,
) -> Verification:
    """Compares the bundle's files with those that edgekit makes, then every executor that runs here with the baseline: the numpy
    reference, or for a stock file the first that runs. Where a file is another one, nothing runs.

    Args:
        accept_changes: whether files that differ are the user's own changes: they are named, and all runs. Of an HLS project it is the
            one that was made again, since nothing from outside is compiled.
        count: number of photographs, noise and extreme inputs; for an exact network up to a quarter of them are made for it.
        executors: names; default all but the emulated ones. Naming one that cannot run here is an error. The baseline is always there.
        also: further executors, such as those on a device that was reached.
        images: further inputs, uint8 pixels (number, rows, columns, 1 or 3); of a network that takes no images (number, *shape), numbers
            as in the user's arrays.

    Raises:
        EdgekitError: nothing can be compared: fewer than two executors run here, an unknown or missing one was asked for.
    """
    if accept_changes:
        bundle = with_changes(bundle)
    files = check_files(bundle, accept_changes=accept_changes, note=lambda text: progress(FILES, text, 0, 0))
    if not files.passed:
        return Verification(bundle=bundle, seed=seed, files=files, failures=tuple(_file_failures(bundle, files)))
    if bundle.manifest.kind == "hls":
        bundle = replace(bundle, artifact=replace(bundle.artifact, hls_project=files.remade))
    found = compare_executors(bundle, count=count, seed=seed, executors=executors, also=also, images=images, progress=progress)
    return replace(found, files=files)


def compare_executors(
    bundle: Bundle,
    *,
    count: int = COUNT,
    seed: int = 0,
    executors: Sequence[str] | None = None,
    also: Sequence[Executor] = (),
    images: npt.NDArray[Any] | None = None,
    progress: Progress = lambda *_: None,
) -> Verification:
    """What `verify` does once the bundle's files are checked: runs what is in `bundle.artifact`."""
    exact = bundle.artifact.graph is not None
    wanted = None if executors is None else [BASELINE if exact else STOCK_BASELINE, *executors]
    found = (*executors_for(bundle.artifact, wanted), *(look(one, bundle.artifact) for one in also))
    _check_enough(found, executors)
    recorded = _recorded(bundle)
    subject = _subject(bundle, recorded)
    aimed = _aimed(bundle, subject, count, seed, recorded, progress)
    others = count - len(aimed)
    drawn = draw_inputs(subject.input, bundle.manifest.preprocessing, count=others, seed=seed, images=images, recorded=recorded)
    labels: list[str] = []
    comparison = compare(
        bundle.artifact,
        [one.executor for one in found if one.executor is not None],
        _batches(chain(drawn, aimed), max(1, min(CHUNK_MAX, CHUNK_VALUES // subject.values)), labels),
        count=count + (0 if images is None else len(images)),
        order=subject.order,
        outputs=tuple(subject.outputs),
        progress=progress,
    )
    tolerance = _tolerance(bundle, subject)
    return Verification(
        bundle=bundle,
        seed=seed,
        labels=tuple(labels),
        baseline=comparison.baseline,
        results=comparison.results,
        missing=tuple(one for one in found if one.executor is None),
        outputs=comparison.outputs,
        coverage=() if bundle.artifact.graph is None else coverage_of(bundle.artifact.graph, comparison.extremes),
        tolerance=tolerance,
        failures=tuple(_failures(comparison, subject, tolerance)),
    )


def _aimed(bundle: Bundle, subject: _Subject, count: int, seed: int, recorded: Array | None, progress: Progress) -> list[tuple[str, Array]]:
    """Those of `count` inputs that are made for an integer graph."""
    graph, most = bundle.artifact.graph, min(AIMED_MAX, count // AIMED_SHARE)
    if graph is None or most == 0:
        return []
    progress(BASELINE, "making inputs that bring channels to vary", 0, 0)
    starts = min(count - most, starts_most(graph))
    shown = make_inputs(subject.input, bundle.manifest.preprocessing, count=starts, seed=seed, recorded=recorded)
    return list(aimed_inputs(graph, shown.values, seed, most))


def _file_failures(bundle: Bundle, files: FileCheck) -> Iterator[str]:
    shown = list(files.findings.items())[:FAILURES_SHOWN]
    for name, problem in shown:
        yield f"{name}: {problem}" + ("; export again" if name in bundle.changed else "")
    if len(files.findings) > len(shown):
        yield f"and {len(files.findings) - len(shown):,} files more"
    elsewhere = made_elsewhere(bundle)
    if elsewhere and any(problem == DIFFERS for problem in files.findings.values()):
        yield f"{elsewhere}: that may be why. Export again, or name the changes yours with --accept-changes"


def _batches(drawn: Iterator[tuple[str, Array]], size: int, labels: list[str]) -> Iterator[Array]:
    """Inputs in batches of `size`, each made when it is asked for; their labels are added to `labels`."""
    while batch := list(islice(drawn, size)):
        labels += [label for label, _ in batch]
        yield np.stack([value for _, value in batch])


def _tolerance(bundle: Bundle, subject: _Subject) -> float | None:
    """None where all outputs are integers."""
    if not any(subject.outputs.values()):
        return None
    return DYNAMIC_KERNELS if bundle.manifest.precision == "dynamic" else FLOAT_KERNELS


def input_shape(bundle: Bundle) -> tuple[int, ...]:
    """Of one input, without batch. Raises EdgekitError where nothing in the bundle is as it was exported."""
    return _subject(bundle, None).input.shape


def _recorded(bundle: Bundle) -> npt.NDArray[Any] | None:
    """The golden inputs (count, *shape) of a network that takes no images, in place of photographs; those of a board have none."""
    graph, tflite = bundle.artifact.graph, bundle.artifact.tflite
    if bundle.manifest.preprocessing.of == PIXELS or tflite is None or GOLDEN_INPUT not in bundle.manifest.files:
        return None
    from edgekit.tflite.tensors import logical
    from edgekit.verify.recorded import stock_signature

    kind = stock_signature(tflite, bundle.manifest.preprocessing).input
    content = read_bounded(bundle.folder / GOLDEN_INPUT, MODEL_BYTES_MAX)
    stored = np.frombuffer(content, kind.dtype.newbyteorder("<")).reshape(-1, *kind.shape).astype(kind.dtype)
    return stored if graph is None else logical(graph.tensors[graph.input], stored)


def _subject(bundle: Bundle, recorded: npt.NDArray[Any] | None) -> _Subject:
    graph, tflite = bundle.artifact.graph, bundle.artifact.tflite
    if graph is not None:
        order = (graph.input, *(op.output for op in graph.ops))
        values = sum(prod(tensor.shape) for tensor in graph.tensors.values())
        return _Subject(graph_input(graph), order, dict.fromkeys(graph.outputs, False), values)
    if tflite is None:
        raise EdgekitError(f"{bundle.folder} holds no model to run; export again")
    from edgekit.verify.recorded import stock_signature

    found = stock_signature(tflite, bundle.manifest.preprocessing, recorded)
    return _Subject(found.input, found.order, found.outputs, STOCK_GROWTH * prod(found.input.shape))


def _check_enough(found: Sequence[Available], asked: Sequence[str] | None) -> None:
    lacking = [one for one in found if one.executor is None]
    for one in lacking:
        if asked is not None and one.name in asked:
            raise EdgekitError(f"executor '{one.name}' cannot run here: {one.reason}")
    if len(found) - len(lacking) < 2:
        reasons = "".join(f"\n  {one.name}: {one.reason}" for one in lacking)
        raise EdgekitError(f"nothing to compare: fewer than two executors can run this here.{reasons}")


def _failures(comparison: Comparison, subject: _Subject, tolerance: float | None) -> Iterator[str]:
    """Integers fail where they differ. Of floats only the outputs are judged: between them kernels fuse and reorder as they like."""
    base = comparison.baseline
    if comparison.error:
        yield f"{base}, the baseline, failed: {comparison.error}"
    for result in comparison.results:
        if result.error:
            yield f"{result.name} failed: {result.error}"
        integers = [tensor for tensor in result.tensors if not tensor.is_float]
        differing = sum(tensor.differing for tensor in integers)
        if differing:
            yield f"{result.name} differs from {base} in {differing:,} of {sum(tensor.values for tensor in integers):,} integers"
        for tensor in result.tensors:
            limit = (tolerance or 0.0) * max(1.0, tensor.magnitude)
            if tensor.is_float and tensor.name in subject.outputs and not tensor.largest <= limit:
                yield f"{result.name}: output '{tensor.name}' is up to {tensor.largest:.3g} from {base}, more than {limit:.3g}"
    for output in comparison.outputs:
        if output.constant:
            yield f"output '{output.name}' is the same for all {output.inputs} inputs: agreeing on it proves nothing"
