"""What stands in the exact file: op versions, padding, quantization, the signature, alignment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from random_graphs import integer_graphs, one_layer, random_graph

from edgekit.errors import ContractError, EdgekitError
from edgekit.graph import (
    Activation,
    Add,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    IntegerGraph,
    Lookup,
    MaxPool,
    Padding,
    Tensor,
    same_padding,
)
from edgekit.graph.ir import OP_TYPES
from edgekit.tflite import schema
from edgekit.tflite.reader import describe, parse
from edgekit.tflite.tensors import logical, stored
from edgekit.tflite.writer import write_tflite

X, Y = Tensor("x", (5, 5, 4), False, 3), Tensor("y", (5, 5, 4), True, 2)

LOWEST_FOR_INT8 = {
    "ADD": (1, 2),  # 1 is int32 and float32 addition
    "BATCH_MATMUL": (1, 2),  # 1 is float32
    "CAST": (3,),
    "CONCATENATION": (2,),
    "CONV_2D": (3,),
    "DEPTHWISE_CONV_2D": (3,),
    "DEPTH_TO_SPACE": (1,),
    "DEQUANTIZE": (2,),
    "FULLY_CONNECTED": (4,),
    "GATHER": (2,),
    "GELU": (2,),
    "MAX_POOL_2D": (2,),
    "MUL": (1,),  # int32 and float32
    "PAD": (2,),
    "PADV2": (2,),
    "QUANTIZE": (1,),
    "RESHAPE": (1,),
    "RIGHT_SHIFT": (1,),
    "SLICE": (2,),
    "SUB": (1,),  # int32
    "TRANSPOSE": (2,),
}
"""What TFLite's own versioning asks for. tflite-runtime 2.14 runs all of them."""


def convolution(kernel: int = 3, **changes) -> Conv2D:
    weights = np.full((kernel, kernel, 4, 4), 4, np.int8)
    return replace(Conv2D("layer", "x", "y", weights, np.full(4, 2, np.int32), (4, 5, 6, 7)), **changes)


def ops_of(graph: IntegerGraph) -> list[str]:
    return [op.name for op in describe(write_tflite(graph))]


@settings(max_examples=40)
@given(integer_graphs(OP_TYPES, length=8))
def test_files_are_deterministic_and_ask_for_no_newer_op_than_needed(graph):
    data = write_tflite(graph)
    assert data == write_tflite(graph)
    assert all(op.version in LOWEST_FOR_INT8[op.name] for op in describe(data))


