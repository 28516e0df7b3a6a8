"""An integer graph as an ONNX file in QDQ form: its file form, which Netron shows and onnxruntime runs.

- Every tensor of the graph is an int8 or uint8 value of the same name, zero point 0; its scale 2**-f is the initializer that the
  file's quantization_annotation names. The batch is a symbolic dimension.
- Maps (three dimensions) are channels first, as ONNX wants them; all other shapes are kept.
- Convolution, dense and add work on dequantized values between DequantizeLinear and QuantizeLinear; concat, max-pool, lookup and reshape
  work on the integers.
- An op's main node bears its name; what stands around it is called `name/what it is`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.graph.ir import (
    Activation,
    Add,
    Concat,
    Conv2D,
    ConvOp,
    Dense,
    DepthwiseConv2D,
    IntArray,
    IntegerGraph,
    Lookup,
    MaxPool,
    Padding,
    Reshape,
    Tensor,
    WeightedOp,
)

OPSET = 17
IR_VERSION = 8
"""Those of 2022: every onnxruntime since 1.12 reads them, and they have all that is used here."""
PRODUCER = "edgekit"
BATCH = "batch"
TO_CHANNELS_FIRST, TO_CHANNELS_LAST = (0, 3, 1, 2), (0, 2, 3, 1)
CLIP_LOW, CLIP_HIGH = "relu6/low", "relu6/high"


def write_onnx(graph: IntegerGraph) -> bytes:
    """The graph as an ONNX file, the same bytes every time. read_onnx is the inverse.

    Raises:
        EdgekitError: a tensor has the name of a constant that the file needs, or the file would be 2 GB or more.
    """
    data = onnx_model(graph, graph.outputs).SerializeToString(deterministic=True)
    return bytes(data)


def onnx_model(graph: IntegerGraph, outputs: Sequence[str]) -> Any:
    """The onnx.ModelProto whose outputs are the named tensors of the graph."""
    from onnx import OperatorSetIdProto, helper

    parts = _Parts(set(graph.tensors))
    for op in graph.ops:
        _WRITE[type(op)](parts, graph, op)
    annotations = [_annotation(parts, tensor) for tensor in graph.tensors.values()]
    between = [_value_info(t) for name, t in graph.tensors.items() if name != graph.input and name not in outputs]
    proto = helper.make_graph(
        parts.nodes,
        graph.name,
        [_value_info(graph.tensors[graph.input])],
        [_value_info(graph.tensors[name]) for name in outputs],
        initializer=list(parts.initializers.values()),
        value_info=between,
    )
    proto.quantization_annotation.extend(annotations)
    opset = OperatorSetIdProto(domain="", version=OPSET)
    return helper.make_model(proto, producer_name=PRODUCER, opset_imports=[opset], ir_version=IR_VERSION)


def channels_first(shape: Sequence[int]) -> tuple[int, ...]:
    """The shape that a tensor of the graph has in the file; both without batch."""
    return (shape[2], shape[0], shape[1]) if len(shape) == 3 else tuple(shape)


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


@dataclass
class _Parts:
    """Nodes and constants of the file; `taken` are names that constants and values may not have."""

    taken: set[str]
    nodes: list[Any] = field(default_factory=list)
    initializers: dict[str, Any] = field(default_factory=dict)

    def constant(self, name: str, array: npt.NDArray[Any]) -> str:
        from onnx import numpy_helper

        self.initializers[self.claim(name)] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def shared(self, name: str, array: npt.NDArray[Any]) -> str:
        """A constant that several nodes use under one name."""
        return name if name in self.initializers else self.constant(name, array)

    def node(self, kind: str, name: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output

    def step(self, kind: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node whose one output, no tensor of the graph, bears the node's name."""
        return self.node(kind, name, inputs, self.claim(name), **attributes)

    def claim(self, name: str) -> str:
        if name in self.taken:
            raise EdgekitError(f"two values of the ONNX file would be called '{name}'; rename the graph's tensor or op of that name")
        self.taken.add(name)
        return name

    def scale(self, binary_point: int) -> str:
        return self.shared(f"scale_2^{-binary_point}", np.array(np.ldexp(1.0, -binary_point), np.float32))

    def zero(self, tensor: Tensor) -> str:
        return self.shared(f"zero_{tensor.dtype}", np.zeros((), tensor.dtype))

    def dequantize(self, name: str, value: str, tensor: Tensor) -> str:
        return self.step("DequantizeLinear", name, [value, self.scale(tensor.binary_point), self.zero(tensor)])

    def quantize(self, name: str, value: str, tensor: Tensor) -> str:
        inputs = [value, self.scale(tensor.binary_point), self.zero(tensor)]
        return self.node("QuantizeLinear", f"{name}/quantize", inputs, tensor.name)


def _value_info(tensor: Tensor) -> Any:
    from onnx import TensorProto, helper

    kind = TensorProto.INT8 if tensor.signed else TensorProto.UINT8
    return helper.make_tensor_value_info(tensor.name, kind, (BATCH, *channels_first(tensor.shape)))


def _annotation(parts: _Parts, tensor: Tensor) -> Any:
    from onnx import StringStringEntryProto, TensorAnnotation

    entries = [("SCALE_TENSOR", parts.scale(tensor.binary_point)), ("ZERO_POINT_TENSOR", parts.zero(tensor))]
    pairs = [StringStringEntryProto(key=key, value=value) for key, value in entries]
    return TensorAnnotation(tensor_name=tensor.name, quant_parameter_tensor_names=pairs)


