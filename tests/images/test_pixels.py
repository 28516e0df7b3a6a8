"""The rule that brings images to a network's size: hand-made vectors, and what holds for every image."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.images.pixels import centre, fit, grey, look_up, resize, triangle

SIDES = st.integers(1, 40)


def plane(*rows: list[int]) -> Any:
    return np.array(rows, np.uint8)[..., np.newaxis]


def draw(rows: int, columns: int, seed: int, channels: int = 3) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (rows, columns, channels)).astype(np.uint8)


def exact_axis(line: list[Fraction], count: int) -> list[Fraction]:
    """The triangle filter in fractions, by its definition: the distance of two centres, in steps of the wider grid."""
    size, step = len(line), max(Fraction(1, len(line)), Fraction(1, count))
    means = []
    for i in range(count):
        distances = [abs(Fraction(2 * j + 1, 2 * size) - Fraction(2 * i + 1, 2 * count)) / step for j in range(size)]
        weights = [max(Fraction(0), 1 - distance) for distance in distances]
        means.append(sum((w * value for w, value in zip(weights, line, strict=True)), Fraction(0)) / sum(weights))
    return means


@pytest.mark.parametrize(
    ("image", "rows", "columns", "expected", "why"),
    [
        (plane([0], [1]), 1, 1, plane([1]), "0.5 is a tie: half up"),
        (plane([254], [255]), 1, 1, plane([255]), "254.5 is a tie at the upper end"),
        (plane([0, 1], [1, 1]), 1, 1, plane([1]), "columns see what rows were rounded to: 1, 1"),
        (plane([0, 1], [0, 0]), 1, 1, plane([1]), "rows first: 0, 0.5 -> 1; then 0.5 -> 1. Rounded once, 0.25 would be 0"),
        (plane([1, 0, 0]), 1, 1, plane([0]), "weights 4 6 4 of 14: 0.29"),
        (plane([0, 255]), 1, 4, plane([0, 64, 191, 255]), "weights 4 and 12 of 16: 63.75 and 191.25; the ends have one neighbour"),
        (plane([0, 0, 255, 255]), 1, 2, plane([36, 219]), "weights 6 6 2 and 2 6 6 of 14: 36.43 and 218.57"),
    ],
)
def test_vectors(image: Any, rows: int, columns: int, expected: Any, why: str) -> None:
    np.testing.assert_array_equal(resize(image, rows, columns), expected, err_msg=why)


def test_the_weights_of_halving() -> None:
    """4 pixels in 2: the triangle is as wide as two steps of the output; at the edge its outer half has no pixel."""
    first, weights = triangle(4, 2)
    assert first.tolist() == [0, 1] and weights[:, :3].tolist() == [[6, 6, 2], [2, 6, 6]] and not weights[:, 3:].any()


@settings(max_examples=60)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 999))
def test_it_is_the_triangle_filter_rounded_half_up_after_each_axis(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    image = draw(height, width, seed, 1)
    first = [[floor(v + Fraction(1, 2)) for v in exact_axis([Fraction(int(p)) for p in image[:, x, 0]], rows)] for x in range(width)]
    lines = np.array(first).T
    wanted = [[floor(v + Fraction(1, 2)) for v in exact_axis([Fraction(int(p)) for p in line], columns)] for line in lines]
    np.testing.assert_array_equal(resize(image, rows, columns)[..., 0], wanted)


@settings(max_examples=60)
@given(SIDES, SIDES, SIDES, SIDES, st.integers(0, 999))
def test_what_holds_for_every_image(height: int, width: int, rows: int, columns: int, seed: int) -> None:
    image = draw(height, width, seed)
    found = resize(image, rows, columns)
    assert found.shape == (rows, columns, 3) and found.dtype == np.uint8
    assert image.min() <= found.min() and found.max() <= image.max()
    for channel in range(3):
        np.testing.assert_array_equal(found[..., [channel]], resize(image[..., [channel]], rows, columns), err_msg="channels are apart")
    np.testing.assert_array_equal(resize(image[:, ::-1], rows, columns), found[:, ::-1], err_msg="mirrored")
    np.testing.assert_array_equal(resize(image[::-1], rows, columns), found[::-1], err_msg="upside down")
    np.testing.assert_array_equal(resize(image, height, width), image, err_msg="its own size")
    flat = np.full_like(image, seed % 256)
    assert (resize(flat, rows, columns) == seed % 256).all(), "a constant stays what it is"
    np.testing.assert_array_equal(resize(np.stack([image, flat]), rows, columns)[0], found, err_msg="in a batch")


@pytest.mark.parametrize("size", [1000, 20_011])
def test_big_reductions_skip_nothing_and_do_not_overflow(size: int) -> None:
    stripes = np.broadcast_to(
        np.array([[[0]], [[255]]], np.uint8).repeat(size // 2 + 1, axis=1).swapaxes(0, 1).reshape(1, -1, 1), (1, 2 * (size // 2 + 1), 1)
    )
    found = resize(stripes, 1, 7)
    assert np.abs(found.astype(int) - 128).max() <= 1, "single pixels of black and white are grey from afar"
    assert resize(np.full((size, 1, 1), 255, np.uint8), 1, 1).item() == 255


def test_the_centre_is_cut_in_the_aspect_of_the_network() -> None:
    columns = np.arange(10, dtype=np.uint8).reshape(1, 10, 1).repeat(4, axis=0)
    assert centre(columns, 1, 1)[0, :, 0].tolist() == [3, 4, 5, 6], "a square in the middle"
    assert centre(columns, 2, 1)[0, :, 0].tolist() == [4, 5], "twice as high as wide"
    assert centre(columns[:, :9], 1, 1)[0, :, 0].tolist() == [2, 3, 4, 5], "five columns too many: two left, three right"
    rows = columns.swapaxes(0, 1)
    assert centre(rows[:9], 1, 1)[:, 0, 0].tolist() == [2, 3, 4, 5], "two above, three below"
    assert centre(columns, 1, 100).shape == (1, 10, 1), "at least one row"


def test_fit_of_every_kind() -> None:
    image = draw(6, 4, 1)
    np.testing.assert_array_equal(fit(image, (4, 4, 3)), image[1:5])
    assert grey(np.array([[[255, 255, 255], [0, 0, 0], [1, 0, 0], [0, 1, 0]]], np.uint8)).ravel().tolist() == [255, 0, 0, 1]
    np.testing.assert_array_equal(fit(image, (4, 4, 1)), grey(image[1:5]))
    np.testing.assert_array_equal(fit(image[..., 0], (4, 4, 3)), image[1:5, :, [0]].repeat(3, axis=2), err_msg="grey into three channels")
    np.testing.assert_array_equal(fit(image, (24,)), resize(grey(image), 1, 24), err_msg="no map: one row, of the whole image")


def test_look_up_takes_each_channel_from_its_row() -> None:
    table = np.stack([np.arange(256) - 128, 127 - np.arange(256)]).astype(np.int8)
    np.testing.assert_array_equal(look_up(np.array([[[0, 0], [255, 1]]], np.uint8), table), [[[-128, 127], [127, 126]]])
