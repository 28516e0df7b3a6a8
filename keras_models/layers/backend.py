"""Keras 2, TensorFlow and qkeras, imported in the one order that works. For modules that are themselves imported only when needed."""

from __future__ import annotations

from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.legacy_keras import import_keras

tf_keras = import_keras()

import qkeras  # noqa: E402  after the choice of Keras 2
import tensorflow as tf  # noqa: E402

if tf.keras.layers.Layer is not tf_keras.layers.Layer:
    raise EdgekitError(
        "TensorFlow was set up with Keras 3 before edgekit could choose Keras 2, which qkeras needs; "
        "set TF_USE_LEGACY_KERAS=1, or import edgekit before tensorflow.keras is used"
    )

__all__ = ["qkeras", "tf", "tf_keras"]
