"""Tables of 256 integers in TFLite.

Any table is CAST to int32, ADD 128, GATHER: integer ops, the same on every kernel set, at about 3 ns an element on x86. Two functions have
ops that are ten times as fast, and take the table's place where all kernels provably give its entries:

    entry(q) = clamp(nearest(v)),   v = 2**f_out * function(x),   x = q * 2**-f_in

    GELU         x/2 * erfc(-x / sqrt(2))      int8 GELU, which fills a table in float32 when the file is loaded
    hard-swish   x * relu6(x + 3) / 6          DEQUANTIZE, HARD_SWISH in float32, QUANTIZE

x and the factors of two are exact in float32. What kernels make of the function is theirs: a few units of 2**-24, of x, are between any
two of them. And halves go away from zero in one, to the even number in another. Neither matters where v is further from a half than that:

    | v - floor(v) - 1/2 |  >  2**-20 * |x| * 2**f_out          for all q whose v is within the output's range

which leaves room for 16 units. GELU has it for every f_out of f_in to f_in + 5 with f_in of -1 to 9; with f_out < f_in mostly not: gelu(x)
is x for large x, and every other x is a half. Hard-swish, whose v are fractions of small denominators, has many halves exactly. Where the
table rounds them up, ADD of 2**-8 in front of QUANTIZE does, too; it must not take another v over a half, which the same check says
of v + 2**-8.
"""

from __future__ import annotations

from math import erfc, sqrt
from typing import Any

import numpy as np

from edgekit.graph import IntegerGraph, Lookup, Tensor
from edgekit.graph.ir import IntArray
from edgekit.tflite import schema
from edgekit.tflite.flatbuffer import ModelBuilder, OpKind
from edgekit.tflite.tensors import (
    ADD_WIDE,
    CAST,
    STORED_LOW,
    constant_int32,
    quantization,
    quantize,
    real,
    step,
    stored,
)

GATHER = OpKind("GATHER", 2)
GELU = OpKind("GELU", 2, (2, 9, 0))
HARD_SWISH = OpKind("HARD_SWISH", 1)

FLOAT32_ERROR = 2.0**-20
HALVES_UP = 2.0**-8


def lookup(builder: ModelBuilder, graph: IntegerGraph, op: Lookup) -> None:
    source, output = graph.tensors[op.input], graph.tensors[op.output]
    if is_gelu(source, output, op.table):
        builder.operator(GELU, [op.input], op.output, schema.GeluOptionsT(approximate=False))
    elif (raised := hard_swish_raised(source, output, op.table)) is not None:
        _hard_swish(builder, output, op, raised)
    else:
        _gather(builder, source, output, op)


def is_gelu(source: Tensor, output: Tensor, table: IntArray) -> bool:
    """Whether every kernel set's GELU op provably fills `table`."""
    x = _numbers(source)
    gelu = x * np.array([erfc(-value / sqrt(2)) / 2 for value in x])
    return _gives(x, gelu, output, table)


def hard_swish_raised(source: Tensor, output: Tensor, table: IntArray) -> float | None:
    """What to add to hard-swish, in units of the output's integers, so that every kernel set gives `table`; None if nothing does."""
    x = _numbers(source)
    hard_swish = x * np.clip(x + 3, 0, 6) / 6
    return next((up for up in (0.0, HALVES_UP) if _gives(x, hard_swish + np.ldexp(up, -output.binary_point), output, table)), None)


def _numbers(tensor: Tensor) -> Any:
    return np.ldexp(np.arange(tensor.low, tensor.high + 1, dtype=np.float64), -tensor.binary_point)


def _gives(x: Any, function: Any, output: Tensor, table: IntArray) -> bool:
    v = np.clip(np.ldexp(function, output.binary_point), output.low, output.high)  # beyond the range a half is clamped away
    certain = np.abs(v - np.floor(v) - 0.5) > FLOAT32_ERROR * np.ldexp(np.abs(x), output.binary_point)
    return bool(certain.all() and (table == np.floor(v + 0.5)).all())


def _hard_swish(builder: ModelBuilder, output: Tensor, op: Lookup, raised: float) -> None:
    shape, numbers = builder.shape(op.output), real(builder, op.input)
    value = step(builder, HARD_SWISH, f"{op.name}/hard_swish", [numbers], shape, np.float32, schema.HardSwishOptionsT())
    if raised:
        constant = builder.tensor(f"{op.name}/raised/constant", (1,), np.float32, data=np.ldexp([raised], -output.binary_point))
        value = step(builder, ADD_WIDE, f"{op.name}/raised", [value, constant], shape, np.float32, schema.AddOptionsT())
    quantize(builder, value, op.output)


def _gather(builder: ModelBuilder, source: Tensor, output: Tensor, op: Lookup) -> None:
    """table[stored + 128]"""
    types, shape = schema.TensorType, (1, *source.shape)
    wide = step(builder, CAST, f"{op.name}/int32", [op.input], shape, np.int32, schema.CastOptionsT(types.INT8, types.INT32))
    first = constant_int32(builder, f"{op.name}/first", -STORED_LOW)
    index = step(builder, ADD_WIDE, f"{op.name}/index", [wide, first], shape, np.int32, schema.AddOptionsT())
    points = quantization(output.scale, STORED_LOW - output.low)
    table = builder.tensor(f"{op.name}/table", op.table.shape, np.int8, points, stored(output, op.table))
    builder.operator(GATHER, [table, index], op.output, schema.GatherOptionsT(axis=0))