def _constants(parts: _Parts, graph: IntegerGraph, op: WeightedOp, weights: IntArray, axis: int) -> list[str]:
    """Weights and bias, dequantized per output channel; `axis` of `weights` is that channel."""
    points = np.array(op.weight_binary_points)
    bias_points = points + graph.tensors[op.input].binary_point
    values = []
    for what, array, f, along in (("weights", weights, points, axis), ("bias", op.bias, bias_points, 0)):
        scale = parts.constant(f"{op.name}/{what}_scale", np.ldexp(1.0, -f).astype(np.float32))
        zero = parts.constant(f"{op.name}/{what}_zero_point", np.zeros(f.shape, array.dtype))
        integers = parts.constant(f"{op.name}/{what}", array)
        values.append(parts.step("DequantizeLinear", f"{op.name}/{what}_dequantized", [integers, scale, zero], axis=along))
    return values


def _finish(parts: _Parts, op: WeightedOp | Add, value: str, output: Tensor) -> None:
    """Activation and quantization, from the real value that `op` computed to the tensor of the graph."""
    if op.activation is Activation.RELU:
        value = parts.step("Relu", f"{op.name}/relu", [value])
    if op.activation is Activation.RELU6:
        low, high = parts.shared(CLIP_LOW, np.array(0, np.float32)), parts.shared(CLIP_HIGH, np.array(6, np.float32))
        value = parts.step("Clip", f"{op.name}/relu6", [value, low, high])
    parts.quantize(op.name, value, output)


def _window(kernel: Sequence[int], strides: Sequence[int], padding: Padding) -> dict[str, Any]:
    pads = [padding.top, padding.left, padding.bottom, padding.right]
    return {"kernel_shape": list(kernel), "strides": list(strides), "pads": pads}


def _conv(parts: _Parts, graph: IntegerGraph, op: ConvOp) -> None:
    """A depthwise convolution is told from a full one by its `group`, which a full one does not write."""
    x = parts.dequantize(f"{op.name}/input", op.input, graph.tensors[op.input])
    window = _window(op.weights.shape[:2], op.strides, op.padding)
    if isinstance(op, Conv2D):
        weights = op.weights.transpose(3, 2, 0, 1)
    else:
        weights = op.weights.transpose(2, 0, 1)[:, np.newaxis]
        window["group"] = op.weights.shape[2]
    inputs = [x, *_constants(parts, graph, op, weights, axis=0)]
    total = parts.node("Conv", op.name, inputs, parts.claim(f"{op.name}/sum"), dilations=list(op.dilation), **window)
    _finish(parts, op, total, graph.tensors[op.output])


def _dense(parts: _Parts, graph: IntegerGraph, op: Dense) -> None:
    """A map is flattened as it lies in the file; the rows of the weights follow it."""
    source = graph.tensors[op.input]
    x = op.input if len(source.shape) == 1 else parts.step("Flatten", f"{op.name}/flatten", [op.input], axis=1)
    x = parts.dequantize(f"{op.name}/input", x, source)
    inputs = [x, *_constants(parts, graph, op, op.weights[dense_rows(source.shape)], axis=1)]
    _finish(parts, op, parts.node("Gemm", op.name, inputs, parts.claim(f"{op.name}/sum")), graph.tensors[op.output])


def _add(parts: _Parts, graph: IntegerGraph, op: Add) -> None:
    terms = [parts.dequantize(f"{op.name}/input_{i}", name, graph.tensors[name]) for i, name in enumerate(op.inputs)]
    _finish(parts, op, parts.node("Add", op.name, terms, parts.claim(f"{op.name}/sum")), graph.tensors[op.output])


def _concat(parts: _Parts, graph: IntegerGraph, op: Concat) -> None:
    rank = len(graph.tensors[op.output].shape)
    parts.node("Concat", op.name, op.inputs, op.output, axis=1 if rank == 3 else rank)


def _max_pool(parts: _Parts, graph: IntegerGraph, op: MaxPool) -> None:
    parts.node("MaxPool", op.name, [op.input], op.output, **_window(op.pool, op.strides, op.padding))


def _lookup(parts: _Parts, graph: IntegerGraph, op: Lookup) -> None:
    from onnx import TensorProto

    index = parts.step("Cast", f"{op.name}/int32", [op.input], to=TensorProto.INT32)
    if graph.tensors[op.input].signed:
        first = parts.constant(f"{op.name}/first", np.array(-graph.tensors[op.input].low, np.int32))
        index = parts.step("Add", f"{op.name}/index", [index, first])
    parts.node("Gather", op.name, [parts.constant(f"{op.name}/table", op.table), index], op.output, axis=0)


def _reshape(parts: _Parts, graph: IntegerGraph, op: Reshape) -> None:
    """Row-major order is that of channels last: maps are turned before and after. Length 0 keeps the batch."""
    source, output = graph.tensors[op.input], graph.tensors[op.output]
    x = op.input
    if len(source.shape) == 3:
        x = parts.step("Transpose", f"{op.name}/channels_last", [x], perm=TO_CHANNELS_LAST)
    shape = parts.constant(f"{op.name}/shape", np.array((0, *output.shape), np.int64))
    if len(output.shape) != 3:
        parts.node("Reshape", op.name, [x, shape], op.output)
        return
    x = parts.node("Reshape", op.name, [x, shape], parts.claim(f"{op.name}/reshaped"))
    parts.node("Transpose", f"{op.name}/channels_first", [x], op.output, perm=TO_CHANNELS_FIRST)


_WRITE: dict[type, Callable[[_Parts, IntegerGraph, Any], None]] = {
    Conv2D: _conv,
    DepthwiseConv2D: _conv,
    Dense: _dense,
    Add: _add,
    Concat: _concat,
    MaxPool: _max_pool,
    Lookup: _lookup,
    Reshape: _reshape,
}
