"""What the user named as --data: "digits", or a folder with a sub-folder of images for each class."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekit.arrays import Array
from edgekit.bundle import Bundle
from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import PIXELS, as_pixels
from edgekit.jobs.samples import as_images, is_samples, read_samples, shaped, spread
from edgekit.keras_models.training.images import HELD_OUT, Images, Split, digits, image_folder, split_rows
from edgekit.keras_models.training.stored_images import stored_folder
from edgekit.progress import Note
from edgekit.verify.run import input_shape

DIGITS = "digits"
LIMIT = 512


def load_dataset(data: str, size: int, note: Note = lambda _: None) -> Split:
    """Images of a size, a quarter of each class held out; the same split on every call. Those of a folder stay in the cache's file.

    Raises:
        EdgekitError: no such folder, a folder without classes, with fewer than two images in a class, or a broken image.
    """
    if data == DIGITS:
        return digits(size)
    images = stored_folder(Path(data), size, note)
    if len(images.classes) < 2:
        raise EdgekitError(f"'{data}' has no sub-folders with images; training needs one for each class, named after it")
    counts = np.bincount(images.labels)
    if counts.min() < 2:
        raise EdgekitError(f"class '{images.classes[int(counts.argmin())]}' of '{data}' has one image; each class needs at least two")
    held = max(len(images.classes), round(HELD_OUT * len(images)))
    return _split(images, held)


def load_unlabelled(folder: Path, size: int, note: Note = lambda _: None) -> Split:
    """Images of a folder without classes, a quarter held out; the same split on every call. They stay in the cache's file.

    Raises:
        EdgekitError: no image, only one, or a broken one.
    """
    images = stored_folder(folder, size, note)
    if len(images) < 2:
        raise EdgekitError(f"'{folder}' has one image; training needs at least two, one of them held out")
    return _split(images, max(1, round(HELD_OUT * len(images))))


def _split(images: Images, held: int) -> Split:
    """So many images of a stored folder held out; nothing is read."""
    parts = split_rows(images.labels, held)
    return Split(*(Images(images.images.only(part), images.labels[part], images.classes) for part in parts))


def verification_inputs(data: str, bundle: Bundle) -> Array:
    """Pixels (count, rows, columns, 1 or 3): the held-out digits, or the images of a folder, at most LIMIT of them; or numbers (count,
    *shape), of a bundle that takes no images. Raises EdgekitError."""
    takes_images = bundle.manifest.preprocessing.of == PIXELS
    if is_samples(data):
        inputs = spread(read_samples(Path(data)).inputs, LIMIT)
        return as_images(inputs, data) if takes_images else shaped(inputs, input_shape(bundle), data)
    if not takes_images:
        raise EdgekitError(f"'{bundle.folder}' takes no images; give its inputs with --data FILE.npy")
    size = bundle.manifest.options.get("size")
    size = size if isinstance(size, int) else 224
    return as_pixels(digits(size).held_out.images if data == DIGITS else image_folder(Path(data), size, limit=LIMIT).images)
