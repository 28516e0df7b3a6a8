"""Rounding to the lattice by what a layer gives: hand-made vectors, and what must hold of any moments and weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.keras_models.qfx.lattice_rounding import (
    BLOCK,
    RIDGES,
    Moments,
    best_real_weights,
    choose_ridge,
    error,
    nearest,
    nearest_level,
    round_for_scores,
    round_with_feedback,
)
from edgekit.keras_models.qfx.precision import WeightPrecision

SIX_BITS = WeightPrecision().levels
TWO_HOT = WeightPrecision(k_hot=2).levels
IDENTITY = np.eye(2)[np.newaxis]


def column(*values: float) -> Any:
    """Weights of one group and one output."""
    return np.array(values, np.float64)[np.newaxis, :, np.newaxis]


def steps(*values: float) -> Any:
    return np.array([values], np.float64)


def moments(rng: np.random.Generator, groups: int, taps: int) -> Any:
    """Of inputs that depend on each other, as those of a layer do."""
    mixed = rng.normal(size=(groups, 4 * taps, taps)) @ (rng.normal(size=(groups, taps, taps)) * rng.random((groups, 1, taps)) ** 2)
    return np.swapaxes(mixed, 1, 2) @ mixed / mixed.shape[1]


# --- the nearest level ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (0.5, 0.0),  # ties go to the even level
        (1.5, 2.0),
        (-2.5, -2.0),
        (30.6, 31.0),
        (31.0, 31.0),
        (31.4, 31.0),  # beyond the end of the lattice
        (1e9, 31.0),
        (-1e9, -31.0),
        (0.0, 0.0),
    ],
)
def test_nearest_of_six_bits(weight: float, expected: float) -> None:
    assert nearest(column(weight), steps(1.0), SIX_BITS)[0, 0, 0] == expected
    assert nearest(column(weight / 8), steps(0.125), SIX_BITS)[0, 0, 0] == expected / 8  # a step is a power of two: nothing is rounded


@pytest.mark.parametrize(
    ("weight", "expected"),
    [
        (7.0, 6.0),  # 6 = 110b, 8 = 1000b; 7 has three bits: a tie, towards 0
        (7.1, 8.0),
        (-7.0, -6.0),
        (22.0, 20.0),  # between 20 and 24
        (40.0, 24.0),  # the largest of five bits with two set
    ],
)
def test_nearest_of_two_hot(weight: float, expected: float) -> None:
    assert nearest(column(weight), steps(1.0), TWO_HOT)[0, 0, 0] == expected


def test_each_output_has_its_step() -> None:
    weights = np.array([[[1.3, 1.3], [2.6, 2.6]]])
    assert nearest(weights, steps(1.0, 0.5), SIX_BITS).tolist() == [[[1.0, 1.5], [3.0, 2.5]]]


# --- least squares ----------------------------------------------------------------------------------------------------------------


def test_what_was_lost_before_is_undone() -> None:
    # the quantized input is half of the float one: twice the weights give the same
    real = np.random.default_rng(0).normal(size=(200, 3))
    given = real / 2
    target, _ = best_real_weights(column(1.0, -2.0, 0.5), Moments((given.T @ given)[np.newaxis], (given.T @ real)[np.newaxis]), ridge=1e-9)
    np.testing.assert_allclose(target[0, :, 0], [2.0, -4.0, 1.0], rtol=1e-6)


def test_equal_inputs_leave_the_weights_whatever_the_ridge() -> None:
    same = moments(np.random.default_rng(0), 1, 3)
    target, _ = best_real_weights(column(1.0, -2.0, 0.5), Moments(same, same), ridge=0.5)
    np.testing.assert_allclose(target[0, :, 0], [1.0, -2.0, 0.5], rtol=1e-9)


def test_inputs_that_are_always_zero_leave_the_weights() -> None:
    zero = np.zeros((2, 3, 3))
    weights = np.random.default_rng(0).normal(size=(2, 3, 1))
    target, hessian = best_real_weights(weights, Moments(zero, zero), ridge=0.01)
    np.testing.assert_allclose(target, weights, rtol=1e-12)
    assert np.isfinite(round_with_feedback(target, hessian, np.ones((2, 1)), SIX_BITS)).all()


def moments_of(given: Any, real: Any) -> Moments:
    return Moments((given.T @ given)[np.newaxis] / len(given), (given.T @ real)[np.newaxis] / len(given))


def test_what_other_images_lose_too_is_undone_and_what_one_set_lost_by_chance_is_not() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(1, 20, 4))
    real = rng.normal(size=(60, 20))
    halved = moments_of(real[:30] / 2, real[:30]), moments_of(real[30:] / 2, real[30:])
    assert choose_ridge(weights, *halved) == RIDGES[0]
    # noise on as many images as there are taps: by chance much of it can be undone on these, and nothing of it on others
    noisy = real + 0.05 * rng.normal(size=real.shape)
    by_chance = moments_of(noisy[:30], real[:30]), moments_of(noisy[30:], real[30:])
    assert choose_ridge(weights, *by_chance) >= 1.0


def test_the_ridge_loses_least_on_what_was_not_seen() -> None:
    rng = np.random.default_rng(1)
    weights, real = rng.normal(size=(1, 12, 3)), rng.normal(size=(80, 12)) @ rng.normal(size=(12, 12))
    given = real + 0.3 * rng.normal(size=real.shape) * real.std(axis=0)
    seen, unseen = moments_of(given[:40], real[:40]), moments_of(given[40:], real[40:])

    def lost(ridge: float) -> float:
        target, _ = best_real_weights(weights, seen, ridge)
        return float(np.sum((given[40:] @ target[0] - real[40:] @ weights[0]) ** 2))

    assert choose_ridge(weights, seen, unseen) == min(RIDGES, key=lost)


# --- error feedback ---------------------------------------------------------------------------------------------------------------


def test_independent_taps_are_rounded_to_the_nearest() -> None:
    target = column(1.4, -2.6)
    assert (round_with_feedback(target, IDENTITY, steps(1.0), SIX_BITS) == column(1.0, -3.0)).all()


def test_the_error_of_a_tap_goes_to_one_that_reads_the_same() -> None:
    # both taps read almost the same input: 1.4 + 1.4 = 2.8 is 1 + 2, not 1 + 1
    hessian = np.array([[[1.001, 1.0], [1.0, 1.0]]])
    assert round_with_feedback(column(1.4, 1.4), hessian, steps(1.0), SIX_BITS)[0, :, 0].tolist() == [1.0, 2.0]
    opposed = np.array([[[1.001, -1.0], [-1.0, 1.0]]])
    assert round_with_feedback(column(1.4, 1.4), opposed, steps(1.0), SIX_BITS)[0, :, 0].tolist() == [1.0, 1.0]


def test_the_tap_with_the_largest_moment_is_rounded_first() -> None:
    hessian = np.array([[[1.0, 1.0], [1.0, 1.001]]])
    assert round_with_feedback(column(1.4, 1.4), hessian, steps(1.0), SIX_BITS)[0, :, 0].tolist() == [2.0, 1.0]


def test_what_saturates_is_made_up_for() -> None:
    # 33 is beyond the end; the other tap takes what is missing
    hessian = np.array([[[1.001, 1.0], [1.0, 1.0]]])
    assert round_with_feedback(column(33.0, 4.0), hessian, steps(1.0), SIX_BITS)[0, :, 0].tolist() == [31.0, 6.0]


def test_blocks_change_nothing_but_the_order_of_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    taps = 2 * BLOCK + 5
    hessian = moments(rng, 1, taps) + 0.1 * np.eye(taps)
    target = rng.normal(size=(1, taps, 7))
    in_blocks = round_with_feedback(target, hessian, np.full((1, 7), 0.1), SIX_BITS)
    monkeypatch.setattr("edgekit.keras_models.qfx.lattice_rounding.BLOCK", taps)
    assert np.array_equal(in_blocks, round_with_feedback(target, hessian, np.full((1, 7), 0.1), SIX_BITS))


@given(seed=st.integers(0, 2**32 - 1), groups=st.integers(1, 4), taps=st.integers(1, 12), outputs=st.integers(1, 4), two_hot=st.booleans())
def test_never_leaves_the_lattice_and_gives_the_same_again(seed: int, groups: int, taps: int, outputs: int, two_hot: bool) -> None:
    rng = np.random.default_rng(seed)
    levels = TWO_HOT if two_hot else SIX_BITS
    each = 2.0 ** rng.integers(-8, 3, (groups, outputs))
    same = moments(rng, groups, taps)
    target, hessian = best_real_weights(rng.normal(size=(groups, taps, outputs)), Moments(same, same), 0.01)
    rounded = round_with_feedback(target, hessian, each, levels)
    assert set(np.abs(rounded / each[:, np.newaxis, :]).ravel()) <= set(map(float, levels))
    assert np.array_equal(rounded, round_with_feedback(target, hessian, each, levels))


def test_feedback_loses_less_than_the_nearest_on_average() -> None:
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(200):
        hessian = moments(rng, 1, 16) + 0.01 * np.eye(16)
        target = rng.normal(size=(1, 16, 8))
        each = np.abs(target).max(axis=1) / 31
        fed, plain = (
            error(one, target, hessian).sum()
            for one in (round_with_feedback(target, hessian, each, SIX_BITS), nearest(target, each, SIX_BITS))
        )
        ratios.append(fed / plain)
    assert np.mean(ratios) < 0.75
    assert np.mean(np.array(ratios) < 1.0) > 0.95


def test_error_is_the_mean_square_of_the_outputs() -> None:
    rng = np.random.default_rng(0)
    inputs, apart = rng.normal(size=(50, 4)), rng.normal(size=(1, 4, 3))
    found = error(apart, np.zeros_like(apart), (inputs.T @ inputs / 50)[np.newaxis])
    np.testing.assert_allclose(found[0], np.mean((inputs @ apart[0]) ** 2, axis=0), rtol=1e-12)


# --- across outputs ---------------------------------------------------------------------------------------------------------------


def test_an_output_takes_the_error_of_one_that_counts_with_it() -> None:
    # only the difference of the two outputs counts: 1.4 and 1.4 are both 1, or both 2; 1.4 and 1.8 are both 2 or both 1
    opposed = np.array([[1.0, -1.0], [-1.0, 1.001]])
    found = round_for_scores(np.array([[1.4, 1.8]]), np.eye(1), opposed, np.ones(2), SIX_BITS)
    assert found[0, 0] == found[0, 1]
    assert nearest(np.array([[[1.4, 1.8]]]), steps(1.0, 1.0), SIX_BITS).tolist() == [[[1.0, 2.0]]]
    # their sum counts: 1.4 + 1.4 is nearer to 3 than to 2
    alike = np.array([[1.0, 1.0], [1.0, 1.001]])
    assert sorted(round_for_scores(np.array([[1.4, 1.4]]), np.eye(1), alike, np.ones(2), SIX_BITS)[0]) == [1.0, 2.0]


def test_outputs_that_count_each_by_itself_are_rounded_as_with_feedback() -> None:
    rng = np.random.default_rng(5)
    taps, outputs = BLOCK + 9, BLOCK + 3
    hessian = moments(rng, 1, taps) + 0.1 * np.eye(taps)
    target, distances = rng.normal(size=(1, taps, outputs)), np.ldexp(1.0, rng.integers(-5, -2, (1, outputs)))
    by_itself = round_for_scores(target[0], hessian[0], np.eye(outputs), distances[0], SIX_BITS)
    assert np.array_equal(by_itself, round_with_feedback(target, hessian, distances, SIX_BITS)[0])


def test_it_costs_less_than_outputs_by_themselves() -> None:
    rng = np.random.default_rng(6)
    ratios = []
    for _ in range(20):
        taps, outputs = 24, 12
        hessian, between = (moments(rng, 1, one)[0] + 0.01 * np.eye(one) for one in (taps, outputs))
        target, distances = rng.normal(size=(taps, outputs)), np.full(outputs, 0.125)
        costs = []
        for found in (
            round_for_scores(target, hessian, between, distances, SIX_BITS),
            round_with_feedback(target[np.newaxis], hessian[np.newaxis], distances[np.newaxis], SIX_BITS)[0],
        ):
            apart = found - target
            costs.append(np.trace(between @ apart.T @ hessian @ apart))
        ratios.append(costs[0] / costs[1])
    assert np.exp(np.mean(np.log(ratios))) < 0.7


@given(value=st.floats(-200, 200), levels=st.sampled_from([SIX_BITS, TWO_HOT, WeightPrecision(3).levels]))
def test_the_nearest_level_is_that_of_all_weights(value: float, levels: Any) -> None:
    assert nearest_level(value, levels) == nearest(column(value), steps(1.0), levels)[0, 0, 0]


@pytest.mark.parametrize(("value", "expected"), [(7.0, 6), (7.1, 8), (-7.0, -6), (40.0, 24), (0.5, 0), (-0.6, -1)])
def test_nearest_level_of_two_hot(value: float, expected: int) -> None:
    assert nearest_level(value, TWO_HOT) == expected
