"""What stands at a model's input and only normalizes pixels becomes part of the preprocessing: the model begins behind it.

So the input's table holds it, in one rounding and without an op, in every precision.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import UnsupportedLayer
from edgekit.images.preprocessing import BGR, MINUS_ONE_TO_ONE, RAW, RGB, ZERO_TO_ONE, Preprocessing, then

TURNED = "the first convolution's kernel is turned around: what is written takes red, green, blue"
NOTHING_IN_INFERENCE = {
    *("ActivityRegularization", "Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout2D"),
    *("RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomHeight", "RandomRotation", "RandomTranslation"),
    *("RandomWidth", "RandomZoom"),
}
"""RandomCrop takes the middle in inference, so it counts only where it keeps the shape."""
PASSED_ON = {"Activation", "InputLayer", "QActivation", "ZeroPadding2D"}
"""What may stand between the image and the convolution whose kernel is turned around."""
SPAN_MIN, SPAN_MAX = 0.5, 20.0
"""How far apart pixels 0 and 255 are behind a layer that was made for them; 1, 2 and up to 4.5 are usual."""
PIXEL_MEAN_MIN = 2.0
"""A mean above it is one of pixels, not of values in 0..1 or -1..1."""
UNIT_MEANS, UNIT_STDS = (0.2, 0.8), (0.1, 1.0)
"""Means and deviations of values in 0..1."""

KERAS_EPSILON = 1e-7
"""The least deviation that Normalization divides by (tf_keras.backend.epsilon)."""

Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Taken:
    """`model` begins behind its head; `preprocessing` is what it takes there. `assumed`: nothing says what the file's input takes."""

    model: Any
    preprocessing: Preprocessing
    assumed: bool
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Head:
    """x becomes x * scale + offset, in one value or one a channel; `end` is the tensor behind the `layers`."""

    end: Any
    layers: tuple[str, ...] = ()
    scale: Numbers = field(default_factory=lambda: np.ones(1))
    offset: Numbers = field(default_factory=lambda: np.zeros(1))


def take_off_head(model: Any, stated: Preprocessing | None = None, channel_order: str = RGB) -> Taken:
    """The model behind the layers Rescaling and Normalization at its input, sharing its weights, and what it takes there.

    `stated`: what the file's own input takes, in the order red, green, blue. Where it is None, an input of uint8, or means and factors as
    they are usual for pixels, tell; else -1..1 is assumed. `channel_order` "bgr": the file's input takes blue first; the model that is
    returned takes red first.

    Raises UnsupportedLayer: the order of channels cannot be turned around.
    """
    model = _flattened(model)
    head = _head_of(model)
    base = stated or _inferred(model, head)
    turned = channel_order == BGR
    scale, offset = (values[::-1] if turned else values for values in (head.scale, head.offset))
    preprocessing = then(base or MINUS_ONE_TO_ONE, list(scale), list(offset)) if head.layers else base or MINUS_ONE_TO_ONE
    notes: tuple[str, ...] = ()
    if head.layers:
        model = _from_tensor(model, head.end)
        names = " and ".join(f"'{name}'" for name in head.layers)
        notes = (f"the layer{'s' if len(head.layers) > 1 else ''} {names} became part of the preprocessing",)
    if turned:
        turn_channels(model)
        notes = (*notes, TURNED)
    return Taken(model, preprocessing, base is None, notes)


def _flattened(model: Any) -> Any:
    """One model of all layers, so that the first of a model inside is at the head; the model itself where it cannot be flattened."""
    from edgekit.keras_models.reading.nested import flattened

    try:
        return flattened(model)
    except UnsupportedLayer:
        return model


def turn_channels(model: Any) -> None:
    """Reverses the order of the channels that the model takes, in its first convolutions' kernels. Raises UnsupportedLayer."""
    consumers = list(_consumers(model, model.inputs[0]))
    for node in consumers:
        kind = type(node.layer).__name__
        kernel = node.layer.get_weights()[:1] if kind in ("Conv2D", "QConv2D") else []
        if not kernel or kernel[0].shape[2] != model.inputs[0].shape[-1]:
            raise UnsupportedLayer(
                f"layer '{node.layer.name}' is a {kind}; --channel-order {BGR} turns the channels around in a Conv2D that reads the image. "
                "Train or save the model with red, green, blue"
            )
    for node in consumers:
        kernel, *others = node.layer.get_weights()
        node.layer.set_weights([kernel[:, :, ::-1], *others])


