"""Scores of classes around 0: a constant comes off all of them where that makes the steps of their 8 bits finer.

Only differences of scores count: a constant that all of them have in common changes neither their order nor their softmax, and the last
layer's biases take it in. The scores of MobileNetV2's thousand classes reach from -6 to 24: in a type around 0 that needs steps of a
quarter, in which the two highest are often equal; less 9, steps of an eighth hold all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph import Activation
from edgekit.keras_models.qfx.model import QFXModel, quantizers_of, unquantized
from edgekit.keras_models.qfx.quantizers import QFXActivation, QFXBias
from edgekit.keras_models.reading.nodes import key_of, nodes_of

HIGHEST = 127.0
BATCH = 16


def scoring_layer(model: QFXModel) -> tuple[Any, QFXActivation] | None:
    """The layer with weights and biases that gives a model's one output, and the quantizer behind it; None where a function, a clamp or
    anything else that is no change of shape comes in between."""
    nodes = {key_of(node.outputs): node for node in nodes_of(model)}
    if len(model.outputs) != 1:
        return None
    node = nodes[key_of(model.outputs[0])]
    while type(node.layer).__name__ in ("Flatten", "Reshape"):
        node = nodes[key_of(node.keras_inputs[0])]
    quantizer = getattr(node.layer, "quantizer", None)
    if not isinstance(quantizer, QFXActivation) or quantizer.clamp is not Activation.NONE or not quantizer.signed:
        return None
    layer = nodes[key_of(node.keras_inputs[0])].layer
    biased = layer.trainable and any(isinstance(one, QFXBias) for one in quantizers_of(layer))
    return (layer, quantizer) if biased else None


def place_scores(model: QFXModel, images: npt.NDArray[np.float32]) -> float:
    """Sets the last binary point and moves the last layer's biases, of a calibrated QFXModel that holds float weights, in place.

    Args:
        images: (count, *input shape), normalized as the network takes them, and like those to come.

    Returns:
        What every score is less than it was; 0 where scoring_layer finds none, or steps would not be finer, and nothing is changed.
    """
    found = scoring_layer(model)
    if found is None:
        return 0.0
    layer, quantizer = found
    with unquantized(model):
        batches = [np.asarray(model(images[start : start + BATCH], training=False)) for start in range(0, len(images), BATCH)]
    lowest, highest = min(float(one.min()) for one in batches), max(float(one.max()) for one in batches)
    if highest <= lowest:
        return 0.0
    point = np.floor(np.log2(2.0 * HIGHEST / (highest - lowest)))
    if point <= float(quantizer.point.rounded()):
        return 0.0
    less = float(np.ldexp(np.rint(np.ldexp((lowest + highest) / 2.0, int(point))), -int(point)))
    quantizer.point.assign(float(point))
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, (bias - less).astype(np.float32)])
    return less
