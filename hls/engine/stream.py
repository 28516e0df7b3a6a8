"""Weights, constants and tables as rows of the weight stream, in the order in which a job's loops take them.

A row has row_bytes bytes: row_words * simd weights of 6 bits, the first in the lowest bits; or as many constants of 5 bytes as fit,
a bias (int32) and a shift code (int8) each; or table_bytes entries of a table. Weights are the contract's divided by 4, sums are of
quarters: acc = 4 * sum + 2

    code >= 0:  out = clamp(sum >> code)                       code = n - 2 for n >= 3;  n itself after a product of activations
    code < 0:   out = clamp((2 * sum + 1) << (-code - 1))      code = n - 2 for n <= 1

What rounding adds is in the bias (edgekit.graph.requantize).
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np

from edgekit.arrays import Array, Int64
from edgekit.graph import IntegerGraph, MatMul, product_shift, requantize_of
from edgekit.graph.ir import WeightedOp
from edgekit.hls.engine.size import WEIGHT_BITS, EngineSize

ROWS_AT_ONCE = 1 << 16
"""Rows that are packed at a time: their bits are bytes while that lasts."""


def quarter_constants(graph: IntegerGraph, op: WeightedOp) -> tuple[Int64, Int64]:
    """Biases of sums of quarters, rounding included, and shift codes: int64 (channels,) each."""
    shifts = np.array(requantize_of(graph, op).shifts, np.int64)
    rounding = np.where(shifts >= 3, 1 << np.maximum(shifts - 3, 0), 0)
    return (op.bias.astype(np.int64) - 2) // 4 + rounding, shifts - 2


def product_constants(graph: IntegerGraph, op: MatMul) -> tuple[Int64, int]:
    """Biases of whole sums, rounding included, int64 of the bias's shape, and the shift code."""
    shift = product_shift(graph, op)
    return op.bias.astype(np.int64) + requantize_of(graph, op).rounding_constants[0], shift


def constant_rows(biases: Array, codes: Array, size: EngineSize) -> Array:
    """uint8 (constant_rows, row_bytes) of int64 (lanes,) each."""
    rows = np.zeros((size.constant_rows, size.row_bytes), np.uint8)
    packed = np.zeros((size.constant_rows * size.constants_a_row, 5), np.uint8)
    packed[: len(biases), :4] = np.ascontiguousarray(biases.astype("<i4")).view(np.uint8).reshape(-1, 4)
    packed[: len(codes), 4] = codes.astype(np.int8).view(np.uint8)
    rows[:, : 5 * size.constants_a_row] = packed.reshape(size.constant_rows, -1)
    return rows


def read_constants(rows: Array, size: EngineSize) -> tuple[Int64, Int64]:
    """Biases and codes of the lanes, from rows that constant_rows made."""
    packed = np.ascontiguousarray(rows[:, : 5 * size.constants_a_row]).reshape(-1, 5)[: size.lanes]
    biases = np.ascontiguousarray(packed[:, :4]).view("<i4").reshape(-1)
    return biases.astype(np.int64), np.ascontiguousarray(packed[:, 4]).view(np.int8).astype(np.int64)


def weight_rows(weights: Array, size: EngineSize) -> Array:
    """uint8 (passes * rows of a pass, row_bytes) of integers (passes, words, simd) in -32..31."""
    passes, words, simd = weights.shape
    whole = np.zeros((passes, size.weight_rows(words) * size.row_words, simd), np.uint8)
    whole[:, :words] = weights.astype(np.int8).view(np.uint8)
    rows = whole.reshape(-1, size.row_words * simd)
    packed = np.empty((len(rows), size.row_bytes), np.uint8)
    for first in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[first : first + ROWS_AT_ONCE]
        bits = (some[:, :, np.newaxis] >> np.arange(WEIGHT_BITS, dtype=np.uint8)) & 1
        packed[first : first + ROWS_AT_ONCE] = np.packbits(bits.reshape(len(some), -1), axis=1, bitorder="little")
    return packed


