"""Arithmetic that is written into a model, as `preprocess_input(x)` or x / 127.5 - 1: Keras keeps each operator as a TFOpLambda."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.keras_models.reading.joins import add_of, multiply_of
from edgekit.keras_models.reading.keras_layer import refuse
from edgekit.keras_models.reading.norms import affine
from edgekit.keras_models.reading.pending import Reading

SUMS = ("__operators__.add", "math.add", "nn.bias_add")
PRODUCTS = ("math.multiply",)
OPERATORS = (*SUMS, *PRODUCTS, "math.subtract", "math.truediv", "math.divide")
"""TensorFlow's functions that are read; a file may hold no others."""


def _operator(reading: Reading, layer: Any, *inputs: Any) -> Any:
    function, node = layer.get_config()["function"], layer.inbound_nodes[0]
    if function not in OPERATORS:
        raise refuse(layer, f"the function '{function}'")
    if node.call_kwargs.get("data_format") not in (None, "NHWC", "channels_last"):
        raise refuse(layer, f"data_format={node.call_kwargs['data_format']}")
    if len(inputs) == 2 and function in SUMS:
        return add_of(reading, layer, inputs)
    if len(inputs) == 2 and function in PRODUCTS:
        return multiply_of(reading, layer, inputs)
    if len(inputs) == 2:
        raise refuse(layer, f"the function '{function}' of two tensors")
    first, constant = _operands(layer, node)
    factor, shift = _line(layer, function, constant, first)
    channels = node.outputs.shape[-1]
    if factor.size not in (1, channels) or shift.size not in (1, channels):
        raise refuse(layer, f"a constant of shape {constant.shape}; a number, or one a channel, is read")
    return affine(reading, layer, inputs[0], np.broadcast_to(factor.ravel(), channels), np.broadcast_to(shift.ravel(), channels))


def _operands(layer: Any, node: Any) -> tuple[bool, npt.NDArray[np.float64]]:
    """Whether the tensor comes first, and the constant beside it."""
    named = [node.call_kwargs[name] for name in ("x", "value", "y", "bias") if name in node.call_kwargs]
    both = [*node.call_args, *named][:2]
    first = any(both[0] is tensor for tensor in node.keras_inputs)
    try:
        constant = np.asarray(both[1 if first else 0], np.float64)
    except (ValueError, TypeError, IndexError) as error:
        raise refuse(layer, "an operand that is no number") from error
    return first, constant


def _line(layer: Any, function: str, constant: Any, first: bool) -> tuple[Any, Any]:
    """The factor and the shift that the operator is."""
    one, zero = np.ones(1), np.zeros(1)
    if function in SUMS:
        return one, constant
    if function in PRODUCTS:
        return constant, zero
    if function == "math.subtract":
        return (one, -constant) if first else (-one, constant)
    if not first or not constant.all():
        raise refuse(layer, "a division by anything but a number")
    return one / constant, zero


def line_of(node: Any) -> tuple[Any, Any]:
    """The factor and the shift that an operator with one tensor and a constant is. Raises UnsupportedLayer for any other."""
    layer = node.layer
    function = layer.get_config()["function"]
    if len(node.keras_inputs) != 1 or function not in OPERATORS:
        raise refuse(layer, f"the function '{function}'")
    first, constant = _operands(layer, node)
    return _line(layer, function, constant, first)


ARITHMETIC_READERS: dict[str, Callable[..., Any]] = {"TFOpLambda": _operator}
