"""QFXModel: a Keras model of qkeras layers with QFX quantizers, that trains its binary points and can be saved and loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from edgekit.keras_models.layers.backend import qkeras, tf_keras
from edgekit.keras_models.qfx.binary_point import BinaryPoint, binary_points_by_name
from edgekit.keras_models.qfx.quantizers import (
    QFXActivation,
    QFXBias,
    QFXInput,
    QFXLookup,
    QFXProduct,
    QFXProductBias,
    QFXTable,
    QFXWeight,
    shapes_alone,
)


class QActivation(qkeras.QActivation):  # type: ignore[misc]
    """qkeras' layer, which saves a quantizer object as a dictionary and does not make it an object again."""

    __module__ = qkeras.QActivation.__module__  # so that a file names qkeras, as if qkeras had written it

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        activation = config["activation"]
        return cls(**{**config, "activation": qkeras.get_quantizer(activation) if isinstance(activation, dict) else activation})


class QFXModel(tf_keras.Model):  # type: ignore[misc]
    """The binary points are trained as variables but are not weights: they are saved in the quantizers' configuration.

    So `get_weights` is the list of kernels and biases of the folded float model, and `fit` trains both.
    """

    @property
    def trainable_variables(self) -> list[Any]:
        return [*super().trainable_variables, *(point.variable for point in binary_points(self))]

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None) -> Any:
        with binary_points_by_name(), shapes_alone():
            return super().from_config(config, custom_objects)


QUANTIZERS = (QFXActivation, QFXInput, QFXProduct, QFXWeight, QFXBias, QFXProductBias, QFXLookup, QFXTable)
CUSTOM_OBJECTS: dict[str, Any] = {cls.__name__: cls for cls in (QFXModel, QActivation, *QUANTIZERS)}
"""What a saved QFXModel names beyond Keras and qkeras."""


def quantizers(model: Any) -> Iterator[Any]:
    """Every QFX quantizer of the model's layers, in layer order."""
    for layer in model.layers:
        yield from quantizers_of(layer)


def quantizers_of(layer: Any) -> Iterator[Any]:
    """The QFX quantizers of one layer: of its weights, and of its activation."""
    for quantizer in (*getattr(layer, "quantizers", ()), getattr(layer, "quantizer", None)):
        if isinstance(quantizer, QUANTIZERS):
            yield quantizer


def binary_points(model: Any) -> list[BinaryPoint]:
    """Every binary point that training may move, each once. A layer that is not trainable keeps its own."""
    found: dict[int, BinaryPoint] = {}
    for layer in model.layers:
        for quantizer in quantizers_of(layer):
            if layer.trainable and isinstance(quantizer, QFXActivation | QFXWeight | QFXLookup):
                found.setdefault(id(quantizer.point.root), quantizer.point.root)
    return list(found.values())


@contextmanager
def switched_off(chosen: Iterable[Any]) -> Iterator[None]:
    """Within, these quantizers let values pass as they are."""
    quantizers = list(chosen)
    for quantizer in quantizers:
        quantizer.switched_on = False
    try:
        yield
    finally:
        for quantizer in quantizers:
            quantizer.switched_on = True


def unquantized(model: Any) -> AbstractContextManager[None]:
    """Within, the model called eagerly computes in float."""
    return switched_off(quantizers(model))