def read_weights(rows: Array, words: int, size: EngineSize) -> Array:
    """int8 (passes, words, simd) of rows that weight_rows made."""
    many = size.row_words * size.simd
    bits = np.unpackbits(rows, axis=1, bitorder="little")[:, : WEIGHT_BITS * many].reshape(len(rows), many, WEIGHT_BITS)
    found = np.packbits(bits, axis=2, bitorder="little")[:, :, 0].view(np.int8)
    signed = (found ^ 32) - 32
    return signed.reshape(-1, size.weight_rows(words) * size.row_words, size.simd)[:, :words]


def table_rows(table: Array, size: EngineSize) -> Array:
    """uint8 (table_rows, row_bytes): the entry for the byte b is the b-th, whether the input is signed or not."""
    rows = np.zeros((size.table_rows, size.row_bytes), np.uint8)
    rows[:, : size.table_bytes] = table.astype(np.int64).astype(np.uint8).reshape(-1, size.table_bytes)
    return rows


def read_table(rows: Array, size: EngineSize) -> Array:
    """uint8 (256,) of rows that table_rows made."""
    return np.ascontiguousarray(rows[:, : size.table_bytes]).reshape(-1)


def matrix_rows(weights: Array, biases: Array, codes: Array, size: EngineSize) -> Array:
    """The rows of a MatrixJob.

    Args:
        weights: int (taps, bytes of an input pixel, bytes of an output pixel), a whole number of words each.
        biases, codes: (bytes of an output pixel,).

    The last group's passes have no rows for words that it does not have.
    """
    taps, inputs, outputs = weights.shape
    groups = ceil(outputs / size.lanes)
    wide = np.zeros((taps, inputs, groups * size.lanes), np.int8)
    wide[:, :, :outputs] = weights
    ordered = wide.reshape(taps, inputs // size.simd, size.simd, groups, size.lanes).transpose(3, 0, 1, 4, 2)
    packed = weight_rows(ordered.reshape(-1, size.lanes, size.simd), size)
    rows = _with_constants(packed.reshape(groups, -1, size.row_bytes), biases, codes, size)
    whole, last = size.group_rows(size.words), size.group_rows(outputs // size.simd - (groups - 1) * size.words)
    passes = packed.shape[0] // groups // whole
    kept = np.ones(len(rows), bool)
    kept[len(rows) - passes * whole :] = np.arange(passes * whole) % whole < last
    return rows[kept]


def depthwise_rows(weights: Array, biases: Array, codes: Array, taps: int, size: EngineSize) -> Array:
    """The rows of a DEPTHWISE job that takes `taps` columns a pass.

    Args:
        weights: int (kernel_h, kernel_w, bytes of a pixel); biases, codes: (bytes of a pixel,).
    """
    kernel_h, kernel_w, width = weights.shape
    groups, steps = ceil(width / size.lanes), ceil(kernel_w / taps)
    wide = np.zeros((kernel_h, steps * taps, groups * size.lanes), np.int8)
    wide[:, :kernel_w, :width] = weights
    ordered = wide.reshape(kernel_h * steps, taps, groups, size.words, size.simd).transpose(2, 0, 1, 3, 4)
    packed = weight_rows(ordered.reshape(-1, taps * size.words, size.simd), size).reshape(groups, -1, size.row_bytes)
    return _with_constants(packed, biases, codes, size)


def bias_rows(biases: Array, codes: Array, size: EngineSize) -> Array:
    """Only constants: of each group one set, or of (sets, bytes) one for each position of each group, group by group."""
    sets = biases.reshape(-1, biases.shape[-1])
    return np.concatenate([row for first in range(0, sets.shape[1], size.lanes) for row in _sets(sets, codes, first, size)])


def _sets(sets: Array, codes: Array, first: int, size: EngineSize) -> Iterator[Array]:
    for one in sets:
        yield constant_rows(one[first : first + size.lanes], codes[first : first + size.lanes], size)


def _with_constants(packed: Array, biases: Array, codes: Array, size: EngineSize) -> Array:
    """Each group's constants in front of its weights."""
    constants = bias_rows(biases, codes, size).reshape(len(packed), size.constant_rows, size.row_bytes)
    return np.concatenate([constants, packed], axis=1).reshape(-1, size.row_bytes)
