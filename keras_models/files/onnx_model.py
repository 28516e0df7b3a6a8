"""A float network as ONNX (opset 11 to 22), as PyTorch's exporter and tf2onnx write it, becomes a Keras model with the same weights.

ONNX keeps maps as (batch, channels, rows, columns), Keras as (batch, rows, columns, channels). A map here is a Keras tensor and a note
of how the ONNX file lays it out at that point, so a Transpose between the two changes the note only. Constants are computed as they come
(shapes, reshaped weights). Functions that exporters spell out, GELU by Erf, hard-swish by Clip, are put together again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgekit.arrays import Array
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.files import MODEL_BYTES_MAX, check_input_size, read_bounded, reading, unpacked_bytes_max
from edgekit.keras_models.files.onnx_functions import FUNCTIONS
from edgekit.keras_models.files.onnx_layers import LAYERS
from edgekit.keras_models.files.onnx_values import LAST, Map, Node, Reading, Value, Vector, title
from edgekit.keras_models.layers.backend import tf_keras
from edgekit.keras_models.layers.bounds import bounded_variables

READERS: Mapping[str, Callable[..., Value]] = {**FUNCTIONS, **LAYERS}
"""ONNX op -> what reads it: a function (node, inputs) -> value."""
OPSETS = range(11, 23)
CONSTANT_VALUES_MAX = 1 << 24
"""A constant that nodes compute of constants is no larger than this."""
UNBOUNDED = ("Einsum", "EyeLike", "If", "Loop", "OneHot", "Pad", "Resize", "Scan", "Upsample")
"""Ops whose results can be of any size, and that no exporter leaves between constants."""


def read_onnx_model(path: Path) -> Any:
    """The tf_keras.Model of a float ONNX file. Its input is a map with channels last, its output what the file's is.

    Raises:
        UnsupportedLayer: names the node and what of it is not read.
        EdgekitError: no ONNX file, damaged, weights outside the file, another opset, several inputs, or sizes left open.
    """
    content = read_bounded(path, MODEL_BYTES_MAX)
    with reading(f"'{path}'"), bounded_variables(f"'{path}'", unpacked_bytes_max(len(content))):
        return _read(content, path)


def _read(content: bytes, path: Path) -> Any:
    model = _parse(content, f"'{path}'")
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if opset not in OPSETS:
        raise EdgekitError(f"'{path}' is of ONNX opset {opset}; {OPSETS[0]} to {OPSETS[-1]} are read. Export it anew with opset_version=17")
    graph = model.graph
    constants: dict[str, Value] = {one.name: _constant(one, path) for one in graph.initializer}
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1 or not graph.output:
        raise EdgekitError(f"'{path}' has {len(inputs)} inputs and {len(graph.output)} outputs; one input is supported")
    source = _source(inputs[0], graph.node, path)
    reading = Reading({**constants, inputs[0].name: source})
    for node in graph.node:
        try:
            reading.values.update(_results(reading, node, opset))
        except EdgekitError:
            raise
        except Exception as error:  # numpy and Keras raise errors of every type on attributes and shapes that do not fit
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise EdgekitError(f"node '{title(node)}' ({node.op_type}) of the ONNX file cannot be read: {reason}") from error
    missing = [one.name for one in graph.output if one.name not in reading.values]
    if missing:
        raise EdgekitError(f"'{path}' has an output '{missing[0]}' that no node gives")
    outputs = [_settled(reading, reading.values[one.name], one.name) for one in graph.output]
    name = reading.names.unique(graph.name, "model")
    try:
        return tf_keras.Model(source.tensor, outputs if len(outputs) > 1 else outputs[0], name=name)
    except (ValueError, TypeError) as error:
        raise EdgekitError(f"the nodes of '{path}' are no network from its input to its outputs: {error}") from error


def _parse(data: bytes, what: str) -> ModelProto:
    model = ModelProto()
    try:
        model.ParseFromString(data)
    except DecodeError as error:
        raise EdgekitError(f"{what} is not an ONNX file, or a truncated one") from error
    if not model.graph.node:
        raise EdgekitError(f"{what} is an ONNX file without a network, or no ONNX file")
    return model


def _constant(proto: TensorProto, path: Path) -> Array:
    if proto.data_location == TensorProto.EXTERNAL:
        raise EdgekitError(f"'{path}' keeps weight '{proto.name}' in another file; save it as one file (save_as_external_data=False)")
    if any(size < 0 for size in proto.dims) or prod(proto.dims) > MODEL_BYTES_MAX:
        raise EdgekitError(f"'{path}': weight '{proto.name}' has shape {tuple(proto.dims)}")
    try:
        return np.asarray(numpy_helper.to_array(proto))
    except (ValueError, TypeError, KeyError) as error:
        raise EdgekitError(f"'{path}': weight '{proto.name}' cannot be read: {error}") from error


def _source(value: Any, nodes: Any, path: Path) -> Map | Vector:
    """The input. Its channels are in front unless the file begins by putting them there."""
    sizes = [size.dim_value if size.HasField("dim_value") else 0 for size in value.type.tensor_type.shape.dim]
    if len(sizes) not in (2, 4) or min(sizes[1:], default=0) < 1:
        raise EdgekitError(f"'{path}' takes inputs of shape {tuple(sizes)} (0: left open); export it with fixed rows and columns")
    check_input_size(f"'{path}'", tuple(sizes[1:]))
    if len(sizes) == 2:
        return Vector(tf_keras.Input((sizes[1],), name="input"))
    turned = any(node.op_type == "Transpose" and value.name in node.input and _attributes(node).get("perm") == list(LAST) for node in nodes)
    shape = tuple(sizes[1:]) if turned else (*sizes[2:], sizes[1])
    return Map(tf_keras.Input(shape, name="input"), first=not turned)


def _attributes(node: NodeProto) -> dict[str, Any]:
    """Attribute -> its value; text as str."""
    found = {one.name: helper.get_attribute_value(one) for one in node.attribute}
    return {name: value.decode() if isinstance(value, bytes) else value for name, value in found.items()}


def _results(reading: Reading, node: NodeProto, opset: int) -> dict[str, Value]:
    """What a node gives, by name."""
    missing = [name for name in node.input if name and name not in reading.values]
    if missing:
        raise EdgekitError(f"node '{title(node)}' of the ONNX file reads '{missing[0]}', which nothing before it gives")
    inputs = [reading.values[name] if name else None for name in node.input]
    if node.op_type == "Shape":
        assert inputs[0] is not None
        return {node.output[0]: np.array(inputs[0].shape, np.int64)}
    if all(one is None or isinstance(one, np.ndarray) for one in inputs):
        return _computed(node, inputs, opset)
    read = READERS.get(node.op_type) if node.domain in ("", "ai.onnx") else None
    if read is None:
        raise UnsupportedLayer(f"node '{title(node)}' of the ONNX file is a {node.op_type}. Supported: {', '.join(sorted(READERS))}.")
    return {node.output[0]: read(Node(reading, node, _attributes(node)), *inputs)}


def _result_size(kind: str, inputs: list[Any]) -> float:
    """No fewer values than a node that computes constants gives."""
    values = [one for one in inputs if one is not None]
    if kind == "Range":
        start, limit, delta = (float(np.ravel(one)[0]) for one in inputs)
        return abs(limit - start) / abs(delta) if delta else np.inf
    if kind in ("ConstantOfShape", "Expand", "Tile"):
        sizes = float(prod(abs(float(size)) for size in np.ravel(inputs[-1])))
        return sizes if kind == "ConstantOfShape" else sizes * max(1, values[0].size)
    if kind in ("MatMul", "Gemm"):
        return float(prod(max(one.shape, default=1) for one in values[:2]))
    if kind in ("Gather", "GatherElements", "GatherND"):
        return float(prod(max(1, one.size) for one in values))
    try:
        return float(prod(np.broadcast_shapes(*(one.shape for one in values))))
    except ValueError:  # it is none that broadcasts, and gives no more than it reads
        return float(sum(one.size for one in values))


def _computed(node: NodeProto, inputs: list[Any], opset: int) -> dict[str, Value]:
    """A node that reads constants only, by ONNX's reference implementation. Its size is settled before it is computed."""
    most = max(CONSTANT_VALUES_MAX, sum(one.size for one in inputs if one is not None))
    if node.op_type in UNBOUNDED or _result_size(node.op_type, inputs) > most:
        raise UnsupportedLayer(f"node '{title(node)}' of the ONNX file is a {node.op_type} of constants.")
    given = {name: value for name, value in zip(node.input, inputs, strict=True) if name}
    declared = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape) for name, value in given.items()
    ]
    results = [helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None) for name in node.output if name]
    alone = helper.make_model(helper.make_graph([node], "constant", declared, results), opset_imports=[helper.make_opsetid("", opset)])
    try:
        found = ReferenceEvaluator(alone).run(None, given)
    except Exception as error:  # numpy and onnx raise errors of every type on attributes that do not fit
        raise EdgekitError(f"node '{title(node)}' of the ONNX file cannot be computed: {error}") from error
    return dict(zip((name for name in node.output if name), map(np.asarray, found), strict=True))


def _settled(reading: Reading, value: Value, name: str) -> Any:
    """An output as the file lays it out. A map with channels in front is given with channels last."""
    proto = NodeProto(name=name, op_type="output")
    return Node(reading, proto, {}).settle(value).tensor
