"""How a graph's tensors lie in a TFLite file, and what the lowerings of several ops need.

A graph tensor becomes an int8 tensor of the same name, batch 1, scale 2**-f. An unsigned one is stored minus 128 with zero_point -128,
so `stored - zero_point` is the graph's integer and every accumulator is the one that the contract speaks of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from edgekit.graph import Activation, Tensor, clamp_range
from edgekit.graph.ir import IntArray
from edgekit.tflite import schema
from edgekit.tflite.flatbuffer import ModelBuilder, OpKind

# of int32 and of float32; int8 is version 2
ADD_WIDE = OpKind("ADD", 1)
MUL_WIDE = OpKind("MUL", 1)
CAST = OpKind("CAST", 3, (2, 8, 0))
DEQUANTIZE = OpKind("DEQUANTIZE", 2)
QUANTIZE = OpKind("QUANTIZE", 1)
RESHAPE = OpKind("RESHAPE", 1)
TRANSPOSE = OpKind("TRANSPOSE", 2)

Wide: TypeAlias = type[np.int32] | type[np.float32]

STORED_LOW = -128
"""What the file holds for a type's lowest integer, signed or unsigned."""


def stored(tensor: Tensor, values: IntArray) -> IntArray:
    """The graph's integers as the file holds them, int8."""
    return (values.astype(np.int16) + (STORED_LOW - tensor.low)).astype(np.int8)


def logical(tensor: Tensor, values: IntArray) -> IntArray:
    """The inverse of `stored`: int8 or uint8."""
    return (values.astype(np.int16) - (STORED_LOW - tensor.low)).astype(tensor.dtype)


def constant_int32(builder: ModelBuilder, name: str, *values: int) -> str:
    """A vector, or a number that broadcasts."""
    return builder.tensor(name, (len(values),), np.int32, data=np.array(values))


def fused_activation(activation: Activation, output: Tensor) -> int:
    """ReLU6 whose 6 lies above the type's highest integer is written as ReLU: runtimes refuse a 6 that leaves int32."""
    kinds = schema.ActivationFunctionType
    if activation is Activation.NONE:
        return int(kinds.NONE)
    return int(kinds.RELU6 if clamp_range(activation, output)[1] < output.high else kinds.RELU)


def quantization(scales: Any, zero_point: int = 0, axis: int = 0) -> Any:
    scales = np.atleast_1d(np.asarray(scales, np.float32))
    return schema.QuantizationParametersT(scale=scales, zeroPoint=np.full(scales.shape, zero_point, np.int64), quantizedDimension=axis)


def map_tensor(builder: ModelBuilder, name: str, shape: tuple[int, ...], like: Tensor) -> str:
    """A tensor of another name and shape, batch 1 added, of the type of `like`."""
    return builder.tensor(name, (1, *shape), np.int8, quantization(like.scale, STORED_LOW - like.low))


def reshape_to(builder: ModelBuilder, source: str, name: str, shape: tuple[int, ...], like: Tensor) -> str:
    """The integers of `source` in another shape, in a new tensor."""
    map_tensor(builder, name, shape, like)
    reshape(builder, name, source, name, shape)
    return name


def reshape(builder: ModelBuilder, name: str, source: str, output: str, shape: tuple[int, ...]) -> None:
    """The integers of `source` in `output`, whose shape without batch is `shape`."""
    inputs = [source, constant_int32(builder, f"{name}/shape", 1, *shape)]
    builder.operator(RESHAPE, inputs, output, schema.ReshapeOptionsT(newShape=np.array((1, *shape), np.int32)))


def transpose_to(builder: ModelBuilder, source: str, name: str, axes: tuple[int, ...], like: Tensor) -> str:
    """`source` with its axes in another order, the batch (0) first, in a new tensor."""
    shape = builder.shape(source)
    map_tensor(builder, name, tuple(shape[axis] for axis in axes[1:]), like)
    builder.operator(TRANSPOSE, [source, constant_int32(builder, f"{name}/axes", *axes)], name, schema.TransposeOptionsT())
    return name


def step(builder: ModelBuilder, kind: OpKind, name: str, inputs: list[str], shape: tuple[int, ...], dtype: Wide, options: Any) -> str:
    """An op whose output is a new tensor of the given shape, batch included, and type."""
    builder.operator(kind, inputs, builder.tensor(name, shape, dtype), options)
    return name


@dataclass(frozen=True)
class Real:
    """The form of an int8 tensor that holds its numbers in float32."""

    tensor: str


def real(builder: ModelBuilder, name: str) -> str:
    """An int8 tensor's numbers in float32, made where they are first needed."""

    def dequantize() -> str:
        return step(builder, DEQUANTIZE, f"{name}/real", [name], builder.shape(name), np.float32, schema.DequantizeOptionsT())

    return builder.form(Real(name), dequantize)


def quantize(builder: ModelBuilder, numbers: str, result: str) -> None:
    """The integers of the int8 tensor `result` next to float32 numbers, clamped to its type."""
    builder.operator(QUANTIZE, [numbers], result, schema.QuantizeOptionsT())
