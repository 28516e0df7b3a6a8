"""Rounds weights to the lattice so that a layer's outputs stay, not its weights: the mathematics, in numpy alone.

For a layer y = W x + b whose inputs were X in float and are X_q in the quantized network, both with their means taken off, with the
second moments A = X_q' X_q and C = X_q' X and a ridge l that keeps the answer near the float weights, the best real weights are, where E
is what the outputs should undo beside (nothing, if they are not added to another tensor) and U = X_q' E,

    T = (A + l I)^-1 ((C + l I) W + U)         |X_q V - X W - E|^2 + l |V - W|^2  =  |V - T|^2_H + constant,  H = A + l I

so every choice V costs tr (V - T)' H (V - T) more. What is minimized over the lattice is this error, one column of V an output channel.
The last layers of a network have more taps than images tell apart: there, all of what was lost on the images that are looked at can be
undone, and more is lost on others. So the ridge is the one that loses least on images that T was not made of (choose_ridge).

Shapes: `weights` (groups, taps, outputs), `hessian` (groups, taps, taps). A dense layer or a convolution is one group, a depthwise
convolution has one a channel, each with one output. `steps` (groups, outputs) are the distances of neighbouring levels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Reals: TypeAlias = npt.NDArray[np.float64]

BLOCK = 64
"""Taps whose effect on each other is kept up to date one at a time; that on all others follows in one matrix product."""


RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 10_000.0)
"""Relative to the mean of A's diagonal. The last one leaves the float weights as they are."""
RIDGE_OF_ROUNDING = 0.1
"""At most, in H."""


@dataclass(frozen=True)
class Moments:
    """A, C and U of the head of this file, as means over cells: `inputs` and `cross` (groups, taps, taps), `undone` (groups, taps, outputs)
    or 0."""

    inputs: Reals
    cross: Reals
    undone: Reals | float = 0.0


def best_real_weights(weights: Reals, moments: Moments, ridge: float) -> tuple[Reals, Reals]:
    """T and H of the head of this file; l is `ridge` times the mean of A's diagonal in each group, and in H at most RIDGE_OF_ROUNDING
    times: what rounding costs is known better than what can be undone."""
    taps = weights.shape[1]
    mean = np.trace(moments.inputs, axis1=1, axis2=2) / taps
    added = (ridge * mean + np.finfo(np.float64).tiny)[:, np.newaxis, np.newaxis] * np.eye(taps)
    # a group that never saw anything but zeros keeps its weights: any H will do
    dead = np.where(mean > 0, 0.0, 1.0)[:, np.newaxis, np.newaxis] * np.eye(taps)
    target = np.linalg.solve(moments.inputs + added + dead, (moments.cross + added + dead) @ weights + moments.undone)
    return target, moments.inputs + added * min(1.0, RIDGE_OF_ROUNDING / ridge) + dead


def choose_ridge(weights: Reals, seen: Moments, unseen: Moments) -> float:
    """The ridge of RIDGES with which the best real weights by `seen` lose least on `unseen`.

    With D = T - W = (A + l I)^-1 ((C - A) W + U) they lose, there, tr D' A D - 2 D' ((C - A) W + U) more than W. A = Q diag(a) Q' once
    serves all ridges.
    """
    values, vectors = np.linalg.eigh(seen.inputs)
    turned = np.swapaxes(vectors, 1, 2) @ ((seen.cross - seen.inputs) @ weights + seen.undone)
    wanted = (unseen.cross - unseen.inputs) @ weights + unseen.undone
    mean = np.maximum(np.mean(values, axis=1), np.finfo(np.float64).tiny)[:, np.newaxis, np.newaxis]

    def more(ridge: float) -> float:
        moved = vectors @ (turned / (np.maximum(values, 0.0)[:, :, np.newaxis] + ridge * mean))
        return float(np.sum(moved * (unseen.inputs @ moved)) - 2.0 * np.sum(moved * wanted))

    return min(RIDGES, key=more)


def nearest(weights: Reals, steps: Reals, levels: Sequence[int]) -> Reals:
    """The nearest multiple of the step whose level is one of `levels` (ascending from 0) or their negatives; ties to the even level
    where all levels are there, else towards 0."""
    magnitude = np.abs(weights) / steps[:, np.newaxis, :]
    if len(levels) == levels[-1] + 1:
        found = np.minimum(np.rint(magnitude), float(levels[-1]))
    else:
        each = np.asarray(levels, np.float64)
        found = each[np.searchsorted((each[1:] + each[:-1]) / 2, magnitude)]
    return np.sign(weights) * found * steps[:, np.newaxis, :]


def error(rounded: Reals, target: Reals, hessian: Reals) -> Reals:
    """(V - T)' H (V - T) of each output, (groups, outputs)."""
    apart = rounded - target
    return np.sum(apart * (hessian @ apart), axis=1)


