"""TensorFlow's converter: a Keras model as a TFLite file in one of the stock precisions, which are those that it offers. Always batch 1.

These files are outside the exactness contract: their kernels round each in its own way.
"""

from __future__ import annotations

import contextlib
import enum
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError, UnsupportedLayer


class Precision(str, enum.Enum):
    """What weights and activations are stored as."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    """float16 weights, float32 arithmetic"""
    DYNAMIC = "dynamic"
    """int8 weights, activations quantized while running"""
    INT8 = "int8"
    """int8 throughout, inputs and outputs included"""
    INT16X8 = "int16x8"
    """int16 activations, int8 weights"""


CALIBRATED = (Precision.INT8, Precision.INT16X8)
"""Precisions whose activation ranges are measured on a representative dataset."""

NOT_IN_INT16X8 = frozenset({"hard_swish", "layer norm"})
"""The activation and the layer of edgekit's networks that become HARD_SWISH and L2_NORMALIZATION, which TensorFlow's converter does not
quantize to 16x8 bits."""


def precisions_of(kinds: Iterable[str]) -> tuple[Precision, ...]:
    """The precisions that a network can have, by the kinds of its layers and of its activations."""
    return tuple(one for one in Precision if one is not Precision.INT16X8 or NOT_IN_INT16X8.isdisjoint(kinds))


def convert(model: Any, precision: Precision, representative: npt.NDArray[Any] | None = None, *, dense_per_channel: bool = True) -> bytes:
    """A tf_keras model as a TFLite file with batch 1.

    Args:
        dense_per_channel: at precision dynamic, a scale for each output of a dense layer, which is FULLY_CONNECTED version 12, or one
            for all.
        representative: float32 (images, *input shape), as the model takes them; for int8 and int16x8.

    Raises:
        EdgekitError: the model has several inputs or an open input size, or the representative dataset is missing or unfit.
        UnsupportedLayer: the converter has no translation; the message is the converter's.
    """
    import tensorflow as tf

    shape = _input_shape(model)
    if precision in CALIBRATED:
        representative = _checked(representative, shape, precision)
    # Keras counts unnamed inputs of a process; the same model must give the same bytes whenever it was built.
    name = re.sub(r"^input_[0-9]+$", "input", model.inputs[0].name.split(":")[0])
    signature = tf.TensorSpec((1, *shape), tf.float32, name=name)
    try:
        with quiet():
            function = tf.function(lambda x: model(x, training=False), input_signature=[signature], autograph=False)
            variables = tf.Module()  # not the Keras model, of which the converter would trace every layer on its own
            variables.held = model.variables
            converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()], variables)
            _configure(converter, precision, representative)
            converter._experimental_disable_per_channel_quantization_for_dense_layers = not dense_per_channel
            return bytes(converter.convert())
    except Exception as error:  # the converter raises a class of its own, ValueError, RuntimeError, ...
        raise UnsupportedLayer(
            f"TensorFlow's converter does not convert '{model.name}' to {precision.value}: {first_line(error)}"
        ) from error


def first_line(error: BaseException) -> str:
    """What an error says first, or its class."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _input_shape(model: Any) -> tuple[int, ...]:
    if len(model.inputs) != 1:
        raise EdgekitError(f"model '{model.name}' has {len(model.inputs)} inputs; one is supported")
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        raise EdgekitError(f"model '{model.name}' leaves its input size open, {shape}; build it with a fixed size")
    return shape


def _checked(representative: npt.NDArray[Any] | None, shape: tuple[int, ...], precision: Precision) -> npt.NDArray[Any]:
    if representative is None or len(representative) == 0:
        raise EdgekitError(f"{precision.value} needs calibration images: they show which values each tensor takes")
    if representative.shape[1:] != shape:
        raise EdgekitError(f"calibration images have shape {representative.shape[1:]}, the model takes {shape}")
    if not np.isfinite(representative).all():
        raise EdgekitError("calibration images hold NaN or infinite values")
    return representative.astype(np.float32)


def _configure(converter: Any, precision: Precision, representative: npt.NDArray[Any] | None) -> None:
    import tensorflow as tf

    if precision is Precision.FLOAT32:
        return
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision is Precision.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if representative is not None and precision in CALIBRATED:
        images = representative
        converter.representative_dataset = lambda: ([image[np.newaxis]] for image in images)
    if precision is Precision.INT8:
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if precision is Precision.INT16X8:
        kind = tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        converter.target_spec.supported_ops = [kind]
        converter.inference_input_type = converter.inference_output_type = tf.int16


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The converter talks through warnings, loggers and, from C++, straight to file descriptor 2; errors it raises besides."""
    loggers = [logging.getLogger(name) for name in ("tensorflow", "absl")]
    levels = [logger.level for logger in loggers]
    saved = os.dup(2)
    with tempfile.TemporaryFile() as sink, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        os.dup2(sink.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
