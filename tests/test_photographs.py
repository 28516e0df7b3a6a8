"""The sample photographs' crops: squares inside the photograph, and no smaller than asked for."""

from __future__ import annotations

import numpy as np
import pytest

from edgekit.images.photographs import Draw, any_part, any_pixels, sample_photographs, square_crop


@pytest.mark.parametrize("draw", [any_part, any_pixels])
@pytest.mark.parametrize("least", [0.3, 1.0])
def test_crops_are_squares_between_the_least_side_and_the_shorter_one(draw: Draw, least: float, rng: np.random.Generator) -> None:
    photograph = rng.integers(0, 256, (40, 50, 3), np.uint8)
    sides = set()
    for _ in range(200):
        crop = square_crop(photograph, rng, least, draw)
        assert crop.shape[0] == crop.shape[1] and crop.base is photograph
        sides.add(len(crop))
    assert min(sides) == int(40 * least) and max(sides) in ((40,) if least == 1 else (39, 40))


def test_there_are_two_photographs() -> None:
    assert [photograph.dtype for photograph in sample_photographs()] == [np.uint8, np.uint8]
