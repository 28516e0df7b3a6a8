"""The checkpoint of a training: all that an epoch leaves to the next one, in one file that appears whole or not at all.

A zip archive: arrays as .npy (now_0, now_1, ... the model's and the optimizer's variables; best_0, ... those of the best epoch's model)
and training.json, with each epoch's figures and the words of the training that it belongs to. It is read as data; no pickle.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from math import isfinite
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import numpy.typing as npt

from edgekit.digest import digest_of_parts
from edgekit.errors import EdgekitError
from edgekit.files import CONFIG_BYTES_MAX, check_regular, first_line
from edgekit.keras_models.files.arrays import read_npz
from edgekit.keras_models.files.hdf5 import BYTES_MAX
from edgekit.keras_models.qfx.model import quantizers
from edgekit.keras_models.training.distillation import Teacher
from edgekit.keras_models.training.images import Images
from edgekit.keras_models.training.options import Options
from edgekit.plan import write_file

SCHEMA = "edgekit-training/1"
MEMBER = "training.json"
DIGEST_IMAGES = 256
"""Images that are looked at to tell one set from another, evenly spread."""
STEP_FIELDS = {"epoch": int, "epochs": int, "batch": int, "batches": int, "loss": float, "accuracy": float}


@dataclass(frozen=True)
class Checkpoint:
    """`history` has the figures of each epoch's Step. `best` is empty where no best epoch is kept."""

    history: list[dict[str, Any]]
    variables: list[npt.NDArray[Any]]
    best: list[npt.NDArray[Any]]


def model_variables(model: Any) -> list[Any]:
    """What makes two models of one architecture the same: weights, and binary points, which are no weights, each once."""
    return [*model.weights, *(point.variable for point in _points(model))]


def training_words(model: Any, data: Images, held_out: Images | None, options: Options, teacher: Teacher | None) -> dict[str, Any]:
    """What a training follows from. Call it before the first step: digests stand for the model and the images."""
    return {
        **asdict(options),
        "model weights": _digest([*(v.numpy() for v in model_variables(model)), *_precisions(model)]),
        "images": _digest(_samples(data)),
        "held-out images": _digest(_samples(held_out)) if held_out is not None else None,
        "teacher weights": _digest([v.numpy() for v in model_variables(teacher.model)]) if teacher else None,
        "temperature": teacher.temperature if teacher else None,
        "weight of the teacher": teacher.weight if teacher else None,
    }


def write_checkpoint(path: Path, words: Mapping[str, Any], checkpoint: Checkpoint) -> None:
    """Replaces an earlier one in one step. Raises EdgekitError if the folder cannot be written."""
    content = BytesIO()
    arrays = {f"now_{i}": value for i, value in enumerate(checkpoint.variables)} | {f"best_{i}": v for i, v in enumerate(checkpoint.best)}
    np.savez(content, allow_pickle=False, **arrays)
    with ZipFile(content, "a") as archive:
        archive.writestr(MEMBER, json.dumps({"schema": SCHEMA, "words": words, "history": checkpoint.history}))
    write_file(path, content.getvalue())


def read_checkpoint(path: Path, words: Mapping[str, Any], variables: Sequence[Any], model_count: int) -> Checkpoint:
    """The checkpoint of the training with these words. `variables` are those it will be assigned to, the model's `model_count` first.

    Raises EdgekitError: of another training (the message says what differs), or not whole.
    """
    check_regular(path, BYTES_MAX)
    with _whole(path), ZipFile(path) as archive:
        if archive.getinfo(MEMBER).file_size > CONFIG_BYTES_MAX:
            raise ValueError("it is larger than any checkpoint")
        found, arrays = json.loads(archive.read(MEMBER)), read_npz(archive, path.stat().st_size)
        if found["schema"] != SCHEMA or not isinstance(found["words"], dict):
            raise ValueError("it was written by another version")
    _compare(path, found["words"], words)
    with _whole(path):
        history = [_step_fields(one, number, words["epochs"]) for number, one in enumerate(found["history"], 1)]
        if not 1 <= len(history) <= words["epochs"]:
            raise ValueError("it has no epochs, or too many")
        now = _matching(arrays, "now", variables)
        best = _matching(arrays, "best", variables[:model_count]) if words["patience"] is not None else []
        if len(arrays) != len(now) + len(best):
            raise ValueError("it has more arrays than the model")
    return Checkpoint(history, now, best)


def remove_checkpoint(path: Path) -> None:
    """If there is one. Raises EdgekitError where that cannot be done."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise EdgekitError(f"cannot remove the checkpoint '{path}': {error.strerror}") from error


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # of every type, where a file is not whole, or was made to do harm
        raise EdgekitError(
            f"'{path}' is no whole checkpoint ({first_line(error)}); remove it or give --restart, to start afresh"
        ) from error


def _compare(path: Path, found: Mapping[str, Any], words: Mapping[str, Any]) -> None:
    differing = [name for name in words if found.get(name) != words[name]]
    if differing:
        named = ", ".join(
            f"other {name}" if isinstance(words[name] or found.get(name), str) else f"{name} {found.get(name)}, now {words[name]}"
            for name in differing
        )
        raise EdgekitError(
            f"'{path}' is the checkpoint of an unfinished training that differs in: {named}. Give the same options as then to go on with "
            "it, --restart to start afresh, or another output"
        )


def _step_fields(one: Any, epoch: int, epochs: int) -> dict[str, Any]:
    fields = {name: kind(one[name]) for name, kind in STEP_FIELDS.items()}
    held_out = None if one["held_out"] is None else float(one["held_out"])
    numbers = (fields["loss"], fields["accuracy"], held_out or 0.0)
    if not all(isfinite(number) for number in numbers) or (fields["epoch"], fields["epochs"]) != (epoch, epochs):
        raise ValueError("its epochs are not in order")
    return {**fields, "held_out": held_out}


def _matching(arrays: Mapping[str, npt.NDArray[Any]], kind: str, variables: Sequence[Any]) -> list[npt.NDArray[Any]]:
    values = [arrays[f"{kind}_{i}"] for i in range(len(variables))]
    for value, variable in zip(values, variables, strict=True):
        if value.shape != tuple(variable.shape) or value.dtype != variable.dtype.as_numpy_dtype or not np.isfinite(value).all():
            raise ValueError("an array does not fit the model")
    return values


def _points(model: Any) -> list[Any]:
    """Every binary point, those too that are not trained."""
    roots = [quantizer.point.root for quantizer in quantizers(model) if hasattr(quantizer, "point")]
    return list({id(root): root for root in roots}.values())


def _precisions(model: Any) -> list[npt.NDArray[Any]]:
    found = [one.precision for one in quantizers(model) if hasattr(one, "precision")]
    return [np.array([(one.bits, one.k_hot or 0) for one in found])]


def _samples(data: Images) -> list[npt.NDArray[Any]]:
    count = min(DIGEST_IMAGES, len(data))
    return [np.asarray(data.labels), np.asarray(data.images[[i * len(data) // count for i in range(count)]])]


def _digest(arrays: Sequence[npt.NDArray[Any]]) -> str:
    """SHA-256, in hex, over types, shapes and values."""
    return digest_of_parts(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes() for array in arrays)
