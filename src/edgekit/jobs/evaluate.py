"""evaluate: the accuracy of models on labelled images, side by side; and whether those that should be equal are."""

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

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor
from edgekit.graph import quantize_input
from edgekit.images.decoding import decode
from edgekit.images.pixels import fit
from edgekit.images.preprocessing import RGB, Preprocessing
from edgekit.jobs.candidates import Candidate, Taken, candidates_of
from edgekit.jobs.dataset import DIGITS
from edgekit.jobs.labels import are_numbers, read_labels
from edgekit.jobs.model_files import is_saved_model
from edgekit.progress import Note, Progress
from edgekit.targets import LOCAL

if TYPE_CHECKING:
    from edgekit.keras_models.training.images import Images

Labels: TypeAlias = npt.NDArray[np.int64]
Shape: TypeAlias = tuple[int, ...]

TOP = 5
CHANCE_IMAGES_MIN = 20
"""Of fewer images it cannot be told whether a model guesses."""
CHUNK_MAX, CHUNK_VALUES = 64, 1 << 25
"""Images that all candidates see before the next are read, and values of one candidate that are in memory at a time."""


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """`top1` and `top5` 0..1; of equal scores the first counts. `top5` is None where there are no more than five classes.

    `exact`: it computes an integer graph. `differing`: how many output values differ from those of the first row with the same graph;
    None where there is no such row before.
    """

    model: str
    executor: str
    top1: float
    top5: float | None
    exact: bool
    values: int
    differing: int | None


@dataclass(frozen=True, kw_only=True)
class Evaluation:
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
class _Labelled:
    """Images of any size, decoded when `read(i)` is called: uint8 (rows, columns, 1 or 3)."""

    labels: Labels
    classes: tuple[str, ...]
    read: Callable[[int], npt.NDArray[np.uint8]]


