"""Tables of pixels: exact, half up, and what the floats of training quantize to."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgekit.errors import EdgekitError
from edgekit.graph import Tensor, quantize_input
from edgekit.images.preprocessing import IMAGENET, MINUS_ONE_TO_ONE, Preprocessing, float_table, integer_table, normalize


def table(preprocessing: Preprocessing, scale: Fraction, channels: int = 1, zero_point: int = 0) -> list[list[int]]:
    return integer_table(preprocessing, channels, scale=scale, zero_point=zero_point, low=-128, high=127).tolist()


def test_ties_go_up_and_ends_saturate() -> None:
    (row,) = table(Preprocessing((2.0,), (2.0,)), Fraction(1))
    assert row[:8] == [-1, 0, 0, 1, 1, 2, 2, 3], "(p - 2) / 2: -0.5 -> 0, 0.5 -> 1, 1.5 -> 2, 2.5 -> 3"
    assert row[255] == 127 and row[254] == 126, "126.5 -> 127"
    (row,) = table(MINUS_ONE_TO_ONE, Fraction(1, 128))
    assert (row[0], row[127], row[128], row[255]) == (-128, -1, 1, 127), "-1 -> -128; -0.502, 0.502; 1 -> 128, saturated"
    (row,) = table(MINUS_ONE_TO_ONE, Fraction(2))
    assert (row[0], row[255]) == (0, 1), "-0.5 -> 0 and 0.5 -> 1: the only ties that these pixels have, at binary point -1"


def test_a_mean_counts_as_the_decimal_that_it_is_printed_as() -> None:
    """(1.1 - 1.1) is 0 and (2 - 1.1) / 0.9 is 1, not a little less: as doubles, 1.1 and 0.9 are neither."""
    preprocessing = Preprocessing((1.1,), (0.2,))
    (row,) = table(preprocessing, Fraction(1))
    assert row[2] == 5, "0.9 / 0.2 = 4.5 exactly: a tie, up"
    assert np.floor((2 - 1.1) / 0.2 + 0.5) == 4, "what doubles make of it"


@pytest.mark.parametrize("preprocessing", [MINUS_ONE_TO_ONE, IMAGENET], ids=["minus one to one", "imagenet"])
@pytest.mark.parametrize("binary_point", range(2, 10))
def test_floats_quantize_to_the_table_for_all_pixels(preprocessing: Preprocessing, binary_point: int) -> None:
    """There are no ties from binary point 2 on, and no float32 is wrong by enough to cross one: training sees what devices see."""
    tensor = Tensor("image", (1, 256, 3), signed=True, binary_point=binary_point)
    wanted = integer_table(preprocessing, 3, scale=Fraction(1, 2**binary_point), zero_point=0, low=-128, high=127)
    np.testing.assert_array_equal(quantize_input(tensor, float_table(preprocessing, 3)), wanted)
    pixels = np.arange(256.0)[:, np.newaxis].repeat(3, axis=1)
    np.testing.assert_array_equal(quantize_input(tensor, normalize(pixels, preprocessing)).T, wanted, err_msg="in doubles")


def test_a_zero_point_and_any_scale() -> None:
    (row,) = table(Preprocessing((0.0,), (255.0,)), Fraction(np.float32(1 / 255).item()), zero_point=-128)
    assert row == list(range(-128, 128)), "what TensorFlow's converter makes of 0..1"


def test_one_value_for_all_channels_or_one_each() -> None:
    assert float_table(MINUS_ONE_TO_ONE, 3).shape == (3, 256) and float_table(IMAGENET, 3).dtype == np.float32
    np.testing.assert_allclose(float_table(IMAGENET, 3)[:, 255], [2.2489, 2.4286, 2.64], atol=1e-4)
    with pytest.raises(EdgekitError, match="has 3 channels, the network's input has 1"):
        float_table(IMAGENET, 1)
