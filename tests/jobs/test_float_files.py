"""Float networks in files of other tools than Keras, from the file to a bundle: what a bundle says is what the file's own runtime says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from edgekit import tolerances
from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import IMAGENET, MINUS_ONE_TO_ONE, as_pixels, normalize
from edgekit.jobs import ModelRequest, export_model, load_source
from edgekit.jobs.candidates import candidates_of
from edgekit.jobs.source import FloatModel
from edgekit.keras_models.training.images import photographs

TORCH = Path(__file__).parents[1] / "golden" / "torch_exported_opset13.onnx"


def scores(name: str, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """What `evaluate` would compare with labels, on the first executor of its choice."""
    (candidate,) = candidates_of(name)
    with candidate.open(lambda text: None) as score:
        return score(pixels)


def onnxruntime_scores(path: Path, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    session = onnxruntime.InferenceSession(str(path))
    images = normalize(pixels, MINUS_ONE_TO_ONE).astype(np.float32).transpose(0, 3, 1, 2)
    return np.concatenate([session.run(None, {session.get_inputs()[0].name: image[np.newaxis]})[0] for image in images])


def test_a_network_of_pytorch_from_onnx_to_bundles(tmp_path: Path) -> None:
    pixels = as_pixels(photographs(32, 48, 3))
    expected = onnxruntime_scores(TORCH, pixels)
    np.testing.assert_allclose(scores(str(TORCH), pixels), expected, rtol=0, atol=tolerances.FLOAT_KERNELS)
    for precision in ("float32", "qfx"):
        export_model(ModelRequest(str(TORCH)), target="rpi4", precision=precision, output=tmp_path / precision)
    np.testing.assert_allclose(scores(str(tmp_path / "float32"), pixels), expected, rtol=0, atol=tolerances.FLOAT_KERNELS)
    agree = scores(str(tmp_path / "qfx"), pixels).argmax(axis=1) == expected.argmax(axis=1)
    assert agree.mean() > 0.8


def test_arithmetic_at_the_head_of_a_file_of_another_tool_is_part_of_the_table(tmp_path: Path) -> None:
    """As torchvision's normalization in front of a network: pixels / 255, less the mean, by the deviation."""
    model = onnx.load(str(TORCH))
    rows = ("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))
    constants = [numpy_helper.from_array(np.array(values, np.float32).reshape(1, 3, 1, 1), name) for name, values in rows]
    model.graph.initializer.extend([*constants, numpy_helper.from_array(np.array(255, np.float32), "white")])
    for node in model.graph.node:
        node.input[:] = ["normalized" if name == "image" else name for name in node.input]
    nodes = (("Div", "image", "white", "unit"), ("Sub", "unit", "mean", "centred"), ("Div", "centred", "std", "normalized"))
    for at, (kind, x, y, result) in enumerate(nodes):
        model.graph.node.insert(at, onnx.helper.make_node(kind, [x, y], [result], name=result))
    path = tmp_path / "net.onnx"
    onnx.save(model, str(path))
    source = load_source(ModelRequest(str(path)))
    assert isinstance(source, FloatModel) and not source.assumed
    assert "BatchNormalization" not in [type(layer).__name__ for layer in source.keras.layers[:4]]
    np.testing.assert_allclose((*source.preprocessing.mean, *source.preprocessing.std), (*IMAGENET.mean, *IMAGENET.std), rtol=1e-6)
    pixels = as_pixels(photographs(32, 12, 3))
    session = onnxruntime.InferenceSession(str(path))
    expected = np.concatenate([session.run(None, {"image": one[np.newaxis].astype(np.float32)})[0] for one in pixels.transpose(0, 3, 1, 2)])
    np.testing.assert_allclose(scores(str(path), pixels), expected, rtol=0, atol=tolerances.FLOAT_KERNELS)


def test_a_float_network_as_onnx_takes_no_options_of_the_zoo() -> None:
    with pytest.raises(EdgekitError, match="is a file, which settles --size itself"):
        export_model(ModelRequest(str(TORCH), size=64), target="rpi4")
