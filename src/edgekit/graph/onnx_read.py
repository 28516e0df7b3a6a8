"""Reads the ONNX files that onnx_write writes, and no others.

What a graph consists of is taken from the few nodes that bear an op's name, as onnx_form.py says. Then the graph is written again in
memory, and the file has to hold the very same nodes and constants: nothing in it can be overlooked or misunderstood.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto, helper

from edgekit.errors import EdgekitError
from edgekit.files import check_input_size, reading
from edgekit.graph.check import violations
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
)
from edgekit.graph.onnx_form import (
    BATCH,
    BIAS,
    BIAS_SCALE,
    GROUP,
    SCALE_KEY,
    SHAPE,
    START,
    TABLE,
    WEIGHTS,
    WEIGHTS_SCALE,
    X_SHAPE,
    activation_of,
    channels_last,
    dense_rows,
    part,
)
from edgekit.graph.onnx_write import INTEGER_MAINS, WRITE, onnx_model

HINT = "edgekit reads the ONNX files that edgekit writes"
DIMENSION_MAX = 1 << 24
TENSOR_VALUES_MAX = 1 << 26
STEP_MAX = 1 << 16
"""Kernel sizes, strides and the like above this are nonsense."""


def is_integer_graph(data: bytes) -> bool:
    """Whether an ONNX file says of its tensors how they are quantized, as edgekit's integer graphs do; what is no ONNX file does not."""
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError:
        return False
    return bool(model.graph.quantization_annotation)


def read_onnx(data: bytes) -> IntegerGraph:
    """The graph in an ONNX file that write_onnx wrote. Whether it keeps the contract is for check to say.

    Raises:
        EdgekitError: not such a file; the message names the node or value that is wrong.
    """
    with reading("the ONNX file"):
        return _read(data)


def _read(data: bytes) -> IntegerGraph:
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise EdgekitError(f"not an ONNX file, or a truncated one: {error}. {HINT}") from error
    file = _File(model.graph)
    for name, tensor in file.tensors.items():
        if prod(tensor.shape) > TENSOR_VALUES_MAX:
            raise _refuse(f"'{name}' has {prod(tensor.shape):,} values of shape {tensor.shape}")
    check_input_size("the ONNX file", file.tensors[file.input].shape)
    outputs = tuple(value.name for value in model.graph.output)
    mains = ((op_type(node, file.initializers), node) for node in model.graph.node)
    ops = tuple(READ[kind](file, node) for kind, node in mains if kind is not None)
    graph = IntegerGraph(model.graph.name, file.ordered_tensors(ops), ops, file.input, outputs)
    broken = next((v for v in violations(graph) if v.rule == 0), None)
    if broken:
        raise _refuse(str(broken))
    _compare(model, onnx_model(graph, outputs))
    return graph


def op_type(node: Any, constants: Container[str]) -> type[Op] | None:
    """The op whose main node it is, or None where it stands around another. `constants`: names of the file's initializers."""
    kinds = [op for op, row in WRITE.items() if node.op_type in (row.main, INTEGER_MAINS.get(op))]
    if not kinds:
        return None
    if Conv2D in kinds:
        return DepthwiseConv2D if any(attribute.name == GROUP for attribute in node.attribute) else Conv2D
    if node.op_type in ("Add", "Mul") and any(name in constants for name in node.input):
        return None
    if node.op_type == "Reshape" and part(node.name, SHAPE) not in node.input:
        return None
    return kinds[0]


def _refuse(problem: str) -> EdgekitError:
    return EdgekitError(f"the ONNX file cannot be read: {problem}. {HINT}")


