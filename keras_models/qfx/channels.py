"""What calibration images show of a tensor's channels while nothing is quantized."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.keras_models.layers.backend import tf, tf_keras
from edgekit.keras_models.qfx.model import QFXModel, unquantized

Reals: TypeAlias = npt.NDArray[np.float64]

IMAGES, BATCH = 32, 4
SIX = 6.0
"""Where ReLU6 clamps."""


@dataclass(frozen=True)
class Channels:
    """Each (channels,): the `largest` magnitude, the `variance`, how often the value is not 0 (`active`), how often it is 6 or more
    (`at_six`), and the `mean`."""

    largest: Reals
    variance: Reals
    active: Reals
    at_six: Reals
    mean: Reals


def channels_of(model: QFXModel, tensors: Sequence[Any], images: npt.NDArray[np.float32]) -> list[Channels]:
    """Of these tensors of the model, by up to IMAGES images, evenly spread; a few at a time, as all tensors at once are many."""
    if not tensors:
        return []
    chosen = some_of(images, IMAGES)
    probe = tf_keras.Model(model.inputs, list(tensors))
    sums = []
    with unquantized(model):
        for start in range(0, len(chosen), BATCH):
            sums.append([_summed(np.asarray(one)) for one in tf.nest.flatten(probe(chosen[start : start + BATCH]))])
    return [_channels(parts) for parts in zip(*sums, strict=True)]


def some_of(images: npt.NDArray[np.float32], most: int) -> npt.NDArray[np.float32]:
    """Every so manieth image, `most` at most."""
    return images[:: max(1, len(images) // most)][:most]


def _summed(values: Any) -> tuple[Any, ...]:
    flat = values.reshape(-1, values.shape[-1])
    means = flat.mean(axis=0, dtype=np.float64), np.mean(np.square(flat), axis=0, dtype=np.float64)
    return np.abs(flat).max(axis=0).astype(np.float64), *means, np.mean(flat != 0, axis=0), np.mean(flat >= SIX, axis=0)


def _channels(parts: Sequence[tuple[Any, ...]]) -> Channels:
    largest, mean, square, active, at_six = (np.stack(one) for one in zip(*parts, strict=True))
    variance = np.maximum(square.mean(axis=0) - mean.mean(axis=0) ** 2, 0.0)
    return Channels(largest.max(axis=0), variance, active.mean(axis=0), at_six.mean(axis=0), mean.mean(axis=0))
