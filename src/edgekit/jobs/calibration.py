"""Calibration: the images that a float model is shown, so that binary points and ranges can be chosen."""

from __future__ import annotations

from math import isqrt
from pathlib import Path

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Array
from edgekit.images.pixels import fit, look_up, map_shape
from edgekit.images.preprocessing import PIXELS, as_pixels, as_taken, float_table
from edgekit.images.values import normalized
from edgekit.jobs.dataset import DIGITS
from edgekit.jobs.samples import as_images, is_samples, read_samples, shaped, spread
from edgekit.jobs.source import FloatModel, ModelRequest, Source
from edgekit.progress import Note

IMAGES_QUICK, IMAGES_FULL = 64, 128
"""So many of a folder's images, evenly spread, choose ranges; so many reconstruct layers, whose last ones have a thousand weights an output
to tell apart by them."""
SEED = 1
SAMPLES = 256
"""Of a file of arrays, evenly spread. What is no image has far fewer values than one."""
SYNTHESIZED = "synthesized"


def calibration_images(request: ModelRequest, source: FloatModel, note: Note, count: int = IMAGES_QUICK) -> npt.NDArray[np.float32]:
    """Images (count, *input shape), normalized as the model takes them, to choose binary points and ranges with: `count` of those
    there are; of synthesized ones as many as are made. Raises EdgekitError."""
    shape = tuple(source.keras.inputs[0].shape[1:])
    samples = samples_of(request, source, shape)
    if samples is not None:
        return normalized(samples, source.preprocessing.mean, source.preprocessing.std).astype(np.float32)
    if request.calibration == SYNTHESIZED:
        from edgekit.keras_models.training.synthesize import synthesize

        table = float_table(source.preprocessing, shape[-1])
        return synthesize(source.keras, table[:, 0], table[:, -1], note=note)
    if is_samples(request.calibration):
        pixels = as_images(read_samples(Path(str(request.calibration))).inputs, str(request.calibration))
        return _fitted(list(spread(pixels, count)), shape, source)
    rows, columns, _ = map_shape(shape)
    side = max(rows, columns) if len(shape) == 3 else isqrt(columns) + 1
    images = _square_images(request, side, note, count)
    if shape == (side, side, 3):
        return as_taken(images, source.preprocessing)
    return _fitted(list(as_pixels(images)), shape, source)


def samples_of(request: ModelRequest, source: Source, shape: tuple[int, ...]) -> Array | None:
    """The numbers (count, *shape) in the file that --calibration names, of a network that takes no images. Raises EdgekitError."""
    if source.preprocessing.of == PIXELS or request.calibration is None:
        return None
    return spread(shaped(read_samples(Path(request.calibration)).inputs, shape, request.calibration), SAMPLES)


def _fitted(images: list[Array], shape: tuple[int, ...], source: FloatModel) -> npt.NDArray[np.float32]:
    fitted = np.stack([fit(pixels, shape) for pixels in images])
    return look_up(fitted, float_table(source.preprocessing, fitted.shape[-1])).reshape(-1, *shape)


def _square_images(request: ModelRequest, size: int, note: Note, count: int) -> npt.NDArray[np.float32]:
    """(count, size, size, 3) in -1..1."""
    from edgekit.keras_models.training import images as data

    if request.calibration is None:
        note(f"calibrating with {count} crops of two sample photographs")
        return data.photographs(size, count, SEED)
    if request.calibration == DIGITS:
        return data.digits(size).train.images[:count]
    return data.image_folder(Path(request.calibration), size, limit=count).images
