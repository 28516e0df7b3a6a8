"""The integer graph: tensors and ops (ir), the contract checker (check), the numpy reference, and ONNX as file form."""

from edgekit.graph.check import accumulator_bound, check, violations
from edgekit.graph.ir import (
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
    clamp_range,
    equal,
    op_inputs,
    same_padding,
)
from edgekit.graph.onnx_read import read_onnx
from edgekit.graph.onnx_write import write_onnx
from edgekit.graph.reference import quantize_input, run
from edgekit.graph.requantize import Requantize, requantize_of, shifts_of

__all__ = [
    "Activation",
    "Add",
    "Concat",
    "Conv2D",
    "Dense",
    "DepthwiseConv2D",
    "IntegerGraph",
    "Lookup",
    "MaxPool",
    "Op",
    "Padding",
    "Requantize",
    "Reshape",
    "Tensor",
    "accumulator_bound",
    "check",
    "clamp_range",
    "equal",
    "op_inputs",
    "quantize_input",
    "read_onnx",
    "requantize_of",
    "run",
    "same_padding",
    "shifts_of",
    "violations",
    "write_onnx",
]
