"""What workers do in a search: a point's cost and the accuracy of its exact form, cut out of the supernet; and whole trainings.

Arguments and results are plain dataclasses; data sets and weights are read by whoever works, once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.arrays import Array
from edgekit.bundle import open_bundle
from edgekit.graph import IntegerGraph, quantize_input
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE
from edgekit.jobs import ModelRequest, export_model, train_model, write_hls_project
from edgekit.jobs.calibration import IMAGES_QUICK
from edgekit.jobs.dataset import load_dataset
from edgekit.keras_models import Precisions, freeze, quantize
from edgekit.keras_models.qfx.precision import read_precisions
from edgekit.keras_models.training.fit import fit
from edgekit.keras_models.training.images import Images
from edgekit.keras_models.training.options import Options
from edgekit.keras_models.training.stored_images import split_as_taken
from edgekit.search.cost import CostModel, cost_of
from edgekit.search.space import Choice, Space, point_of, precisions_of
from edgekit.search.supernet import Weights, cut_out, load_weights
from edgekit.search.trials import Scored
from edgekit.tflite import write_tflite
from edgekit.tflite.executors import as_stored, load_for_outputs
from edgekit.verify import verify

VALIDATION = 4
"""One training image in so many is kept for the search, which looks at it so often; nothing is trained with those but what is trained in
the end. The held-out images are looked at in the end alone."""
CHUNK, KERNELS = 256, "xnnpack"
TUNING_LEARNING_RATE = 0.004
"""Of a network that has its weights from the supernet: that of the supernet's training."""


@dataclass(frozen=True)
class PointTask:
    """`supernet`: the file of its weights, with which a network is trained for `epochs` more before it is looked at."""

    space: Space
    chosen: dict[str, Choice]
    cost: CostModel
    supernet: Path
    data: str
    classes: int
    epochs: int
    seed: int


@dataclass(frozen=True)
class TrainingTask:
    """`network`: a table's file, or a name of the zoo. `folder`: its own, where files are kept while it is unfinished."""

    network: str
    alpha: float
    size: int
    precisions: Path | None
    clock_mhz: float | None
    form: str
    data: str
    epochs: int
    qfx_epochs: int
    seed: int
    folder: Path
    target: str | None
    board: str | None


@dataclass(frozen=True)
class TrainedNetwork:
    """Accuracies, 0..1, of the held-out images: in float, and of the exact form after fine-tuning. `bundle`: the folder that was exported,
    where the task had a target or a board."""

    float_accuracy: float
    accuracy: float
    model: Path
    bundle: Path


@dataclass(frozen=True)
class Compared:
    """How many values of a bundle's executors were compared with the reference's, and how many of them differ."""

    values: int
    differing: int


def evaluate_point(task: PointTask) -> Scored:
    """The cost of a point, and where it keeps its limit the accuracy of its exact form on the validation images."""
    point = point_of(task.space, task.chosen)
    cost = cost_of(task.cost, point, task.classes)
    if not cost.feasible:
        return Scored(cost, None)
    train, validation = search_images(task.data, point.table.size)
    model = cut_out(point, _weights(task.supernet), train)
    if task.epochs:
        fit(model, train, Options(task.epochs, TUNING_LEARNING_RATE, task.seed))
    exact = quantize(model, train.images[:IMAGES_QUICK], precisions=precisions_of(point)).model
    _forget()
    return Scored(cost, exact_accuracy(freeze(exact), validation))


def exact_accuracy(graph: IntegerGraph, images: Images) -> float:
    """Top-1, 0..1, of an integer graph, by TFLite, which computes it fastest here. Of equal outputs the first counts."""
    source, right = graph.tensors[graph.input], 0
    outputs = load_for_outputs(write_tflite(graph), KERNELS)
    for start in range(0, len(images), CHUNK):
        chunk = slice(start, start + CHUNK)
        logits: Array = outputs(as_stored(graph, quantize_input(source, images.images[chunk])))[0]
        right += int(np.sum(logits.reshape(len(logits), -1).argmax(axis=1) == images.labels[chunk]))
    return right / len(images)


def train_network(task: TrainingTask) -> TrainedNetwork:
    """Trains from scratch, fine-tunes in QFX, and exports for the target or the board. What a killed one has done is not done again."""
    _forget()
    task.folder.mkdir(parents=True, exist_ok=True)
    plain, exact, bundle = (task.folder / name for name in ("float.keras", "exact.keras", "bundle"))
    request = ModelRequest(task.network, alpha=task.alpha, size=task.size, seed=task.seed)
    float_file, accuracy_file = task.folder / "float.accuracy", task.folder / "exact.accuracy"
    _once(plain, float_file, lambda: train_model(request, data=task.data, exact=True, epochs=task.epochs, output=plain).accuracy)
    bits: Precisions | None = None if task.precisions is None else read_precisions(task.precisions)
    tuned = ModelRequest(str(plain), seed=task.seed)
    _once(
        exact,
        accuracy_file,
        lambda: train_model(tuned, data=task.data, qfx=True, precisions=bits, epochs=task.qfx_epochs, output=exact).accuracy,
    )
    done = ModelRequest(str(exact))
    if task.target is not None:
        export_model(done, target=task.target, output=bundle)
    elif task.board is not None:
        write_hls_project(done, board=task.board, form=task.form, clock_mhz=task.clock_mhz, output=bundle)
    return TrainedNetwork(float(float_file.read_text()), float(accuracy_file.read_text()), exact, bundle)


def verify_bundle(bundle: Path) -> Compared:
    """As `edgekit verify` does without options."""
    found = verify(open_bundle(bundle)).results
    return Compared(sum(one.values for one in found), sum(one.differing for one in found))


def search_images(data: str, size: int) -> tuple[Images, Images]:
    """The images that the supernet is trained with, and those that the search looks at: both of the training part."""
    return _search_images(data, size)


@lru_cache(maxsize=4)
def _search_images(data: str, size: int) -> tuple[Images, Images]:
    found = split_as_taken(load_dataset(data, size), MINUS_ONE_TO_ONE).train
    rows = np.arange(len(found))
    kept = rows % VALIDATION == VALIDATION - 1
    return _only(found, rows[~kept]), _only(found, rows[kept])


def _only(images: Images, rows: Any) -> Images:
    chosen = images.images.only(rows) if hasattr(images.images, "only") else images.images[rows]
    return replace(images, images=chosen, labels=images.labels[rows])


@lru_cache(maxsize=1)
def _weights(path: Path) -> Weights:
    return load_weights(path)


def _once(product: Path, record: Path, make: Callable[[], float]) -> None:
    """Makes a file, and then the record of its accuracy, unless both are there."""
    if not (product.exists() and record.exists()):
        product.unlink(missing_ok=True)
        record.write_text(repr(make()))


def _forget() -> None:
    """Keras keeps what it made for names that must not be given twice."""
    from edgekit.keras_models.layers.legacy_keras import import_keras

    import_keras().backend.clear_session()
