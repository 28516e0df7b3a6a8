"""What is counted of a model's answers while inputs go by: hits of classes, or how far numbers are from what they should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.jobs.candidates import Candidate
from edgekit.jobs.labels import are_numbers

Labels: TypeAlias = npt.NDArray[np.int64]
TOP = 5


@dataclass
class Hits:
    """Of classes: `columns` are the outputs that they are, `labels` the class of each input. `named`: they were found by their names, not
    by their numbers."""

    columns: Labels
    labels: Labels
    named: bool
    top1: int = 0
    top5: int = 0

    def add(self, scores: Array, start: int) -> None:
        """Scores (count, outputs) of the inputs from `start` on."""
        ranks = ranks_of(scores, self.columns[self.labels[start : start + len(scores)]])
        self.top1 += int(np.count_nonzero(ranks < 1))
        self.top5 += int(np.count_nonzero(ranks < TOP))


@dataclass
class Errors:
    """Of numbers: `wanted` (inputs, values) is what they should be."""

    wanted: Array
    absolute: float = 0.0
    squared: float = 0.0

    def add(self, found: Array, start: int) -> None:
        """Outputs (count, values) of the inputs from `start` on."""
        distance = np.abs(found - self.wanted[start : start + len(found)])
        self.absolute += float(distance.sum())
        self.squared += float(np.square(distance).sum())


Measure: TypeAlias = Hits | Errors


def hits_of_names(one: Candidate, classes: tuple[str, ...], labels: Labels, data: str) -> Hits:
    """Which output each class of a data set is: by name where the model's labels have them all, else by number. Raises EdgekitError."""
    if not one.classes:
        advice = "--labels FILE with a line for each of two classes says that it is a logit" if one.outputs == 1 else "it has no classes"
        raise EdgekitError(
            f"'{one.model}' gives {one.outputs} number{'s' if one.outputs > 1 else ''} of an input, not scores of classes, and "
            f"'{data}' has {len(classes)} classes; {advice}, or give --data FILE.npz with x and y"
        )
    if set(classes) <= set(one.labels):
        return Hits(np.array([one.labels.index(name) for name in classes], np.int64), labels, named=True)
    if one.classes == len(classes):
        return Hits(np.arange(one.classes), labels, named=False)
    unknown = next(name for name in classes if name not in one.labels)
    named = f"; its labels have no '{unknown}'" if not are_numbers(one.labels) else ""
    raise EdgekitError(
        f"'{one.model}' has {one.classes} classes, '{data}' has {len(classes)}{named}; they must be as many, "
        "or the sub-folders must be named after lines of the bundle's labels.txt or of --labels FILE"
    )


def measure_of_arrays(one: Candidate, inputs: Array, answers: Array | None, data: str) -> Measure:
    """What a file of arrays is compared with: numbers of classes or one-hot rows; numbers; of an autoencoder its own inputs.

    Raises EdgekitError where these are not in the file, or others.
    """
    if one.classes:
        return Hits(np.arange(one.classes), _labels(one, answers, data), named=True)
    if answers is None:
        if inputs[0].size != one.outputs:
            raise EdgekitError(f"'{data}' does not say what '{one.model}' should answer: an .npz file has its inputs as x, answers as y")
        answers = inputs
    if answers[0].size != one.outputs:
        raise EdgekitError(f"'{one.model}' gives {one.outputs} numbers of an input; '{data}' has answers of shape {answers.shape[1:]}")
    return Errors(answers.reshape(len(answers), -1).astype(np.float64))


def _labels(one: Candidate, answers: Array | None, data: str) -> Labels:
    if answers is None:
        raise EdgekitError(f"'{data}' does not say which classes its inputs are: an .npz file has inputs as x, numbers of classes as y")
    rows = answers.reshape(len(answers), -1)
    one_hot = rows.shape[1] == one.classes and bool(np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all())
    found = rows.argmax(axis=1) if one_hot else rows[:, 0]
    if (rows.shape[1] > 1 and not one_hot) or (found != np.rint(found)).any() or found.min() < 0 or found.max() >= one.classes:
        raise EdgekitError(
            f"'{one.model}' has {one.classes} classes; '{data}' has answers of shape {answers.shape[1:]}, {answers.min():g} to "
            f"{answers.max():g}: numbers of classes from 0 on are wanted, or one-hot rows"
        )
    return found.astype(np.int64)


def ranks_of(scores: npt.NDArray[np.float64], columns: Labels) -> Labels:
    """How many scores of a row (count, classes) are better than that of its column: larger, or equal and before it."""
    own = scores[np.arange(len(scores)), columns][:, np.newaxis]
    before = np.arange(scores.shape[1]) < columns[:, np.newaxis]
    return np.count_nonzero((scores > own) | ((scores == own) & before), axis=1)
