"""Float ONNX networks, node by node and whole: the Keras model that is made gives what onnxruntime gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgekit import tolerances
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.keras_models.files.onnx_model import READERS, read_onnx_model

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
RNG = np.random.default_rng(11)
SHAPE = (1, 6, 8, 10)


def values(*shape: int) -> np.ndarray[Any, Any]:
    return RNG.normal(0, 0.5, shape).astype(np.float32)


def file_of(path: Path, nodes: list[Any], constants: dict[str, Any], shape: tuple[int, ...] = SHAPE, opset: int = 17) -> Path:
    """A network from "x" to "y"."""
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    target = path / "net.onnx"
    target.write_bytes(model.SerializeToString())
    return target


def node(kind: str, inputs: str, output: str = "y", **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], name=f"{kind.lower()}/{output}", **attributes)


def assert_equal(path: Path, shape: tuple[int, ...] = SHAPE) -> Any:
    model = read_onnx_model(path)
    inputs = values(4, *shape[1:])
    session = onnxruntime.InferenceSession(str(path))
    expected = np.concatenate([session.run(None, {"x": one[np.newaxis]})[0] for one in inputs])
    maps = inputs.transpose(0, 2, 3, 1) if inputs.ndim == 4 and model.inputs[0].shape[-1] == shape[1] else inputs
    found = np.asarray(model(maps))
    found = found.transpose(0, 3, 1, 2) if found.ndim == 4 and found.shape != expected.shape else found
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerances.FLOAT_KERNELS * float(np.abs(expected).max()))
    return model


def conv(groups: int, filters: int, kernel: tuple[int, int], **attributes: Any) -> tuple[list[Any], dict[str, Any]]:
    constants = {"w": values(filters, 6 // groups, *kernel), "b": values(filters)}
    return [node("Conv", "x w b", group=groups, **attributes)], constants


CASES: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "conv": conv(1, 4, (3, 3), pads=[1, 1, 1, 1]),
    "conv by two, torch's padding": conv(1, 4, (3, 3), pads=[1, 1, 1, 1], strides=[2, 2]),
    "conv by two, same padding": conv(1, 4, (3, 3), auto_pad="SAME_UPPER", strides=[2, 2]),
    "conv with dilation": conv(1, 4, (3, 2), pads=[2, 1, 2, 0], dilations=[2, 1]),
    "conv in groups": conv(2, 4, (1, 1)),
    "depthwise": conv(6, 6, (3, 5), pads=[1, 2, 1, 2]),
    "depthwise with a multiplier": conv(6, 12, (3, 3)),
    "batch norm": (
        [node("BatchNormalization", "x g b m v", epsilon=1e-3)],
        {"g": values(6), "b": values(6), "m": values(6), "v": np.abs(values(6)) + 0.1},
    ),
    "relu6": ([node("Clip", "x low high")], {"low": np.float32(0), "high": np.float32(6)}),
    "sigmoid": ([node("Sigmoid", "x")], {}),
    "swish": ([node("Sigmoid", "x", "s"), node("Mul", "x s")], {}),
    "hard sigmoid of Keras": ([node("HardSigmoid", "x")], {}),
    "hard sigmoid of torch": ([node("HardSigmoid", "x", alpha=1 / 6)], {}),
    "hard swish": ([node("HardSwish", "x")], {}),
    "hard swish by its gate": ([node("HardSigmoid", "x", "s", alpha=1 / 6), node("Mul", "s x")], {}),
    "hard swish spelled out": (
        [node("Add", "x three", "a"), node("Clip", "a low high", "c"), node("Mul", "x c", "p"), node("Div", "p six")],
        {"three": np.float32(3), "low": np.float32(0), "high": np.float32(6), "six": np.float32(6)},
    ),
    "hard swish, its gate divided": (
        [node("Add", "x three", "a"), node("Clip", "a low high", "c"), node("Div", "c six", "g"), node("Mul", "x g")],
        {"three": np.float32(3), "low": np.float32(0), "high": np.float32(6), "six": np.float32(6)},
    ),
    "gelu by erf": (
        [node("Div", "x r", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"), node("Mul", "x a", "p"), node("Mul", "p half")],
        {"r": np.float32(2**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    ),
    "gelu, half of x first": (
        [node("Mul", "x r", "d"), node("Erf", "d", "e"), node("Add", "e one", "a"), node("Mul", "x half", "h"), node("Mul", "h a")],
        {"r": np.float32(0.5**0.5), "one": np.float32(1), "half": np.float32(0.5)},
    ),
    "leaky relu, elu, tanh, softplus": (
        [node("LeakyRelu", "x", "a", alpha=0.2), node("Elu", "a", "b"), node("Tanh", "b", "c"), node("Softplus", "c")],
        {},
    ),
    "numbers a channel": ([node("Mul", "x s", "a"), node("Add", "a t")], {"s": values(1, 6, 1, 1), "t": values(6, 1, 1)}),
    "one number for all": ([node("Sub", "x half", "a"), node("Div", "a half")], {"half": np.float32(0.5)}),
    "a sum and a join": ([node("Relu", "x", "a"), node("Add", "x a", "b"), node("Concat", "b a", axis=1)], {}),
    "a gate": ([node("GlobalAveragePool", "x", "m"), node("Sigmoid", "m", "g"), node("Mul", "x g")], {}),
    "pools": (
        [node("Relu", "x", "r"), node("MaxPool", "r", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])],
        {},
    ),
    "a mean of windows": ([node("AveragePool", "x", kernel_shape=[2, 2], strides=[2, 2])], {}),
    "a mean that counts its padding": (
        [node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)],
        {},
    ),
    "mean over rows and columns": ([node("ReduceMean", "x", axes=[2, 3], keepdims=0)], {}),
    "flattened channel by channel": ([node("Flatten", "x", "f"), node("Gemm", "f w b", transB=1)], {"w": values(5, 480), "b": values(5)}),
    "flattened by Reshape, MatMul": ([node("Reshape", "x s", "f"), node("MatMul", "f w")], {"s": np.array([1, -1]), "w": values(480, 5)}),
    "sizes computed from a shape": (
        [
            *(node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n axes", "u")),
            *(node("Concat", "u rest", "t", axis=0), node("Reshape", "x t", "f"), node("MatMul", "f w")),
        ],
        {"zero": np.array(0), "axes": np.array([0]), "rest": np.array([-1]), "w": values(480, 3)},
    ),
    "to channels last and back": (
        [node("Transpose", "x", "a", perm=[0, 2, 3, 1]), node("Relu", "a", "b"), node("Transpose", "b", perm=[0, 3, 1, 2])],
        {},
    ),
    "padding apart": ([node("Pad", "x p", "a"), node("Conv", "a w")], {"p": np.array([0, 0, 1, 2, 0, 0, 0, 1]), "w": values(4, 6, 3, 3)}),
    "some channels": ([node("Slice", "x s e a")], {"s": np.array([2]), "e": np.array([5]), "a": np.array([1])}),
    "each cell twice": (
        [node("Resize", "x  s", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")],
        {"s": np.array([1, 1, 2, 2], np.float32)},
    ),
    "transposed by its kernel": ([node("ConvTranspose", "x w b", strides=[2, 2])], {"w": values(6, 4, 2, 2), "b": values(4)}),
    "softmax over channels": ([node("Softmax", "x", axis=1)], {}),
    "a head as exporters write it": (
        [node("GlobalAveragePool", "x", "p"), node("Squeeze", "p axes", "v"), node("Gemm", "v w b"), node("Identity", "y", "z")],
        {"axes": np.array([2, 3]), "w": values(6, 5), "b": values(5)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_nodes(case: str, tmp_path: Path) -> None:
    nodes, constants = CASES[case]
    if case == "each cell twice":
        nodes[0].input[:] = ["x", "", "s"]
    assert_equal(file_of(tmp_path, nodes, constants))


def test_functions_that_are_spelled_out_become_one_layer(tmp_path: Path) -> None:
    for case, function in (
        ("gelu by erf", "gelu"),
        ("hard swish spelled out", "hard_swish"),
        ("hard swish by its gate", "hard_swish"),
        ("swish", "swish"),
    ):
        model = assert_equal(file_of(tmp_path, *CASES[case]))
        assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Activation"], case
        assert model.layers[-1].activation.__name__ == function


def test_a_vector_of_inputs(tmp_path: Path) -> None:
    nodes = [node("Gemm", "x w b", "h", transB=1), node("Relu", "h", "r"), node("Gemm", "r v c", transB=1)]
    constants = {"w": values(8, 6), "b": values(8), "v": values(6, 8), "c": values(6)}
    assert_equal(file_of(tmp_path, nodes, constants, shape=(1, 6)), (1, 6))


@pytest.mark.parametrize("opset", [11, 13, 22])
def test_opsets(tmp_path: Path, opset: int) -> None:
    nodes, constants = CASES["conv by two, torch's padding"]
    assert_equal(file_of(tmp_path, nodes, constants, opset=opset))


REFUSED = {
    "another op": ([node("Sin", "x")], {}, r"node 'sin/y' of the ONNX file is a Sin\. Supported: Add, "),
    "a max pool of negative values": (
        [node("MaxPool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])],
        {},
        "pads a map with values below 0",
    ),
    "softmax over rows": ([node("Softmax", "x", axis=2)], {}, r"node 'softmax/y' \(Softmax\) .* over another axis"),
    "gelu by tanh": ([node("Gelu", "x", approximate="tanh")], {}, "is GELU by tanh"),
    "a transpose inside": ([node("Transpose", "x", perm=[0, 1, 3, 2])], {}, "channels to the end and back"),
    "attention": ([node("Flatten", "x", "f"), node("MatMul", "f f")], {}, "multiplies two layers' outputs"),
    "an erf alone": ([node("Erf", "x")], {}, "is no part of a GELU"),
    "a constant for each cell": ([node("Add", "x c")], {"c": values(8, 10)}, "one number a channel is supported"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read_is_refused_by_name(case: str, tmp_path: Path) -> None:
    nodes, constants, message = REFUSED[case]
    with pytest.raises(UnsupportedLayer, match=message):
        read_onnx_model(file_of(tmp_path, nodes, constants, opset=20))


def test_files_that_are_no_network(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    for content, message in ((b"", "without a network"), (b"\xff" * 40, "not an ONNX file")):
        path.write_bytes(content)
        with pytest.raises(EdgekitError, match=message):
            read_onnx_model(path)
    with pytest.raises(EdgekitError, match="opset 9"):
        read_onnx_model(file_of(tmp_path, [node("Relu", "x")], {}, opset=9))
    with pytest.raises(EdgekitError, match="left open"):
        read_onnx_model(file_of(tmp_path, [node("Relu", "x")], {}, shape=(1, 3, None, None)))  # type: ignore[arg-type]
    with pytest.raises(EdgekitError, match="which nothing before it gives"):
        read_onnx_model(file_of(tmp_path, [node("Add", "x q")], {}))


def test_an_integer_graph_is_told_from_a_float_network(tmp_path: Path, rng: np.random.Generator) -> None:
    from random_graphs import random_graph

    from edgekit.graph import is_integer_graph, write_onnx

    assert is_integer_graph(write_onnx(random_graph(rng)))
    assert not is_integer_graph(file_of(tmp_path, [node("Relu", "x")], {}).read_bytes())


def test_every_reader_has_a_case() -> None:
    tried = {one.op_type for nodes, *_ in (*CASES.values(), *REFUSED.values()) for one in nodes}
    assert sorted(set(READERS) - tried) == ["Cast", "Dropout"]


@pytest.mark.parametrize("opset", [13, 18])
def test_a_network_that_pytorch_exported(opset: int) -> None:
    """Written by torch.onnx.export of PyTorch 2.13, its TorchScript exporter and its newer one: a padded stem and max pool, a gate,
    hard-swish, GELU, SiLU, and a dense layer behind a map of 4 x 4 cells. Nothing but traces of the source was taken out."""
    path = Path(__file__).parents[1] / "golden" / f"torch_exported_opset{opset}.onnx"
    model = read_onnx_model(path)
    image = values(1, 3, 32, 32)
    session = onnxruntime.InferenceSession(str(path))
    (expected,) = session.run(None, {session.get_inputs()[0].name: image})
    np.testing.assert_allclose(np.asarray(model(image.transpose(0, 2, 3, 1))), expected, rtol=0, atol=tolerances.FLOAT_KERNELS)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Activation") == 4 and "BatchNormalization" not in kinds  # the exporter folded it


@pytest.mark.parametrize("batch", [1, "unk__1"])
def test_a_network_that_tf2onnx_converted(batch: int | str, tmp_path: Path) -> None:
    """Written by tf2onnx 1.17 of a Keras 2 model: channels last at the input, Transposes, SAME padding as pads, a batch norm folded in,
    swish as Sigmoid and Mul, a gate, UpSampling2D as Resize, Flatten as Transpose and Reshape. Users leave the batch open."""
    model = onnx.load(str(Path(__file__).parents[1] / "golden" / "tf2onnx_opset15.onnx"))
    if isinstance(batch, str):
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_param = batch
    path = tmp_path / "net.onnx"
    onnx.save(model, str(path))
    read, image = read_onnx_model(path), values(1, 16, 16, 3)
    (expected,) = onnxruntime.InferenceSession(str(path)).run(None, {"image": image})
    assert read.input_shape == (None, 16, 16, 3)
    np.testing.assert_allclose(np.asarray(read(image)), expected, rtol=0, atol=tolerances.FLOAT_KERNELS)
    assert np.ptp(expected) > 0.01


def test_damaged_files_are_refused_or_read(tmp_path: Path) -> None:
    """Bytes at random places, and values of its messages: what is not refused is a network still."""
    whole = (Path(__file__).parents[1] / "golden" / "torch_exported_opset13.onnx").read_bytes()
    rng, refused = np.random.default_rng(5), 0
    for _ in range(24):
        content = bytearray(whole)
        for place in rng.integers(0, len(content), int(rng.integers(1, 4))):
            content[place] = int(rng.integers(256))
        (tmp_path / "a.onnx").write_bytes(content)
        try:
            assert read_onnx_model(tmp_path / "a.onnx").inputs
        except EdgekitError as error:
            refused += bool(str(error))
    assert 2 < refused < 22
    for change, message in (
        (lambda graph: graph.node[0].attribute.add(name="group", i=7, type=2), "node .* has a kernel"),
        (lambda graph: graph.output[0].ClearField("name"), "has an output '' that no node gives"),
        (lambda graph: graph.node[-1].attribute.add(name="transB", i=0, type=2), "node .* cannot be read: operands"),
    ):
        model = onnx.load_from_string(whole)
        change(model.graph)
        (tmp_path / "a.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(EdgekitError, match=message):
            read_onnx_model(tmp_path / "a.onnx")
