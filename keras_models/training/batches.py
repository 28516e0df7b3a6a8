"""The batches of an epoch, in random order, augmented, made ready while the last one is learned. A seed and an epoch settle all of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from math import ceil
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.images.pixels import resize
from edgekit.keras_models.training.images import FloatImages, Images, Pixels
from edgekit.keras_models.training.stored_images import StoredImages

Batch: TypeAlias = tuple[FloatImages, npt.NDArray[np.int64]]
AHEAD = 2
"""Batches that are made before they are asked for."""


@dataclass(frozen=True)
class Augmentation:
    """What may happen to an image on its way into a batch, each time anew.

    `mirror`: left and right change places, every other time. `crop_min`: a random square of at least this part of the side is enlarged to
    the whole again; 1 leaves images whole.
    """

    mirror: bool = True
    crop_min: float = 0.75

    def __post_init__(self) -> None:
        if not 0 < self.crop_min <= 1:
            raise EdgekitError(f"a crop keeps a part of the side above 0, up to 1; got {self.crop_min}")


NONE = Augmentation(mirror=False, crop_min=1)


def usual_augmentation(data: Images) -> Augmentation:
    """Photographs of a folder are augmented. Arrays are taken as they are: a mirrored digit is none."""
    return Augmentation() if isinstance(data.images, StoredImages) else NONE


def epoch_batches(data: Images, size: int, *, seed: int, epoch: int, augmentation: Augmentation | None = None) -> Iterator[Batch]:
    """Every image once, in batches of `size`; the few left over are others in every epoch.

    Args:
        seed, epoch: one pair gives the same batches on every machine, whatever epochs were asked for before.
        augmentation: by default `usual_augmentation`.

    Yields:
        float32 images (size, rows, columns, 3) as the network takes them, and int64 labels (size,).

    Raises:
        EdgekitError: images that have no pixels any more are to be augmented.
    """
    wanted = usual_augmentation(data) if augmentation is None else augmentation
    if wanted != NONE and not isinstance(data.images, StoredImages):
        raise EdgekitError("only images of a folder can be augmented; these are arrays, without their pixels")
    order = np.random.default_rng((seed, epoch)).permutation(len(data))

    def read(chosen: npt.NDArray[np.int64]) -> Batch:
        if wanted == NONE:
            return data.images[chosen], data.labels[chosen]
        pixels = data.images.pixels[data.images.rows[chosen]]
        # Each image has random numbers of its own: they do not depend on who shares its batch.
        rngs = [np.random.default_rng((seed, epoch, int(number))) for number in chosen]
        augmented = np.stack([augment(image, wanted, rng) for image, rng in zip(pixels, rngs, strict=True)])
        return data.images.real(augmented), data.labels[chosen]

    return _made_ahead(read, [order[start : start + size] for start in range(0, len(order) - size + 1, size)])


def augment(image: Pixels, augmentation: Augmentation, rng: np.random.Generator) -> Pixels:
    """One square image (size, size, 3), in the same size."""
    size = len(image)
    side = int(rng.integers(ceil(augmentation.crop_min * size), size, endpoint=True))
    top, left = (int(start) for start in rng.integers(0, size - side, 2, endpoint=True))
    cut = image[top : top + side, left : left + side]
    return np.asarray(resize(cut[:, ::-1] if augmentation.mirror and rng.integers(2) else cut, size, size))


def _made_ahead(make: Callable[[Any], Batch], wanted: Sequence[Any]) -> Iterator[Batch]:
    """What `make` makes of each, in order, by a thread of its own that is AHEAD."""
    ready: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(1) as pool:
        for one in wanted:
            ready.append(pool.submit(make, one))
            if len(ready) > AHEAD:
                yield ready.popleft().result()
        while ready:
            yield ready.popleft().result()
