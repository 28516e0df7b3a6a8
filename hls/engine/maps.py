"""Tensors as the engine holds them: pixels of whole words, and the byte of a pixel in which each channel lies.

Channels lie in segments, each of which starts a word: a head of an attention is a segment, any other tensor has one. What is behind a
segment's last channel means nothing: weights for it are 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np

from edgekit.arrays import Int64
from edgekit.errors import EdgekitError
from edgekit.graph import (
    Add,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Tensor,
    op_inputs,
)
from edgekit.hls.engine.size import EngineSize


@dataclass(frozen=True)
class Layout:
    """`channels` in segments of `segment` channels, of words of `simd` bytes."""

    channels: int
    segment: int
    simd: int

    @property
    def segment_words(self) -> int:
        return ceil(self.segment / self.simd)

    @property
    def pixel(self) -> int:
        """Words of a pixel."""
        return self.channels // self.segment * self.segment_words

    @property
    def bytes(self) -> Int64:
        """The byte of a pixel in which each channel lies, int64 (channels,)."""
        channel = np.arange(self.channels)
        return channel // self.segment * self.segment_words * self.simd + channel % self.segment

    @property
    def last_lanes(self) -> int:
        """Channels in a segment's last word."""
        return self.segment - (self.segment_words - 1) * self.simd


def map_shape(tensor: Tensor) -> tuple[int, int, int]:
    """Rows, columns, channels; a vector is one pixel, a matrix one column. Raises EdgekitError for more than three lengths."""
    shape = tensor.shape
    if len(shape) > 3:
        raise EdgekitError(f"tensor '{tensor.name}' has {len(shape)} lengths; the engine takes maps of rows, columns and channels")
    return (*(1,) * (3 - len(shape)), *shape) if len(shape) != 2 else (shape[0], 1, shape[1])  # type: ignore[return-value]


SAME = (Add, Multiply, MaxPool, Lookup, DepthwiseConv2D, DepthwiseConv2DTranspose)
"""Ops that keep each channel in its place, so that what they read and write has one layout."""


def head_segments(graph: IntegerGraph, op: MatMul) -> tuple[int, int, int]:
    """Channels of a head of x, y and the output of a matrix product."""
    names = (*op.inputs, op.output)
    x, y, out = (map_shape(graph.tensors[name])[2] // op.heads for name in names)
    return x, y, out


def layouts_of(graph: IntegerGraph, size: EngineSize) -> dict[str, Layout]:
    """A layout for each tensor. What a matrix product reads has heads for segments where nothing else is against it: else it is copied."""
    group = {name: name for name in graph.tensors}

    def find(name: str) -> str:
        while group[name] != name:
            name = group[name]
        return name

    for op in graph.ops:
        if isinstance(op, SAME):
            for name in op_inputs(op):
                group[find(name)] = find(op.output)
    segments = {find(graph.input): map_shape(graph.tensors[graph.input])[2]}
    products = [op for op in graph.ops if isinstance(op, MatMul)]
    for op in products:
        segments.setdefault(find(op.output), head_segments(graph, op)[2])
    for op in products:
        for name, segment in zip(op.inputs, head_segments(graph, op), strict=False):
            segments.setdefault(find(name), segment)
    found = {}
    for name, tensor in graph.tensors.items():
        channels = map_shape(tensor)[2]
        found[name] = Layout(channels, segments.get(find(name), channels), size.simd)
    return found
