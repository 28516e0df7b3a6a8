"""Post-training reconstruction: each layer's weights are chosen on the lattice so that its outputs stay, by calibration images.

Layers are taken from the input on. Each sees what the quantized layers before it give, X_q, beside what the float network has there, X:

1. The real weights that undo most of what was lost before, by least squares (lattice_rounding.best_real_weights; biases take the means).
   Where a skip is added to what the layer gives, what was lost on the skip counts, too. A fourth of the images tells how near they have to
   stay to the float weights, so that what is undone is not these images' alone.
2. Rounding with error feedback (GPTQ, arXiv 2210.17323), at the binary point that calibration chose and its neighbours; then once more at
   those that were chosen, and where the images are like those to come with errors spread over outputs, too, by what the network's scores
   make of them (score_gradients): gradients of two photographs mislead (docs/accuracy.md).
3. Where nothing but a clamp lies between the layer and the only one that reads it, each channel is multiplied by the gain with the least
   error, and what reads it divides by it (cross-layer equalization, arXiv 1906.04721, section 4.1, with any positive factor: a lattice
   with binary points as scales misses a channel's largest weight by up to half). A gain must not move what the clamp at 6 does. Behind
   a depthwise layer there are none: its nine taps lose little, and lattice_equalization has chosen for the layer that reads it.
4. The mean error of the output goes into the bias (arXiv 1906.04721, section 4.2).

Binary points of activations stay as they are. Nothing is random but which cells are looked at, which `seed` settles.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.graph import Activation
from edgekit.keras_models.layers.backend import tf
from edgekit.keras_models.qfx.channels import SIX
from edgekit.keras_models.qfx.equalize import neighbours
from edgekit.keras_models.qfx.lattice_rounding import (
    Moments,
    best_real_weights,
    choose_ridge,
    error,
    round_for_scores,
    round_with_feedback,
)
from edgekit.keras_models.qfx.layer_inputs import grouped_kernel, is_depthwise, sample_cells, ungrouped_kernel, windows
from edgekit.keras_models.qfx.model import QFXModel, quantizers_of, switched_off
from edgekit.keras_models.qfx.quantizers import STEP_BITS, QFXActivation, QFXBias, QFXWeight, legal_weight_point
from edgekit.keras_models.qfx.score_gradients import WeightGradients, moments_of_outputs, moments_of_taps, weight_gradients
from edgekit.keras_models.qfx.sensitivity import LayerLoss
from edgekit.keras_models.reading.nodes import key_of, nodes_of
from edgekit.progress import Note

Reals: TypeAlias = npt.NDArray[np.float64]
Floats: TypeAlias = npt.NDArray[np.float32]

HELD_OUT, IMAGES_MIN = 4, 16
"""Every fourth image tells how strong a layer's ridge has to be, if there are so many."""
RIDGE_MIN, RIDGE_PER_TAP = 0.02, 0.08
"""The ridge where there are too few images for that, relative to the mean square of an input: more where a layer has many taps."""
BATCH = 16
"""Images that a layer is given at a time."""
POINTS = (-1, 0, 1)
"""Binary points that are tried, relative to the one that calibration chose."""
GAINS = tuple(2.0 ** (k / 8) for k in range(-7, 1))
"""Factors of an output channel that are tried: an octave, as then the next binary point is the same lattice. None is above 1, because other
images may take a channel further than these do, to where the clamp at 6 or the tensor's range ends (lattice_equalization)."""
HALF_MAX = 32_768.0
"""Tensors are kept in 16 bits, which hold what 8 bits do and the float network's values to 0.05 %, unless there are larger values."""
NARROW = 0.05
"""The part of a layer's channels that is called narrow."""
DECIBELS_MAX = 120.0
RECONSTRUCTED = ("QConv2D", "QDepthwiseConv2D", "QDense")