def _consumers(model: Any, tensor: Any) -> Iterator[Any]:
    """The nodes that read a tensor, behind the layers of PASSED_ON."""
    for node in _readers(model, tensor):
        if type(node.layer).__name__ in PASSED_ON:
            yield from _consumers(model, node.outputs)
        else:
            yield node


def _readers(model: Any, tensor: Any) -> list[Any]:
    nodes = [node for depth in model._nodes_by_depth.values() for node in depth]
    return [node for node in nodes if any(_same(one, tensor) for one in node.keras_inputs)]


def _same(one: Any, other: Any) -> bool:
    mine, others = one._keras_history, other._keras_history
    return mine.layer is others.layer and (mine.node_index, mine.tensor_index) == (others.node_index, others.tensor_index)


def _head_of(model: Any) -> _Head:
    head = _Head(model.inputs[0])
    found = head
    while len(readers := _readers(model, head.end)) == 1 and not any(_same(head.end, one) for one in model.outputs):
        node = readers[0]
        end = node.outputs
        idle = type(node.layer).__name__ in NOTHING_IN_INFERENCE and not node.call_kwargs.get("training")
        if idle and end.shape == head.end.shape:
            head = replace(head, end=end)
            continue
        step = _step_of(node, end.shape[-1])
        if step is None or any(_same(end, one) for one in model.outputs):
            break
        scale, offset = step
        names = (*head.layers, node.layer.name)
        found = head = _Head(end, names, head.scale * scale, head.offset * scale + offset)
    return found


def _step_of(node: Any, channels: int) -> tuple[Numbers, Numbers] | None:
    """Factor and summand of a layer, one or one a channel; None where it is not one that only normalizes."""
    layer = node.layer
    if type(layer).__name__ == "TFOpLambda":
        from edgekit.keras_models.reading.arithmetic import line_of

        try:
            scale, offset = (np.asarray(value, np.float64).reshape(-1) for value in line_of(node))
        except UnsupportedLayer:
            return None
    elif type(layer).__name__ == "Rescaling":
        scale, offset = (np.asarray(value, np.float64).reshape(-1) for value in (layer.scale, layer.offset))
    elif type(layer).__name__ == "BatchNormalization" and _is_arithmetic(layer):
        scale, offset = (np.asarray(value, np.float64) for value in (layer.gamma, layer.beta))
    elif type(layer).__name__ == "Normalization" and not layer.invert:
        layer.finalize_state()  # weights that were set count only then
        mean, variance = (np.asarray(value, np.float64) for value in (layer.mean, layer.variance))
        if any(size != 1 for size in (*mean.shape[:-1], *variance.shape[:-1])):
            return None
        deviation = np.maximum(np.sqrt(variance.reshape(-1)), KERAS_EPSILON)
        scale, offset = 1 / deviation, -mean.reshape(-1) / deviation
    else:
        return None
    usable = {len(scale), len(offset)} <= {1, channels} and np.isfinite(scale).all() and np.isfinite(offset).all() and scale.all()
    return (scale, offset) if usable else None


def _is_arithmetic(layer: Any) -> bool:
    """A batch norm that stands for x * scale + offset in a file of another tool (plain_layers.affine): nothing was measured for it."""
    return bool(layer.epsilon == 0.0 and not np.any(layer.moving_mean) and np.all(np.asarray(layer.moving_variance) == 1.0))


def _inferred(model: Any, head: _Head) -> Preprocessing | None:
    """What the file's input takes, as far as its type or its first layers tell."""
    if model.inputs[0].dtype.is_integer:
        return RAW
    if not head.layers:
        return None
    span, mean, std = 255 * np.abs(head.scale), -head.offset / head.scale, 1 / np.abs(head.scale)
    if np.all((span >= SPAN_MIN) & (span <= SPAN_MAX)) or np.all(mean > PIXEL_MEAN_MIN):
        return RAW
    if np.all((mean >= UNIT_MEANS[0]) & (mean <= UNIT_MEANS[1]) & (std >= UNIT_STDS[0]) & (std <= UNIT_STDS[1])):
        return ZERO_TO_ONE
    return None


def _from_tensor(model: Any, tensor: Any) -> Any:
    from edgekit.keras_models.layers.legacy_keras import import_keras

    outputs = model.outputs[0] if len(model.outputs) == 1 else model.outputs
    return import_keras().Model(tensor, outputs, name=model.name)
