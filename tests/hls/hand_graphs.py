"""Small integer graphs built op by op, for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log2
from typing import Any

import numpy as np

from edgekit.graph import (
    NO_PADDING,
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
    Padding,
    Reshape,
    Slice,
    Tensor,
    same_padding,
)


@dataclass
class Builder:
    """Each method adds one op, whose output tensor has the op's name, and gives that name back."""

    rng: np.random.Generator
    made: GraphBuilder = field(default_factory=lambda: GraphBuilder("hand made"))

    @property
    def tensors(self) -> dict[str, Tensor]:
        return self.made.tensors

    def tensor(self, name: str, shape: tuple[int, ...], signed: bool, binary_point: int) -> str:
        """The graph's input."""
        return self.made.input(name, shape, signed=signed, binary_point=binary_point)

    def graph(self, *outputs: str) -> IntegerGraph:
        """Raises ContractError, as GraphBuilder does."""
        return self.made.graph(*outputs)

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
        return self.made.write(kind(name, source, name, weights, bias, points, **options), signed=signed, binary_point=f_out)

    def conv(self, name: str, source: str, kernel: tuple[int, int], channels: int, **options: Any) -> str:
        return self._weighted(Conv2D, name, source, (*kernel, self.tensors[source].shape[2], channels), options)

    def depthwise(self, name: str, source: str, kernel: tuple[int, int], **options: Any) -> str:
        return self._weighted(DepthwiseConv2D, name, source, (*kernel, self.tensors[source].shape[2]), options)

    def dense(self, name: str, source: str, features: int, **options: Any) -> str:
        return self._weighted(Dense, name, source, (int(np.prod(self.tensors[source].shape)), features), options)

    def upsample(self, name: str, source: str, kernel: tuple[int, int], **options: Any) -> str:
        return self._weighted(DepthwiseConv2DTranspose, name, source, (*kernel, self.tensors[source].shape[2]), options)

    def multiply(self, name: str, left: str, right: str, shift: int, signed: bool = True) -> str:
        return self.made.write(Multiply(name, (left, right), name), signed=signed, binary_point=self._product_point(left, right, shift))

    def matmul(self, name: str, x: str, y: str, heads: int, shift: int, transpose_y: bool = False, **options: Any) -> str:
        """`bias`: the largest random one, a number for each output; 0 (as it is by default): a single 0."""
        largest, signed = options.pop("bias", 0), options.pop("signed", True)
        (rows, columns, _), (y_rows, y_columns, channels) = self.tensors[x].shape, self.tensors[y].shape
        shape = (rows, columns, heads * y_rows * y_columns if transpose_y else channels)
        bias = self.rng.integers(-largest, largest, shape if largest else (1, 1, 1), endpoint=True).astype(np.int32)
        op = MatMul(name, (x, y), name, heads, transpose_y, bias, **options)
        return self.made.write(op, signed=signed, binary_point=self._product_point(x, y, shift))

    def _product_point(self, x: str, y: str, shift: int) -> int:
        return self.tensors[x].binary_point + self.tensors[y].binary_point - shift

    def slice(self, name: str, source: str, start: int, count: int) -> str:
        return self.made.write(Slice(name, source, name, start), shape=(count,))

    def add(self, name: str, left: str, right: str, signed: bool = True, activation: Activation = Activation.NONE) -> str:
        return self.made.write(Add(name, (left, right), name, activation), signed=signed)

    def concat(self, name: str, *sources: str) -> str:
        return self.made.write(Concat(name, sources, name))

    def max_pool(self, name: str, source: str, pool: tuple[int, int], strides: tuple[int, int], padding: Padding = NO_PADDING) -> str:
        return self.made.write(MaxPool(name, source, name, pool, strides, padding))

    def lookup(self, name: str, source: str, signed: bool) -> str:
        """A random table, so that a wrong entry shows."""
        low = -128 if signed else 0
        table = self.rng.integers(low, low + 255, 256, endpoint=True).astype(np.int8 if signed else np.uint8)
        return self.made.write(Lookup(name, source, name, table), signed=signed, binary_point=3)

    def reshape(self, name: str, source: str, shape: tuple[int, ...]) -> str:
        return self.made.write(Reshape(name, source, name), shape=shape)


