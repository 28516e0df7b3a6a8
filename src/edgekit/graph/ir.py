"""IntegerGraph: a network as integer tensors and the ops between them.

A tensor holds 8-bit integers q with a binary point f; its real value is q * 2**-f. Shapes leave out the batch and end with
the channels. Weights have one binary point per output channel. An accumulator is int32 with binary point f_in + f_w.
docs/numerics.md has the rules that make every executor compute the same integers; check.py proves them for a graph.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, get_args

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.integer[Any]]
Pair: TypeAlias = tuple[int, int]


class Activation(enum.Enum):
    """The clamp that is fused into an op."""

    NONE = "none"
    RELU = "relu"
    RELU6 = "relu6"


@dataclass(frozen=True)
class Tensor:
    """Activations: `shape` without batch, channels last; `bits` counts the sign."""

    name: str
    shape: tuple[int, ...]
    signed: bool
    binary_point: int
    bits: int = 8

    @property
    def low(self) -> int:
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int8 if self.signed else np.uint8)

    @property
    def scale(self) -> float:
        """Real value of one LSB."""
        return float(np.ldexp(1.0, -self.binary_point))


@dataclass(frozen=True)
class Padding:
    """Rows and columns of zeros (real value 0) around a map."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0


NO_PADDING = Padding()


@dataclass(frozen=True)
class Window:
    """What slides over a map: a kernel whose cells lie `dilation` apart, moved by `strides` over the map with `padding` around it."""

    kernel: Pair
    strides: Pair = (1, 1)
    padding: Padding = NO_PADDING
    dilation: Pair = (1, 1)

    def places(self, size: Pair) -> Pair:
        """Rows and columns of places that it takes on a map of (rows, columns); below 1 where it does not fit."""
        pads = (self.padding.top + self.padding.bottom, self.padding.left + self.padding.right)
        rows, columns = (window_count(size[i], self.kernel[i], self.strides[i], self.dilation[i], pads[i]) for i in range(2))
        return rows, columns


@dataclass(frozen=True, eq=False)
class Conv2D:
    """`weights` int8 (kernel_h, kernel_w, channels_in, channels_out), `bias` int32 (channels_out,)."""

    name: str
    input: str
    output: str
    weights: IntArray
    bias: IntArray
    weight_binary_points: tuple[int, ...]
    strides: Pair = (1, 1)
    padding: Padding = Padding()
    dilation: Pair = (1, 1)
    activation: Activation = Activation.NONE


@dataclass(frozen=True, eq=False)
class DepthwiseConv2D:
    """`weights` int8 (kernel_h, kernel_w, channels), `bias` int32 (channels,)."""

    name: str
    input: str
    output: str
    weights: IntArray
    bias: IntArray
    weight_binary_points: tuple[int, ...]
    strides: Pair = (1, 1)
    padding: Padding = Padding()
    dilation: Pair = (1, 1)
    activation: Activation = Activation.NONE


@dataclass(frozen=True, eq=False)
class Dense:
    """Takes a tensor of any shape, flattened row-major. `weights` int8 (features_in, features_out), `bias` int32 (features_out,)."""

    name: str
    input: str
    output: str
    weights: IntArray
    bias: IntArray
    weight_binary_points: tuple[int, ...]
    activation: Activation = Activation.NONE


@dataclass(frozen=True, eq=False)
class DepthwiseConv2DTranspose:
    """Each cell becomes as many cells as the kernel has, none of which overlap: the stride is the kernel.

    `weights` int8 (kernel_h, kernel_w, channels), `bias` int32 (channels,).

        output[i * kernel_h + a, j * kernel_w + b, c] = requantize(input[i, j, c] * weights[a, b, c] + bias[c])
    """

    name: str
    input: str
    output: str
    weights: IntArray
    bias: IntArray
    weight_binary_points: tuple[int, ...]
    activation: Activation = Activation.NONE


@dataclass(frozen=True, eq=False)
class Add:
    """The sum of two tensors that share the output's binary point, saturated."""

    name: str
    inputs: tuple[str, str]
    output: str
    activation: Activation = Activation.NONE


@dataclass(frozen=True, eq=False)
class Multiply:
    """The product of a map and a gate, which has the map's shape or one number a channel, (1, 1, channels)."""

    name: str
    inputs: tuple[str, str]
    output: str


@dataclass(frozen=True, eq=False)
class MatMul:
    """A matrix product a head, of two maps x and y whose cells, row-major, are the rows of the matrices.

    A head is a group of neighbouring channels, as in multi-head attention (arXiv 1706.03762, section 3.2.2): channel h * n + k of a
    map with n channels a head is column k of head h. With `transpose_y` each cell of x is multiplied by each cell of y:

        output[i, h * m + j] = sum over k of x[i, h * n + k] * y[j, h * n + k] + bias        m cells in y
        output[i, h * n + k] = sum over j of x[i, h * m + j] * y[j, h * n + k] + bias        without

    `bias` int32 has the output's shape, or (1, 1, 1).
    """

    name: str
    inputs: tuple[str, str]
    output: str
    heads: int
    transpose_y: bool
    bias: IntArray
    activation: Activation = Activation.NONE