class _File:
    """The file's graph, with its values by name."""

    def __init__(self, graph: Any):
        if len(graph.input) != 1:
            raise _refuse(f"it has {len(graph.input)} inputs instead of one")
        self.initializers = {tensor.name: tensor for tensor in graph.initializer}
        self.producers = {name: node for node in graph.node for name in node.output}
        self.consumers: dict[str, list[Any]] = {}
        for node in graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)
        self.input: str = graph.input[0].name
        points = {entry.tensor_name: self._binary_point(entry) for entry in graph.quantization_annotation}
        values = [*graph.input, *graph.value_info, *graph.output]
        self.tensors = {value.name: _tensor(value, points) for value in values}

    def _binary_point(self, annotation: Any) -> int:
        entries = {entry.key: entry.value for entry in annotation.quant_parameter_tensor_names}
        return _power_of_two(annotation.tensor_name, self.array(entries.get(SCALE_KEY, ""), np.float32))[0]

    def array(self, name: str, dtype: type, rank: int | None = None) -> npt.NDArray[Any]:
        """A constant of the file, checked for type and size before it is looked at."""
        if name not in self.initializers:
            raise _refuse(f"constant '{name}' is missing")
        proto = self.initializers[name]
        if proto.data_type != helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) or proto.data_location == TensorProto.EXTERNAL:
            raise _refuse(f"constant '{name}' is not of type {np.dtype(dtype)} inside the file")
        if any(size < 0 for size in proto.dims) or prod(proto.dims) * np.dtype(dtype).itemsize != len(proto.raw_data):
            raise _refuse(f"constant '{name}' has {len(proto.raw_data)} bytes for shape {tuple(proto.dims)}")
        if rank is not None and len(proto.dims) != rank:
            raise _refuse(f"constant '{name}' has shape {tuple(proto.dims)}, {rank} dimensions are expected")
        little_endian = np.frombuffer(proto.raw_data, np.dtype(dtype).newbyteorder("<"))
        return little_endian.astype(dtype).reshape(tuple(proto.dims))

    def source(self, node: Any, position: int = 0) -> str:
        """The tensor of the graph that one of the node's inputs comes from."""
        name = _input(node, position)
        for _ in self.producers:
            if name in self.tensors:
                return name
            if name not in self.producers:
                break
            name = _input(self.producers[name], 0)
        raise _refuse(f"node '{node.name}' does not read a tensor of the graph")

    def target(self, node: Any) -> tuple[str, Activation]:
        """The tensor of the graph that the node's output goes to, and the activation on the way."""
        activation = Activation.NONE
        name = node.output[0] if node.output else ""
        for _ in range(len(self.producers)):
            if name in self.tensors:
                return name, activation
            following = self.consumers.get(name, [])
            if len(following) != 1 or not following[0].output:
                break
            step = activation_of(str(following[0].name))
            activation = activation if step is Activation.NONE else step
            name = following[0].output[0]
        raise _refuse(f"node '{node.name}' does not lead to a tensor of the graph")

    def weights(self, node: Any, rank: int) -> tuple[npt.NDArray[Any], dict[str, Any]]:
        """The weights as they lie in the file, and the fields that convolutions and dense layers share."""
        output, activation = self.target(node)
        integers = self.array(part(node.name, WEIGHTS), np.int8, rank)
        source = self.source(node)
        if node.op_type in INTEGER_MAINS.values():  # the scales there are those of the sums
            sums = self.points(node, BIAS, BIAS_SCALE)
            points = tuple(point - self.tensors[source].binary_point for point in sums)
        else:
            points = self.points(node, WEIGHTS, WEIGHTS_SCALE)
        fields = {
            "name": node.name,
            "input": source,
            "output": output,
            "bias": self.array(part(node.name, BIAS), np.int32).reshape(-1),
            "weight_binary_points": points,
            "activation": activation,
        }
        return integers, fields

    def points(self, node: Any, what: str, scale: str) -> tuple[int, ...]:
        """The binary point of each channel of a constant of the op."""
        return _power_of_two(part(node.name, what), self.array(part(node.name, scale), np.float32, 1))

    def ordered_tensors(self, ops: tuple[Op, ...]) -> dict[str, Tensor]:
        """The input first, then in the order in which ops write them."""
        names = [self.input, *(op.output for op in ops)]
        rest = [name for name in self.tensors if name not in set(names)]
        return {name: self.tensors[name] for name in (*names, *rest)}


