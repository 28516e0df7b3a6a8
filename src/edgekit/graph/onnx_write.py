"""An integer graph as an ONNX file in QDQ form: its file form, which Netron shows and onnxruntime runs. onnx_form.py says what is where.

- Convolution, dense and add work on dequantized values between DequantizeLinear and QuantizeLinear; concat, slice, max-pool, lookup and
  reshape work on the integers.
- A convolution or dense layer whose sum may leave float32 sums integers instead (ConvInteger, MatMulInteger), as `_integer_sum` proves.
- Products of activations are int32 accumulators, whose half-up requantize is taken in double: nothing is left to QuantizeLinear, which
  rounds halves to even.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import OperatorSetIdProto, StringStringEntryProto, TensorAnnotation, TensorProto, helper, numpy_helper

from edgekit.errors import EdgekitError
from edgekit.graph.check import sum_leaves_float32
from edgekit.graph.ir import (
    Activation,
    Add,
    Concat,
    Conv2D,
    ConvOp,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntArray,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Op,
    Padding,
    ProductOp,
    Reshape,
    Slice,
    Tensor,
    WeightedOp,
    clamp_range,
)
from edgekit.graph.onnx_form import (
    BATCH,
    BIAS,
    BIAS_SCALE,
    GROUP,
    IR_VERSION,
    OPSET,
    SCALE_KEY,
    SHAPE,
    START,
    TABLE,
    TO_CHANNELS_FIRST,
    TO_CHANNELS_LAST,
    TURN_LAST,
    WEIGHTS,
    ZERO_POINT_KEY,
    channels_first,
    dense_rows,
    part,
)
from edgekit.graph.requantize import product_shift

PRODUCER = "edgekit"
SIX_LEAVES_INT32 = 29
"""From this binary point on 6 * 2**f is above 2**31. onnxruntime, which fuses a Clip into its integer op and takes its ends as integers,
then clamps at another number. No output reaches 6 there (of 8 bits it ends below 2**-20), so ReLU6 is a Relu, by the name of ReLU6."""
INTEGERS_ZERO_POINT = 128
"""That of the uint8 factors of a sum of integers."""
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
    parts = _Parts(set(graph.tensors))
    for op in graph.ops:
        WRITE[type(op)].write(parts, graph, op)
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


@dataclass
class _Parts:
    """Nodes and constants of the file; `taken` are names that constants and values may not have."""

    taken: set[str]
    nodes: list[Any] = field(default_factory=list)
    initializers: dict[str, Any] = field(default_factory=dict)

    def constant(self, name: str, array: npt.NDArray[Any]) -> str:
        self.initializers[self.claim(name)] = numpy_helper.from_array(np.asarray(array, order="C"), name)
        return name

    def shared(self, name: str, array: npt.NDArray[Any]) -> str:
        """A constant that several nodes use under one name."""
        return name if name in self.initializers else self.constant(name, array)

    def node(self, kind: str, name: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=name, **attributes))
        return output

    def step(self, kind: str, name: str, inputs: Sequence[str], **attributes: Any) -> str:
        """A node whose one output, no tensor of the graph, bears the node's name."""
        return self.node(kind, name, inputs, self.claim(name), **attributes)

    def main(self, op: Op, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """The node that stands for the op."""
        return self.node(WRITE[type(op)].main, op.name, inputs, output, **attributes)

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
        return self.node("QuantizeLinear", part(name, "quantize"), inputs, tensor.name)


def _value_info(tensor: Tensor) -> Any:
    kind = TensorProto.INT8 if tensor.signed else TensorProto.UINT8
    return helper.make_tensor_value_info(tensor.name, kind, (BATCH, *channels_first(tensor.shape)))


def _annotation(parts: _Parts, tensor: Tensor) -> Any:
    entries = [(SCALE_KEY, parts.scale(tensor.binary_point)), (ZERO_POINT_KEY, parts.zero(tensor))]
    pairs = [StringStringEntryProto(key=key, value=value) for key, value in entries]
    return TensorAnnotation(tensor_name=tensor.name, quant_parameter_tensor_names=pairs)


def _constants(parts: _Parts, graph: IntegerGraph, op: WeightedOp, weights: IntArray, axis: int) -> list[str]:
    """Weights and bias, dequantized per output channel; `axis` of `weights` is that channel."""
    points = np.array(op.weight_binary_points)
    values = []
    for what, array, f, along in ((WEIGHTS, weights, points, axis), (BIAS, op.bias, _sum_points(graph, op), 0)):
        scale = parts.constant(part(op.name, f"{what}_scale"), np.ldexp(1.0, -f).astype(np.float32))
        zero = parts.constant(part(op.name, f"{what}_zero_point"), np.zeros(f.shape, array.dtype))
        integers = parts.constant(part(op.name, what), array)
        values.append(parts.step("DequantizeLinear", part(op.name, f"{what}_dequantized"), [integers, scale, zero], axis=along))
    return values


def _sum_points(graph: IntegerGraph, op: WeightedOp) -> IntArray:
    """The binary point of each channel's accumulator, and of its bias."""
    return np.array(op.weight_binary_points) + graph.tensors[op.input].binary_point


def _integer_sum(parts: _Parts, graph: IntegerGraph, op: WeightedOp, x: str, weights: IntArray, **attributes: Any) -> str:
    """The real value of an accumulator that may leave float32: summed in int32, where rule 3 keeps it, and only then made a float.

    Accumulators are even (rule 1), so float32 holds those below 2**25. Others may be rounded, but to no less than 2**25, and with their
    sign; rule 3 says n <= 16 for them, and 2**25 / 2**16 = 512 or more is saturated.

    Both factors are uint8 with zero point 128: kernels sum products of two uint8 exactly, while those of uint8 and int8, on x86 without
    VNNI, add two in 16 bits, and saturate. On the way sums may leave int32; they come back, modulo 2**32.
    """
    zero = parts.constant(part(op.name, "integers_zero_point"), np.array(INTEGERS_ZERO_POINT, np.uint8))
    more = parts.constant(part(op.name, "raise"), np.array(INTEGERS_ZERO_POINT, np.int32))
    weights_raised = _raised(parts, op, WEIGHTS, parts.constant(part(op.name, WEIGHTS), weights), more)
    if graph.tensors[op.input].signed:
        inputs = [_raised(parts, op, "input", x, more), weights_raised, zero, zero]
    else:
        inputs = [x, weights_raised, parts.zero(graph.tensors[op.input]), zero]
    products = parts.node(INTEGER_MAINS[type(op)], op.name, inputs, parts.claim(part(op.name, "products")), **attributes)
    bias = parts.constant(part(op.name, BIAS), op.bias.reshape(-1, *[1] * (weights.ndim - 2)))
    total = parts.step("Add", part(op.name, "integers"), [products, bias])
    points = _sum_points(graph, op)
    scale = parts.constant(part(op.name, BIAS_SCALE), np.ldexp(1.0, -points).astype(np.float32))
    bias_zero = parts.constant(part(op.name, "bias_zero_point"), np.zeros(points.shape, np.int32))
    return parts.step("DequantizeLinear", part(op.name, "sum"), [total, scale, bias_zero], axis=1)


def _raised(parts: _Parts, op: WeightedOp, which: str, value: str, more: str) -> str:
    """int8 integers as uint8."""
    value = parts.step("Cast", part(op.name, f"{which}_int32"), [value], to=TensorProto.INT32)
    value = parts.step("Add", part(op.name, f"{which}_raised"), [value, more])
    return parts.step("Cast", part(op.name, f"{which}_uint8"), [value], to=TensorProto.UINT8)


def _finish(parts: _Parts, op: WeightedOp | Add, value: str, output: Tensor) -> None:
    """Activation and quantization, from the real value that `op` computed to the tensor of the graph."""
    if op.activation is Activation.RELU or (op.activation is Activation.RELU6 and output.binary_point >= SIX_LEAVES_INT32):
        value = parts.step("Relu", part(op.name, op.activation.value), [value])
    elif op.activation is Activation.RELU6:
        low, high = parts.shared(CLIP_LOW, np.array(0, np.float32)), parts.shared(CLIP_HIGH, np.array(6, np.float32))
        value = parts.step("Clip", part(op.name, op.activation.value), [value, low, high])
    parts.quantize(op.name, value, output)


def _window(kernel: Sequence[int], strides: Sequence[int], padding: Padding) -> dict[str, Any]:
    pads = [padding.top, padding.left, padding.bottom, padding.right]
    return {"kernel_shape": list(kernel), "strides": list(strides), "pads": pads}


def _conv(parts: _Parts, graph: IntegerGraph, op: ConvOp) -> None:
    """A depthwise convolution is told from a full one by its `group`, which a full one does not write."""
    window = {"dilations": list(op.dilation)} | _window(op.weights.shape[:2], op.strides, op.padding)
    if isinstance(op, Conv2D):
        weights = op.weights.transpose(3, 2, 0, 1)
    else:
        weights = op.weights.transpose(2, 0, 1)[:, np.newaxis]
        window[GROUP] = op.weights.shape[2]
    if sum_leaves_float32(graph, op):
        total = _integer_sum(parts, graph, op, op.input, weights, **window)
    else:
        x = parts.dequantize(part(op.name, "input"), op.input, graph.tensors[op.input])
        inputs = [x, *_constants(parts, graph, op, weights, axis=0)]
        total = parts.main(op, inputs, parts.claim(part(op.name, "sum")), **window)
    _finish(parts, op, total, graph.tensors[op.output])


def _dense(parts: _Parts, graph: IntegerGraph, op: Dense) -> None:
    """A map is flattened as it lies in the file; the rows of the weights follow it."""
    source = graph.tensors[op.input]
    x = op.input if len(source.shape) == 1 else parts.step("Flatten", part(op.name, "flatten"), [op.input], axis=1)
    weights = op.weights[dense_rows(source.shape)]
    if sum_leaves_float32(graph, op):
        total = _integer_sum(parts, graph, op, x, weights)
    else:
        inputs = [parts.dequantize(part(op.name, "input"), x, source), *_constants(parts, graph, op, weights, axis=1)]
        total = parts.main(op, inputs, parts.claim(part(op.name, "sum")))
    _finish(parts, op, total, graph.tensors[op.output])


def _depthwise_transpose(parts: _Parts, graph: IntegerGraph, op: DepthwiseConv2DTranspose) -> None:
    """ConvTranspose in float32 gives the graph's integers, however large the bias.

    The accumulator is one product and a bias: p = x * w, |p| <= 255 * 124 < 2**15, and b. Each is a multiple of 2 (rule 1: w of 4, b is 2
    modulo 4). Where |b| < 2**25 and |p + b| < 2**25, float32's 24 bits hold b and the sum. Elsewhere |p + b| > 2**25 - 2**15 - 4 both as
    it is and as float32 rounds it, with the same sign; rule 3 then says n <= 16, and more than 2**25 / 2**16 - 1 = 511 is saturated.
    """
    x = parts.dequantize(part(op.name, "input"), op.input, graph.tensors[op.input])
    inputs = [x, *_constants(parts, graph, op, op.weights.transpose(2, 0, 1)[:, np.newaxis], axis=0)]
    kernel, group = op.weights.shape[:2], op.weights.shape[2]
    total = parts.claim(part(op.name, "sum"))
    parts.main(op, inputs, total, kernel_shape=list(kernel), strides=list(kernel), group=group)
    _finish(parts, op, total, graph.tensors[op.output])


def _add(parts: _Parts, graph: IntegerGraph, op: Add) -> None:
    terms = [parts.dequantize(part(op.name, f"input_{i}"), name, graph.tensors[name]) for i, name in enumerate(op.inputs)]
    _finish(parts, op, parts.main(op, terms, parts.claim(part(op.name, "sum"))), graph.tensors[op.output])


def _multiply(parts: _Parts, graph: IntegerGraph, op: Multiply) -> None:
    factors = [parts.step("Cast", part(op.name, which), [name], to=TensorProto.INT32) for which, name in zip("xy", op.inputs, strict=True)]
    _requantize(parts, graph, op, parts.main(op, factors, parts.claim(part(op.name, "product"))))


def _matmul(parts: _Parts, graph: IntegerGraph, op: MatMul) -> None:
    """With channels first a head is a matrix whose columns are the cells, (batch, heads, columns of a head, cells):

        scores**T = y**T * x       output**T = y**T * scores**T

    so y stands on the left, and is turned for the first only.
    """
    matrices = {}
    for which, name in zip("xy", op.inputs, strict=True):
        rows, columns, channels = graph.tensors[name].shape
        shape = parts.constant(part(op.name, f"{which}_shape"), np.array((0, op.heads, channels // op.heads, rows * columns), np.int64))
        heads = parts.step("Reshape", part(op.name, f"{which}_heads"), [name, shape])
        matrices[which] = parts.step("Cast", part(op.name, which), [heads], to=TensorProto.INT32)
    if op.transpose_y:
        matrices["y"] = parts.step("Transpose", part(op.name, "y_turned"), [matrices["y"]], perm=TURN_LAST)
    product = parts.main(op, [matrices["y"], matrices["x"]], parts.claim(part(op.name, "product")))
    map_shape = channels_first(graph.tensors[op.output].shape)
    shape = parts.constant(part(op.name, "map_shape"), np.array((0, *map_shape), np.int64))
    value = parts.step("Reshape", part(op.name, "map"), [product, shape])
    value = parts.step("Add", part(op.name, "biased"), [value, parts.constant(part(op.name, BIAS), op.bias.transpose(2, 0, 1))])
    _requantize(parts, graph, op, value)


def _requantize(parts: _Parts, graph: IntegerGraph, op: ProductOp, accumulators: str) -> None:
    """floor(acc * 2**-n + 1/2), clamped, from int32 to the tensor of the graph.

    Double has 53 bits: an accumulator of 32, its quotient by 2**n and the half more are exact, so any optimizer may reorder them. A file
    may hold a graph that breaks the contract, with an n that no Requantize has: so n is taken as it is.
    """
    output = graph.tensors[op.output]
    kinds = (TensorProto.DOUBLE, TensorProto.INT8 if output.signed else TensorProto.UINT8)
    n = product_shift(graph, op)
    value = parts.step("Cast", part(op.name, "double"), [accumulators], to=kinds[0])
    value = parts.step("Mul", part(op.name, "scaled"), [value, parts.shared(f"double_2^{-n}", np.array(np.ldexp(1.0, -n)))])
    value = parts.step("Add", part(op.name, "half_more"), [value, parts.shared("double_half", np.array(0.5))])
    value = parts.step("Floor", part(op.name, "rounded"), [value])
    activation = getattr(op, "activation", Activation.NONE)
    if activation is not Activation.NONE:
        low, high = clamp_range(activation, output)
        value = _clip(parts, part(op.name, activation.value), value, low, high)
    value = _clip(parts, part(op.name, "saturated"), value, output.low, output.high)
    parts.node("Cast", part(op.name, "quantize"), [value], op.output, to=kinds[1])


def _clip(parts: _Parts, name: str, value: str, low: int, high: int) -> str:
    ends = [parts.shared(f"double_{end}", np.array(end, np.float64)) for end in (low, high)]
    return parts.step("Clip", name, [value, *ends])


def _concat(parts: _Parts, graph: IntegerGraph, op: Concat) -> None:
    rank = len(graph.tensors[op.output].shape)
    parts.main(op, op.inputs, op.output, axis=1 if rank == 3 else rank)


def _slice(parts: _Parts, graph: IntegerGraph, op: Slice) -> None:
    shape = graph.tensors[op.output].shape
    axis = 1 if len(shape) == 3 else len(shape)
    bounds = {START: op.start, "end": op.start + shape[-1], "axis": axis}
    constants = [parts.constant(part(op.name, what), np.array([value], np.int64)) for what, value in bounds.items()]
    parts.main(op, [op.input, *constants], op.output)


def _max_pool(parts: _Parts, graph: IntegerGraph, op: MaxPool) -> None:
    parts.main(op, [op.input], op.output, **_window(op.pool, op.strides, op.padding))


def _lookup(parts: _Parts, graph: IntegerGraph, op: Lookup) -> None:
    index = parts.step("Cast", part(op.name, "int32"), [op.input], to=TensorProto.INT32)
    if graph.tensors[op.input].signed:
        first = parts.constant(part(op.name, "first"), np.array(-graph.tensors[op.input].low, np.int32))
        index = parts.step("Add", part(op.name, "index"), [index, first])
    parts.main(op, [parts.constant(part(op.name, TABLE), op.table), index], op.output, axis=0)


def _reshape(parts: _Parts, graph: IntegerGraph, op: Reshape) -> None:
    """Row-major order is that of channels last: maps are turned before and after. Length 0 keeps the batch."""
    source, output = graph.tensors[op.input], graph.tensors[op.output]
    x = op.input
    if len(source.shape) == 3:
        x = parts.step("Transpose", part(op.name, "channels_last"), [x], perm=TO_CHANNELS_LAST)
    shape = parts.constant(part(op.name, SHAPE), np.array((0, *output.shape), np.int64))
    if len(output.shape) != 3:
        parts.main(op, [x, shape], op.output)
        return
    x = parts.main(op, [x, shape], parts.claim(part(op.name, "reshaped")))
    parts.node("Transpose", part(op.name, "channels_first"), [x], op.output, perm=TO_CHANNELS_FIRST)


@dataclass(frozen=True)
class Row:
    """How an op is written. `main`: the kind of node that bears its name; `write` adds all its nodes and constants."""

    main: str
    write: Callable[[_Parts, IntegerGraph, Any], None]


WRITE: Mapping[type[Op], Row] = {
    Conv2D: Row("Conv", _conv),
    DepthwiseConv2D: Row("Conv", _conv),
    DepthwiseConv2DTranspose: Row("ConvTranspose", _depthwise_transpose),
    Dense: Row("Gemm", _dense),
    Add: Row("Add", _add),
    Multiply: Row("Mul", _multiply),
    MatMul: Row("MatMul", _matmul),
    Concat: Row("Concat", _concat),
    Slice: Row("Slice", _slice),
    MaxPool: Row("MaxPool", _max_pool),
    Lookup: Row("Gather", _lookup),
    Reshape: Row("Reshape", _reshape),
}

INTEGER_MAINS: Mapping[type[Op], str] = {Conv2D: "ConvInteger", DepthwiseConv2D: "ConvInteger", Dense: "MatMulInteger"}
"""The main node of an op whose sum may leave float32. A transposed convolution sums nothing."""
