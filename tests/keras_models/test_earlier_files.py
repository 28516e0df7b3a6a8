"""QFX models that an earlier edgekit saved: they load, and freeze to the integers that they froze to then.

qfx_trained.keras is a stage of SBCFormer as `quantize` made it, qfx_thawed.keras the model of its integers, qfx.onnx.gz the graph. Between
them they have every QFX quantizer and quantized layer; their modules have moved since.
"""

from __future__ import annotations

import gzip
import json
import re
import zipfile
from pathlib import Path

import pytest

from edgekit.graph import equal, read_onnx
from edgekit.images.preprocessing import IMAGENET
from edgekit.keras_models.files.model_files import load_model, read_notes
from edgekit.keras_models.qfx.freeze import freeze
from edgekit.keras_models.qfx.model import QUANTIZERS
from edgekit.keras_models.qfx.products import QKERAS_CUSTOM_LAYERS

GOLDEN = Path(__file__).parents[1] / "golden"
FILES = [GOLDEN / "qfx_trained.keras", GOLDEN / "qfx_thawed.keras"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_saved_qfx_model_freezes_to_the_same_graph(path: Path) -> None:
    graph = read_onnx(gzip.decompress((GOLDEN / "qfx.onnx.gz").read_bytes()))
    assert equal(freeze(load_model(path), graph.name), graph)


def test_its_notes_are_read() -> None:
    assert read_notes(FILES[0]) == (IMAGENET, None)


def test_the_files_have_every_quantizer_and_layer_of_qfx() -> None:
    configs = [json.dumps(json.loads(zipfile.ZipFile(path).read("config.json"))) for path in FILES]
    names = {name for config in configs for name in re.findall(r'"class_name": "(\w+)"', config)}
    assert {one.__name__ for one in QUANTIZERS} | set(QKERAS_CUSTOM_LAYERS) <= names
    clamps = {clamp for config in configs for clamp in re.findall(r'"clamp": "(\w+)"', config)}
    assert clamps == {"none", "relu", "relu6"}
