"""Chooses binary points from images: for each tensor the one with the least squared error, not the one that holds the maximum.

    error(f) = sum over samples of (x - clip(round(x * 2**f), low, high) * 2**-f)**2

Tensors that share a binary point add up their errors. The network's last tensor is the exception: there only the largest
values matter, so its binary point is the finest that saturates none of them.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.graph import Activation
from edgekit.graph.check import WEIGHT_STEP
from edgekit.keras_models.layers.backend import tf, tf_keras
from edgekit.keras_models.qfx.binary_point import BinaryPoint
from edgekit.keras_models.qfx.model import QFXModel, unquantized
from edgekit.keras_models.qfx.precision import SIX_BITS, WeightPrecision
from edgekit.keras_models.qfx.quantizers import QFXActivation, QFXLookup, QFXWeight
from edgekit.progress import Note

CANDIDATES = 5
"""How many binary points are tried, from the coarsest that saturates nothing to finer ones."""
BATCH = 8
SAMPLES = 20_000
"""Values looked at of each tensor in each batch."""


@dataclass(frozen=True)
class _Observed:
    """A tensor's quantizer and the layer whose input it sees."""

    layer: Any
    quantizer: Any


def calibrate(model: QFXModel, images: npt.NDArray[np.float32], note: Note = lambda _: None) -> None:
    """Sets every binary point of a QFXModel that holds float weights.

    Args:
        images: (count, *input shape), normalized as the network takes them.

    Raises:
        EdgekitError: there are no images, or the network gives infinities or NaN.
    """
    if not len(images):
        raise EdgekitError("calibration needs at least one image")
    _calibrate_activations(model, images, note)
    note("choosing the weights' binary points")
    for layer in model.layers:
        for quantizer in getattr(layer, "quantizers", ()):
            if isinstance(quantizer, QFXWeight) and layer.trainable:
                quantizer.point.assign(best_weight_point(layer.get_weights()[0], quantizer.channel_axis, quantizer.precision))


def _calibrate_activations(model: QFXModel, images: npt.NDArray[np.float32], note: Note) -> None:
    observed = [
        _Observed(layer, layer.quantizer)
        for layer in model.layers
        if isinstance(getattr(layer, "quantizer", None), QFXActivation | QFXLookup)
    ]
    probe = tf_keras.Model(
        model.inputs, [one.layer.input if isinstance(one.quantizer, QFXActivation) else one.layer.output for one in observed]
    )
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    largest: dict[int, float] = defaultdict(float)
    points: dict[int, BinaryPoint] = {}
    rng = np.random.default_rng(0)
    samples: list[list[Any]] = [[] for _ in observed]
    with unquantized(model):
        for number, batch in enumerate(batches, 1):
            note(f"images {min(number * BATCH, len(images))} of {len(images)}")
            for kept, one, values in zip(samples, observed, tf.nest.flatten(probe(batch, training=False)), strict=True):
                flat = _clamped(one.quantizer, np.asarray(values, np.float64).ravel())
                if not np.isfinite(flat).all():
                    raise EdgekitError(f"layer '{one.layer.name}' gives infinities or NaN on the calibration images; look at the weights")
                root = one.quantizer.point.root
                points[id(root)] = root
                largest[id(root)] = max(largest[id(root)], _needed_range(one.quantizer, flat))
                kept.append(flat if len(flat) <= SAMPLES else rng.choice(flat, SAMPLES, replace=False))
    errors: dict[int, Any] = defaultdict(lambda: np.zeros(CANDIDATES))
    for one, kept in zip(observed, samples, strict=True):
        root = id(one.quantizer.point.root)
        coarsest = _coarsest(largest[root], 1.0)
        values = np.concatenate(kept)
        for step in range(CANDIDATES):
            errors[root][step] += _activation_error(one.quantizer, values, coarsest + step)
    last = observed[-1].quantizer.point.root
    for key, point in points.items():
        step = 0 if point is last else int(np.argmin(errors[key]))
        point.assign(float(_coarsest(largest[key], 1.0) + step))


def _clamped(quantizer: Any, x: Any) -> Any:
    if isinstance(quantizer, QFXActivation) and quantizer.clamp is not Activation.NONE:
        return np.clip(x, 0.0, 6.0 if quantizer.clamp is Activation.RELU6 else None)
    return x


def _needed_range(quantizer: Any, x: Any) -> float:
    """What 2**-f times the type's highest value must reach, in units of that highest value."""
    if quantizer.signed:
        return float(max(x.max() / 127.0, -x.min() / 128.0))
    return float(x.max() / 255.0)


def _coarsest(needed: Any, levels: float) -> Any:
    """The largest f for which levels * 2**-f >= needed; 0 where nothing is needed."""
    safe = np.where(np.asarray(needed) > 0, needed, levels)
    return np.clip(np.floor(np.log2(levels / safe)), -32.0, 32.0)


def _activation_error(quantizer: Any, x: Any, f: float) -> float:
    low, high = (-128.0, 127.0) if quantizer.signed else (0.0, 255.0)
    return float(np.sum((x - np.ldexp(np.clip(np.rint(np.ldexp(x, int(f))), low, high), -int(f))) ** 2))


def best_weight_point(
    kernel: npt.NDArray[np.float32], channel_axis: int | None, precision: WeightPrecision = SIX_BITS
) -> npt.NDArray[np.float32]:
    """The binary point with the least squared error, of each output channel (channels,), or of the whole kernel ()."""
    wide = kernel.astype(np.float64)
    columns = wide.reshape(-1, 1) if channel_axis is None else np.moveaxis(wide, channel_axis, -1).reshape(-1, kernel.shape[channel_axis])
    levels = np.array(precision.levels, np.float64)
    coarsest = _coarsest(np.abs(columns).max(axis=0) / WEIGHT_STEP, levels[-1])
    candidates = [coarsest + step for step in range(CANDIDATES)]
    errors = [_weight_error(columns, f, levels) for f in candidates]
    best = np.take_along_axis(np.stack(candidates), np.argmin(errors, axis=0)[None], axis=0)[0].astype(np.float32)
    return best[0] if channel_axis is None else best


def _weight_error(columns: Any, f: Any, levels: Any) -> Any:
    step = WEIGHT_STEP * 2.0**-f
    distance = np.abs(columns) / step
    nearest = levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, distance)]
    return np.sum(((distance - nearest) * step) ** 2, axis=0)
