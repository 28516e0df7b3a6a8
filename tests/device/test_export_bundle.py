"""What `edgekit export` writes for a device: the same bytes for the same request, checked by the bundle's own run.py."""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import json
import subprocess
import sys

import pytest

from edgekit.bundle import open_bundle
from edgekit.errors import EdgekitError
from edgekit.jobs import ModelRequest, export_model
from edgekit.targets.devices import TFLITE_RUNTIME

SMALL = ModelRequest("mobilenet_v2", alpha=0.35, size=32, classes=4)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    labels = folder / "labels.txt"
    labels.write_text("cat\ndog\nBär\nbird\n", encoding="utf-8")
    return export_model(SMALL, target="rpi4", precision="dynamic", labels=labels, output=folder / "a")


@pytest.mark.slow  # as the command does in tests/cli
def test_the_same_request_gives_the_same_bytes(tmp_path):
    one, other = (export_model(SMALL, target="android", precision="float32", output=tmp_path / name) for name in ("a", "b"))
    assert one.digest == other.digest
    assert all((one.folder / path).read_bytes() == (other.folder / path).read_bytes() for path in one.sizes)


def test_a_dynamic_file_for_the_pi_is_one_that_both_runtimes_have(exported):
    from edgekit.tflite.op_versions import lacking

    bundle = open_bundle(exported.folder)
    assert bundle.manifest.runtimes == ("ai-edge-litert 2.1.6", "tflite-runtime 2.14.0")
    assert not lacking(bundle.artifact.tflite, TFLITE_RUNTIME)
    assert any("one scale for all outputs" in note and "tflite-runtime 2.14.0" in note for note in exported.notes)


def test_the_bundle_has_what_the_device_needs_and_proves_itself(exported):
    folder = exported.folder
    assert set(exported.sizes) == {
        "manifest.json",
        "model.tflite",
        "labels.txt",
        "golden/input.bin",
        "golden/output.bin",
        "input_table.bin",
        "pixels.py",
        "run.py",
    }
    assert (folder / "labels.txt").read_text(encoding="utf-8").splitlines() == ["cat", "dog", "Bär", "bird"]
    assert os.access(folder / "run.py", os.X_OK)
    done = subprocess.run([sys.executable, folder / "run.py", "check", "--json"], capture_output=True, text=True)
    golden = json.loads(done.stdout)["golden"]
    assert done.returncode == 0 and golden["from"] == "tflite-reference" and golden["vectors"] == 8


def test_labels_that_do_not_fit_write_nothing(tmp_path):
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\n")
    with pytest.raises(EdgekitError, match="2 labels for 4 classes"):
        export_model(SMALL, target="android", precision="float32", labels=labels, output=tmp_path / "out")
    with pytest.raises(EdgekitError, match="cannot read the labels"):
        export_model(SMALL, target="android", precision="float32", labels=tmp_path / "none", output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_runtime_that_the_device_cannot_have_is_refused_at_once(tmp_path):
    with pytest.raises(EdgekitError, match="has no runtime 'ai-edge-litert'; it can have tflite-runtime"):
        export_model(SMALL, target="rpi3", runtime="ai-edge-litert", output=tmp_path / "out")
