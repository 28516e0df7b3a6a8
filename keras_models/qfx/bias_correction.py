"""Bias correction: rounded weights shift the mean of what a layer gives; its bias takes the shift back.

    bias += E[W x] - E[W_q x_q]        a mean a channel, over images and cells        (arXiv 1906.04721, section 4.2)

W and x are the float network's, W_q and x_q the quantized one's. Layers are corrected from the input on, each with the quantized input
that the corrected layers before it give.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.keras_models.qfx.model import QFXModel, quantizers_of, switched_off
from edgekit.keras_models.qfx.quantizers import QFXBias
from edgekit.keras_models.reading.nodes import key_of, nodes_of
from edgekit.progress import Note

IMAGES = 32


def correct_biases(model: QFXModel, images: npt.NDArray[np.float32], note: Note = lambda _: None) -> None:
    """Changes the float biases of a QFXModel whose binary points are chosen, in place.

    Args:
        images: (count, *input shape), normalized as the network takes them; up to IMAGES of them are run.
    """
    nodes = nodes_of(model)
    left = Counter(key_of(tensor) for node in nodes for tensor in node.keras_inputs)
    real: dict[Any, Any] = {}
    quantized: dict[Any, Any] = {}
    for number, node in enumerate(nodes, 1):
        note(f"correcting biases, layer {number} of {len(nodes)}")
        layer, output = node.layer, key_of(node.outputs)
        if not node.keras_inputs:
            real[output] = quantized[output] = images[:IMAGES]
            continue
        keys = [key_of(tensor) for tensor in node.keras_inputs]
        with switched_off(quantizers_of(layer)):
            real[output] = _call(layer, [real[key] for key in keys])
        quantized[output] = _call(layer, [quantized[key] for key in keys])
        if _has_bias(layer):
            error = np.asarray(real[output], np.float64) - np.asarray(quantized[output], np.float64)
            shift = error.mean(axis=tuple(range(error.ndim - 1)))
            kernel, bias = layer.get_weights()
            layer.set_weights([kernel, (bias + shift).astype(np.float32)])
            quantized[output] = _call(layer, [quantized[key] for key in keys])
        left.subtract(keys)
        for key in keys:
            if left[key] == 0:
                del real[key], quantized[key]


def _call(layer: Any, inputs: list[Any]) -> Any:
    return layer(inputs[0] if len(inputs) == 1 else inputs)


def _has_bias(layer: Any) -> bool:
    return layer.trainable and any(isinstance(quantizer, QFXBias) for quantizer in quantizers_of(layer))
