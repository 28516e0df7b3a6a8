"""evaluate: the accuracy of models on labelled images, or how far their numbers are off, side by side; and whether those that should be
equal are."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Array
from edgekit.digest import digest_of
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor
from edgekit.graph import quantize_input
from edgekit.images.decoding import decode
from edgekit.images.pixels import fit
from edgekit.images.preprocessing import PIXELS, RGB, VALUES, Preprocessing
from edgekit.jobs.candidates import Candidate, Taken, candidates_of, runs_in_keras
from edgekit.jobs.dataset import DIGITS
from edgekit.jobs.labels import read_labels
from edgekit.jobs.measures import TOP, Errors, Labels, Measure, hits_of_names, measure_of_arrays
from edgekit.jobs.model_files import is_saved_model
from edgekit.jobs.samples import Samples, as_images, is_samples, read_samples, shaped, spread
from edgekit.progress import Note, Progress
from edgekit.targets import LOCAL

if TYPE_CHECKING:
    from edgekit.keras_models.training.images import Images

Shape: TypeAlias = tuple[int, ...]
Kind: TypeAlias = tuple[str, Shape]
"""What a candidate is given: `of`, as in Preprocessing, and the shape of one input."""

CHANCE_IMAGES_MIN = 20
"""Of fewer images it cannot be told whether a model guesses."""
CHUNK_MAX, CHUNK_VALUES = 64, 1 << 25
"""Images that all candidates see before the next are read, and values of one candidate that are in memory at a time."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """`top1` and `top5` 0..1; of equal scores the first counts. `top5` is None where there are no more than five classes. Where outputs are
    no classes both are None, and the errors are those of all output values.

    `exact`: it computes an integer graph. `differing`: how many output values differ from those of the first row with the same graph;
    None where there is no such row before.
    """

    model: str
    executor: str
    top1: float | None
    top5: float | None
    exact: bool
    values: int
    differing: int | None
    mean_absolute_error: float | None = None
    root_mean_square_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """`images`: number of inputs, whatever they are. `classes`: of a data set that has names of them, else the most that a model has."""

    data: str
    images: int
    classes: int
    rows: tuple[Evaluated, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """No two rows of one integer graph differ."""
        return not any(row.differing for row in self.rows)


@dataclass(frozen=True)
class Seen:
    """Of a row: the digest of its integer graph, if it has one, and of all its outputs."""

    graph: str | None
    outputs: str


@dataclass(frozen=True)
class _Labelled:
    """Images of any size, decoded when `read(i)` is called: uint8 (rows, columns, 1 or 3)."""

    labels: Labels
    classes: tuple[str, ...]
    read: Callable[[int], npt.NDArray[np.uint8]]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass
class _Tally:
    """What is counted while inputs go by. `scores` are the last ones, `digest` is of all."""

    measure: Measure
    differing: int = 0
    values: int = 0
    scores: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))
    digest: str = ""


def evaluate_models(
    models: Sequence[str],
    *,
    data: str,
    limit: int | None = None,
    executors: Sequence[str] | None = None,
    on: str = LOCAL,
    preprocessing: Preprocessing | None = None,
    channel_order: str = RGB,
    labels: Path | None = None,
    size: int | None = None,
    note: Note = lambda _: None,
    progress: Progress = lambda *_: None,
    seen: list[Seen] | None = None,
) -> Evaluation:
    """Top-1 and top-5 of each model on each executor.

    Args:
        models: files and folders, as edgekit.jobs.candidates takes them.
        data: a folder with a sub-folder of images for each class, all of which are used, "digits", of which the held-out part is, or a
            .npy or .npz file of inputs, and of what the models should answer (edgekit.jobs.samples).
        limit: this many inputs at most, evenly spread.
        executors: names; by default the fastest of each model. Keras files always run in Keras.
        on: where bundles for devices run: local, emulated, ssh://user@host[:port], adb or adb:serial.
        preprocessing: what the inputs of files take, in the order red, green, blue; None is what they say. Bundles say it themselves.
        channel_order: "bgr" where the inputs of files take blue first.
        labels: a text file with a line for each class, for models whose classes have no names.
        size: rows and columns, for files that leave them open.
        seen: gets what was seen of each row, in order.

    Raises:
        EdgekitError: a model or the data cannot be read, an executor cannot run, or the classes are not those of the data.
    """
    class_names = () if labels is None else tuple(read_labels(labels))
    arrays = is_samples(data)
    inputs = _samples(data, limit) if arrays else _labelled(data, limit)
    taken, found = Taken(preprocessing, channel_order, arrays, class_names, size), list[Candidate]()
    check_options(models, preprocessing, channel_order, size)
    for name in models:
        found += candidates_of(name, executors, on, note, taken)
    if on not in {LOCAL, *(one.on for one in found)}:
        raise EdgekitError(f"none of these is a bundle for a device; --on {on} is for what 'edgekit export' wrote")
    tallies = [_Tally(_measure(one, inputs, data)) for one in found]
    chunk = max(1, min(CHUNK_MAX, CHUNK_VALUES // max(one.values for one in found)))
    total = len(inputs)
    with ExitStack() as stack:
        titles = [f"{one.model} {one.executor}" for one in found]
        scores = [stack.enter_context(one.open(note)) for one in found]
        for start, given in _chunks(inputs, {(one.of, one.shape) for one in found}, chunk, data):
            for i, one in enumerate(found):
                progress(titles[i], "running", start, total)
                pixels = given[one.of, one.shape]
                _count(tallies[i], scores[i](pixels), start)
                first = next(j for j in range(i + 1) if i == j or (one.graph and found[j].graph == one.graph))
                tallies[i].differing += int(np.count_nonzero(tallies[i].scores != tallies[first].scores))
                progress(titles[i], "running", start + len(pixels), total)
    if seen is not None:
        seen += [Seen(one.graph, tally.digest) for one, tally in zip(found, tallies, strict=True)]
    return Evaluation(
        data=data,
        images=total,
        classes=len(inputs.classes) if isinstance(inputs, _Labelled) else max(one.classes for one in found),
        rows=tuple(_rows(found, tallies, total)),
        warnings=tuple(dict.fromkeys((*(text for one in found for text in one.warnings), *_near_chance(found, tallies, total)))),
        notes=tuple(dict.fromkeys(text for one in found for text in one.notes)),
    )


def check_options(models: Sequence[str], preprocessing: Preprocessing | None, channel_order: str, size: int | None) -> None:
    """Raises EdgekitError where an option is for none of the models."""
    if (preprocessing, channel_order) != (None, RGB) and all(is_written(name) for name in models):
        raise EdgekitError("what a bundle takes of pixels was settled at its export; --preprocessing and --channel-order belong there")
    if size is not None and not any(runs_in_keras(Path(name)) for name in models):
        raise EdgekitError("none of these leaves its size open, as files of Keras and float .onnx files may; leave --size out")


def is_written(model: str) -> bool:
    """Whether it is a folder that edgekit wrote, and no SavedModel."""
    return Path(model).is_dir() and not is_saved_model(Path(model))


def top1_of(executor: Executor, artifact: Artifact, images: Images) -> float:
    """Top-1, 0..1, of an exact artifact on one executor, for images as its network takes them. Of equal outputs the first counts."""
    graph = artifact.graph
    assert graph is not None
    source, output = graph.tensors[graph.input], graph.outputs[0]
    right = 0
    with executor.open(artifact, lambda _: None) as run:
        for start in range(0, len(images), CHUNK_MAX):
            chunk = slice(start, start + CHUNK_MAX)
            logits = run(quantize_input(source, images.images[chunk]))[output]
            right += int(np.sum(logits.reshape(len(logits), -1).argmax(axis=1) == images.labels[chunk]))
    return right / len(images)


def _rows(found: Sequence[Candidate], tallies: Sequence[_Tally], total: int) -> Iterator[Evaluated]:
    seen: set[str] = set()
    for one, tally in zip(found, tallies, strict=True):
        compared = one.graph in seen
        seen |= {one.graph} if one.graph else set()
        row = Evaluated(
            model=one.model,
            executor=one.executor,
            top1=None,
            top5=None,
            exact=one.graph is not None,
            values=tally.values,
            differing=tally.differing if compared else None,
        )
        if isinstance(tally.measure, Errors):
            absolute, squared = tally.measure.absolute / tally.values, tally.measure.squared / tally.values
            yield replace(row, mean_absolute_error=absolute, root_mean_square_error=squared**0.5)
        else:
            yield replace(row, top1=tally.measure.top1 / total, top5=tally.measure.top5 / total if one.classes > TOP else None)


def _near_chance(found: Sequence[Candidate], tallies: Sequence[_Tally], total: int) -> Iterator[str]:
    """What the likely cause is where no more inputs are right than a guess gets, two standard deviations and all."""
    for one, tally in zip(found, tallies, strict=True):
        hits = tally.measure
        if isinstance(hits, Errors) or total < CHANCE_IMAGES_MIN or one.classes < 2:
            continue
        share = 1 / one.classes
        if hits.top1 > total * share + 2 * (total * share * (1 - share)) ** 0.5:
            continue
        pixels = (
            "nothing said how its images are normalized, and -1..1 was assumed" if one.assumed else "its images are normalized otherwise"
        )
        causes = [f"{pixels} (--preprocessing, --channel-order)"] if one.of == PIXELS else ["it takes numbers of another range"]
        if not hits.named:
            causes.append("its outputs are in another order than the sorted names of the sub-folders (--labels)")
        causes.append("its weights are random")
        yield f"{one.model}: {hits.top1 / total:.2%} is what guessing gets. Likely: {'; or '.join(causes)}"


def _measure(one: Candidate, inputs: _Labelled | Samples, data: str) -> Measure:
    if isinstance(inputs, Samples):
        return measure_of_arrays(one, inputs.inputs, inputs.answers, data)
    if one.of == VALUES:
        raise EdgekitError(f"'{one.model}' takes no images; give its inputs with --data FILE.npz, as x, and what it should answer as y")
    return hits_of_names(one, inputs.classes, inputs.labels, data)


def _samples(data: str, limit: int | None) -> Samples:
    found = read_samples(Path(data))
    if limit is None:
        return found
    return Samples(spread(found.inputs, limit), None if found.answers is None else spread(found.answers, limit))


def _labelled(data: str, limit: int | None) -> _Labelled:
    from edgekit.keras_models.training.images import DIGIT_CLASSES, HELD_OUT, list_images, small_digits, split_rows

    if data != DIGITS:
        files = list_images(Path(data), limit)
        if not files.classes:
            raise EdgekitError(f"'{data}' has no sub-folders with images, so nothing says what they show; one for each class is needed")
        return _Labelled(files.labels, files.classes, lambda i: decode(files.files[i]))
    pixels, labels = small_digits()
    rows = split_rows(labels, HELD_OUT)[1]
    if limit is not None and limit < len(rows):
        rows = rows[np.arange(limit) * len(rows) // limit]
    return _Labelled(labels[rows], DIGIT_CLASSES, lambda i: pixels[rows[i]])


def _chunks(inputs: _Labelled | Samples, kinds: set[Kind], size: int, data: str) -> Iterator[tuple[int, dict[Kind, Array]]]:
    """Number of the first input, and `size` inputs as each kind takes them: images as pixels in its shape, or numbers. Whole photographs
    are let go of at once."""
    images = {kind for kind in kinds if kind[0] == PIXELS}
    if isinstance(inputs, _Labelled):
        decode = inputs.read
    else:
        rows = as_images(inputs.inputs, data) if images else inputs.inputs
        decode = lambda i: rows[i]  # noqa: E731
    numbers = {} if isinstance(inputs, _Labelled) else {kind: shaped(inputs.inputs, kind[1], data) for kind in kinds - images}

    def read(i: int) -> dict[Kind, Array]:
        image = decode(i)
        return {kind: fit(image, kind[1]) for kind in images}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(inputs), size):
            end = min(start + size, len(inputs))
            fitted = list(pool.map(read, range(start, end))) if images else []
            pixels = {kind: np.stack([one[kind] for one in fitted]) for kind in images}
            yield start, {**pixels, **{kind: rows[start:end] for kind, rows in numbers.items()}}


def _count(tally: _Tally, scores: npt.NDArray[np.float64], start: int) -> None:
    tally.scores = scores
    tally.digest = digest_of(tally.digest.encode() + np.ascontiguousarray(scores).tobytes())
    tally.values += tally.scores.size
    tally.measure.add(scores, start)
