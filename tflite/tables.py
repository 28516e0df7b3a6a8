"""Tables of 256 integers in TFLite.

Any table is CAST to int32, ADD 128, GATHER: integer ops, the same on every kernel set, at about 3 ns an element on x86. A table that is
GELU's is the GELU op, at a tenth of that, if all kernels provably fill the same one. They do it once, when they load the file, in float32:

    entry(q) = clamp(round(v)),   v = 2**f_out * gelu(x),   x = q * 2**-f_in,   gelu(x) = x/2 * erfc(-x / sqrt(2))

x and the factors of two are exact in float32. What they make of erfc is theirs: a few units of 2**-24, of x/2, are between any two of
them. And halves go away from zero in one, to the even number in another. Neither matters where v is further from a half than they err:

    | v - floor(v) - 1/2 |  >  2**-20 * |x| * 2**f_out          for all q whose v is within the output's range

which leaves room for 32 units. It holds for every f_out of f_in to f_in + 5 with f_in of -1 to 9. With f_out < f_in it mostly does not:
gelu(x) is x for large x, and every other x is a half.
"""

from __future__ import annotations

from math import erfc, sqrt
from typing import Any

import numpy as np

from edgekit.graph import IntegerGraph, Lookup, Tensor
from edgekit.graph.ir import IntArray
from edgekit.tflite.flatbuffer import ModelBuilder, OpKind
from edgekit.tflite.tensors import ADD_INT32, CAST, STORED_LOW, constant_int32, quantization, stored

GATHER = OpKind("GATHER", 2)
GELU = OpKind("GELU", 2, (2, 9, 0))

FLOAT32_ERROR = 2.0**-20


def lookup(builder: ModelBuilder, graph: IntegerGraph, op: Lookup) -> None:
    from ai_edge_litert import schema_py_generated as schema

    source, output = graph.tensors[op.input], graph.tensors[op.output]
    if is_gelu(source, output, op.table):
        builder.operator(GELU, [op.input], op.output, schema.GeluOptionsT(approximate=False))
    else:
        _gather(builder, source, output, op)


def is_gelu(source: Tensor, output: Tensor, table: IntArray) -> bool:
    """Whether every kernel set's GELU op provably fills `table`."""
    x: Any = np.ldexp(np.arange(source.low, source.high + 1, dtype=np.float64), -source.binary_point)
    factors = np.array([erfc(-value / sqrt(2)) / 2 for value in x])
    v = np.clip(np.ldexp(x * factors, output.binary_point), output.low, output.high)  # beyond the range a half is clamped away
    to_a_half = np.abs(v - np.floor(v) - 0.5)
    certain = to_a_half > FLOAT32_ERROR * np.ldexp(np.abs(x), output.binary_point)
    return bool(certain.all() and (table == np.floor(v + 0.5)).all())


def _gather(builder: ModelBuilder, source: Tensor, output: Tensor, op: Lookup) -> None:
    """table[stored + 128]"""
    from ai_edge_litert import schema_py_generated as schema

    types = schema.TensorType
    wide = builder.tensor(f"{op.name}/int32", (1, *source.shape), np.int32)
    builder.operator(CAST, [op.input], wide, schema.CastOptionsT(types.INT8, types.INT32))
    first = constant_int32(builder, f"{op.name}/first", -STORED_LOW)
    index = builder.tensor(f"{op.name}/index", (1, *source.shape), np.int32)
    builder.operator(ADD_INT32, [wide, first], index, schema.AddOptionsT())
    points = quantization(output.scale, STORED_LOW - output.low)
    table = builder.tensor(f"{op.name}/table", op.table.shape, np.int8, points, stored(output, op.table))
    builder.operator(GATHER, [table, index], op.output, schema.GatherOptionsT(axis=0))
