"""Images to train, calibrate and verify with: scikit-learn's digits and photographs, and folders of image files.

All images are float32 (count, size, size, 3) in -1..1: pixel / 127.5 - 1, of pixels that edgekit.images.pixels brought to their size.
`edgekit.images.preprocessing` has what else networks take.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.files import check_path
from edgekit.images.decoding import decode
from edgekit.images.photographs import any_part, sample_photographs, square_crop
from edgekit.images.pixels import fit, look_up, resize
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, float_table

FloatImages: TypeAlias = npt.NDArray[np.float32]
Pixels: TypeAlias = npt.NDArray[np.uint8]
Rows: TypeAlias = Any
"""An array of FloatImages, or stored_images.StoredImages: indexed by a slice or by integers it gives such an array."""

HELD_OUT = 0.25
DIGIT_CLASSES = tuple("0123456789")
SPLIT_SEED = 0
CROP_MIN = 0.4
"""Least side of a random crop, as a part of the photograph's shorter side."""
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp")


@dataclass(frozen=True)
class Images:
    """`images` float32 (count, size, size, 3) in -1..1, `labels` int64 (count,), `classes` the name of each label.

    Where nothing says what an image shows, `classes` is empty and all labels are 0.
    """

    images: Rows
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class ImageFiles:
    """Files, not read yet, with labels and classes as in Images."""

    files: tuple[Path, ...]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Split:
    train: Images
    held_out: Images


def digits(size: int) -> Split:
    """The 1797 handwritten digits of scikit-learn, 8x8 grey pixels enlarged to (size, size, 3), a quarter of each class held out.

    The split is the same on every call.
    """
    small, labels = small_digits()
    images = real(np.repeat(resize(small, size, size), 3, axis=3))
    return Split(*(Images(images[part], labels[part], DIGIT_CLASSES) for part in split_rows(labels, HELD_OUT)))


def split_rows(labels: npt.NDArray[np.int64], held_out: float | int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Which images train and which are held out: this part or number of them, of each class its share; always alike."""
    from sklearn.model_selection import train_test_split

    train, rest = train_test_split(np.arange(len(labels)), test_size=held_out, random_state=SPLIT_SEED, stratify=labels)
    return train, rest


def small_digits() -> tuple[Pixels, npt.NDArray[np.int64]]:
    """The digits as they are, uint8 (1797, 8, 8, 1), and their labels. Their 17 greys are spread over 0..255."""
    from sklearn.datasets import load_digits

    grey, labels = load_digits(return_X_y=True)
    return ((grey.astype(np.int64) * 255 + 8) // 16).astype(np.uint8).reshape(-1, 8, 8, 1), labels.astype(np.int64)


def photographs(size: int, count: int, seed: int = 0) -> FloatImages:
    """`count` random square crops, half of them mirrored, of scikit-learn's two photographs. The same for the same seed."""
    rng, photos = np.random.default_rng(seed), sample_photographs()

    def crop() -> Pixels:
        cut = square_crop(photos[rng.integers(len(photos))], rng, CROP_MIN, any_part)
        return resize(cut[:, ::-1] if rng.integers(2) else cut, size, size)

    return real(np.stack([crop() for _ in range(count)]) if count else np.zeros((0, size, size, 3), np.uint8))


def image_folder(path: Path, size: int, limit: int | None = None) -> Images:
    """The images of `list_images`, each cut to its centre and brought to its size, in memory.

    Args:
        limit: read this many at most, evenly spread over the sorted files.

    Raises:
        EdgekitError: as list_images, or a file that cannot be read.
    """
    found = list_images(path, limit)
    return Images(np.stack([read_image(file, size) for file in found.files]), found.labels, found.classes)


def list_images(path: Path, limit: int | None = None) -> ImageFiles:
    """The image files of a folder, or of its sub-folders, one a class, by name.

    Args:
        limit: take this many at most, evenly spread over the sorted files.

    Raises:
        EdgekitError: no such folder, no images in it, or images both beside and inside sub-folders.
    """
    check_path(path)
    if not path.is_dir():
        raise EdgekitError(f"'{path}' is not a folder; give one that holds images")
    own = list(_image_files(path))
    of_classes = {folder.name: list(_image_files(folder)) for folder in sorted(path.iterdir()) if folder.is_dir()}
    of_classes = {name: files for name, files in of_classes.items() if files}
    if own and of_classes:
        inside = ", ".join(list(of_classes)[:4])
        raise EdgekitError(f"'{path}' has images of its own and in sub-folders ({inside}); put all into sub-folders, one a class, or none")
    files = [(file, 0) for file in own] or [(file, label) for label, group in enumerate(of_classes.values()) for file in group]
    if not files:
        raise EdgekitError(f"no images in '{path}'; looked for files ending in {', '.join(SUFFIXES)}, there and in its sub-folders")
    if limit is not None and limit < len(files):
        files = [files[i * len(files) // limit] for i in range(limit)]
    return ImageFiles(tuple(file for file, _ in files), np.array([label for _, label in files], np.int64), tuple(of_classes))


def read_image(file: Path, size: int) -> FloatImages:
    """One image file as (size, size, 3) in -1..1. Raises EdgekitError, which names the file, if it is not a whole image."""
    return real(fit(decode(file), (size, size, 3)))


def real(pixels: Pixels) -> FloatImages:
    """Pixels (..., channels) in -1..1."""
    return np.asarray(look_up(pixels, float_table(MINUS_ONE_TO_ONE, pixels.shape[-1])))


def _image_files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and not file.is_dir():
            yield file