def reconstruct(
    model: QFXModel,
    images: Floats,
    note: Note = lambda _: None,
    seed: int = 0,
    *,
    of_classes: bool = False,
    representative: bool = False,
) -> tuple[LayerLoss, ...]:
    """Changes weights, biases and the weights' binary points of a QFXModel that holds float weights and is calibrated, in place.

    Args:
        images: (count, *input shape), normalized as the network takes them; all of them are run, a layer at a time.
        of_classes, representative: as for `quantize`.

    Returns:
        What every layer with weights loses, in the network's order.
    """
    nodes = nodes_of(model)
    requantizes = {
        pair.first.name: pair.requantize.quantizer
        for pair in neighbours(model, tuple(Activation))
        if key_of(pair.second.input) == key_of(pair.requantize.output)  # a mean between them has a range of its own
        and (is_depthwise(pair.second) or not is_depthwise(pair.first))  # what reads a depthwise layer loses more, and has been considered
    }
    added = _added_to(nodes)
    left = Counter(key_of(tensor) for node in nodes for tensor in node.keras_inputs)
    real: dict[Any, Any] = {}
    quantized: dict[Any, Any] = {}
    gains: dict[Any, Any] = {}
    behind = {key_of(node.keras_inputs[0]): node.layer.quantizer for node in nodes if _requantizes(node.layer)}
    losses = []
    rng = np.random.default_rng(seed)
    gradients: dict[str, WeightGradients] = {}
    if representative:
        convolutions = [node.layer for node in nodes if _is_reconstructed(node.layer) and type(node.layer).__name__ != "QDense"]
        gradients = weight_gradients(model, convolutions, images, rng, of_classes=of_classes, note=note)
    for number, node in enumerate(nodes, 1):
        note(f"reconstructing, layer {number} of {len(nodes)}")
        layer, output = node.layer, key_of(node.outputs)
        if not node.keras_inputs:
            real[output] = quantized[output] = images
            continue
        keys = [key_of(tensor) for tensor in node.keras_inputs]
        # a requantized tensor takes the place of the one that it is made of: early maps of many images are gigabytes
        over = _requantizes(layer) and left[keys[0]] == 1 and real[keys[0]] is not quantized[keys[0]]
        with switched_off(quantizers_of(layer)):
            real[output] = _run(layer, [real[key] for key in keys], real[keys[0]] if over else None)
        gain = gains.get(keys[0])
        if _is_reconstructed(layer):
            beside = [(real[key], quantized[key]) for key in added.get(layer.name, ()) if key in real]
            seen = _see(layer, quantized[keys[0]], real[keys[0]], real[output], gain, beside, rng)
            gain, own = _reconstruct_layer(layer, seen, gradients.get(layer.name), requantizes.get(layer.name))
        if gain is not None:
            gains[output] = gain
        quantized[output] = _run(layer, [quantized[key] for key in keys], quantized[keys[0]] if over else None)
        if _has_bias(layer):
            _correct_bias(layer, real[output], quantized[output], gain)
        if _is_reconstructed(layer):
            total = _decibels(*_signal_and_noise(real[output], quantized[output], gain))
            steps = _steps_of_narrow_channels(seen.outputs, gain, behind[output])
            own_db = _decibels(float(np.var(seen.outputs)), own)
            losses.append(LayerLoss(name=layer.name, own_db=own_db, total_db=total, steps_of_narrow_channels=steps))
        left.subtract(keys)
        for key in keys:
            if left[key] == 0 and key in real:
                del real[key], quantized[key]
    return tuple(losses)


@dataclass(frozen=True)
class _Seen:
    """What a layer computes and what it is given, each layer's kernel and moments in the groups of layer_inputs.

    `kernel` is the float one, with the gains of its input channels divided out, which `gain` has of each tap, (groups or 1, taps or 1).
    `outputs` (cells, channels) are the float network's.
    """

    kernel: Reals
    moments: Moments
    outputs: Floats
    ridge: float
    gain: Reals


def _see(layer: Any, quantized: Any, real: Any, outputs: Any, gain: Reals | None, beside: list[Any], rng: np.random.Generator) -> _Seen:
    cells = sample_cells(layer, tuple(outputs.shape), rng)
    given, wanted = (windows(layer, one, cells).astype(np.float32) for one in (quantized, real))
    kernel = grouped_kernel(layer, layer.get_weights()[0].astype(np.float64))
    each: Reals = np.ones((1, 1, 1))
    if gain is not None:
        each = gain[:, np.newaxis, np.newaxis] if is_depthwise(layer) else np.resize(gain, (1, kernel.shape[1], 1))
        kernel = kernel / each
        wanted = wanted * np.swapaxes(each, 1, 2).astype(np.float32)
    given, wanted = (one - one.mean(axis=1, keepdims=True) for one in (given, wanted))
    missing = sum((one[cells].astype(np.float32) - other[cells] for one, other in beside), np.zeros((1, 1), np.float32))
    missing = missing - missing.mean(axis=0)

    def moments(part: Any) -> Moments:
        turned, count = np.swapaxes(given[:, part], 1, 2), int(np.sum(part))
        inputs, cross = ((turned @ one[:, part]).astype(np.float64) / count for one in (given, wanted))
        return Moments(inputs, cross, (turned @ missing[part]).astype(np.float64) / count if beside else 0.0)

    held_out = cells[0] % HELD_OUT == HELD_OUT - 1
    if len(outputs) < IMAGES_MIN:
        whole = moments(np.full(len(held_out), True))
        ridge = max(RIDGE_MIN, RIDGE_PER_TAP * kernel.shape[1] / len(outputs))
    else:
        seen, unseen = moments(~held_out), moments(held_out)
        ridge = choose_ridge(kernel, seen, unseen)
        whole = _together(seen, unseen, float(np.mean(held_out)))
    return _Seen(kernel, whole, outputs[cells].astype(np.float32), ridge, each[:, :, 0])


