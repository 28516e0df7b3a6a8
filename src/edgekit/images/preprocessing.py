"""What becomes of an image's pixels before a network sees them: tables of 256 entries a channel, made once, without floats.

Sizes are settled before, in edgekit.images.pixels. docs/numerics.md, "Preprocessing", has the whole rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import floor, isfinite

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.images.pixels import PIXEL_MAX, look_up

PIXELS, VALUES = "pixels", "values"


@dataclass(frozen=True)
class Preprocessing:
    """What a network's input is made of pixels 0..255, a channel each (or one value for all): (pixel - mean) / std.

    The numbers count as the decimals that they are printed as, which is what a manifest holds. `of` is VALUES where the network takes no
    images: then it is (value - mean) / std of the numbers in the user's arrays, and there is no table (edgekit.images.values).
    """

    mean: tuple[float, ...]
    std: tuple[float, ...]
    of: str = PIXELS


RAW = Preprocessing((0.0,), (1.0,))
"""0..255, the pixels themselves."""
ZERO_TO_ONE = Preprocessing((0.0,), (255.0,))
"""0..1."""
AS_THEY_ARE = Preprocessing((0.0,), (1.0,), VALUES)
"""Arrays of what the network takes."""
MINUS_ONE_TO_ONE = Preprocessing((127.5,), (127.5,))
"""-1..1, of the TensorFlow networks."""
LITE = Preprocessing((127.0,), (128.0,))
"""What EfficientNet-Lite takes (tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py)."""
IMAGENET = Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""Mean and deviation of ImageNet's pixels, of torchvision and timm: 255 times (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225)."""

NAMED = {"-1..1": MINUS_ONE_TO_ONE, "0..1": ZERO_TO_ONE, "0..255": RAW, "imagenet": IMAGENET}
FORMS = f"{', '.join(NAMED)}, or (pixel - mean) / std in numbers as MEAN/STD or R,G,B/R,G,B, such as 127.5/127.5"
CHANNEL_ORDERS = RGB, BGR = ("rgb", "bgr")
DIGITS = 12
"""Significant digits of a mean or deviation that is computed: 1 / (1 / 255) is 255."""


def parse_preprocessing(text: str) -> Preprocessing:
    """A name of NAMED, or numbers in the form MEAN/STD, each one number or three, of red, green and blue, between commas.

    Raises EdgekitError, which lists what is accepted.
    """
    if text in NAMED:
        return NAMED[text]
    try:
        mean, std = (tuple(float(number) for number in part.split(",")) for part in text.split("/"))
    except ValueError:
        mean, std = (), ()
    counts, values = {len(mean), len(std)}, (*mean, *std)
    if not counts <= {1, 3} or not all(isfinite(value) for value in values) or 0.0 in std:
        raise EdgekitError(f"'{text}' does not say what becomes of pixels; --preprocessing takes {FORMS}")
    return Preprocessing(mean, std)


def then(preprocessing: Preprocessing, scale: Sequence[float], offset: Sequence[float]) -> Preprocessing:
    """What `preprocessing` gives, times `scale` (not 0) plus `offset`, one number each or one a channel, as a preprocessing again."""
    channels = max(len(values) for values in (preprocessing.mean, preprocessing.std, scale, offset))
    rows = zip(*(_each(values, channels) for values in (preprocessing.mean, preprocessing.std, scale, offset)), strict=True)
    both = [(_short(mean - shift * std / factor), _short(std / factor)) for mean, std, factor, shift in rows]
    both = both[:1] if len(set(both)) == 1 else both
    return Preprocessing(tuple(mean for mean, _ in both), tuple(std for _, std in both), preprocessing.of)


def _each(values: Sequence[float], channels: int) -> list[Fraction]:
    return [Fraction(float(value)) for value in (list(values) * channels)[:channels]]


def _short(value: Fraction) -> float:
    return float(f"{float(value):.{DIGITS}g}")


def normalized(preprocessing: Preprocessing, channels: int) -> list[list[Fraction]]:
    """(pixel - mean) / std of each pixel 0..255 in each channel. Raises EdgekitError for another number of channels."""
    mean, std = ([Fraction(repr(float(value))) for value in values] for values in _of_channels(preprocessing, channels))
    return [[(pixel - mean[c]) / std[c] for pixel in range(PIXEL_MAX + 1)] for c in range(channels)]


@lru_cache(maxsize=16)
def float_table(preprocessing: Preprocessing, channels: int) -> npt.NDArray[np.float32]:
    """What a float network takes for each pixel, (channels, 256), read-only: every batch of a training asks for it."""
    table = np.array([[float(value) for value in row] for row in normalized(preprocessing, channels)], np.float32)
    table.flags.writeable = False
    return table


def as_pixels(images: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Images in -1..1, in which all are read, as the pixels that they were."""
    return np.rint((images + 1) * 127.5).astype(np.uint8)


def as_taken(images: npt.NDArray[np.float32], preprocessing: Preprocessing) -> npt.NDArray[np.float32]:
    """Images (..., channels) in -1..1, in which all are read, as a network with this preprocessing takes them."""
    if preprocessing == MINUS_ONE_TO_ONE:
        return images
    return np.asarray(look_up(as_pixels(images), float_table(preprocessing, images.shape[-1])))


def integer_table(
    preprocessing: Preprocessing, channels: int, *, scale: Fraction, zero_point: int, low: int, high: int
) -> npt.NDArray[np.int64]:
    """What a quantized input, real value = (q - zero_point) * scale, holds for each pixel: int64 (channels, 256) in low..high.

    q = clamp(floor((pixel - mean) / (std * scale) + 1/2) + zero_point)
    """
    rows = normalized(preprocessing, channels)
    values = [[min(max(floor(value / scale + Fraction(1, 2)) + zero_point, low), high) for value in row] for row in rows]
    return np.array(values, np.int64)


def normalize(pixels: Array, preprocessing: Preprocessing) -> Array:
    """Pixels 0..255 (..., channels) -> what the network takes, real. Raises EdgekitError for another number of channels."""
    mean, std = (np.array(values) for values in _of_channels(preprocessing, pixels.shape[-1]))
    return (pixels - mean) / std


def _of_channels(preprocessing: Preprocessing, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    for values in (preprocessing.mean, preprocessing.std):
        if len(values) not in (1, channels):
            raise EdgekitError(f"the preprocessing has {len(values)} channels, the network's input has {channels}")
    return tuple(preprocessing.mean * channels)[:channels], tuple(preprocessing.std * channels)[:channels]
