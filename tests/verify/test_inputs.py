"""Inputs are what a network can meet: photographs, noise and extremes, within the tensor's range, the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph
from edgekit.images.preprocessing import Preprocessing, normalize
from edgekit.verify.inputs import NOISES, draw_inputs, float_input, graph_input, make_inputs, quantized_input

CENTERED = Preprocessing((127.5,), (127.5,))


def test_same_seed_same_inputs_and_another_seed_others(graph: IntegerGraph) -> None:
    kind = graph_input(graph)
    one, again, other = (make_inputs(kind, CENTERED, count=64, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(one.values, again.values) and one.labels == again.labels
    assert not np.array_equal(one.values, other.values)
    assert len({value.tobytes() for value in one.values}) == 64, "no input stands twice"


def test_a_good_mixture(graph: IntegerGraph) -> None:
    inputs = make_inputs(graph_input(graph), CENTERED, count=64, seed=0)
    assert sum(label.startswith("photograph") for label in inputs.labels) == 25
    assert sum(label.startswith("noise") for label in inputs.labels) == 25
    by_label = dict(zip(inputs.labels, inputs.values, strict=True))
    assert (by_label["all lowest"] == -128).all() and (by_label["all highest"] == 127).all() and not by_label["all zero"].any()
    assert by_label["checkerboard"][0, :4, 0].tolist() == [127, -128, 127, -128]
    assert by_label["checkerboard"][1, :4, 0].tolist() == [-128, 127, -128, 127]
    assert np.count_nonzero(by_label["impulse in the first corner"]) == 3, "one pixel, three channels"


def test_photographs_are_what_the_preprocessing_makes_of_pixels(graph: IntegerGraph) -> None:
    """Binary point 7: pixel 255 -> 1.0 -> 128, saturated to 127; pixel 0 -> -1.0 -> -128. With a wrong mean all would saturate."""
    photographs = make_inputs(graph_input(graph), CENTERED, count=64, seed=0).values[:25]
    assert photographs.std() > 20 and abs(float(photographs.mean())) < 60
    dark = make_inputs(graph_input(graph), Preprocessing((1000.0,), (1.0,)), count=2, seed=0).values[0]
    assert (dark == -128).all()


@settings(max_examples=30)
@given(
    shape=st.one_of(st.tuples(*[st.integers(1, 9)] * 3), st.tuples(st.integers(1, 30)), st.tuples(*[st.integers(1, 4)] * 4)),
    count=st.integers(1, 70),
    zero_point=st.integers(-128, 127),
    float_type=st.booleans(),
)
def test_any_shape_gives_that_many_inputs_within_range(shape: tuple[int, ...], count: int, zero_point: int, float_type: bool) -> None:
    kind = float_input(shape, CENTERED) if float_type else quantized_input(shape, np.dtype(np.int8), 1 / 128, zero_point)
    inputs = make_inputs(kind, CENTERED, count=count, seed=count)
    assert inputs.values.shape == (count, *shape) and inputs.values.dtype == kind.dtype and len(inputs.labels) == count
    assert kind.low <= inputs.values.min() and inputs.values.max() <= kind.high


def test_extra_images_of_another_size_and_grey(graph: IntegerGraph, rng: np.random.Generator) -> None:
    kind = graph_input(graph)
    grey = np.full((2, 5, 40, 1), 255, np.uint8)
    values = make_inputs(kind, CENTERED, count=1, seed=0, images=grey).values
    assert values.shape == (3, 8, 8, 3) and (values[1:] == 127).all()


def test_normalize_takes_a_value_a_channel_or_one_for_all() -> None:
    pixels = np.array([[0.0, 100.0, 255.0]])
    assert normalize(pixels, Preprocessing((0.0, 100.0, 55.0), (1.0, 1.0, 100.0))).tolist() == [[0.0, 0.0, 2.0]]
    assert normalize(pixels, Preprocessing((100.0,), (50.0,))).tolist() == [[-2.0, 0.0, 3.1]]
    with pytest.raises(EdgekitError, match="has 2 channels, the network's input has 3"):
        normalize(pixels, Preprocessing((0.0, 0.0), (1.0,)))


def test_no_inputs_are_refused(graph: IntegerGraph) -> None:
    with pytest.raises(EdgekitError, match="over 0 inputs"):
        make_inputs(graph_input(graph), CENTERED, count=0, seed=0)


def test_inputs_are_made_one_at_a_time() -> None:
    """A hundred thousand of them would take gigabytes; the first is there at once."""
    kind = float_input((64, 64, 3), CENTERED)
    drawn = draw_inputs(kind, CENTERED, count=100_000, seed=0)
    first = [next(drawn) for _ in range(3)]
    whole = make_inputs(kind, CENTERED, count=64, seed=0)
    assert [label for label, _ in first] == list(whole.labels[:3])
    assert all(np.array_equal(value, wanted) for (_, value), wanted in zip(first, whole.values, strict=False))


def test_verify_takes_them_in_batches() -> None:
    from edgekit.verify.run import _batches

    made: list[int] = []

    def drawn() -> Iterator[tuple[str, np.ndarray]]:
        for i in range(7):
            made.append(i)
            yield f"input {i}", np.full(2, i)

    labels: list[str] = []
    batches = _batches(drawn(), 3, labels)
    assert next(batches).tolist() == [[0, 0], [1, 1], [2, 2]] and made == [0, 1, 2] and len(labels) == 3
    assert [len(batch) for batch in batches] == [3, 1] and labels == [f"input {i}" for i in range(7)]


def test_noise_of_every_kind_stays_in_range_and_differs() -> None:
    """Grey noise, and dots, gratings and patches of the extremes."""
    kind = quantized_input((9, 7, 3), np.dtype(np.int8), 1 / 128, 0)
    drawn = [noise(kind, np.random.default_rng(3)) for noise in NOISES]
    again = [noise(kind, np.random.default_rng(3)) for noise in NOISES]
    for one, other in zip(drawn, again, strict=True):
        assert one.shape == kind.shape and one.min() >= -128 and one.max() <= 127
        np.testing.assert_array_equal(one, other)
    for extremes in drawn[2:]:
        assert set(np.unique(extremes)) == {-128, 127}
    assert len({one.tobytes() for one in drawn[1:]}) == len(NOISES) - 1


def test_float_files_get_grey_noise_alone() -> None:
    """Structured extremes make untrained gates amplify the last bits of sums, and a float comparison would speak of that."""
    drawn = draw_inputs(float_input((8, 8, 3), CENTERED), CENTERED, count=64, seed=0)
    noises = [value for label, value in drawn if label.startswith("noise")]
    assert len(noises) >= 10
    assert all(len(np.unique(value)) > 100 for value in noises)
