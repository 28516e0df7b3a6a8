"""Inputs that come as arrays, in .npy and .npz files: what a network takes that takes no images, and pixels of images too."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.files import MODEL_BYTES_MAX, read_bounded, reading
from edgekit.images.pixels import PIXEL_MAX

SUFFIXES = (".npy", ".npz")
PAIRS = (("x", "y"), ("x_test", "y_test"), ("x_train", "y_train"))
"""Names of inputs and answers in an .npz file, the first that are there; the latter two are those of Keras' own data sets."""


@dataclass(frozen=True)
class Samples:
    """`inputs` (count, ...), and where the file has them `answers` (count, ...): numbers of classes, or what the outputs should be."""

    inputs: Array
    answers: Array | None = None

    def __len__(self) -> int:
        return len(self.inputs)


def is_samples(name: str | None) -> bool:
    """Whether a word on the command line names a file of arrays."""
    return name is not None and Path(name).suffix.lower() in SUFFIXES


def read_samples(path: Path) -> Samples:
    """A .npy file has inputs alone; an .npz file has them under x, x_test or x_train, or as its only array.

    Raises EdgekitError: a file that cannot be read, holds other than finite numbers, or in which they are not as many as answers.
    """
    from edgekit.keras_models.files.arrays import read_npy, read_npz

    content = read_bounded(path, MODEL_BYTES_MAX)
    with reading(f"'{path}'"):
        if path.suffix.lower() == ".npz":
            with ZipFile(BytesIO(content)) as archive:
                found = _paired(read_npz(archive, len(content)), path)
        else:
            found = Samples(read_npy(path.name, content))
    inputs, answers = found.inputs, found.answers
    if inputs.ndim < 2 or not inputs.size:
        raise EdgekitError(f"'{path}' has inputs of shape {inputs.shape}; the first size counts them, the others are those of one input")
    if answers is not None and (not answers.ndim or len(answers) != len(inputs)):
        raise EdgekitError(f"'{path}' has {len(inputs)} inputs and answers of shape {answers.shape}; there is one for each input")
    for one in (inputs, answers):
        if one is not None and one.dtype.kind == "f" and not np.isfinite(one).all():
            raise EdgekitError(f"'{path}' holds NaN or infinite values")
    return found


def _paired(arrays: dict[str, Array], path: Path) -> Samples:
    for inputs, answers in PAIRS:
        if inputs in arrays:
            return Samples(arrays[inputs], arrays.get(answers))
    if len(arrays) == 1:
        return Samples(next(iter(arrays.values())))
    names = ", ".join(sorted(arrays)) or "nothing"
    raise EdgekitError(f"'{path}' holds {names}; its inputs are called x, and what a network should answer y")


def spread(inputs: Array, limit: int) -> Array:
    """At most so many rows, evenly spread."""
    return inputs if len(inputs) <= limit else inputs[np.arange(limit) * len(inputs) // limit]


def shaped(inputs: Array, shape: tuple[int, ...], name: str) -> Array:
    """Inputs (count, *shape) of a network; sizes of 1 may be there or not. Raises EdgekitError for other ones."""
    if inputs.shape[1:] == shape:
        return inputs
    if [size for size in inputs.shape[1:] if size != 1] != [size for size in shape if size != 1]:
        raise EdgekitError(f"'{name}' has inputs of shape {inputs.shape[1:]}, the model takes {shape}")
    return inputs.reshape(-1, *shape)


def as_images(inputs: Array, name: str) -> Array:
    """uint8 pixels (count, rows, columns, 1 or 3). Raises EdgekitError for arrays that are no images."""
    pixels = inputs[..., np.newaxis] if inputs.ndim == 3 else inputs
    whole = pixels.dtype.kind in "ui" or bool((pixels == np.rint(pixels)).all())
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3) or not whole or pixels.min() < 0 or pixels.max() > PIXEL_MAX:
        raise EdgekitError(
            f"'{name}' has inputs of shape {inputs.shape[1:]}, {inputs.dtype}, {inputs.min():g} to {inputs.max():g}; this model takes what "
            "is made of pixels, whole numbers 0 to 255 of shape (rows, columns, 1 or 3)"
        )
    return pixels.astype(np.uint8)
