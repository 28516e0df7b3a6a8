"""The qkeras twin of a float model with its folded weights, before anything is calibrated, equalized or corrected."""

from __future__ import annotations

from typing import Any

from edgekit.keras_models.qfx.layers import QKerasLayers
from edgekit.keras_models.qfx.quantize import transfer
from edgekit.keras_models.reading.replay import replay


def folded_twin(model: Any) -> Any:
    layers = QKerasLayers()
    twin, weights, _ = replay(model, layers)
    transfer(weights, twin, layers.weight_gains)
    return twin
