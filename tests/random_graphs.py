"""Random integer graphs under the contract, and inputs for them: what every executor is tested on.

A graph is a function of its seed. Weights, biases and shifts are drawn together, so that most outputs lie inside the clamp
and some at its ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from edgekit.graph import (
    Activation,
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    GraphBuilder,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Op,
    Padding,
    Reshape,
    Slice,
    Tensor,
    Window,
    op_inputs,
    same_padding,
)
from edgekit.graph.ir import OP_TYPES

SHIFTS = (-2, -1, 0, 1, *range(3, 17))
PLAIN = (Conv2D, DepthwiseConv2D, Dense, Add, Concat, MaxPool, Lookup, Reshape)
"""Ops that every executor has had from the start."""
MULTIPLIED = range(-2, 11)
"""Binary points of tensors that are multiplied: those of the products, and of weights that follow, then stay within +-63."""
TO_THE_END = (Dense, Reshape)
"""These leave no map for a convolution: drawn rarely, so that graphs grow deep first."""


def random_graph(
    rng: np.random.Generator, op_types: Sequence[type] = PLAIN, length: int = 6, side: int = 9, channels: int = 9
) -> IntegerGraph:
    """A graph of at least `length` ops of the given types, on maps of up to `side` x `side` x `channels`."""
    shape = (int(rng.integers(1, side + 1)), int(rng.integers(1, side + 1)), int(rng.integers(1, channels + 1)))
    graph = GraphBuilder("random")
    graph.input("input", shape, signed=bool(rng.integers(2)), binary_point=int(rng.integers(-2, 9)))
    growing = Growing(rng, tuple(op_types), channels, graph)
    while len(graph.ops) < length:
        chance = np.array([0.25 if kind in TO_THE_END else 1.0 for kind in op_types])
        kind = op_types[int(rng.choice(len(op_types), p=chance / chance.sum()))]
        growing.grow(kind, growing.pick())
    read = {name for op in graph.ops for name in op_inputs(op)}
    return graph.graph(*(name for name in graph.tensors if name not in read or (name != "input" and rng.random() < 0.1)))


def graph_of_every_op(rng: np.random.Generator) -> IntegerGraph:
    """A random graph that has each of OP_TYPES at least once."""
    while True:
        graph = random_graph(rng, OP_TYPES, length=24)
        if {type(op) for op in graph.ops} == set(OP_TYPES):
            return graph


def random_inputs(rng: np.random.Generator, graph: IntegerGraph, noise: int = 2) -> np.ndarray[Any, Any]:
    """All lowest, all highest, all zero, a checkerboard of the extremes, and `noise` random ones: (noise + 4, *shape)."""
    tensor = graph.tensors[graph.input]
    cells = np.indices(tensor.shape).sum(axis=0) % 2
    special = [np.full(tensor.shape, value) for value in (tensor.low, tensor.high, 0)]
    special.append(np.where(cells == 0, tensor.low, tensor.high))
    drawn = rng.integers(tensor.low, tensor.high + 1, (noise, *tensor.shape))
    return np.concatenate([np.stack(special), drawn]).astype(tensor.dtype)


def integer_graphs(op_types: Sequence[type] = PLAIN, length: int = 6) -> st.SearchStrategy[IntegerGraph]:
    """A hypothesis strategy: graphs of 1 to `length` ops (or a few more, where an add needs a branch)."""
    seeds, lengths = st.integers(0, 2**32 - 1), st.integers(1, length)
    return st.builds(lambda seed, size: random_graph(np.random.default_rng(seed), op_types, size), seeds, lengths)


def one_layer(op: Op, source: Tensor, output: Tensor) -> IntegerGraph:
    """A graph of a single op, for hand-made vectors; it may break the contract."""
    return IntegerGraph("one_layer", {source.name: source, output.name: output}, (op,), source.name, (output.name,))


@dataclass
class Growing:
    """A graph that grows by ops drawn at random. `op_types` may serve as branches, `channels` is the most that a layer gives."""

    rng: np.random.Generator
    op_types: tuple[type, ...]
    channels: int
    graph: GraphBuilder

    @property
    def tensors(self) -> dict[str, Tensor]:
        return self.graph.tensors

    def pick(self) -> Tensor:
        """Mostly the newest tensor, so that the graph gets deep."""
        names = list(self.tensors)
        return self.tensors[names[-1] if self.rng.random() < 0.7 else names[int(self.rng.integers(len(names)))]]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, low: int, high: int) -> int:
        """low..high, both included."""
        return int(self.rng.integers(low, high + 1))

    def add(self, kind: type, like: Tensor, **fields: Any) -> Tensor:
        """An op whose output has the type of `like`, and the shape, where the op leaves it open."""
        name = f"{kind.__name__.lower()}_{len(self.graph.ops)}"
        op = kind(name=name, output=f"{name}_out", **fields)
        return self.tensors[self.graph.write(op, signed=like.signed, binary_point=like.binary_point, shape=like.shape)]

    def grow(self, kind: type, source: Tensor) -> None:
        """Adds an op of this kind that reads `source`, or nothing where it cannot."""
        if kind in (Conv2D, DepthwiseConv2D, MaxPool):
            if len(source.shape) == 3:
                self.window(kind, source)
        elif kind is Dense:
            if prod(source.shape) <= 2000:
                self.dense(source)
        elif kind is Add:
            other = self.partner(source, same_type=False)
            output = replace(source, signed=self.chance(0.5))
            self.add(Add, output, inputs=(source.name, other.name), activation=self.activation(output))
        elif kind is Concat:
            other = self.partner(source, same_type=True)
            if source.shape[-1] + other.shape[-1] <= 64:
                self.add(Concat, source, inputs=(source.name, other.name))
        elif kind is Slice:
            count = self.integer(1, source.shape[-1])
            start = self.integer(0, source.shape[-1] - count)
            self.add(Slice, replace(source, shape=(*source.shape[:-1], count)), input=source.name, start=start)
        elif kind is DepthwiseConv2DTranspose:
            if len(source.shape) == 3 and prod(source.shape) <= 1000:
                self.upsample(source)
        elif kind is Multiply:
            if source.binary_point in MULTIPLIED:
                self.multiply(source)
        elif kind is MatMul:
            if source.binary_point in MULTIPLIED and len(source.shape) == 3 and source.shape[0] * source.shape[1] <= 30:
                self.attention(source)
        elif kind is Lookup:
            output = replace(source, signed=self.chance(0.5), binary_point=self.integer(-2, 8))
            table = self.rng.integers(output.low, output.high + 1, 256).astype(output.dtype)
            self.add(Lookup, output, input=source.name, table=table)
        elif kind is Reshape:
            self.add(Reshape, replace(source, shape=self.other_shape(source.shape)), input=source.name)
        else:
            raise NotImplementedError(f"Growing.grow draws no {kind.__name__}")

    def upsample(self, source: Tensor) -> None:
        kernel = (self.integer(1, 3), self.integer(1, 3))
        self.weighted(DepthwiseConv2DTranspose, source, (*kernel, source.shape[2]))

    def multiply(self, source: Tensor) -> None:
        """By a map of the same shape, or by a gate (1, 1, channels) that a window over the whole map gives."""
        if len(source.shape) == 3 and self.chance(0.5):
            rows, columns, _ = source.shape
            other = self.weighted(DepthwiseConv2D, source, source.shape) if rows * columns <= 25 else None
        else:
            fits = [one for one in self.tensors.values() if one.shape == source.shape and one.binary_point in MULTIPLIED]
            other = fits[self.integer(0, len(fits) - 1)]
        if other:
            self.product(Multiply, replace(source, signed=self.chance(0.7)), source, other, self.integer(0, 10))

    def attention(self, source: Tensor) -> None:
        """Scores between the cells of two maps, then their product with a third that has the second's cells."""
        x, y = (self.signed(tensor) for tensor in (source, source))
        cells, depth = x.shape[0] * x.shape[1], x.shape[2]
        heads = int(self.rng.choice([n for n in range(1, depth + 1) if depth % n == 0 and n * cells <= 64]))
        bias_shape = (*x.shape[:2], heads * cells) if self.chance(0.5) else (1, 1, 1)
        bias = self.rng.integers(-(1 << 14), 1 << 14, bias_shape).astype(np.int32)
        shift = self.integer(4, 16)
        activation = self.activation(replace(x, binary_point=x.binary_point + y.binary_point - shift))
        fields = {"heads": heads, "transpose_y": True, "bias": bias, "activation": activation}
        scores = self.product(MatMul, x, x, y, shift, **fields)
        fields = {"heads": heads, "transpose_y": False, "bias": np.zeros((1, 1, 1), np.int32)}
        self.product(MatMul, replace(x, signed=self.chance(0.8)), scores, y, self.integer(4, 16), **fields)

    def signed(self, source: Tensor) -> Tensor:
        """A signed tensor of the shape of `source`: itself, or a 1x1 depthwise convolution of it."""
        if source.signed and self.chance(0.5):
            return source
        return self.weighted(DepthwiseConv2D, source, (1, 1, source.shape[2]), like=replace(source, signed=True))

    def product(self, kind: type, like: Tensor, x: Tensor, y: Tensor, shift: int, **fields: Any) -> Tensor:
        """With the binary point that makes `shift` of it."""
        output = replace(like, binary_point=x.binary_point + y.binary_point - shift)
        return self.add(kind, output, inputs=(x.name, y.name), **fields)

    def other_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Three lengths (often), two or one, of the same product."""
        total, rank = prod(shape), int(self.rng.choice([3, 3, 2, 1]))
        lengths = []
        for _ in range(rank - 1):
            divisors = [d for d in range(1, min(total, 12) + 1) if total % d == 0]
            lengths.append(divisors[self.integer(0, len(divisors) - 1)])
            total //= lengths[-1]
        return (*lengths, total)

    def partner(self, source: Tensor, same_type: bool) -> Tensor:
        """Another tensor that can be added to (or joined with) `source`: one that is there, or a new depthwise branch, or itself."""
        fits = [
            tensor
            for tensor in self.tensors.values()
            if tensor.shape == source.shape
            and tensor.binary_point == source.binary_point
            and tensor.name != source.name
            and (tensor.signed == source.signed or not same_type)
        ]
        if fits:
            return fits[self.integer(0, len(fits) - 1)]
        if len(source.shape) == 3 and DepthwiseConv2D in self.op_types and self.chance(0.9):
            signed = source.signed if same_type else self.chance(0.5)
            return self.weighted(DepthwiseConv2D, source, (1, 1, source.shape[2]), like=replace(source, signed=signed))
        return source

    def activation(self, output: Tensor) -> Activation:
        choices = [Activation.NONE, Activation.RELU] + [Activation.RELU6] * (output.binary_point >= -1)
        return choices[self.integer(0, len(choices) - 1)]

    def window(self, kind: type, source: Tensor) -> None:
        rows, columns, depth = source.shape
        kernel = (self.integer(1, 4), self.integer(1, 4)) if self.chance(0.5) else (3, 3)
        strides = (1, 1) if self.chance(0.5) else (self.integer(1, 3), self.integer(1, 3))
        dilation = (1, 1) if self.chance(0.7) or kind is MaxPool else (self.integer(1, 3), self.integer(1, 3))
        mode = self.integer(0, 2)
        if mode == 0:
            padding = same_padding((rows, columns), kernel, strides, dilation)
        elif mode == 1:
            padding = Padding()
        else:
            most = [min(3, taps - 1) if kind is MaxPool else 3 for taps in (kernel[0], kernel[0], kernel[1], kernel[1])]
            padding = Padding(*(self.integer(0, value) for value in most))
        most_rows, most_columns = max(padding.top, padding.bottom), max(padding.left, padding.right)
        if kind is MaxPool and (most_rows >= kernel[0] or most_columns >= kernel[1]):
            return
        if min(Window(kernel, strides, padding, dilation).places((rows, columns))) < 1:
            return
        if kind is MaxPool:
            self.add(MaxPool, source, input=source.name, pool=kernel, strides=strides, padding=padding)
            return
        weights = (*kernel, depth, self.integer(1, self.channels)) if kind is Conv2D else (*kernel, depth)
        self.weighted(kind, source, weights, strides=strides, padding=padding, dilation=dilation)

    def dense(self, source: Tensor) -> None:
        features = self.integer(1, 2 * self.channels)
        self.weighted(Dense, source, (prod(source.shape), features))

    def weighted(self, kind: type, source: Tensor, shape: tuple[int, ...], like: Tensor | None = None, **fields: Any) -> Tensor:
        """Shifts first; then a bias and weights, of that shape, of a size that suits them. The output has the type of `like`, or any."""
        channels = shape[-1]
        output = like or replace(source, signed=self.chance(0.5), binary_point=self.integer(-2, 8))
        weights = self.weights(shape)
        taps = np.abs(weights.astype(np.int64)).reshape(-1, channels).sum(axis=0)
        fitting = np.log2(np.maximum(taps, 1)).round().astype(int) + self.integer(-1, 2)
        shifts = fitting if self.chance(0.7) else self.rng.choice(SHIFTS, channels)
        if self.chance(0.4):  # one binary point for the tensor
            shifts = np.full(channels, shifts[0])
        shifts = np.clip(np.where(shifts == 2, 3, shifts), SHIFTS[0], SHIFTS[-1])
        points = tuple(int(n) - source.binary_point + output.binary_point for n in shifts)
        spread = 1 << np.maximum(shifts.astype(np.int64) + 6, 3)
        bias = (self.rng.integers(-spread, spread + 1) // 4 * 4 + 2).astype(np.int32)
        fields |= {"weights": weights, "bias": bias, "weight_binary_points": points, "activation": self.activation(output)}
        return self.add(kind, output, input=source.name, **fields)

    def weights(self, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
        style = self.integer(0, 3)
        if style == 0:  # the extremes only
            return self.rng.choice(np.array([-124, 124], np.int8), shape)
        if style == 1:  # all at one extreme
            return np.full(shape, 124 if self.chance(0.5) else -124, np.int8)
        if style == 2:  # mostly zeros and small: shifts of 3 and less leave something
            return self.rng.choice(np.array([0, 0, 0, 0, 4, -4, 8], np.int8), shape)
        return (4 * self.rng.integers(-31, 32, shape)).astype(np.int8)
