"""The one place where Keras is imported: Keras 2, which is the package tf_keras."""

from __future__ import annotations

import os
import warnings
from typing import Any


def import_keras() -> Any:
    """The module tf_keras. TensorFlow's start-up messages are kept quiet unless TF_CPP_MIN_LOG_LEVEL is set."""
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # qkeras imports tensorflow.keras, which this makes Keras 2
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tf_keras

    warnings.filterwarnings("ignore", "The `keras.constraints.serialize", UserWarning)  # qkeras saves its quantizers through that function

    return tf_keras
