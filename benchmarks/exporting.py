"""Export against TensorFlow's converter on its own."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from timing import Row, ratio, seconds_of

from edgekit.jobs import ModelRequest, export_model, load_source
from edgekit.keras_models.training.images import photographs
from edgekit.tflite.tensorflow import Precision, convert

NETWORK, SIZE, IMAGES = "mobilenet_v2", 224, 64


def export_ratios() -> Iterator[Row]:
    """Both sides start from a Keras file and end with a file on disk; int8 and qfx calibrate with the same number of images."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = load_source(ModelRequest(NETWORK, size=SIZE))
        model = source.keras
        model.save(folder / "model.keras")
        images = photographs(SIZE, IMAGES, 1)

        def bare() -> None:
            (folder / "bare.tflite").write_bytes(convert(model, Precision.INT8, images))

        def ours(precision: str) -> None:
            export_model(ModelRequest(str(folder / "model.keras")), target="rpi4", precision=precision, output=folder / precision)

        for precision in ("qfx", "int8"):
            what = f"MobileNetV2 1.0 at {SIZE}: export {precision} / bare int8 converter"
            exported, converted = (precision, partial(seconds_of, partial(ours, precision))), ("bare", partial(seconds_of, bare))
            yield ratio("export", what, exported, converted, rounds=2)