def round_with_feedback(target: Reals, hessian: Reals, steps: Reals, levels: Sequence[int]) -> Reals:
    """Rounds one tap after the other, those with the largest moments first, and spreads each one's error over the taps still to come
    (GPTQ, arXiv 2210.17323, equations 2 and 3)."""

    def round_tap(values: Reals) -> tuple[Reals, Reals]:
        rounded = nearest(values[:, np.newaxis], steps, levels)[:, 0]
        return rounded, values - rounded

    return _tap_by_tap(target, hessian, round_tap)


def round_for_scores(target: Reals, hessian: Reals, between: Reals, steps: Reals, levels: Sequence[int]) -> Reals:
    """Rounds so that tr G (V - T)' H (V - T) stays small: round_with_feedback, whose errors are spread over the outputs still to come, too
    (YAQA, arXiv 2505.22988, section 4). The inverse of H times G is the product of their inverses, and so are their triangular factors.

    Args:
        target: (taps, outputs), of one group.
        hessian: (taps, taps), H.
        between: (outputs, outputs), G.
        steps: (outputs,).
    """
    order = np.argsort(-np.diagonal(between) * steps**2, kind="stable")
    spread = np.linalg.cholesky(np.linalg.inv(between[np.ix_(order, order)])).T
    spread = spread / np.diagonal(spread)[:, np.newaxis]
    ordered_steps = steps[order]

    def round_tap(values: Reals) -> tuple[Reals, Reals]:
        rounded, lost = _round_across(values[0], spread, ordered_steps, levels)
        return rounded[np.newaxis], (lost @ spread)[np.newaxis]

    rounded = _tap_by_tap(target[np.newaxis][:, :, order], hessian[np.newaxis], round_tap)[0]
    return rounded[:, np.argsort(order)]


def _tap_by_tap(target: Reals, hessian: Reals, round_tap: Callable[[Reals], tuple[Reals, Reals]]) -> Reals:
    """`round_tap` makes of one tap's values (groups, outputs), which it may write to, the rounded ones and what the taps behind have to
    make up for."""
    order = np.argsort(-np.diagonal(hessian, axis1=1, axis2=2), axis=1, kind="stable")
    ordered = np.take_along_axis(np.take_along_axis(hessian, order[:, :, np.newaxis], 1), order[:, np.newaxis, :], 2)
    left = np.take_along_axis(target, order[:, :, np.newaxis], 1).copy()
    # H^-1 = U' U with U upper triangular: row i has the inverse of what is left once the taps before i are fixed
    spread = np.swapaxes(np.linalg.cholesky(np.linalg.inv(ordered)), 1, 2)
    rounded, taps = np.empty_like(left), left.shape[1]
    for start in range(0, taps, BLOCK):
        stop = min(start + BLOCK, taps)
        lost = np.empty((len(left), stop - start, left.shape[2]))
        for tap in range(start, stop):
            rounded[:, tap], apart = round_tap(left[:, tap])
            lost[:, tap - start] = apart / spread[:, tap, tap, np.newaxis]
            left[:, tap + 1 : stop] -= spread[:, tap, tap + 1 : stop, np.newaxis] * lost[:, tap - start, np.newaxis, :]
        left[:, stop:] -= np.swapaxes(spread[:, start:stop, stop:], 1, 2) @ lost
    return np.take_along_axis(rounded, np.argsort(order, axis=1)[:, :, np.newaxis], 1)


def _round_across(values: Reals, spread: Reals, steps: Reals, levels: Sequence[int]) -> tuple[Reals, Reals]:
    """One tap's weights rounded, one output after the other, and what each lost; `values` is written to."""
    rounded, lost = np.empty_like(values), np.empty_like(values)
    for first in range(0, len(values), BLOCK):
        last = min(first + BLOCK, len(values))
        for output in range(first, last):
            step = steps[output]
            rounded[output] = nearest_level(values[output] / step, levels) * step
            lost[output] = values[output] - rounded[output]
            values[output + 1 : last] -= spread[output, output + 1 : last] * lost[output]
        values[last:] -= lost[first:last] @ spread[first:last, last:]
    return rounded, lost


def nearest_level(value: float, levels: Sequence[int]) -> int:
    """As `nearest`, of one weight in steps: a network has millions, and an array for each costs more than the rounding."""
    magnitude = abs(float(value))
    if len(levels) == levels[-1] + 1:
        level = min(round(magnitude), levels[-1])
    else:
        above = min(bisect_left(levels, magnitude), len(levels) - 1)
        level = levels[above - 1] if above and 2 * magnitude <= levels[above] + levels[above - 1] else levels[above]
    return level if value >= 0 else -level
