"""One stage of SBCFormer with everything that a stage has, small enough for tests: attention on 4 x 4 cells of a map of 8 x 8."""

from __future__ import annotations

from typing import Any

from edgekit.graph import Activation
from edgekit.keras_models.zoo.arch import Arch, build
from edgekit.keras_models.zoo.sbcformer import ConvBN, NormAndClassify, Stage
from edgekit.keras_models.zoo.vocabulary import AS_WRITTEN, Act, Form

SIZE = 16
ARCH = Arch((ConvBN("stem.conv", "stem.bn", 12, Act(Activation.RELU, "stem.relu")), Stage(0, 1, 2, 2, 1, 4, 3)), NormAndClassify())


def small_sbcformer(form: Form = Form.PUBLISHED) -> Any:
    """A float model of images (16, 16, 3) with 5 classes, with Keras' own initial weights."""
    from edgekit.keras_models.zoo.keras_layers import KerasLayers

    return build(ARCH, KerasLayers(AS_WRITTEN, form), SIZE, 5, "small_sbcformer")


def with_weights(form: Form = Form.PUBLISHED) -> tuple[Any, Any]:
    """The model with random weights and measured statistics, and the images they were measured on."""
    from edgekit.keras_models.layers.bn_form import bn_form
    from edgekit.keras_models.training.images import photographs
    from edgekit.keras_models.weights.random import randomize

    model, images = small_sbcformer(form), photographs(SIZE, 16, seed=2)
    randomize(model, images, 1)
    return (bn_form(model, images)[0] if form is Form.BN else model), images
