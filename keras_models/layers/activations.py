"""Activation functions by the names that tables and saved models give them: Keras' own, and two that Keras 2 lacks."""

from __future__ import annotations

from math import isinf
from typing import Any

from edgekit.keras_models.layers.formulas import Clipped, Elu, Formula, parse
from edgekit.keras_models.layers.legacy_keras import import_keras

tf_keras = import_keras()


@tf_keras.saving.register_keras_serializable(package="edgekit")  # type: ignore[untyped-decorator]
def relu6_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6, the hard sigmoid of MobileNetV3 (arXiv 1905.02244); Keras 2's `hard_sigmoid` has another slope."""
    return tf_keras.activations.relu(x + 3.0, max_value=6.0) * (1.0 / 6.0)


@tf_keras.saving.register_keras_serializable(package="edgekit")  # type: ignore[untyped-decorator]
def hard_swish(x: Any) -> Any:
    """x * relu6(x + 3) / 6 (arXiv 1905.02244)."""
    return x * relu6_sigmoid(x)


CUSTOM_ACTIVATIONS: dict[str, Any] = {function.__name__: function for function in (relu6_sigmoid, hard_swish)}


def activation_function(kind: str) -> Any:
    """The function of that name, or of a formula's text. Keras' `gelu` is the exact one, of erf."""
    formula = parse(kind)
    if formula is not None:
        return lambda x: _computed(formula, x)
    return CUSTOM_ACTIVATIONS.get(kind) or tf_keras.activations.get(kind)


def _computed(formula: Formula, x: Any) -> Any:
    if isinstance(formula, Elu):
        return tf_keras.activations.elu(x, formula.alpha)
    if not isinstance(formula, Clipped):
        high = None if isinf(formula.high) else formula.high
        return tf_keras.activations.relu(x, formula.slope, high, formula.threshold)
    x = formula.factor * x + formula.shift
    x = x if formula.slope == 1.0 else tf_keras.activations.relu(x, formula.slope)
    return tf_keras.backend.clip(x, formula.low, formula.high)
