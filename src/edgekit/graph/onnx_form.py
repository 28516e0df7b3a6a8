"""The ONNX form of an integer graph, on which onnx_write and onnx_read agree. docs/numerics.md, "The ONNX form", says the same.

- Every tensor of the graph is an int8 or uint8 value of the same name, zero point 0; its scale 2**-f is the initializer that the
  file's quantization_annotation names. The batch is a symbolic dimension.
- Maps (three dimensions) are channels first, as ONNX wants them; all other shapes are kept.
- An op is one node of the kind that its row of `onnx_write.WRITE` says, or `INTEGER_MAINS` where its sum may leave float32, with the
  op's name, and nodes around it, which the form needs beside it. Those, and the op's constants, are called `name/what it is`. What an op
  has besides its inputs and output stands in the attributes of the main node, in constants of these names, and in an activation's node,
  whose `what it is` is the activation.
- Some nodes around an op are of kinds that may be main nodes, too. They are told apart by what they read: an Add or Mul of a constant
  is no op's own (it is a step of a lookup or of a requantize), nor is a Reshape whose shape is not `its own name/shape` (it splits or
  joins the heads of a product). A Conv with the attribute `group` is a depthwise one; a full one has none, even with one channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.graph.ir import Activation

OPSET = 17
IR_VERSION = 8
"""Those of 2022: every onnxruntime since 1.12 reads them, and they have all that is used here."""
BATCH = "batch"
TO_CHANNELS_FIRST, TO_CHANNELS_LAST, TURN_LAST = (0, 3, 1, 2), (0, 2, 3, 1), (0, 1, 3, 2)
SCALE_KEY, ZERO_POINT_KEY = "SCALE_TENSOR", "ZERO_POINT_TENSOR"
"""The keys of an annotation; its values are names of initializers."""

WEIGHTS, WEIGHTS_SCALE, BIAS, BIAS_SCALE = "weights", "weights_scale", "bias", "bias_scale"
"""Constants of the ops that have weights; a product of matrices has a bias, too. Where integers are summed there is no scale of weights."""
X_SHAPE, START, TABLE, SHAPE = "x_shape", "start", "table", "shape"
"""Constants of MatMul, whose second length is the number of heads; of Slice; of Lookup; of Reshape."""
GROUP = "group"
"""The attribute that a depthwise convolution has and a full one has not."""


def part(name: str, what: str) -> str:
    """What a node, value or constant around the op of that name is called."""
    return f"{name}/{what}"


def activation_of(node_name: str) -> Activation:
    """The activation that a node of that name applies; none, for a node that does something else."""
    what = node_name.rpartition("/")[2]
    return next((one for one in (Activation.RELU, Activation.RELU6) if what == one.value), Activation.NONE)


def channels_first(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape that a tensor of the graph has in the file; both without batch."""
    return (shape[2], shape[0], shape[1]) if len(shape) == 3 else tuple(shape)


def channels_last(shape: Sequence[int]) -> tuple[int, ...]:
    """The inverse of channels_first."""
    return (shape[1], shape[2], shape[0]) if len(shape) == 3 else tuple(shape)


def to_channels_first(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Values (batch, *shape) as the file's."""
    return np.ascontiguousarray(values.transpose(TO_CHANNELS_FIRST)) if values.ndim == 4 else values


def to_channels_last(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The inverse of to_channels_first."""
    return np.ascontiguousarray(values.transpose(TO_CHANNELS_LAST)) if values.ndim == 4 else values


def dense_rows(shape: Sequence[int]) -> npt.NDArray[np.intp]:
    """For each feature of a flattened tensor in the file, its index in the graph's row-major order."""
    order = np.arange(prod(shape)).reshape(shape)
    return (order.transpose(2, 0, 1) if len(shape) == 3 else order).reshape(-1)
