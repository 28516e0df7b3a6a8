"""build_model: a float Keras model of a network in the registry."""

from __future__ import annotations

from typing import Any

from edgekit.keras_models.arch import build
from edgekit.keras_models.networks import request
from edgekit.keras_models.vocabulary import AS_WRITTEN, Convention


def build_model(name: str, *, alpha: float = 1.0, size: int | None = None, classes: int = 1000, convention: Convention = AS_WRITTEN) -> Any:
    """A tf_keras.Model with fresh random weights.

    It takes images (batch, size, size, 3) float32 normalized as its authors did (`NETWORKS[name].preprocessing`) and returns
    logits (batch, classes). Layers with weights have the names, order and shapes of the network in tf_keras.applications, if it is
    there, or the names of the authors' PyTorch modules.

    Args:
        name: one of NETWORKS.
        alpha: width multiplier, one of the network's `alphas`.
        size: rows and columns of the image, 32 to 1024; the network's default if None.
        classes: number of logits.
        convention: TORCH for the padding and the batch norm of torchvision's and timm's ports of TensorFlow networks.

    Raises:
        UnknownName: no such network.
        EdgekitError: an alpha, size or number of classes that it does not have.
    """
    from edgekit.keras_models.keras_layers import KerasLayers

    wanted = request(name, alpha=alpha, size=size, classes=classes)
    return build(wanted.network.arch(wanted.alpha), KerasLayers(convention), wanted.size, wanted.classes, wanted.model_name)
