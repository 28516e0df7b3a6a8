"""From a float Keras model to its calibrated QFX twin: fold batch norm, build the qkeras layers, choose binary points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.bn_form import bn_form
from edgekit.keras_models.layers.bn_layers import progressive_norms, set_norm_mix
from edgekit.keras_models.qfx.bias_correction import correct_biases
from edgekit.keras_models.qfx.calibrate import calibrate
from edgekit.keras_models.qfx.effort import Effort
from edgekit.keras_models.qfx.equalize import equalize
from edgekit.keras_models.qfx.lattice_equalization import equalize_for_lattice
from edgekit.keras_models.qfx.layers import QKerasLayers
from edgekit.keras_models.qfx.model import QFXModel
from edgekit.keras_models.qfx.precision import Precisions
from edgekit.keras_models.qfx.quantizers import shapes_alone
from edgekit.keras_models.qfx.reconstruct import reconstruct
from edgekit.keras_models.qfx.scores import place_scores
from edgekit.keras_models.qfx.sensitivity import LayerLoss
from edgekit.keras_models.qfx.stream_equalization import equalize_streams
from edgekit.keras_models.reading.nested import flattened
from edgekit.keras_models.reading.replay import replay
from edgekit.keras_models.reading.vocabulary import AttentionBiases, Folded
from edgekit.keras_models.zoo.build import build_model
from edgekit.keras_models.zoo.vocabulary import Form
from edgekit.progress import Note


@dataclass(frozen=True)
class Quantized:
    """`notes` tell what differs from the float model on purpose. `losses`: what each layer loses, where it was reconstructed. `gain`: the
    outputs are so many times the float model's."""

    model: QFXModel
    notes: tuple[str, ...]
    losses: tuple[LayerLoss, ...] = ()
    gain: float = 1.0


def quantize(
    model: Any,
    images: npt.NDArray[np.float32],
    *,
    precisions: Precisions | None = None,
    effort: Effort = Effort.QUICK,
    of_classes: bool = False,
    representative: bool = False,
    note: Note = lambda _: None,
) -> Quantized:
    """Post-training quantization of a float Keras model, or of one with other qkeras quantizers; in its BN form.

    Args:
        images: (count, *input shape) as the model takes them, to calibrate with.
        precisions: of the weights, by layer name; without, 6 significant bits everywhere.
        effort: FULL takes minutes for a network for ImageNet, and is nearer to the float network.
        of_classes: the outputs are scores of classes, of which only the differences count.
        representative: the images are like those to come: FULL looks at what the scores depend on there, and may take a constant off all
            scores of classes.

    Raises:
        UnknownName: `precisions` names a layer that the quantized model has not.
        UnsupportedLayer: the model has a layer that no exact op exists for.
    """
    if not len(images):
        raise EdgekitError("calibration needs at least one image")
    note("reading the layers")
    model, changes = bn_form(flattened(model), images)
    layers = QKerasLayers(precisions)
    twin, weights, found = _built(model, layers)
    layers.precisions.check_names(weights)
    notes = [*changes, *found]
    transfer(weights, twin, layers.weight_gains)
    note("equalizing channels")
    equalize(twin, images)
    if effort is Effort.FULL:
        equalize_for_lattice(twin, images)
        equalize_streams(twin, images)
    calibrate(twin, images, note)
    losses: tuple[LayerLoss, ...] = ()
    if effort is Effort.FULL:
        less = place_scores(twin, images) if of_classes and representative else 0.0
        if less != 0.0:
            notes.append(f"all scores are {less:g} less than the float model's, which changes neither their order nor their softmax")
        losses = reconstruct(twin, images, note, of_classes=of_classes, representative=representative)
    else:
        correct_biases(twin, images, note)
    if layers.output_gain != 1.0:
        notes.append(f"the exact network's outputs are {layers.output_gain:.4g} times the float model's; their order is the same")
    return Quantized(twin, tuple(notes), losses, layers.output_gain)


def require_exact_form(model: Any, images: npt.NDArray[np.float32]) -> None:
    """Raises UnsupportedLayer where `quantize` refuses the model, before any calibration. `images`: a few, as for `quantize`.

    A norm that is on its way from layer norm to batch norm counts as what it will be.
    """
    twin, _ = bn_form(flattened(model), images)
    norms = progressive_norms(twin)
    mixes = [float(layer.mix) for layer in norms]
    set_norm_mix(twin, 0)
    try:
        _built(twin, QKerasLayers())
    finally:
        for layer, mix in zip(norms, mixes, strict=True):
            layer.mix.assign(mix)


def build_qkeras_model(
    name: str, *, alpha: float = 1.0, size: int | None = None, classes: int = 1000, precisions: Precisions | None = None
) -> QFXModel:
    """The qkeras twin of `build_model` in the BN form: untrained, binary points at 0. Raises as `build_model` does."""
    model = build_model(name, alpha=alpha, size=size, classes=classes, form=Form.BN)
    return _built(model, QKerasLayers(precisions))[0]


def _built(model: Any, layers: QKerasLayers) -> tuple[QFXModel, dict[str, Folded], list[str]]:
    """As `replay`."""
    with shapes_alone():
        return replay(model, layers)


def transfer(weights: dict[str, Folded], twin: QFXModel, gains: dict[str, float]) -> None:
    """Puts folded float weights into the layers of the same names; `gains` undo the factors of mean pools."""
    for name, folded in weights.items():
        arrays = _arrays(folded, gains.get(name, 1.0))
        if not all(np.isfinite(array).all() for array in arrays):
            raise EdgekitError(f"layer '{name}' holds NaN or infinite weights; nothing can be quantized from them")
        twin.get_layer(name).set_weights(arrays)


def _arrays(folded: Folded, gain: float) -> list[npt.NDArray[np.float32]]:
    """What the layer of a twin is set to: its kernel, times `gain`, and its bias; an attention has biases alone."""
    if isinstance(folded, AttentionBiases):
        return [folded.table]
    return [(folded.kernel * np.float32(gain)).astype(np.float32), folded.bias]
