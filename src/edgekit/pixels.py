"""Images of any size as the pixels that a network's input holds."""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

PIXEL_MAX = 255.0


def map_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, columns, channels; an input that is no map counts as one row of grey pixels."""
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (1, prod(shape), 1)


def fit(image: Array, shape: tuple[int, ...]) -> Array:
    """An image (rows, columns) or (rows, columns, 1 or 3) of pixels 0..255, in the network's size and number of channels.

    Returns:
        float64 pixels 0..255, `map_shape(shape)`. Other than 3 channels all get the grey of the image.
    """
    from PIL import Image

    rows, columns, channels = map_shape(shape)
    grey = channels != 3 or image.ndim == 2 or image.shape[-1] == 1
    pixels = np.clip(np.rint(image), 0, PIXEL_MAX).astype(np.uint8)
    picture = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)
    picture = picture.convert("L" if grey else "RGB").resize((columns, rows), Image.Resampling.BILINEAR)
    fitted = np.asarray(picture, np.float64)
    return np.repeat(fitted[..., np.newaxis], channels, axis=-1) if grey else fitted
