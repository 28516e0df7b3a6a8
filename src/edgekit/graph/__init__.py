"""The integer graph: tensors and ops (ir), the contract checker (check), the numpy reference, and ONNX as file form."""

from edgekit.graph.check import accumulator_bound, check, product_bound, violations
from edgekit.graph.ir import (
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
    clamp_range,
    equal,
    op_inputs,
    same_padding,
)
from edgekit.graph.onnx_read import read_onnx
from edgekit.graph.onnx_write import write_onnx
from edgekit.graph.ranges import lowest
from edgekit.graph.reference import quantize_input, run
from edgekit.graph.requantize import Requantize, product_shift, requantize_of, shifts_of

__all__ = [
    "Activation",
    "Add",
    "Concat",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "DepthwiseConv2DTranspose",
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
    "accumulator_bound",
    "check",
    "clamp_range",
    "equal",
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
    "violations",
    "write_onnx",
]
