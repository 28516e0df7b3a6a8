"""The integer graph: tensors and ops (ir), a builder, the contract checker (check), the numpy reference, and ONNX as file form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.faces import lazy
from edgekit.graph.builder import GraphBuilder
from edgekit.graph.check import check, violations
from edgekit.graph.intervals import channel_ends, value_intervals
from edgekit.graph.ir import (
    NO_PADDING,
    Activation,
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
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
    clamp_range,
    equal,
    op_inputs,
    same_padding,
)
from edgekit.graph.ranges import accumulator_bound, lowest, product_bound
from edgekit.graph.reference import quantize_input, run
from edgekit.graph.requantize import Requantize, product_shift, requantize_of, shifts_of

if TYPE_CHECKING:
    from edgekit.graph.onnx_read import is_integer_graph, read_onnx
    from edgekit.graph.onnx_write import write_onnx
else:
    __getattr__ = lazy(__name__, {"onnx_read": ("is_integer_graph", "read_onnx"), "onnx_write": ("write_onnx",)})

__all__ = [
    "NO_PADDING",
    "Activation",
    "Add",
    "Concat",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "DepthwiseConv2DTranspose",
    "GraphBuilder",
    "IntegerGraph",
    "Lookup",
    "MatMul",
    "MaxPool",
    "Multiply",
    "Op",
    "Padding",
    "Requantize",
    "Reshape",
    "Slice",
    "Tensor",
    "Window",
    "accumulator_bound",
    "channel_ends",
    "check",
    "clamp_range",
    "equal",
    "is_integer_graph",
    "lowest",
    "op_inputs",
    "product_bound",
    "product_shift",
    "quantize_input",
    "read_onnx",
    "requantize_of",
    "run",
    "same_padding",
    "shifts_of",
    "value_intervals",
    "violations",
    "write_onnx",
]
