"""Folders of images, however many: decoded and resized once into a file of the cache, read from there as they are needed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.cache import cache_folder
from edgekit.digest import digest_of, digest_of_parts
from edgekit.errors import EdgekitError
from edgekit.images.decoding import DECODING, decode
from edgekit.images.pixels import RULE, fit, look_up
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, Preprocessing, as_taken, float_table
from edgekit.keras_models.training.images import FloatImages, Images, Pixels, Split, list_images
from edgekit.plan import make_folder
from edgekit.progress import Note

PIXELS, IDENTITY = "pixels.bin", "identity.txt"
AT_ONCE = 64
"""Images that are decoded before they are written."""


@dataclass(frozen=True)
class StoredImages:
    """uint8 `pixels` (number, size, size, 3), often a file; of them those that `rows` counts, as a network takes them.

    Indexed by a slice or an array of integers it gives float32 (count, size, size, 3). Keras predicts from it batch by batch.
    """

    pixels: Pixels
    rows: npt.NDArray[np.int64]
    preprocessing: Preprocessing = MINUS_ONE_TO_ONE
    dtype = np.dtype(np.float32)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.pixels.shape[1:])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> FloatImages:
        return self.real(self.pixels[self.rows[index]])

    def only(self, index: Any) -> StoredImages:
        """Those images alone; nothing is read."""
        return replace(self, rows=self.rows[index])

    def real(self, pixels: Pixels) -> FloatImages:
        """Pixels (..., 3) as the network takes them."""
        return np.asarray(look_up(pixels, float_table(self.preprocessing, pixels.shape[-1])))


def stored_folder(path: Path, size: int, note: Note = lambda _: None) -> Images:
    """The images of images.list_images as StoredImages, decoded on the first call and whenever a file changed.

    Raises:
        EdgekitError: no images, one that cannot be read, or a cache that cannot be written.
    """
    found = list_images(path)
    pixels = _stored(path, found.files, size, note)
    return Images(StoredImages(pixels, np.arange(len(found.files))), found.labels, found.classes)


def split_as_taken(split: Split, preprocessing: Preprocessing) -> Split:
    """The images of both parts, in -1..1, as a network with this preprocessing takes them; stored ones are not read for it."""
    return Split(_as_taken(split.train, preprocessing), _as_taken(split.held_out, preprocessing))


def _as_taken(part: Images, preprocessing: Preprocessing) -> Images:
    stored = isinstance(part.images, StoredImages)
    images = replace(part.images, preprocessing=preprocessing) if stored else as_taken(part.images, preprocessing)
    return replace(part, images=images)


def _stored(path: Path, files: tuple[Path, ...], size: int, note: Note) -> Pixels:
    """uint8 (files, size, size, 3), which cannot be written to. The cache holds one state of a folder in each size."""
    name = digest_of(str(path.resolve()).encode())[:16]
    folder = cache_folder() / "images" / f"{name}-{size}"
    identity = _identity(path, files, size)
    if not _holds(folder, identity):

        def fill(stage: Path) -> None:
            with (stage / PIXELS).open("wb") as file:
                for image in _decoded(files, size, note):
                    file.write(image.tobytes())
            (stage / IDENTITY).write_text(identity)

        make_folder(folder, fill)
    try:
        return np.memmap(folder / PIXELS, np.uint8, "r", shape=(len(files), size, size, 3))
    except (OSError, ValueError) as error:
        raise EdgekitError(f"cannot read the images kept in {folder}: {error}; remove that folder") from error


def _identity(path: Path, files: tuple[Path, ...], size: int) -> str:
    """Changes whenever the pixels might: with a file's name, length or time of change, the size, the rule, or the decoders."""
    parts = [f"{RULE} {DECODING} {size} {version('pillow')}".encode()]
    for file in files:
        try:
            facts = file.stat()
        except OSError as error:
            raise EdgekitError(f"cannot read the image '{file}': {error.strerror}; repair or remove it") from error
        parts.append(f"\0{file.relative_to(path)}\0{facts.st_size} {facts.st_mtime_ns}".encode(errors="surrogateescape"))
    return digest_of_parts(parts)


def _holds(folder: Path, identity: str) -> bool:
    try:
        return (folder / IDENTITY).read_text() == identity
    except (OSError, ValueError):
        return False


def _decoded(files: tuple[Path, ...], size: int, note: Note) -> Iterator[Pixels]:
    """In order. Decoders let go of the interpreter, so threads help."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(files), AT_ONCE):
            note(f"reading images: {start:,} of {len(files):,}")
            yield from pool.map(lambda file: fit(decode(file), (size, size, 3)), files[start : start + AT_ONCE])
