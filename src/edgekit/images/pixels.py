"""From a decoded image to the values of a network's input, in integers alone: the same pixels give the same values on every machine.

The rule is in docs/numerics.md, "Preprocessing"; firmware/latency/core/image.cc has it in C++. Every bundle brings this file beside
run.py: it needs numpy only, and Python 3.9 or newer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
"""Of numpy; uint8 where nothing else is said."""

PIXEL_MAX = 255
RULE = 1
"""Number of the rule, for caches of resized images. A change of the rule, which changes what networks see, raises it."""
GREY = (299, 587, 114)
"""Thousandths of red, green and blue in the brightness of a pixel (ITU-R BT.601)."""


def map_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Rows, columns, channels; an input that is no map counts as one row of grey pixels."""
    return (shape[0], shape[1], shape[2]) if len(shape) == 3 else (1, int(np.prod(shape, dtype=np.int64)), 1)


def fit(image: Array, shape: tuple[int, ...]) -> Array:
    """An image (rows, columns) or (rows, columns, 1 or 3), of any size, in the network's size and number of channels.

    Cut to its centre in the aspect of a map; stretched where the input is none. Other than 3 channels all get the grey of the image.

    Returns:
        uint8 `map_shape(shape)`.
    """
    rows, columns, channels = map_shape(shape)
    pixels = image[..., np.newaxis] if image.ndim == 2 else image
    if len(shape) == 3:
        pixels = centre(pixels, rows, columns)
    if pixels.shape[2] == 3 and channels != 3:
        pixels = grey(pixels)
    return np.broadcast_to(resize(pixels, rows, columns), (rows, columns, channels))


def look_up(pixels: Array, table: Array) -> Array:
    """Pixels (..., channels) as the values that a table (channels, 256) has for them."""
    return table[np.arange(len(table)), pixels]


def centre(pixels: Array, rows: int, columns: int) -> Array:
    """The largest part of (height, width, channels) in the middle whose sides are as rows : columns, rounded down to whole pixels."""
    height, width = pixels.shape[:2]
    tall = max(1, min(height, width * rows // columns))
    wide = max(1, min(width, height * columns // rows))
    top, left = (height - tall) // 2, (width - wide) // 2
    return pixels[top : top + tall, left : left + wide]


def grey(pixels: Array) -> Array:
    """(..., 3) -> (..., 1), rounded half up."""
    return ((pixels @ np.array(GREY, np.int64) + 500) // 1000).astype(np.uint8)[..., np.newaxis]


def resize(pixels: Array, rows: int, columns: int) -> Array:
    """(..., height, width, channels) -> (..., rows, columns, channels): along rows' axis first, then along columns'."""
    return _resize_axis(_resize_axis(pixels, rows, -3), columns, -2)


def triangle(size: int, count: int) -> tuple[Array, Array]:
    """How much of each of `size` pixels is in each of `count`, as whole numbers.

    Pixel i of `count` has its centre at (2i + 1) / (2 count) of the length, pixel j of `size` at (2j + 1) / (2 size). The weight falls
    linearly with their distance, to 0 at the wider of the two steps, so that nothing is skipped; times 2 * size * count:

        weight[i, j] = max(0, 2 max(size, count) - |(2j + 1) count - (2i + 1) size|)

    Returns:
        int64 first (count,) and weights (count, taps): weights[i, t] is of pixel first[i] + t; 0 where there is no such pixel.
    """
    widest, middle = 2 * max(size, count), (2 * np.arange(count, dtype=np.int64) + 1) * size
    first = np.maximum(0, (middle - widest - count) // (2 * count) + 1)
    source = first[:, np.newaxis] + np.arange(widest // count + 1)
    weights = np.maximum(0, widest - np.abs((2 * source + 1) * count - middle[:, np.newaxis]))
    return first, np.where(source < size, weights, 0)


def _resize_axis(pixels: Array, count: int, axis: int) -> Array:
    """The weighted mean of pixels, rounded half up once: floor(sum / total + 1/2)."""
    size = pixels.shape[axis]
    if size == count:
        return pixels  # a weight of 1 for each pixel itself
    first, weights = triangle(size, count)
    lines = np.moveaxis(pixels, axis, 0)
    shape = (count, *[1] * (pixels.ndim - 1))
    sums = np.zeros((count, *lines.shape[1:]), np.int64)
    for tap in range(weights.shape[1]):
        sums += lines[np.minimum(first + tap, size - 1)] * weights[:, tap].reshape(shape)
    total = weights.sum(axis=1).reshape(shape)
    return np.moveaxis(((2 * sums + total) // (2 * total)).astype(np.uint8), 0, axis)