def _together(seen: Moments, unseen: Moments, part: float) -> Moments:
    """Moments of all cells, of which `part` are unseen ones."""

    def mean(one: Any, other: Any) -> Any:
        return (1.0 - part) * one + part * other

    return Moments(mean(seen.inputs, unseen.inputs), mean(seen.cross, unseen.cross), mean(seen.undone, unseen.undone))


def _reconstruct_layer(
    layer: Any, seen: _Seen, gradients: WeightGradients | None, requantize: QFXActivation | None
) -> tuple[Reals | None, float]:
    """Sets weights and binary points; the bias only takes its gain. Returns the gain of each output channel, if there may be one, and the
    error of the layer's own, in mean square of its float outputs."""
    weight = next(quantizer for quantizer in quantizers_of(layer) if isinstance(quantizer, QFXWeight))
    target, hessian = best_real_weights(seen.kernel, seen.moments, seen.ridge)
    if gradients is not None:
        hessian = moments_of_taps(gradients, seen.gain, hessian)
    groups, _, outputs = target.shape
    tried = [(gain, point) for gain in (GAINS if requantize is not None else (1.0,)) for point in POINTS]
    start = np.asarray(weight.point.rounded())
    steps = np.stack([_steps(weight, start + point, groups, outputs) / gain for gain, point in tried])
    repeated = np.tile(target, (1, 1, len(tried)))
    beside = np.concatenate(list(steps), axis=1)
    rounded = round_with_feedback(repeated, hessian, beside, weight.precision.levels)
    errors = np.stack(np.split(error(rounded, repeated, hessian), len(tried), axis=1))
    if requantize is not None:
        each = {gain: _gain_error(seen.outputs, gain, requantize).reshape(groups, outputs) for gain in GAINS}
        errors = errors + np.stack([each[gain] for gain, _ in tried])
    if start.ndim == 0:
        errors = np.broadcast_to(errors.sum(axis=(1, 2), keepdims=True), errors.shape)
    best = np.argmin(errors, axis=0)
    chosen = np.take_along_axis(np.stack(np.split(rounded, len(tried), axis=2)), best[np.newaxis, :, np.newaxis, :], 0)[0]
    gain = np.array([gain for gain, _ in tried])[best]
    shift = np.array([point for _, point in tried], np.float32)[best].reshape(-1)
    between = None if gradients is None else moments_of_outputs(gradients)
    if between is not None:
        step = np.take_along_axis(steps, best[np.newaxis], 0)[0, 0]
        chosen = round_for_scores(target[0], hessian[0], between, step, weight.precision.levels)[np.newaxis]
    weight.point.assign(start + (shift if start.ndim else shift[0]))
    kernel, *bias = layer.get_weights()
    bias = [(one * gain.reshape(-1)).astype(np.float32) for one in bias]
    layer.set_weights([ungrouped_kernel(layer, chosen * gain[:, np.newaxis, :], kernel.shape).astype(np.float32), *bias])
    own = float(np.mean(error(chosen, target, seen.moments.inputs)))  # without the ridge, which counts what no input shows
    return None if requantize is None else gain.reshape(-1), own


def _steps(weight: QFXWeight, point: Any, groups: int, outputs: int) -> Reals:
    """The distance of neighbouring weights of each output channel, where its binary point is legal."""
    legal = np.asarray(legal_weight_point(tf.constant(point, tf.float32), weight.source.rounded(), weight.target.rounded()), np.float64)
    return np.broadcast_to(2.0 ** (STEP_BITS - legal).reshape(-1), (groups * outputs,)).reshape(groups, outputs)


def _gain_error(outputs: Floats, gain: float, requantize: QFXActivation) -> Reals:
    """What a gain costs in mean square of each channel's output: by the clamp at 6, which then is at 6 / gain, and by the 8 bits, whose
    steps it divides."""
    highest = SIX if requantize.clamp is Activation.RELU6 else np.inf
    lowest = -np.inf if requantize.clamp is Activation.NONE else 0.0
    real = np.clip(outputs, lowest, highest)
    moved = np.mean((np.clip(outputs, lowest, highest / gain) - real) ** 2, axis=0, dtype=np.float64)
    step = 2.0 ** -float(requantize.point.rounded())
    lost = np.mean(real != 0.0, axis=0) * (step / gain) ** 2 / 12.0
    return np.asarray(moved + lost)


