"""Small integer graphs built op by op, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgekit.graph import (
    Activation,
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    IntegerGraph,
    Lookup,
    MaxPool,
    Op,
    Padding,
    Reshape,
    Tensor,
)
from edgekit.graph.ir import window_count

NO_PADDING = Padding()


@dataclass
class Builder:
    """Each method adds one op, whose output tensor has the op's name, and gives that name back."""

    rng: np.random.Generator
    tensors: dict[str, Tensor] = field(default_factory=dict)
    ops: list[Op] = field(default_factory=list)

    def tensor(self, name: str, shape: tuple[int, ...], signed: bool, binary_point: int) -> str:
        self.tensors[name] = Tensor(name, shape, signed, binary_point)
        return name

    def graph(self, *outputs: str) -> IntegerGraph:
        return IntegerGraph("hand made", self.tensors, tuple(self.ops), next(iter(self.tensors)), outputs)

    def _weighted(self, kind: type, name: str, source: str, shape: tuple[int, ...], options: dict[str, Any]) -> str:
        """`shifts` are repeated over the channels; `fill` is the one value of all weights, else they are random."""
        shifts, fill = options.pop("shifts", (7, 9, 8)), options.pop("fill", None)
        signed, f_out = options.pop("signed", True), options.pop("binary_point", 3)
        channels = shape[-1]
        drawn = self.rng.integers(-31, 31, shape, endpoint=True) * 4
        weights = (drawn if fill is None else np.full(shape, fill)).astype(np.int8)
        bias = (self.rng.integers(-500, 500, channels) * 4 + 2).astype(np.int32)
        f_in = self.tensors[source].binary_point
        points = tuple(shifts[c % len(shifts)] - f_in + f_out for c in range(channels))
        self.ops.append(kind(name, source, name, weights, bias, points, **options))
        self.tensor(name, self._weighted_shape(source, shape, options, kind), signed, f_out)
        return name

    def _weighted_shape(self, source: str, shape: tuple[int, ...], options: dict[str, Any], kind: type) -> tuple[int, ...]:
        if kind is Dense:
            return (shape[-1],)
        strides, dilation = options.get("strides", (1, 1)), options.get("dilation", (1, 1))
        return (*self._windows(source, (shape[0], shape[1]), strides, dilation, options.get("padding", Padding())), shape[-1])

    def _windows(
        self, source: str, kernel: tuple[int, int], strides: tuple[int, int], dilation: tuple[int, int], padding: Padding
    ) -> tuple[int, int]:
        size, pads = self.tensors[source].shape, (padding.top + padding.bottom, padding.left + padding.right)
        rows, columns = (window_count(size[i], kernel[i], strides[i], dilation[i], pads[i]) for i in range(2))
        return rows, columns

    def conv(self, name: str, source: str, kernel: tuple[int, int], channels: int, **options: Any) -> str:
        return self._weighted(Conv2D, name, source, (*kernel, self.tensors[source].shape[2], channels), options)

    def depthwise(self, name: str, source: str, kernel: tuple[int, int], **options: Any) -> str:
        return self._weighted(DepthwiseConv2D, name, source, (*kernel, self.tensors[source].shape[2]), options)

    def dense(self, name: str, source: str, features: int, **options: Any) -> str:
        return self._weighted(Dense, name, source, (int(np.prod(self.tensors[source].shape)), features), options)

    def add(self, name: str, left: str, right: str, signed: bool = True, activation: Activation = Activation.NONE) -> str:
        tensor = self.tensors[left]
        self.ops.append(Add(name, (left, right), name, activation))
        return self.tensor(name, tensor.shape, signed, tensor.binary_point)

    def concat(self, name: str, *sources: str) -> str:
        tensors = [self.tensors[source] for source in sources]
        self.ops.append(Concat(name, sources, name))
        shape = (*tensors[0].shape[:-1], sum(tensor.shape[-1] for tensor in tensors))
        return self.tensor(name, shape, tensors[0].signed, tensors[0].binary_point)

    def max_pool(self, name: str, source: str, pool: tuple[int, int], strides: tuple[int, int], padding: Padding = NO_PADDING) -> str:
        tensor = self.tensors[source]
        self.ops.append(MaxPool(name, source, name, pool, strides, padding))
        shape = (*self._windows(source, pool, strides, (1, 1), padding), tensor.shape[2])
        return self.tensor(name, shape, tensor.signed, tensor.binary_point)

    def lookup(self, name: str, source: str, signed: bool) -> str:
        """A random table, so that a wrong entry shows."""
        low = -128 if signed else 0
        table = self.rng.integers(low, low + 255, 256, endpoint=True).astype(np.int8 if signed else np.uint8)
        self.ops.append(Lookup(name, source, name, table))
        return self.tensor(name, self.tensors[source].shape, signed, 3)

    def reshape(self, name: str, source: str, shape: tuple[int, ...]) -> str:
        tensor = self.tensors[source]
        self.ops.append(Reshape(name, source, name))
        return self.tensor(name, shape, tensor.signed, tensor.binary_point)


def extreme_images(tensor: Tensor, rng: np.random.Generator, noise: int) -> Any:
    """Noise, and the inputs that reach the ends of accumulators: all lowest, all highest, a checkerboard, and 0 and 1."""
    images = [rng.integers(tensor.low, tensor.high, tensor.shape, endpoint=True) for _ in range(noise)]
    images += [np.full(tensor.shape, value) for value in (tensor.low, tensor.high, 0, 1)]
    images.append(np.where(np.indices(tensor.shape).sum(axis=0) % 2 == 0, tensor.low, tensor.high))
    return np.stack(images).astype(tensor.dtype)