def _input(node: Any, position: int) -> str:
    if position >= len(node.input):
        raise _refuse(f"node '{node.name}' has {len(node.input)} inputs")
    return str(node.input[position])


def _tensor(value: Any, points: dict[str, int]) -> Tensor:
    kind = value.type.tensor_type
    if kind.elem_type not in (TensorProto.INT8, TensorProto.UINT8) or value.name not in points:
        raise _refuse(f"value '{value.name}' is no int8 or uint8 tensor with an annotated scale")
    dimensions = [dimension.dim_value for dimension in kind.shape.dim]
    if len(dimensions) < 2 or kind.shape.dim[0].dim_param != BATCH or not all(0 < size < DIMENSION_MAX for size in dimensions[1:]):
        raise _refuse(f"value '{value.name}' has no shape of the form ('{BATCH}', sizes...)")
    return Tensor(value.name, channels_last(dimensions[1:]), kind.elem_type == TensorProto.INT8, points[value.name])


def _power_of_two(what: str, scales: npt.NDArray[Any]) -> tuple[int, ...]:
    """Binary points of scales 2**-f."""
    mantissas, exponents = np.frexp(scales.reshape(-1).astype(np.float64))
    if not exponents.size or not np.isfinite(scales).all() or (mantissas != 0.5).any():
        raise _refuse(f"a scale of '{what}' is no power of two")
    return tuple(int(1 - e) for e in exponents)


def _attributes(node: Any, **lengths: int) -> dict[str, tuple[int, ...]]:
    """Attributes that are lists of small natural numbers, each of the given length."""
    found = {attribute.name: tuple(int(i) for i in attribute.ints) for attribute in node.attribute}
    for name, length in lengths.items():
        values = found.get(name, ())
        if len(values) != length or not all(0 <= value < STEP_MAX for value in values):
            raise _refuse(f"attribute '{name}' of node '{node.name}' is not {length} small natural numbers")
    return {name: found[name] for name in lengths}


def _padding(pads: tuple[int, ...]) -> Padding:
    top, left, bottom, right = pads
    return Padding(top, bottom, left, right)


def _conv(file: _File, node: Any) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """The weights as they lie in the file, and the fields that both convolutions share."""
    weights, fields = file.weights(node, 4)
    window = _attributes(node, strides=2, dilations=2, pads=4)
    return weights, fields | {"strides": window["strides"], "dilation": window["dilations"], "padding": _padding(window["pads"])}


def _conv2d(file: _File, node: Any) -> Op:
    weights, fields = _conv(file, node)
    return Conv2D(weights=np.ascontiguousarray(weights.transpose(2, 3, 1, 0)), **fields)


def _depthwise(file: _File, node: Any) -> Op:
    weights, fields = _conv(file, node)
    if weights.shape[1] != 1:
        raise _refuse(f"convolution '{node.name}' has groups of {weights.shape[1]} channels; 1 or a single group is supported")
    return DepthwiseConv2D(weights=np.ascontiguousarray(weights[:, 0].transpose(1, 2, 0)), **fields)


def _dense(file: _File, node: Any) -> Op:
    weights, fields = file.weights(node, 2)
    rows = dense_rows(file.tensors[fields["input"]].shape)
    if len(rows) != len(weights):
        raise _refuse(f"'{node.name}' has {len(weights)} rows of weights for {len(rows)} features")
    ordered = np.empty_like(weights)
    ordered[rows] = weights
    return Dense(weights=ordered, **fields)


def _add(file: _File, node: Any) -> Op:
    output, activation = file.target(node)
    return Add(node.name, (file.source(node, 0), file.source(node, 1)), output, activation)


def _depthwise_transpose(file: _File, node: Any) -> Op:
    weights, fields = file.weights(node, 4)
    if weights.shape[1] != 1:
        raise _refuse(f"transposed convolution '{node.name}' has groups of {weights.shape[1]} channels; 1 is supported")
    return DepthwiseConv2DTranspose(weights=np.ascontiguousarray(weights[:, 0].transpose(1, 2, 0)), **fields)


