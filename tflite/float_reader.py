"""A TFLite file, in floating point or quantized by others, as a network in floating point.

Quantized constants become the real values that they stand for: (q - zero_point) * scale, one scale or one a channel. Nothing is run.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekit.arrays import Array
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.files import reading
from edgekit.float_network import FloatNetwork, FloatOp, FloatTensor, Option
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, RAW, ZERO_TO_ONE
from edgekit.tflite import schema
from edgekit.tflite.reader import OPTIONAL, op_version, parse, text_of

CLAMPED = ("ADD", "CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "MUL", "SUB", "TRANSPOSE_CONV")
"""Ops whose outputs can lie below what they read, so that the smallest integer of a quantized output can be a clamp."""
RANGES, RANGE_ERROR = (RAW, ZERO_TO_ONE, MINUS_ONE_TO_ONE), 0.02
"""What an int8 input was calibrated with, if its range is one of these within so much of it: images rarely lack white or black."""
SIX = (5.95, 6.05)
"""Where the largest real value of a quantized output is in here, it is a ReLU6."""


@reading("the TFLite file")
def read_float_network(tflite: bytes) -> FloatNetwork:
    """The network of a TFLite file.

    Converters leave a ReLU out where the quantized output cannot go below 0 anyway; here it is an activation again.

    Raises:
        UnsupportedLayer: weights in a form that is not read; the tensor is named.
        EdgekitError: the file is damaged, or has control flow (several subgraphs).
    """
    model = parse(tflite)
    if len(model.subgraphs) != 1:
        raise EdgekitError(f"the TFLite file has {len(model.subgraphs)} subgraphs, for control flow; networks without are read")
    subgraph = model.subgraphs[0]
    try:
        tensors = tuple(_tensor(one, model.buffers) for one in subgraph.tensors or [])
        kinds = [op_version(code).name for code in model.operatorCodes or []]
        ops = tuple(_op(kinds[op.opcodeIndex], op, subgraph.tensors) for op in subgraph.operators or [])
    except (ValueError, TypeError, IndexError, AttributeError) as error:  # values that the structural check does not look at
        raise EdgekitError(f"the TFLite file is damaged ({error}); write it again") from error
    inputs, outputs = ([int(index) for index in found] if found is not None else [] for found in (subgraph.inputs, subgraph.outputs))
    return FloatNetwork(
        name=text_of(subgraph.name),
        tensors=tensors,
        ops=ops,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        pixels=_pixels(subgraph.tensors[inputs[0]]) if len(inputs) == 1 else None,
    )


def _tensor(tensor: Any, buffers: list[Any]) -> FloatTensor:
    name = text_of(tensor.name)
    shape = () if tensor.shape is None else tuple(int(size) for size in tensor.shape)
    data = buffers[tensor.buffer].data
    if data is None or not len(data):
        return FloatTensor(name=name, shape=shape)
    if tensor.sparsity is not None:
        raise UnsupportedLayer(f"tensor '{name}' of the TFLite file is sparse; dense weights are read.")
    types = schema.TensorType
    kinds: dict[int, Any] = {
        types.FLOAT32: "<f4",
        types.FLOAT16: "<f2",
        types.INT8: "i1",
        types.UINT8: "u1",
        types.BOOL: "?",
        types.INT16: "<i2",
        types.INT32: "<i4",
        types.INT64: "<i8",
    }
    if tensor.type not in kinds:
        raise UnsupportedLayer(f"tensor '{name}' of the TFLite file has constants of a type that is not read (number {tensor.type}).")
    stored = np.frombuffer(bytes(bytearray(data)), kinds[tensor.type]).reshape(shape)
    return FloatTensor(name=name, shape=shape, values=_real(stored, tensor.quantization, name))


def _scales(quantization: Any) -> tuple[Array, Array] | None:
    """Scales and zero points, float64 and int64, of one length; None where nothing is quantized. Raises ValueError for broken ones."""
    if quantization is None or quantization.scale is None or not len(quantization.scale):
        return None
    scale = np.asarray(quantization.scale, np.float64)
    zero = np.zeros(1, np.int64) if quantization.zeroPoint is None else np.asarray(quantization.zeroPoint, np.int64)
    if not np.all(np.isfinite(scale) & (scale > 0)):
        raise ValueError("a scale is no positive number")
    return scale, np.broadcast_to(zero, scale.shape)


def _real(stored: Array, quantization: Any, name: str) -> Array:
    """What integers stand for, float32; integers that stand for themselves, int64."""
    if stored.dtype.kind == "f":
        return stored.astype(np.float32)
    found = _scales(quantization)
    if found is None:
        return stored.astype(np.int64)
    scale, zero = found
    if len(scale) > 1:
        axis = int(quantization.quantizedDimension)
        if not 0 <= axis < stored.ndim or stored.shape[axis] != len(scale):
            raise ValueError(f"tensor '{name}' of shape {stored.shape} has {len(scale)} scales along axis {axis}")
        along = [1] * stored.ndim
        along[axis] = len(scale)
        scale, zero = scale.reshape(along), zero.reshape(along)
    return np.asarray((stored.astype(np.int64) - zero) * scale, np.float32)


def _op(kind: str, op: Any, tensors: list[Any]) -> FloatOp:
    options = _options(op.builtinOptions)
    if kind == "CAST" and _from_pixels(op, tensors):
        kind = "DEQUANTIZE"  # which has the same values
    outputs = tuple(int(index) for index in (() if op.outputs is None else op.outputs))
    if kind in CLAMPED and outputs and options.get("activation", "NONE") == "NONE":
        options["activation"] = _clamp(tensors[outputs[0]])
    indices = () if op.inputs is None else op.inputs
    return FloatOp(
        kind=kind, inputs=tuple(None if index == OPTIONAL else int(index) for index in indices), outputs=outputs, options=options
    )


def _from_pixels(op: Any, tensors: list[Any]) -> bool:
    """A change of type from uint8 to float32."""
    types = schema.TensorType
    return (tensors[op.inputs[0]].type, tensors[op.outputs[0]].type) == (types.UINT8, types.FLOAT32)


def _options(stored: Any) -> dict[str, Option]:
    """Numbers as they are, padding and activation in words; lists (new shapes) are told by the output's shape."""
    options: dict[str, Option] = {}
    for name, value in vars(stored).items() if stored is not None else ():
        if name == "padding":
            options["padding"] = _word(schema.Padding, value)
        elif name == "fusedActivationFunction":
            options["activation"] = _word(schema.ActivationFunctionType, value)
        elif isinstance(value, bool | int | float):
            options[name] = value
    return options