@dataclass
class _Tally:
    """What is counted while images go by. `named`: the classes were found by their names, not by their numbers."""

    columns: Labels
    named: bool
    top1: int = 0
    top5: int = 0
    differing: int = 0
    values: int = 0
    scores: npt.NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))


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
    note: Note = lambda _: None,
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Top-1 and top-5 of each model on each executor.

    Args:
        models: files and folders, as edgekit.jobs.candidates takes them.
        data: a folder with a sub-folder of images for each class, all of which are used, or "digits", of which the held-out part is.
        limit: this many images at most, evenly spread.
        executors: names; by default the fastest of each model. Keras files always run in Keras.
        on: where bundles for devices run: local, emulated, ssh://user@host[:port], adb or adb:serial.
        preprocessing: what the inputs of files take, in the order red, green, blue; None is what they say. Bundles say it themselves.
        channel_order: "bgr" where the inputs of files take blue first.
        labels: a text file with a line for each class, for models whose classes have no names.

    Raises:
        EdgekitError: a model or the data cannot be read, an executor cannot run, or the classes are not those of the data.
    """
    class_names = () if labels is None else tuple(read_labels(labels))
    labelled = _labelled(data, limit)
    taken, found = Taken(preprocessing, channel_order), list[Candidate]()
    if taken != Taken() and all(Path(name).is_dir() and not is_saved_model(Path(name)) for name in models):
        raise EdgekitError("what a bundle takes of pixels was settled at its export; --preprocessing and --channel-order belong there")
    for name in models:
        found += [_named(one, class_names) for one in candidates_of(name, executors, on, note, taken)]
    if on not in {LOCAL, *(one.on for one in found)}:
        raise EdgekitError(f"none of these is a bundle for a device; --on {on} is for what 'edgekit export' wrote")
    tallies = [_tally(one, labelled, data) for one in found]
    chunk = max(1, min(CHUNK_MAX, CHUNK_VALUES // max(one.values for one in found)))
    total = len(labelled.labels)
    with ExitStack() as stack:
        titles = [f"{one.model} {one.executor}" for one in found]
        scores = [stack.enter_context(one.open(note)) for one in found]
        for start, inputs in _chunks(labelled, {one.shape for one in found}, chunk):
            for i, one in enumerate(found):
                progress(titles[i], "running", start, total)
                pixels = inputs[one.shape]
                _count(tallies[i], scores[i](pixels), labelled.labels[start : start + len(pixels)])
                first = next(j for j in range(i + 1) if i == j or (one.graph and found[j].graph == one.graph))
                tallies[i].differing += int(np.count_nonzero(tallies[i].scores != tallies[first].scores))
                progress(titles[i], "running", start + len(pixels), total)
    return Evaluation(
        data=data,
        images=total,
        classes=len(labelled.classes),
        rows=tuple(_rows(found, tallies, total)),
        warnings=tuple(dict.fromkeys((*(text for one in found for text in one.warnings), *_near_chance(found, tallies, labelled)))),
        notes=tuple(dict.fromkeys(text for one in found for text in one.notes)),
    )


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
        yield Evaluated(
            model=one.model,
            executor=one.executor,
            top1=tally.top1 / total,
            top5=tally.top5 / total if one.classes > TOP else None,
            exact=one.graph is not None,
            values=tally.values,
            differing=tally.differing if compared else None,
        )


def _named(one: Candidate, class_names: tuple[str, ...]) -> Candidate:
    """With these names of its classes where it has none. Raises EdgekitError where they are not as many as its classes."""
    if not class_names or not are_numbers(one.labels):
        return one
    if len(class_names) != one.classes:
        raise EdgekitError(f"--labels names {len(class_names)} classes, '{one.model}' has {one.classes}; a line for each is needed")
    return replace(one, labels=class_names)


def _near_chance(found: Sequence[Candidate], tallies: Sequence[_Tally], labelled: _Labelled) -> Iterator[str]:
    """What the likely cause is where no more images are right than a guess gets, two standard deviations and all."""
    total = len(labelled.labels)
    for one, tally in zip(found, tallies, strict=True):
        share = 1 / one.classes
        if total < CHANCE_IMAGES_MIN or one.classes < 2 or tally.top1 > total * share + 2 * (total * share * (1 - share)) ** 0.5:
            continue
        pixels = (
            "nothing said how its images are normalized, and -1..1 was assumed" if one.assumed else "its images are normalized otherwise"
        )
        causes = [f"{pixels} (--preprocessing, --channel-order)", "its weights are random"]
        if not tally.named:
            causes.insert(1, "its outputs are in another order than the sorted names of the sub-folders (--labels)")
        yield f"{one.model}: {tally.top1 / total:.2%} is what guessing gets. Likely: {'; or '.join(causes)}"


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


def _tally(one: Candidate, labelled: _Labelled, data: str) -> _Tally:
    """Which output each class of the data is: by name where the model's labels have them all, else by number."""
    if set(labelled.classes) <= set(one.labels):
        return _Tally(np.array([one.labels.index(name) for name in labelled.classes], np.int64), named=True)
    if one.classes == len(labelled.classes):
        return _Tally(np.arange(one.classes), named=False)
    unknown = next(name for name in labelled.classes if name not in one.labels)
    named = f"; its labels have no '{unknown}'" if not are_numbers(one.labels) else ""
    raise EdgekitError(
        f"'{one.model}' has {one.classes} classes, '{data}' has {len(labelled.classes)}{named}; they must be as many, "
        "or the sub-folders must be named after lines of the bundle's labels.txt or of --labels FILE"
    )


def _chunks(labelled: _Labelled, shapes: set[Shape], size: int) -> Iterator[tuple[int, dict[Shape, npt.NDArray[np.uint8]]]]:
    """Number of the first image, and `size` images as pixels in each shape. Whole photographs are let go of at once."""

    def read(i: int) -> dict[Shape, npt.NDArray[np.uint8]]:
        image = labelled.read(i)
        return {shape: fit(image, shape) for shape in shapes}

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(labelled.labels), size):
            fitted = list(pool.map(read, range(start, min(start + size, len(labelled.labels)))))
            yield start, {shape: np.stack([one[shape] for one in fitted]) for shape in shapes}


def _count(tally: _Tally, scores: npt.NDArray[np.float64], labels: Labels) -> None:
    tally.scores = scores
    tally.values += tally.scores.size
    ranks = ranks_of(tally.scores, tally.columns[labels])
    tally.top1 += int(np.count_nonzero(ranks < 1))
    tally.top5 += int(np.count_nonzero(ranks < TOP))


def ranks_of(scores: npt.NDArray[np.float64], columns: Labels) -> Labels:
    """How many scores of a row (count, classes) are better than that of its column: larger, or equal and before it."""
    own = scores[np.arange(len(scores)), columns][:, np.newaxis]
    before = np.arange(scores.shape[1]) < columns[:, np.newaxis]
    return np.count_nonzero((scores > own) | ((scores == own) & before), axis=1)