def squeeze_excite(b: Builder, name: str, x: str, shift: int = 7) -> str:
    """x times a gate of each channel, which is a function of x's mean (arXiv 1709.01507)."""
    rows, columns, channels = b.tensors[x].shape
    mean = b.depthwise(f"{name}_mean", x, (rows, columns), fill=4, shifts=(int(np.log2(4 * rows * columns)) + 1,))
    squeezed = b.conv(f"{name}_squeeze", mean, (1, 1), max(1, channels // 4), signed=False, activation=Activation.RELU)
    gate = b.lookup(f"{name}_gate", b.conv(f"{name}_excite", squeezed, (1, 1), channels), signed=False)
    return b.multiply(f"{name}_scaled", x, gate, shift)


def attention(b: Builder, name: str, x: str, heads: int, key: int, value: int) -> str:
    """Multi-head attention in SBCFormer's form (arXiv 2311.03747), its weighting a ReLU, and the residual. `key`, `value`: of a head."""
    channels, (keys, values) = b.tensors[x].shape[2], (heads * key, heads * value)
    qkv = b.conv(f"{name}_qkv", x, (1, 1), 2 * keys + values, shifts=(9, 10))
    q, k, v = (
        b.slice(f"{name}_{part}", qkv, start, count) for part, start, count in (("q", 0, keys), ("k", keys, keys), ("v", 2 * keys, values))
    )
    scores = b.matmul(f"{name}_scores", q, k, heads, 7, transpose_y=True, bias=4000, activation=Activation.RELU)
    mixed = b.matmul(f"{name}_mixed", scores, v, heads, 6)
    out = b.conv(f"{name}_out", mixed, (1, 1), channels, shifts=(7, 8), binary_point=b.tensors[x].binary_point)
    return b.add(f"{name}_sum", out, x)


def every_product(seed: int = 6) -> IntegerGraph:
    """Each of the ops that multiply activations, slices and upsampling, in the forms that take different ways through the kernels."""
    b = Builder(np.random.default_rng(seed))
    x = b.tensor("x", (3, 2, 8), signed=True, binary_point=3)
    tall = b.upsample("tall", b.slice("odd", x, 3, 4), (3, 2), shifts=(6, 7))  # starts inside every token
    shifts_and_adds = b.upsample("hot", x, (1, 2), fill=-64, shifts=(7, 9), signed=False)
    gated = squeeze_excite(b, "se", x)
    weighed = b.depthwise("weighed", x, (3, 2), shifts=(8, 9))  # the whole map with weights of each cell's own
    same = b.multiply("square", x, x, 6, signed=False)  # one stream twice
    cells = attention(b, "attention", gated, heads=2, key=2, value=3)
    signed = b.lookup("signed", same, signed=True)
    alike = b.matmul("alike", signed, signed, 4, 5, transpose_y=True, signed=False)  # x and y are one tensor, one bias for all
    return b.graph(tall, shifts_and_adds, weighed, b.multiply("last", cells, signed, 4), alike)


def residual(rng: np.random.Generator) -> IntegerGraph:
    """x + conv3x3(x)."""
    b = Builder(rng)
    x = b.tensor("x", (8, 8, 4), signed=True, binary_point=3)
    b.conv("branch", x, (3, 3), 4, padding=Padding(1, 1, 1, 1))
    return b.graph(b.add("sum", "branch", x))


def small_mobilenet(rng: np.random.Generator, size: int = 32, widths: tuple[int, ...] = (8, 16, 32, 32)) -> IntegerGraph:
    """MobileNetV1's form with a residual block of V2's: random weights, shifts that keep activations inside the clamp."""
    b = Builder(rng)
    x = b.tensor("image", (size, size, 3), signed=True, binary_point=7)
    relu = {"signed": False, "activation": Activation.RELU6, "binary_point": 5}

    def shift(taps: int) -> int:
        return round(log2(72 * 70 * taps**0.5 / 40))

    def side(name: str) -> tuple[int, int]:
        return b.tensors[name].shape[0], b.tensors[name].shape[1]

    x = b.conv("stem", x, (3, 3), widths[0], strides=(2, 2), padding=same_padding(side(x), (3, 3), (2, 2)), shifts=(shift(27),), **relu)
    for index, width in enumerate(widths[1:]):
        strides = (2, 2) if index % 2 else (1, 1)
        padding = same_padding(side(x), (3, 3), strides)
        x = b.depthwise(f"dw{index}", x, (3, 3), strides=strides, padding=padding, shifts=(shift(9), shift(9) + 1), **relu)
        x = b.conv(f"pw{index}", x, (1, 1), width, shifts=(shift(b.tensors[x].shape[2]),), **relu)
    expanded = b.conv("expand", x, (1, 1), 2 * widths[-1], shifts=(shift(widths[-1]),), **relu)
    inside = b.depthwise("inside", expanded, (3, 3), padding=same_padding(side(x), (3, 3), (1, 1)), shifts=(shift(9),), **relu)
    project = b.conv("project", inside, (1, 1), widths[-1], shifts=(shift(2 * widths[-1]),), binary_point=5)
    x = b.add("residual", project, x)
    pooled = b.depthwise("pool", x, side(x), fill=4, shifts=(round(log2(4 * side(x)[0] ** 2)),), binary_point=5)
    return b.graph(b.dense("logits", pooled, 10, shifts=(shift(widths[-1]),), binary_point=3))


def extreme_images(tensor: Tensor, rng: np.random.Generator, noise: int) -> Any:
    """Noise, and the inputs that reach the ends of accumulators: all lowest, all highest, a checkerboard, and 0 and 1."""
    images = [rng.integers(tensor.low, tensor.high, tensor.shape, endpoint=True) for _ in range(noise)]
    images += [np.full(tensor.shape, value) for value in (tensor.low, tensor.high, 0, 1)]
    images.append(np.where(np.indices(tensor.shape).sum(axis=0) % 2 == 0, tensor.low, tensor.high))
    return np.stack(images).astype(tensor.dtype)
