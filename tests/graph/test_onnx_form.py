"""The ONNX file form: written and read back it is the same graph; anything else is refused with a reason."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from random_graphs import graph_of_every_op, integer_graphs, random_graph, random_inputs

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact
from edgekit.graph import (
    Activation,
    Conv2D,
    DepthwiseConv2D,
    IntegerGraph,
    Lookup,
    Tensor,
    equal,
    read_onnx,
    run,
    write_onnx,
)
from edgekit.graph.ir import OP_TYPES
from edgekit.graph.onnx_form import activation_of, channels_first, channels_last
from edgekit.graph.onnx_read import op_type
from edgekit.graph.onnx_write import WRITE
from edgekit.verify.onnxruntime import open_onnxruntime


@settings(max_examples=60)
@given(integer_graphs(OP_TYPES, length=8))
def test_written_and_read_back_is_equal(graph):
    data = write_onnx(graph)
    assert data == write_onnx(graph)
    again = read_onnx(data)
    assert equal(graph, again) and list(graph.tensors) == list(again.tensors)


def test_onnx_itself_accepts_the_file(rng):
    for _ in range(10):
        onnx.checker.check_model(write_onnx(random_graph(rng, OP_TYPES, length=8)), full_check=True)


@settings(max_examples=30)
@given(integer_graphs(OP_TYPES), st.integers(0, 2**32 - 1))
def test_unoptimized_onnxruntime_is_equal(graph, seed):
    """The QDQ form as it stands: the float32 arithmetic that the standard prescribes."""
    inputs = random_inputs(np.random.default_rng(seed), graph)
    expected = run(graph, inputs)
    with open_onnxruntime(Artifact(graph=graph), lambda text: None, optimize=False) as run_batch:
        for name, value in run_batch(inputs).items():
            np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_a_single_channel_convolution_stays_what_it_is():
    """Full and depthwise have the same weights in ONNX when there is one channel."""
    x, y = Tensor("x", (3, 3, 1), False, 0), Tensor("y", (1, 1, 1), True, 0)
    bias = np.array([2], np.int32)
    full = Conv2D("layer", "x", "y", np.full((3, 3, 1, 1), 4, np.int8), bias, (5,))
    depthwise = DepthwiseConv2D("layer", "x", "y", np.full((3, 3, 1), 4, np.int8), bias, (5,))
    for op in (full, depthwise):
        graph = IntegerGraph("one", {"x": x, "y": y}, (op,), "x", ("y",))
        assert equal(graph, read_onnx(write_onnx(graph)))


def test_ops_named_like_the_parts_of_others_stay_what_they_are(rng):
    """A Reshape, an Add and a Mul belong to products and tables as well as to ops of those names."""
    graph = random_graph(rng, OP_TYPES, length=12)
    names = ["map", "a", "a/b", "relu", "clip/relu6", "x_heads", "bias", "Add", "Mul", "s/shape"]
    names += [f"a/{i}" for i in range(len(graph.ops))]
    ops = tuple(replace(op, name=name) for op, name in zip(graph.ops, names, strict=False))
    named = replace(graph, ops=ops)
    assert equal(named, read_onnx(write_onnx(named)))


def test_an_op_is_one_main_node_with_its_name(model, every_op):
    """All other nodes stand around one, of whatever kind they are."""
    constants = {tensor.name for tensor in model.graph.initializer}
    mains = [(node.name, op_type(node, constants)) for node in model.graph.node]
    assert [(name, kind) for name, kind in mains if kind] == [(op.name, type(op)) for op in every_op.ops]
    around = {node.op_type for node, (_, kind) in zip(model.graph.node, mains, strict=True) if kind is None}
    assert around & {row.main for row in WRITE.values()} == {"Add", "Mul", "Reshape"}


def test_a_node_of_another_kind_is_no_main_node():
    assert op_type(helper.make_node("Softmax", ["x"], ["y"], name="op"), set()) is None


def test_an_activation_is_the_last_part_of_a_name():
    assert activation_of("a/relu/relu6") is Activation.RELU6
    assert activation_of("relu6/relu") is Activation.RELU
    assert activation_of("relu/quantize") is Activation.NONE


def test_maps_alone_are_turned():
    assert channels_first((4, 5, 3)) == (3, 4, 5) and channels_last((3, 4, 5)) == (4, 5, 3)
    assert channels_first((4, 5)) == channels_last((4, 5)) == (4, 5)


def test_onnx_is_imported_when_its_form_is_asked_for():
    code = "import sys, edgekit.graph as g; assert 'onnx' not in sys.modules; g.write_onnx; assert 'onnx' in sys.modules; g.read_onnx"
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(ImportError, match="write_tflite"):
        from edgekit.graph import write_tflite  # noqa: F401


def test_a_tensor_named_like_a_constant_is_refused():
    x, y = Tensor("x", (2,), False, 0), Tensor("table/table", (2,), False, 0)
    graph = IntegerGraph("one", {"x": x, y.name: y}, (Lookup("table", "x", y.name, np.zeros(256, np.uint8)),), "x", (y.name,))
    with pytest.raises(EdgekitError, match="'table/table'"):
        write_onnx(graph)


@pytest.fixture
def every_op(rng) -> IntegerGraph:
    return graph_of_every_op(rng)


@pytest.fixture
def model(every_op) -> onnx.ModelProto:
    return onnx.load_model_from_string(write_onnx(every_op))


def constant(model: onnx.ModelProto, ending: str) -> TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name.endswith(ending))


def node(model: onnx.ModelProto, kind: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if node.op_type == kind)


def set_constant(model, ending, values):
    tensor = constant(model, ending)
    tensor.CopyFrom(numpy_helper.from_array(np.array(values, numpy_helper.to_array(tensor).dtype), tensor.name))


def grow_scale(model):
    constant(model, "/weights_scale").CopyFrom(
        numpy_helper.from_array(
            numpy_helper.to_array(constant(model, "/weights_scale")) * np.float32(1.5), constant(model, "/weights_scale").name
        )
    )


DAMAGE = {
    "a scale that is no power of two": (grow_scale, "no power of two"),
    "a constant cut short": (lambda m: setattr(constant(m, "/weights"), "raw_data", b"\0"), "has 1 bytes for shape"),
    "a constant of another type": (lambda m: setattr(constant(m, "/weights"), "data_type", TensorProto.FLOAT), "not of type int8"),
    "a constant outside the file": (lambda m: setattr(constant(m, "/weights"), "data_location", TensorProto.EXTERNAL), "inside the file"),
    "dimensions whose product overflows": (lambda m: constant(m, "/weights").dims.extend([2**62, 2**62]), "bytes for shape"),
    "negative dimensions": (lambda m: constant(m, "/bias").dims.extend([-1, -1]), "bytes for shape"),
    "a missing constant": (lambda m: m.graph.initializer.remove(constant(m, "/table")), "'.*/table' is missing"),
    "an unknown op": (lambda m: m.graph.node.append(helper.make_node("Softmax", ["input"], ["s"], name="s")), "nodes where"),
    "a node that reads itself": (lambda m: node(m, "Conv").input.__setitem__(0, node(m, "Conv").output[0]), "does not lead to a tensor"),
    "no outputs": (lambda m: m.graph.ClearField("output"), "does not lead to a tensor"),
    "two inputs": (lambda m: m.graph.input.append(m.graph.input[0]), "2 inputs"),
    "no annotations": (lambda m: m.graph.ClearField("quantization_annotation"), "annotated scale"),
    "a huge dimension": (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", 2**40), "has no shape"),
    "a fixed batch": (lambda m: setattr(m.graph.input[0].type.tensor_type.shape.dim[0], "dim_value", 1), "has no shape"),
    "a zero point that is not zero": (lambda m: setattr(constant(m, "zero_uint8"), "raw_data", b"\1"), "'zero_uint8' is not as edgekit"),
    "a huge stride": (
        lambda m: next(a for a in node(m, "Conv").attribute if a.name == "strides").ints.__setitem__(0, 2**40),
        "'strides' of node",
    ),
    "no heads": (lambda m: set_constant(m, "/x_shape", [0, 0, 1, 1]), "splits a map into"),
    "more heads than there are channels": (lambda m: set_constant(m, "/x_shape", [0, 10**6, 1, 1]), "cannot take inputs"),
    "heads without columns": (lambda m: set_constant(m, "/x_shape", [0]), "splits a map into"),
    "a product with a bias of another shape": (lambda m: set_constant(m, "/bias", [[[0, 0]]]), "bias"),
    "a slice from nowhere": (lambda m: set_constant(m, "/start", [-1]), "starts at"),
    "a slice from beyond": (lambda m: set_constant(m, "/start", [2**30]), "starts at"),
    "a slice that ends elsewhere": (lambda m: set_constant(m, "/end", [10**6]), "/end' is not as edgekit"),
    "a transposed convolution in groups": (
        lambda m: set_constant(m, next(n.name for n in m.graph.node if n.op_type == "ConvTranspose") + "/weights", np.zeros((2, 2, 2, 2))),
        "groups of 2 channels",
    ),
    "a product that rounds otherwise": (lambda m: set_constant(m, "double_half", 0.25), "is not as edgekit writes it"),
    "another operator set": (lambda m: setattr(m.opset_import[0], "version", 12), "operator sets"),
    "an edited node": (lambda m: node(m, "QuantizeLinear").input.__setitem__(1, "scale_2^77"), "not as edgekit writes it"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage, model):
    change, message = DAMAGE[damage]
    change(model)
    with pytest.raises(EdgekitError, match=message):
        read_onnx(model.SerializeToString())


def test_a_truncated_or_garbled_file_is_refused_or_still_equal(model, rng):
    """Every prefix, and single bytes changed: EdgekitError or a graph, never another exception."""
    data = model.SerializeToString()
    for length in rng.integers(0, len(data), 60):
        with pytest.raises(EdgekitError):
            read_onnx(data[:length])
    for at in rng.integers(0, len(data), 150):
        garbled = bytearray(data)
        garbled[at] ^= int(rng.integers(1, 256))
        with contextlib.suppress(EdgekitError):
            assert isinstance(read_onnx(bytes(garbled)), IntegerGraph)


def test_a_foreign_file_is_refused():
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ("batch", 2)) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "foreign", values[:1], values[1:])
    with pytest.raises(EdgekitError, match=r"value 'x' is no int8 or uint8 tensor.*edgekit reads"):
        read_onnx(helper.make_model(graph).SerializeToString())
