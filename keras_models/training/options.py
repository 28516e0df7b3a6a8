"""What a training is asked for, and what it tells: options, steps, and what became of it. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True)
class Options:
    """`learning_rate` is the highest one. `seed` is of the order of the images and of dropout.

    `patience`: stop after so many epochs in a row without a better accuracy on the held-out images, and keep the best epoch's weights.
    """

    epochs: int
    learning_rate: float
    seed: int = 0
    patience: int | None = None


@dataclass(frozen=True)
class Step:
    """Where training stands after a batch. `epoch` and `batch` count from 1; `loss` and `accuracy` are means over the epoch so far.

    `held_out` is the accuracy on the held-out images, after an epoch's last batch, if there are any. `measure` is what accuracies are:
    "accuracy", or "agreement" with a teacher who replaces the labels.
    """

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    accuracy: float
    held_out: float | None = None
    measure: str = "accuracy"


@dataclass(frozen=True)
class Fitted:
    """`history` has each epoch's last step. `kept` is the epoch whose weights the model has; `resumed_after` the last one that a
    checkpoint brought, or 0."""

    history: tuple[Step, ...]
    kept: int
    resumed_after: int


OnStep: TypeAlias = Callable[[Step], None]