def _signal_and_noise(real: Floats, quantized: Floats, gain: Reals | None) -> tuple[float, float]:
    """The variance of the float outputs, each with the gain of its channel, and the mean square of what the quantized ones are off."""
    factor = np.float32(1.0) if gain is None else gain.astype(np.float32)
    squares = total = noise = 0.0
    for start in range(0, len(real), BATCH):
        wanted = np.asarray(_widened(real[start : start + BATCH])) * factor
        total += float(wanted.sum(dtype=np.float64))
        squares += float(np.vdot(wanted, wanted))
        apart = wanted - np.asarray(_widened(quantized[start : start + BATCH]))
        noise += float(np.vdot(apart, apart))
    return squares / real.size - (total / real.size) ** 2, noise / real.size


def _steps_of_narrow_channels(outputs: Floats, gain: Reals | None, requantize: QFXActivation) -> float:
    real = np.maximum(outputs, 0.0) if requantize.clamp is not Activation.NONE else np.abs(outputs)
    ranges = np.minimum(real.max(axis=0), SIX if requantize.clamp is Activation.RELU6 else np.inf) * (1.0 if gain is None else gain)
    used = ranges[ranges > 0] * 2.0 ** float(requantize.point.rounded())
    return float(np.quantile(used, NARROW)) if len(used) else 0.0


def _decibels(signal: float, noise: float) -> float:
    """10 log10 (signal / noise), at most DECIBELS_MAX; 0 where there is no signal."""
    if signal <= 0.0:
        return 0.0
    return min(DECIBELS_MAX, 10.0 * float(np.log10(signal / max(noise, np.finfo(np.float64).tiny))))


def _requantizes(layer: Any) -> bool:
    return isinstance(getattr(layer, "quantizer", None), QFXActivation)


def _is_reconstructed(layer: Any) -> bool:
    return type(layer).__name__ in RECONSTRUCTED and bool(layer.trainable)


def _has_bias(layer: Any) -> bool:
    return bool(layer.trainable) and any(isinstance(quantizer, QFXBias) for quantizer in quantizers_of(layer))


def _correct_bias(layer: Any, real: Floats, quantized: Floats, gain: Reals | None) -> None:
    """Gives every channel the float network's mean; `quantized` becomes what the layer then gives."""
    shift = _means(real) * (1.0 if gain is None else gain) - _means(quantized)
    kernel, bias = layer.get_weights()
    moved = (bias + shift).astype(np.float32)
    quantizer = next(one for one in quantizers_of(layer) if isinstance(one, QFXBias))
    layer.set_weights([kernel, moved])
    quantized += np.asarray(quantizer(tf.constant(moved)) - quantizer(tf.constant(bias))).astype(quantized.dtype)


def _added_to(nodes: list[Any]) -> dict[str, list[Any]]:
    """The tensors that are added to what a layer gives, once that is requantized, by the layer's name."""
    readers = Counter(key_of(tensor) for node in nodes for tensor in node.keras_inputs)
    given = {key_of(node.outputs): node for node in nodes}
    found: dict[str, list[Any]] = {}
    for node in nodes:
        if type(node.layer).__name__ == "Add":
            for tensor in node.keras_inputs:
                behind = given[key_of(tensor)]
                if _requantizes(behind.layer) and readers[key_of(tensor)] == 1 and behind.layer.quantizer.clamp is Activation.NONE:
                    first = given[key_of(behind.keras_inputs[0])]
                    found[first.layer.name] = [key_of(other) for other in node.keras_inputs if other is not tensor]
    return found


def _widened(values: Floats) -> Any:
    """As a float32 tensor; TensorFlow does it in a third of numpy's time."""
    return tf.cast(tf.constant(values), tf.float32)


def _means(values: Floats) -> Reals:
    """Of each channel, (channels,)."""
    total = np.zeros(values.shape[-1])
    for start in range(0, len(values), BATCH):
        flat = np.asarray(_widened(values[start : start + BATCH])).reshape(-1, values.shape[-1])
        total += np.ones(len(flat), np.float32) @ flat
    return total / (values.size / values.shape[-1])


def _run(layer: Any, inputs: list[Floats], found: Floats | None = None) -> Floats:
    """What a layer gives, a few images at a time: what it needs on the way would be many times its output. `found` is written to, if there
    is one; it may be what is read."""
    for start in range(0, len(inputs[0]), BATCH):
        batch = [_widened(one[start : start + BATCH]) for one in inputs]
        part = layer(batch[0] if len(batch) == 1 else batch)
        if found is None:
            found = np.empty((len(inputs[0]), *part.shape[1:]), np.float16)
        if found.dtype == np.float16 and np.abs(part).max() > HALF_MAX:
            found = found.astype(np.float32)
        found[start : start + BATCH] = np.asarray(part if found.dtype == np.float32 else tf.cast(part, tf.float16))
    assert found is not None
    return found
