"""Rounds weights to the lattice so that a layer's outputs stay, not its weights: the mathematics, in numpy alone.

For a layer y = W x + b whose inputs were X in float and are X_q in the quantized network, both with their means taken off, with the
second moments A = X_q' X_q and C = X_q' X and a ridge l that keeps the answer near the float weights, the best real weights are, where E
is what the outputs should undo beside (nothing, if they are not added to another tensor),

    T = (A + l I)^-1 ((C + l I) W + X_q' E)         |X_q V - X W - E|^2 + l |V - W|^2  =  |V - T|^2_H + constant,  H = A + l I

so every choice V costs tr (V - T)' H (V - T) more. What is minimized over the lattice is this error, one column of V an output channel.

Shapes: `weights` (groups, taps, outputs), `moments` (groups, taps, taps). A dense layer or a convolution is one group, a depthwise
convolution has one a channel, each with one output. `steps` (groups, outputs) are the distances of neighbouring levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Reals: TypeAlias = npt.NDArray[np.float64]

BLOCK = 64
"""Taps whose effect on each other is kept up to date one at a time; that on all others follows in one matrix product."""


def best_real_weights(weights: Reals, moments: Reals, cross: Reals, ridge: float, undone: Reals | float = 0.0) -> tuple[Reals, Reals]:
    """T and H of the head of this file; l is `ridge` times the mean of A's diagonal in each group.

    Args:
        cross: (groups, taps, taps), C = X_q' X.
        undone: (groups, taps, outputs), X_q' E.
    """
    taps = moments.shape[-1]
    mean = np.trace(moments, axis1=1, axis2=2) / taps
    added = (ridge * mean + np.finfo(np.float64).tiny)[:, np.newaxis, np.newaxis] * np.eye(taps)
    # a group that never saw anything but zeros keeps its weights: any H will do
    dead = np.where(mean > 0, 0.0, 1.0)[:, np.newaxis, np.newaxis] * np.eye(taps)
    hessian = moments + added + dead
    return np.linalg.solve(hessian, (cross + added + dead) @ weights + undone), hessian


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
            rounded[:, tap : tap + 1] = nearest(left[:, tap : tap + 1], steps, levels)
            lost[:, tap - start] = (left[:, tap] - rounded[:, tap]) / spread[:, tap, tap, np.newaxis]
            left[:, tap + 1 : stop] -= spread[:, tap, tap + 1 : stop, np.newaxis] * lost[:, tap - start, np.newaxis, :]
        left[:, stop:] -= np.swapaxes(spread[:, start:stop, stop:], 1, 2) @ lost
    return np.take_along_axis(rounded, np.argsort(order, axis=1)[:, :, np.newaxis], 1)