@pytest.mark.parametrize(
    ("padding", "strides", "expected"),
    [
        (Padding(), (1, 1), ["CONV_2D"]),
        (Padding(1, 1, 1, 1), (1, 1), ["CONV_2D"]),  # SAME
        (Padding(0, 1, 0, 1), (1, 1), ["PAD", "CONV_2D"]),
        (Padding(1, 1, 1, 1), (2, 2), ["CONV_2D"]),  # SAME of an odd size pads both sides
        (Padding(2, 2, 2, 2), (1, 1), ["PAD", "CONV_2D"]),
    ],
)
def test_padding_is_same_valid_or_an_op_of_its_own(padding, strides, expected):
    shape = tuple((5 + padding.top + padding.bottom - 3) // strides[0] + 1 for _ in range(2))
    graph = one_layer(convolution(padding=padding, strides=strides), X, replace(Y, shape=(*shape, 4)))
    assert ops_of(graph) == expected


def test_a_pool_that_is_neither_same_nor_valid_pads_with_the_lowest_value():
    graph = one_layer(MaxPool("pool", "x", "y", (3, 3), (1, 1), Padding(2, 0, 2, 0)), X, replace(X, name="y"))
    assert ops_of(graph) == ["PADV2", "MAX_POOL_2D"]


def test_a_table_is_cast_add_gather():
    assert ops_of(one_layer(Lookup("table", "x", "y", np.zeros(256, np.int8)), X, Y)) == ["CAST", "ADD", "GATHER"]


def test_relu6_above_the_type_is_a_relu():
    """At binary point 40 the integer 6 * 2**40 leaves int32; runtimes refuse the file."""

    def fused(binary_point: int) -> int:
        points = tuple(5 - X.binary_point + binary_point for _ in range(4))
        graph = one_layer(
            convolution(1, weight_binary_points=points, activation=Activation.RELU6), X, replace(Y, binary_point=binary_point)
        )
        return parse(write_tflite(graph)).subgraphs[0].operators[0].builtinOptions.fusedActivationFunction

    kinds = schema.ActivationFunctionType
    assert [fused(4), fused(5), fused(40)] == [kinds.RELU6, kinds.RELU, kinds.RELU]  # 96, 192 > 127


def test_quantization_parameters():
    kernel = DepthwiseConv2D("layer", "x", "y", np.full((3, 3, 4), 4, np.int8), np.full(4, 2, np.int32), (4, 5, 6, 7))
    kernel = replace(kernel, padding=same_padding((5, 5), (3, 3), (1, 1)))
    tensors = {t.name.decode(): t for t in parse(write_tflite(one_layer(kernel, X, Y))).subgraphs[0].tensors}
    found = {name: (t.quantization.scale.tolist(), t.quantization.zeroPoint.tolist()) for name, t in tensors.items()}
    assert found["x"] == ([2**-3], [-128]), "unsigned"
    assert found["y"] == ([2**-2], [0]), "signed"
    assert found["layer/weights"] == ([2**-4, 2**-5, 2**-6, 2**-7], [0] * 4)
    assert found["layer/bias"] == ([2**-7, 2**-8, 2**-9, 2**-10], [0] * 4)
    assert tensors["layer/weights"].quantization.quantizedDimension == 3
    assert tensors["x"].shape.tolist() == [1, 5, 5, 4]


def test_signature_metadata_and_alignment(rng):
    graph = random_graph(rng, length=8)
    data = write_tflite(graph)
    model = parse(data)
    signature = model.signatureDefs[0]
    assert signature.signatureKey == b"serving_default"
    assert [entry.name.decode() for entry in signature.outputs] == list(graph.outputs)
    assert [entry.name.decode() for entry in signature.inputs] == [graph.input]
    runtime = model.buffers[model.metadata[0].buffer].data.tobytes().rstrip(b"\0")
    assert model.metadata[0].name == b"min_runtime_version" and runtime in (b"1.14.0", b"2.8.0")
    large = [buffer.data.tobytes() for buffer in model.buffers if buffer.data is not None and buffer.data.size >= 16]
    assert large and all(data.find(content) % 16 == 0 for content in large)


def test_stored_values_keep_their_order():
    unsigned, signed = np.array([0, 127, 128, 255], np.uint8), np.array([-128, 0, 127], np.int8)
    assert stored(X, unsigned).tolist() == [-128, -1, 0, 127]
    assert stored(Y, signed).tolist() == [-128, 0, 127]
    np.testing.assert_array_equal(logical(X, stored(X, unsigned)), unsigned)
    np.testing.assert_array_equal(logical(Y, stored(Y, signed)), signed)


def test_a_graph_that_breaks_the_contract_is_not_written():
    with pytest.raises(ContractError, match="tensor 'y' breaks rule 1"):
        write_tflite(one_layer(convolution(1, bias=np.zeros(4, np.int32)), X, Y))


def test_a_tensor_named_like_a_constant_is_refused():
    y = replace(X, name="layer/weights")
    with pytest.raises(EdgekitError, match="'layer/weights'"):
        write_tflite(one_layer(convolution(1, output=y.name, weight_binary_points=(3,) * 4), X, y))


def test_a_tensor_may_be_added_to_itself():
    graph = IntegerGraph("twice", {"x": X, "y": replace(X, name="y")}, (Add("sum", ("x", "x"), "y"),), "x", ("y",))
    assert ops_of(graph) == ["ADD"]


def test_dense_is_version_4_with_one_binary_point():
    source, output = Tensor("x", (3, 3, 2), False, 0), Tensor("y", (4,), True, 0)
    dense = Dense("layer", "x", "y", np.full((18, 4), 4, np.int8), np.full(4, 2, np.int32), (5,) * 4)
    assert [(op.name, op.version) for op in describe(write_tflite(one_layer(dense, source, output)))] == [("FULLY_CONNECTED", 4)]
    per_channel = replace(dense, weight_binary_points=(5, 6, 7, 8))
    assert ops_of(one_layer(per_channel, source, output)) == ["RESHAPE", "CONV_2D", "RESHAPE"]
