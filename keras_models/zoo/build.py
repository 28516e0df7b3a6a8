"""build_model and count, of a network in the registry by its name; and what a model was built from."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

from edgekit.errors import UnknownName
from edgekit.keras_models.layers.legacy_keras import as_written
from edgekit.keras_models.zoo.arch import build
from edgekit.keras_models.zoo.count_layers import Counts
from edgekit.keras_models.zoo.network import Request, count_request, make_request
from edgekit.keras_models.zoo.networks import find_network
from edgekit.keras_models.zoo.vocabulary import AS_WRITTEN, Convention, Form


@dataclass(frozen=True)
class Built:
    """What a model was built from."""

    request: Request
    convention: Convention
    form: Form = Form.PUBLISHED


_BUILT: MutableMapping[Any, Built] = WeakKeyDictionary()


def build_model(
    name: str,
    *,
    alpha: float = 1.0,
    size: int | None = None,
    classes: int = 1000,
    convention: Convention = AS_WRITTEN,
    form: Form | str = Form.PUBLISHED,
) -> Any:
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
        form: "bn" for the network that the precision qfx has, in float, to train it or to compare: batch norm in place of layer norm,
            ReLU attention in place of softmax. The number of parameters is the same.

    Raises:
        UnknownName: no such network, no such form.
        EdgekitError: an alpha, size or number of classes that it does not have.
    """
    if form not in (forms := [one.value for one in Form]):
        raise UnknownName("form", form, forms)
    return build_network(make_request(find_network(name), alpha=alpha, size=size, classes=classes), convention, Form(form))


def build_network(request: Request, convention: Convention = AS_WRITTEN, form: Form = Form.PUBLISHED) -> Any:
    """As `build_model`, of a network that need not be in the zoo."""
    built = Built(request, convention, form)
    model = _build(built)
    _BUILT[model] = built
    return model


def count(name: str, *, alpha: float = 1.0, size: int | None = None, classes: int = 1000) -> Counts:
    """Trainable parameters and multiply-accumulates of a network, without building it. Raises as `build_model` does."""
    return count_request(make_request(find_network(name), alpha=alpha, size=size, classes=classes))


def built_as(model: Any) -> Built | None:
    """What `model` was built from, if `build_model` did it."""
    return _BUILT.get(model)


def rebuild(model: Any, convention: Convention) -> None:
    """Makes a model of `build_model` anew under another convention, in place: the same object and the same values of its weights,
    but other layer objects; it is no longer compiled."""
    built = replace(_BUILT[model], convention=convention)
    weights, fresh = model.get_weights(), _build(built)
    model.__init__(fresh.inputs, fresh.outputs, name=model.name)
    model.set_weights(weights)
    _BUILT[model] = built


def _build(built: Built) -> Any:
    from edgekit.keras_models.zoo.keras_layers import KerasLayers

    request = built.request
    layers = KerasLayers(built.convention, built.form)
    return as_written(build)(request.network.arch(request.alpha), layers, request.size, request.classes, request.model_name)
