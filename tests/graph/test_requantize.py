"""Hand-made vectors at ties and at the ends of the clamp, each with the reason why it stands here."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.graph import Requantize

INT8, UINT8 = (-128, 127), (0, 255)


def apply(accumulator: int, n: int, clamp: tuple[int, int]) -> int:
    return int(Requantize((n,), *clamp).apply(np.array([accumulator], np.int64))[0])


@pytest.mark.parametrize(
    ("accumulator", "n", "clamp", "expected", "why"),
    [
        (2, 0, INT8, 2, "no shift, nothing to round"),
        (2, -3, INT8, 16, "a left shift multiplies"),
        (-6, -3, INT8, -48, "also below zero"),
        (6, 1, INT8, 3, "n = 1: even accumulators are halved without a remainder"),
        (-6, 1, INT8, -3, "the arithmetic shift of a negative even number is exact as well"),
        (2, 3, INT8, 0, "2/8 lies below one half"),
        (6, 3, INT8, 1, "6/8 lies above one half"),
        (-2, 3, INT8, 0, "-2/8 rounds to zero, where a shift without the constant would give -1"),
        (-6, 3, INT8, -1, "-6/8 rounds away from zero"),
        (10, 3, INT8, 1, "10/8 is the contract's nearest neighbour above 1"),
        (14, 3, INT8, 2, "14/8 is the nearest below 2"),
        (4, 3, INT8, 1, "a tie, which the contract rules out: half goes up"),
        (-4, 3, INT8, 0, "a tie below zero goes up as well, to zero"),
        ((127 << 4) + 6, 4, INT8, 127, "the highest int8, just below the tie with 128"),
        ((127 << 4) + 10, 4, INT8, 127, "rounds to 128 and saturates"),
        ((-128 << 4) - 6, 4, INT8, -128, "the lowest int8"),
        ((-128 << 4) - 10, 4, INT8, -128, "rounds to -129 and saturates"),
        ((255 << 4) + 10, 4, UINT8, 255, "rounds to 256 and saturates"),
        (-10, 4, UINT8, 0, "rounds to -1, and an unsigned tensor starts at zero"),
        (-6, 4, UINT8, 0, "-6/16 rounds to zero by itself"),
        (2**31 - 2, 1, INT8, 127, "the largest accumulator saturates instead of wrapping"),
        (-(2**31) + 2, 1, INT8, -128, "the smallest one too"),
        (2**31 - 2, 30, INT8, 2, "the largest shift: just below 2 rounds up"),
        (192 * 16 + 10, 4, (0, 192), 192, "ReLU6 at binary point 5 ends at 6 * 32"),
        (191 * 16 + 6, 4, (0, 192), 191, "and lets the integer below through"),
    ],
)
def test_vectors(accumulator, n, clamp, expected, why):
    assert apply(accumulator, n, clamp) == expected, why


@pytest.mark.parametrize("n", [-8, 31])
def test_shifts_out_of_range_are_refused(n):
    with pytest.raises(ValueError, match=f"shift {n} is outside"):
        Requantize((3, n), 0, 255)


def test_an_empty_clamp_is_refused():
    with pytest.raises(ValueError, match=r"clamp 1\.\.0 is empty"):
        Requantize((3,), 1, 0)


LATTICE = st.integers(-(2**29), 2**29 - 1).map(lambda k: 4 * k + 2)


@given(LATTICE, st.integers(3, 30))
def test_on_the_lattice_every_rounding_agrees(accumulator, n):
    """2 modulo 4 is never a tie for n >= 3: to nearest with ties up, down and to even are one."""
    up = (accumulator + (1 << (n - 1))) >> n
    down = -((-accumulator + (1 << (n - 1))) >> n)
    # gemmlowp rounds twice: a doubling high multiply by 2**30, then a division by 2**(n-1), both ties away from zero.
    product = accumulator * (1 << 30) + ((1 << 30) if accumulator >= 0 else 1 - (1 << 30))
    high = abs(product) // (1 << 31) * (1 if product >= 0 else -1)
    remainder, threshold = high & ((1 << (n - 1)) - 1), ((1 << (n - 1)) - 1 >> 1) + (high < 0)
    twice = (high >> (n - 1)) + (remainder > threshold)
    assert apply(accumulator, n, (-(2**31), 2**31)) == up == down == twice


@given(st.integers(-(2**30), 2**30), st.integers(-7, 30))
def test_channels_do_not_touch_each_other(accumulator, n):
    both = Requantize((n, 3), -128, 127).apply(np.array([[accumulator, 10]], np.int64))
    assert both.tolist() == [[apply(accumulator, n, INT8), 1]]
