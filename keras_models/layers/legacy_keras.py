"""The one place where Keras is imported: Keras 2, which is the package tf_keras."""

from __future__ import annotations

import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def import_keras() -> Any:
    """The module tf_keras. TensorFlow's start-up messages are kept quiet unless TF_CPP_MIN_LOG_LEVEL is set."""
    if "tf_keras" in sys.modules:
        return sys.modules["tf_keras"]
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # qkeras imports tensorflow.keras, which this makes Keras 2
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return _import()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    with _stderr_kept_back():
        return _import()


def as_written(function: Function) -> Function:
    """The function, with all that it calls, traced by TensorFlow as it is written.

    No layer that edgekit builds, reads or trains branches in Python on a tensor's value, and rewriting each one for that (autograph)
    takes longer than tracing it.
    """
    import_keras()
    import tensorflow as tf

    unconverted: Function = tf.autograph.experimental.do_not_convert(function)
    return unconverted


def _import() -> Any:
    import tensorflow as tf
    import tf_keras

    tf.constant(0)  # looks for devices, and says so
    warnings.filterwarnings("ignore", "The `keras.constraints.serialize", UserWarning)  # qkeras saves its quantizers through that function
    return tf_keras


@contextmanager
def _stderr_kept_back() -> Iterator[None]:
    """What C++ code writes to stderr before its logging is set up no log level stops. It is shown if an exception passes."""
    sys.stderr.flush()
    terminal = os.dup(2)
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(terminal, 2)
            kept.seek(0)
            sys.stderr.write(kept.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)