@dataclass(frozen=True, eq=False)
class Concat:
    """Joins tensors of one type along the channels."""

    name: str
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True, eq=False)
class Slice:
    """As many channels as the output has, from channel `start` on."""

    name: str
    input: str
    output: str
    start: int


@dataclass(frozen=True, eq=False)
class MaxPool:
    """The largest value of each window; padded cells take no part."""

    name: str
    input: str
    output: str
    pool: Pair
    strides: Pair
    padding: Padding = Padding()


@dataclass(frozen=True, eq=False)
class Lookup:
    """`table` holds 256 output integers, the first one for the input type's lowest value."""

    name: str
    input: str
    output: str
    table: IntArray


@dataclass(frozen=True, eq=False)
class Reshape:
    """The same integers in the output's shape, row-major."""

    name: str
    input: str
    output: str


ConvOp: TypeAlias = Conv2D | DepthwiseConv2D
WeightedOp: TypeAlias = Conv2D | DepthwiseConv2D | DepthwiseConv2DTranspose | Dense
ProductOp: TypeAlias = Multiply | MatMul
"""Ops that multiply activations by activations."""
MovingOp: TypeAlias = Concat | Slice | MaxPool | Reshape
"""Ops whose output holds integers of their inputs, and so has their type."""
Op: TypeAlias = (
    Conv2D | DepthwiseConv2D | DepthwiseConv2DTranspose | Dense | Add | Multiply | MatMul | Concat | Slice | MaxPool | Lookup | Reshape
)
OP_TYPES: tuple[type, ...] = get_args(Op)


@dataclass(frozen=True, eq=False)
class IntegerGraph:
    """`ops` stand in an order in which they can run. `tensors` lists the input and every op's output, by name."""

    name: str
    tensors: dict[str, Tensor]
    ops: tuple[Op, ...]
    input: str
    outputs: tuple[str, ...]


def op_inputs(op: Op) -> tuple[str, ...]:
    """Names of the tensors that an op reads."""
    return op.inputs if isinstance(op, Add | Multiply | MatMul | Concat) else (op.input,)


def output_channels(op: WeightedOp) -> int:
    return int(op.weights.shape[-1])


def accumulator_taps(op: WeightedOp) -> tuple[int, ...]:
    """Axes of `weights` that one output value sums over."""
    return () if isinstance(op, DepthwiseConv2DTranspose) else tuple(range(op.weights.ndim - 1))


def clamp_range(activation: Activation, tensor: Tensor) -> tuple[int, int]:
    """Lowest and highest integer that an op with this activation may write into `tensor`.

    ReLU6's upper end is 6 * 2**f, or the type's highest value where that is lower.
    """
    low, high = tensor.low, tensor.high
    if activation is not Activation.NONE:
        low = 0
    if activation is Activation.RELU6 and tensor.binary_point < 6:
        high = min(high, int(np.ldexp(6.0, tensor.binary_point)))
    return low, high


def window_count(size: int, kernel: int, stride: int, dilation: int, pad: int) -> int:
    """Number of windows along one axis of a padded map (arXiv 1603.07285, relationship 15)."""
    return (size + pad - dilation * (kernel - 1) - 1) // stride + 1


def same_padding(size: Pair, kernel: Pair, strides: Pair, dilation: Pair = (1, 1)) -> Padding:
    """TensorFlow's 'SAME': ceil(size / stride) windows; an odd cell of padding goes to the end."""

    def axis(length: int, taps: int, stride: int, step: int) -> Pair:
        total = max(0, (-(-length // stride) - 1) * stride + step * (taps - 1) + 1 - length)
        return total // 2, total - total // 2

    rows, columns = (axis(*one) for one in zip(size, kernel, strides, dilation, strict=True))
    return Padding(*rows, *columns)


def equal(left: IntegerGraph, right: IntegerGraph) -> bool:
    """Whether two graphs are the same in every name, number and order."""

    def same(a: Any, b: Any) -> bool:
        if isinstance(a, np.ndarray):
            return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
        if isinstance(a, OP_TYPES):
            return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))  # type: ignore[arg-type]
        return bool(a == b)

    return (
        (left.name, left.tensors, left.input, left.outputs) == (right.name, right.tensors, right.input, right.outputs)
        and len(left.ops) == len(right.ops)
        and all(same(a, b) for a, b in zip(left.ops, right.ops, strict=True))
    )
