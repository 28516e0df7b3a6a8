"""edgekit verify on a real exported folder: exit code 0, and 1 for one changed byte."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bundles import exact_plan

from edgekit.bundle import WeightsSource
from edgekit.cli.main import main
from edgekit.graph import Dense, IntegerGraph, Tensor
from edgekit.plan import write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    tensors = (Tensor("image", (4, 4, 1), signed=True, binary_point=7), Tensor("logits", (5,), signed=True, binary_point=3))
    weights = (4 * rng.integers(-31, 32, (16, 5))).astype(np.int8)
    op = Dense("dense", "image", "logits", weights, np.full(5, 2, np.int32), weight_binary_points=(4,) * 5)
    graph = IntegerGraph("tiny", {tensor.name: tensor for tensor in tensors}, (op,), "image", ("logits",))
    plan = exact_plan(graph, options={}, weights=WeightsSource("random", seed=2))
    write(plan, tmp_path / "out")
    return tmp_path / "out"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as stop:
        main(["verify", *words, "--executor", "tflite-xnnpack", "--executor", "tflite-reference"])
    return int(stop.value.code or 0)


def test_an_exported_folder_passes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(str(folder)) == 0
    text = capsys.readouterr().out
    assert "tiny, qfx, for rpi4" in text and "no differing bit" in text and "25 photographs, 25 noise, 14 extremes; seed 0" in text
    assert "the upper in 5 of 5 channels" in " ".join(text.split())


def test_one_changed_byte_is_exit_code_1(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = bytearray((folder / "model.tflite").read_bytes())
    content[-1] ^= 1
    (folder / "model.tflite").write_bytes(content)
    assert run(str(folder)) == 1
    assert "FAILED: model.tflite: changed since it was exported" in capsys.readouterr().out


def test_a_broken_graph_with_a_right_hash_is_exit_code_2(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever changed the file also wrote its hash into the manifest: then the reader of the graph refuses it."""
    import hashlib

    broken = b"\x08\x07not a graph"
    (folder / "model.onnx").write_bytes(broken)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["model.onnx"] = hashlib.sha256(broken).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert run(str(folder)) == 2
    assert capsys.readouterr().out == ""


def test_json_is_the_report(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(str(folder), "--json", "--inputs", "10") == 0
    data = json.loads(capfd.readouterr().out)
    assert data["passed"] and data["baseline"] == "reference"
    assert [(one["name"], one["differing"]) for one in data["executors"]] == [("tflite-reference", 0), ("tflite-xnnpack", 0)]
