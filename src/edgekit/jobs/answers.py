"""What outputs are (bundle.ANSWERS): scores of classes, one number that stands for two classes, or numbers that are no classes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from edgekit.arrays import Array
from edgekit.bundle import CLASSES, LOGIT, NUMBERS, PROBABILITY
from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph, Lookup
from edgekit.images.preprocessing import PIXELS, Preprocessing
from edgekit.keras_models.reading.ending import SIGMOIDS, SOFTMAX, ending

AS_NUMBERS = "its outputs are taken as numbers, not as scores of classes; if they are classes, name them with --labels FILE"


def answers_of_model(model: Any, preprocessing: Preprocessing) -> str:
    """Of a tf_keras.Model with one output: a softmax tells of classes, a sigmoid over one number of two; else the shapes do."""
    source, output = (tuple(int(size) for size in one.shape[1:]) for one in (model.inputs[0], model.outputs[0]))
    return answers_of_ending(ending(model), source, output, preprocessing)


def answers_of_ending(end: str, source: tuple[int, ...], output: tuple[int, ...], preprocessing: Preprocessing) -> str:
    """Of a model that ends in a function of that name, by Keras', if it does; shapes are without batch."""
    if end == SOFTMAX and _vector(output):
        return CLASSES
    if prod(output) == 1:
        return PROBABILITY if end in SIGMOIDS else NUMBERS
    return _by_shape(source, output, preprocessing)


def answers_of_graph(graph: IntegerGraph, preprocessing: Preprocessing) -> str:
    """Of an integer graph: a last table that rises within 0..1 is a sigmoid. Several outputs are numbers, each with its name."""
    if len(graph.outputs) > 1:
        return NUMBERS
    source, output = graph.tensors[graph.input], graph.tensors[graph.outputs[0]]
    if prod(output.shape) > 1:
        return _by_shape(source.shape, output.shape, preprocessing)
    last = next(op for op in graph.ops if op.output == output.name)
    if not isinstance(last, Lookup):
        return NUMBERS
    rises = bool(np.all(np.diff(last.table.astype(np.int64)) >= 0))
    return PROBABILITY if rises and last.table.min() >= 0 and last.table.max() <= 2.0**output.binary_point else NUMBERS


def named(answers: str, labels: Sequence[str] | None, values: int) -> str:
    """What `values` outputs are once their classes have names: one number is a logit where two have."""
    if labels is None or answers != NUMBERS:
        return answers
    return LOGIT if values == 1 and len(labels) == 2 else CLASSES


def scores_of(answers: str, values: Array) -> Array:
    """Outputs (count, values), real, as scores (count, classes); numbers as they are."""
    if answers == PROBABILITY:
        return np.concatenate([1.0 - values, values], axis=1)
    return np.concatenate([-values, values], axis=1) if answers == LOGIT else values


def require_one_output(names: Sequence[str], what: str) -> None:
    """Raises EdgekitError, which names the outputs, where there are several."""
    if len(names) > 1:
        raise EdgekitError(f"{what} has {len(names)} outputs ({', '.join(names)}); one is supported. Save a model of one of them")


def _by_shape(source: tuple[int, ...], output: tuple[int, ...], preprocessing: Preprocessing) -> str:
    """A vector that an image becomes is one of classes; of other inputs, nothing tells."""
    return CLASSES if preprocessing.of == PIXELS and _vector(output) and prod(output) > 1 and output != source else NUMBERS


def _vector(shape: tuple[int, ...]) -> bool:
    return all(size == 1 for size in shape[:-1])