def _multiply(file: _File, node: Any) -> Op:
    return Multiply(node.name, (file.source(node, 0), file.source(node, 1)), file.target(node)[0])


def _matmul(file: _File, node: Any) -> Op:
    """The file's left factor is y, which is turned where the op says so."""
    output, activation = file.target(node)
    y, x = file.source(node, 0), file.source(node, 1)
    shape = file.array(part(node.name, X_SHAPE), np.int64, 1)
    if len(shape) != 4 or not 0 < shape[1] < DIMENSION_MAX:
        raise _refuse(f"'{node.name}' splits a map into {shape.tolist()}; (0, heads, columns, cells) is expected")
    left = file.producers.get(_input(node, 0))
    transpose_y = left is not None and left.op_type == "Transpose"
    bias = np.ascontiguousarray(file.array(part(node.name, BIAS), np.int32, 3).transpose(1, 2, 0))
    return MatMul(node.name, (x, y), output, int(shape[1]), transpose_y, bias, activation)


def _concat(file: _File, node: Any) -> Op:
    return Concat(node.name, tuple(str(name) for name in node.input), file.target(node)[0])


def _slice(file: _File, node: Any) -> Op:
    start = file.array(part(node.name, START), np.int64, 1)
    if len(start) != 1 or not 0 <= start[0] < DIMENSION_MAX:
        raise _refuse(f"'{node.name}' starts at {start.tolist()}; one channel is expected")
    return Slice(node.name, file.source(node), file.target(node)[0], int(start[0]))


def _max_pool(file: _File, node: Any) -> Op:
    window = _attributes(node, kernel_shape=2, strides=2, pads=4)
    pool, strides = window["kernel_shape"], window["strides"]
    return MaxPool(
        node.name, file.source(node), file.target(node)[0], (pool[0], pool[1]), (strides[0], strides[1]), _padding(window["pads"])
    )


def _lookup(file: _File, node: Any) -> Op:
    output = file.target(node)[0]
    table = file.array(part(node.name, TABLE), np.int8 if file.tensors[output].signed else np.uint8, 1)
    return Lookup(node.name, file.source(node, 1), output, table)


def _reshape(file: _File, node: Any) -> Op:
    return Reshape(node.name, file.source(node), file.target(node)[0])


def _compare(found: Any, expected: Any) -> None:
    """Refuses a file that is not what onnx_model makes of the graph that was read from it."""
    parts = (
        ("node", found.graph.node, expected.graph.node),
        ("constant", found.graph.initializer, expected.graph.initializer),
        ("value", found.graph.value_info, expected.graph.value_info),
        ("input", found.graph.input, expected.graph.input),
        ("output", found.graph.output, expected.graph.output),
        ("annotation", found.graph.quantization_annotation, expected.graph.quantization_annotation),
    )
    for what, have, want in parts:
        for one, other in zip(have, want, strict=False):
            if one != other:
                name = getattr(one, "name", "") or getattr(one, "tensor_name", "")
                raise _refuse(f"{what} '{name}' is not as edgekit writes it")
        if len(have) != len(want):
            raise _refuse(f"it has {len(have)} {what}s where its ops need {len(want)}")
    opsets = [(opset.domain, opset.version) for opset in found.opset_import]
    if opsets != [(opset.domain, opset.version) for opset in expected.opset_import] or found.functions:
        raise _refuse(f"its operator sets are {opsets}")


READ: Mapping[type[Op], Callable[[_File, Any], Op]] = {
    Conv2D: _conv2d,
    DepthwiseConv2D: _depthwise,
    DepthwiseConv2DTranspose: _depthwise_transpose,
    Dense: _dense,
    Add: _add,
    Multiply: _multiply,
    MatMul: _matmul,
    Concat: _concat,
    Slice: _slice,
    MaxPool: _max_pool,
    Lookup: _lookup,
    Reshape: _reshape,
}
"""An op from its main node."""
