"""From an image file to pixels of 8 bits, whatever kind of numbers the file has: they are scaled by their range, or refused by name."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.files import check_regular, first_line
from edgekit.images.pixels import PIXEL_MAX

DECODING = 2
"""Number of the rule here, for caches of decoded images."""
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258
"""Tags of EXIF and TIFF."""
IMAGE_BYTES_MAX = 1 << 28
EIGHT_BIT_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK", "YCbCr", "LAB", "HSV")
"""Pillow's modes whose values are 0..255, or become so when the image is read."""
IMAGE_PIXELS_MAX = 1 << 26
"""Of an image that is read: 8,192 x 8,192. Decoded it takes up to 14 bytes a pixel."""


def decode(file: Path) -> Array:
    """The pixels of an image file, uint8 (rows, columns, 3), upright.

    The decoders of lossy files (JPEG, WebP) may differ from version to version, by a step or two; those of PNG, BMP and PPM do not.
    Raises EdgekitError, which names the file, if it is not a whole image, too large, or of numbers that have no range.
    """
    from PIL import Image

    check_regular(file, IMAGE_BYTES_MAX)
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # what is too large is refused below
    try:
        with Image.open(file) as image:
            return _pixels(image)
    except Exception as error:  # pillow's decoders raise errors of many types on a broken file
        raise EdgekitError(f"cannot read the image '{file}': {first_line(error)}; repair or remove it") from error


def _pixels(image: Any) -> Array:
    """Of an image that Pillow has opened and not read yet.

    Greys of more than 8 bits are scaled by their range: floor((255 v + largest // 2) / largest). What lies behind a colour that lets
    through is not asked for.

    Raises ValueError for an image of more than IMAGE_PIXELS_MAX, or one whose numbers have no range to scale by.
    """
    from PIL import ImageOps

    columns, rows = image.size
    if columns * rows > IMAGE_PIXELS_MAX:
        raise ValueError(f"it has {columns} x {rows} pixels, and at most {IMAGE_PIXELS_MAX:,} are read; make it smaller")
    mode, largest = image.mode, _largest(image)
    turned = image if image.getexif().get(ORIENTATION, 1) == 1 else ImageOps.exif_transpose(image)
    if mode in EIGHT_BIT_MODES:
        return np.asarray(turned if mode == "RGB" else turned.convert("RGB"))
    values = np.asarray(turned).astype(np.uint32)
    scaled = ((np.minimum(values, largest) * PIXEL_MAX + largest // 2) // largest).astype(np.uint8)
    return np.repeat(scaled[..., np.newaxis], 3, axis=2)


def _largest(image: Any) -> int:
    """The value that stands for white."""
    if image.mode in EIGHT_BIT_MODES:
        return PIXEL_MAX
    if image.mode.startswith("I;16"):
        bits = getattr(image, "tag_v2", {}).get(BITS_PER_SAMPLE, (16,))
        return (1 << int(bits[0] if isinstance(bits, tuple) else bits)) - 1
    if image.mode == "I" and image.format in ("PNG", "PPM"):  # how Pillow reads their 16 bits, PPM's scaled to them
        return (1 << 16) - 1
    kinds = {"I": "whole numbers of 32 bits", "F": "floating-point numbers"}
    raise ValueError(
        f"its pixels are {kinds.get(image.mode, 'numbers')} (Pillow's mode '{image.mode}'), and nothing says which of them is white; save "
        "it with 8 or 16 bits a pixel"
    )