def _word(enumeration: Any, value: int) -> str:
    return next((name for name, number in vars(enumeration).items() if not name.startswith("_") and number == value), f"number {value}")


def _clamp(tensor: Any) -> str:
    """The activation that a quantized output's range amounts to: one that begins at 0 clamps there."""
    found, types = _scales(tensor.quantization), schema.TensorType
    bounds = {types.INT8: (-128, 127), types.UINT8: (0, 255)}.get(tensor.type)
    if found is None or bounds is None or len(found[0]) != 1 or int(found[1][0]) != bounds[0]:
        return "NONE"
    highest = (bounds[1] - bounds[0]) * float(found[0][0])
    return "RELU6" if SIX[0] < highest < SIX[1] else "RELU"


def _pixels(tensor: Any) -> tuple[float, float] | None:
    """(mean, std) of pixels, where the input's type or range says them: uint8 by its scale, int8 by a range that is one of RANGES."""
    found, types = _scales(tensor.quantization), schema.TensorType
    if tensor.type == types.UINT8 and found is None:
        return RAW.mean[0], RAW.std[0]
    if found is None or tensor.type not in (types.UINT8, types.INT8) or len(found[0]) != 1:
        return None
    scale, zero = float(np.float32(found[0][0])), float(found[1][0])
    if tensor.type == types.UINT8:
        return zero, float(1 / np.float32(found[0][0]))
    low, high = (-128 - zero) * scale, (127 - zero) * scale
    for one in RANGES:
        wanted = (0 - one.mean[0]) / one.std[0], (255 - one.mean[0]) / one.std[0]
        if max(abs(low - wanted[0]), abs(high - wanted[1])) <= RANGE_ERROR * (wanted[1] - wanted[0]):
            return one.mean[0], one.std[0]
    return None
