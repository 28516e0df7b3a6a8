"""Float networks in files of other tools than Keras, from the file to a bundle: what a bundle says is what the file's own runtime says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
import pytest

from edgekit import tolerances
from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, as_pixels, normalize
from edgekit.jobs import ModelRequest, export_model
from edgekit.jobs.candidates import candidates_of
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


def test_a_float_network_as_onnx_takes_no_options_of_the_zoo() -> None:
    with pytest.raises(EdgekitError, match="is a file, which settles --size itself"):
        export_model(ModelRequest(str(TORCH), size=64), target="rpi4")
