"""Square crops of scikit-learn's two sample photographs, to calibrate, measure and verify with where no images are given."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TypeAlias

import numpy as np

from edgekit.arrays import Array

Draw: TypeAlias = Callable[[np.random.Generator, float, int], int]
"""Draws a crop's side, in pixels: (rng, the least part of the shorter side, the shorter side in pixels) -> side."""


@cache
def sample_photographs() -> tuple[Array, ...]:
    """uint8 (rows, columns, 3) each."""
    from sklearn.datasets import load_sample_images

    return tuple(load_sample_images().images)


def photograph_files() -> tuple[Path, ...]:
    """Where the two lie, as .jpg."""
    from sklearn.datasets import load_sample_images

    return tuple(Path(name) for name in load_sample_images().filenames)


def any_pixels(rng: np.random.Generator, least: float, shorter: int) -> int:
    """Every whole number of pixels is as likely, the shorter side too."""
    return int(rng.integers(int(least * shorter), shorter, endpoint=True))


def any_part(rng: np.random.Generator, least: float, shorter: int) -> int:
    """Every part of the shorter side is as likely; it is rounded down to pixels."""
    return int(shorter * rng.uniform(least, 1))


def square_crop(photograph: Array, rng: np.random.Generator, least: float, draw: Draw) -> Array:
    """A random square, uint8 (side, side, 3), a view.

    Args:
        least: of the side, as a part of the photograph's shorter one.
        draw: how the side is drawn, `any_pixels` or `any_part`; the place is drawn after it, row first.
    """
    side = draw(rng, least, min(photograph.shape[:2]))
    top, left = (int(rng.integers(0, length - side, endpoint=True)) for length in photograph.shape[:2])
    return photograph[top : top + side, left : left + side]
