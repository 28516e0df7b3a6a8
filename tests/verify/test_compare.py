"""Counting differences, at the edges of the integer and float types."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgekit.executor import Artifact
from edgekit.verify.compare import TensorResult, compare
from edgekit.verify.variation import VariationCount


def count(expected: Any, actual: Any) -> TensorResult:
    """One tensor, one input, through the whole comparison."""
    from contextlib import contextmanager

    from edgekit.executor import Executor

    def constant(name: str, value: Any) -> Executor:
        @contextmanager
        def open_(artifact: Artifact, note: Any) -> Any:
            yield lambda inputs: {"out": value[np.newaxis]}

        return Executor(name, lambda artifact: None, open_)

    executors = [constant("a", np.asarray(expected)), constant("b", np.asarray(actual))]
    comparison = compare(Artifact(), executors, iter([np.zeros((1, 1))]), count=1, order=(), outputs=("out",), progress=lambda *_: None)
    assert comparison.results[0].error is None
    return comparison.results[0].tensors[0]


def test_the_largest_distance_of_int8_does_not_wrap() -> None:
    """127 - -128 = 255, which int8 holds as -1: subtracting in the tensor's own type would report 1 LSB."""
    found = count(np.array([127], np.int8), np.array([-128], np.int8))
    assert (found.differing, found.largest) == (1, 255)


def test_types_may_differ_where_values_do_not() -> None:
    """200 as uint8 and as int32 are one integer; 200 as uint8 and -56 as int8 have the same bits and are not."""
    assert count(np.array([200], np.uint8), np.array([200], np.int32)).differing == 0
    assert count(np.array([200], np.uint8), np.array([-56], np.int8)).largest == 256


def test_floats_differ_bit_by_bit() -> None:
    """A NaN equals the same NaN; 0.0 and -0.0 differ, at distance 0; one step above 1.0 differs; a new NaN is infinitely far."""
    one, nan = np.float32(1.0), np.float32(np.nan)
    assert count(np.array([nan]), np.array([nan])).differing == 0
    zero = count(np.array([0.0], np.float32), np.array([-0.0], np.float32))
    assert (zero.differing, zero.largest) == (1, 0.0)
    step = count(np.array([one]), np.array([np.nextafter(one, np.float32(2))]))
    assert step.differing == 1 and step.largest == pytest.approx(2**-23)
    assert math.isinf(count(np.array([one]), np.array([nan])).largest)


@settings(max_examples=50)
@given(data=st.data())
def test_counts_equal_a_loop_over_all_values(data: st.DataObject) -> None:
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
    small = hnp.arrays(np.int8, shape, elements=st.integers(-2, 2))
    expected, actual = data.draw(small), data.draw(small)
    found = count(expected, actual)
    wrong = [index for index in np.ndindex(*shape) if expected[index] != actual[index]]
    assert found.values == expected.size and found.differing == len(wrong)
    assert found.largest == max((abs(int(expected[i]) - int(actual[i])) for i in wrong), default=0)
    if wrong:
        assert found.first is not None and found.first.index == wrong[0]
        assert (found.first.expected, found.first.actual) == (expected[wrong[0]], actual[wrong[0]])
    else:
        assert found.first is None


def test_variation_over_chunks() -> None:
    """Element 0 never changes, 1 changes only between chunks, 2 within one; rows 0 and 3 are equal."""
    total = VariationCount()
    total.add(np.array([[5, 1, 127], [5, 1, -128]], np.int8))
    total.add(np.array([[5, 2, 127], [5, 1, 127]], np.int8))
    result = total.result("out")
    assert (result.inputs, result.elements, result.distinct, result.varying) == (4, 3, 3, 2)
    assert result.saturated == pytest.approx(4 / 12)
    assert not result.constant
