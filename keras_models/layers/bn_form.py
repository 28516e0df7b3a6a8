"""bn_form: a float network with layer norm or softmax attention becomes the network that has integers for all of it.

The BN form is another function: batch norm stands for layer norm, ReLU attention for softmax. Everything else is the same, layers keep
their names and trained weights; statistics and factors are measured on images. It is a start for training, not an equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.keras_models.layers.backend import tf_keras
from edgekit.keras_models.layers.bn_layers import ProgressiveNorm, ReluAttention
from edgekit.keras_models.layers.custom_layers import OffsetAttention

MEASURED_IMAGES = 64


def bn_form(model: Any, images: npt.NDArray[np.float32]) -> tuple[Any, tuple[str, ...]]:
    """The model in its BN form and what the user should be told; the model itself where it has nothing to replace.

    Args:
        model: a float tf_keras.Model. Layer norms over the channels and OffsetAttention are replaced.
        images: (count, *input shape) as the model takes them; the first 64 are looked at.
    """
    replaced: dict[str, str] = {}
    if not any(_counterpart(layer) for layer in model.layers):
        return model, ()

    def clone(layer: Any) -> Any:
        other = _counterpart(layer)
        if other is None:
            return type(layer).from_config(layer.get_config())
        replaced[layer.name] = type(layer).__name__
        return other

    twin = tf_keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        twin.get_layer(layer.name).set_weights(_weights_for(twin.get_layer(layer.name), layer))
    measuring = [twin.get_layer(name) for name in replaced]
    for layer in measuring:
        layer.measuring = True
    try:
        twin(images[:MEASURED_IMAGES], training=False)
    finally:
        for layer in measuring:
            layer.measuring = False
    changes = [
        text
        for kind, text in (("LayerNormalization", "layer norm became batch norm"), ("OffsetAttention", "softmax became ReLU attention"))
        if kind in replaced.values()
    ]
    note = f"exact form: {', '.join(changes)} ({len(replaced)} layers). It is another function than the float network: train it"
    return twin, (note,)


def _counterpart(layer: Any) -> Any:
    """The layer of the BN form, or None for a layer that stays."""
    if isinstance(layer, tf_keras.layers.LayerNormalization) and list(layer.axis) == [len(layer.input_shape) - 1]:
        return ProgressiveNorm(layer.epsilon, name=layer.name)
    if type(layer) is OffsetAttention:
        return ReluAttention(layer.heads, name=layer.name)
    return None


def _weights_for(twin: Any, layer: Any) -> list[Any]:
    """A layer's weights as those of its counterpart: what the latter has more starts as it is."""
    if isinstance(twin, ProgressiveNorm):
        gamma, beta, *rest = twin.get_weights()
        return [layer.gamma.numpy() if layer.scale else gamma, layer.beta.numpy() if layer.center else beta, *rest]
    if isinstance(twin, ReluAttention):
        return [*layer.get_weights(), *twin.get_weights()[1:]]
    return list(layer.get_weights())
