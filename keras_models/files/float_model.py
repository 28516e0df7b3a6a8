"""A network in floating point that is plain data (edgekit.float_network) becomes a Keras model with the same weights.

Ops are read one by one, each by a row of OPS. After each, the shape that it gives is compared with the one that the file states.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.float_network import FloatNetwork, FloatOp
from edgekit.keras_models.files import plain_layers as plain
from edgekit.keras_models.files.float_op import Op, Reading
from edgekit.keras_models.files.float_ops import OPS
from edgekit.keras_models.layers.backend import tf_keras

VALUES_MAX = 1 << 26
"""A tensor with more values is in no network for images; a file that claims one is broken or means harm."""


def float_model(network: FloatNetwork) -> Any:
    """The tf_keras.Model of a network with one input. Inputs and outputs have the file's shapes.

    Raises:
        UnsupportedLayer: names the op, its place (the name of what it gives) and what of it is not read.
        EdgekitError: several inputs, a batch other than 1, or ops and shapes that contradict each other.
    """
    if len(network.inputs) != 1 or not network.outputs:
        raise EdgekitError(f"the TFLite file has {len(network.inputs)} inputs and {len(network.outputs)} outputs; one input is supported")
    shape = network.tensors[network.inputs[0]].shape
    if len(shape) not in (2, 4) or min(shape) < 1 or shape[0] != 1 or prod(shape) > VALUES_MAX:
        raise EdgekitError(f"the TFLite file takes inputs of shape {shape}; batch 1 and fixed sizes are supported")
    values: dict[int, Any] = {index: one.values for index, one in enumerate(network.tensors) if one.values is not None}
    source = tf_keras.Input(shape[1:], name="input")
    reading = Reading(network, {**values, network.inputs[0]: source}, plain.Names({"input"}))
    for op in network.ops:
        _read(reading, op)
    missing = [network.tensors[index].name for index in network.outputs if isinstance(reading.values.get(index), np.ndarray | type(None))]
    if missing:
        raise EdgekitError(f"the TFLite file has an output '{missing[0]}' that no op gives")
    outputs = [reading.values[index] for index in network.outputs]
    try:
        return tf_keras.Model(source, outputs if len(outputs) > 1 else outputs[0], name=reading.names.unique(network.name, "model"))
    except (ValueError, TypeError) as error:
        raise EdgekitError(f"the ops of the TFLite file are no network from its input to its outputs: {error}") from error


def _read(reading: Reading, op: FloatOp) -> None:
    one = Op(reading, op)
    if op.kind not in OPS or len(op.outputs) != 1 or not op.inputs:
        raise one.refuse(f"is not read; supported are {', '.join(sorted(OPS))}")
    for index in op.inputs:
        if index is not None and index not in reading.values:
            raise EdgekitError(f"{one.place} reads '{reading.network.tensors[index].name}', which nothing before it gives")
    if prod(one.shape) > VALUES_MAX:
        raise EdgekitError(f"{one.place} gives shape {one.shape}, more than {VALUES_MAX} values")
    try:
        made = OPS[op.kind](one)
    except EdgekitError:
        raise
    except Exception as error:  # numpy and Keras raise errors of every type on options and shapes that do not fit
        raise EdgekitError(f"{one.place} cannot be read: {(str(error).splitlines() or [type(error).__name__])[0]}") from error
    if not isinstance(made, np.ndarray) and tuple(made.shape[1:]) != one.shape[1:]:
        raise EdgekitError(f"{one.place} gives shape {tuple(made.shape[1:])}, where the file says {one.shape[1:]}")
    reading.values[op.outputs[0]] = made
