"""export, hls and verify from start to end, each as a process of its own: TensorFlow's start is most of the time, so there are few."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from processes import command, edgekit, listing, variables

from edgekit.bundle import open_bundle
from edgekit.graph import Conv2D, IntegerGraph
from edgekit.graph.onnx_read import read_onnx

TINY = ("mobilenet_v2", "--alpha", "0.35", "--size", "32", "--classes", "10")
SMALLEST = ("mobilenet_v1", "--alpha", "0.25", "--size", "32", "--classes", "10")
EXPORT = ("export", *TINY, "--target", "rpi4", "-o", "out")
ALL_BUT_HLS = ("reference", "keras", "onnxruntime", "tflite-reference", "tflite-optimized", "tflite-xnnpack")
QUICK = ("--executor", "tflite-reference", "--executor", "tflite-xnnpack")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder, and what the command said."""
    folder = tmp_path_factory.mktemp("exported")
    done = edgekit(folder, *EXPORT, "--json", PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    return folder / "out", json.loads(done.stdout)


@pytest.fixture
def bundle(exported: tuple[Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(exported[0], tmp_path / "out"))


def graph_of(folder: Path) -> IntegerGraph:
    return read_onnx((folder / "model.onnx").read_bytes())


def test_export_says_what_it_wrote(exported: tuple[Path, dict[str, Any]]) -> None:
    folder, said = exported
    assert [path.name for path in folder.parent.iterdir()] == ["out"]
    assert (said["folder"], said["name"], said["precision"], said["target"]) == ("out", "mobilenet_v2_0.35_32", "qfx", "rpi4")
    assert said["sizes"] == {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    golden = {"golden/input.bin", "golden/output.bin"}
    preprocessing = {"input_table.bin", "pixels.py"}
    assert set(said["sizes"]) == {"manifest.json", "model.onnx", "model.tflite", "labels.txt", "run.py", *golden, *preprocessing}
    assert len(said["warnings"]) == 1 and "RANDOM weights (seed 0)" in said["warnings"][0]


def test_the_same_command_gives_the_same_bytes(exported: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """In another process, with another order of Python's sets; --json changes no file."""
    done = edgekit(tmp_path, *EXPORT, PYTHONHASHSEED="2")
    assert done.returncode == 0, done.stderr
    assert listing(tmp_path / "out") == listing(exported[0])
    assert "RANDOM" in done.stderr and "Next: edgekit verify out" in done.stdout


def test_an_exported_network_is_the_same_on_every_executor(exported: tuple[Path, dict[str, Any]]) -> None:
    folder = exported[0]
    only = (word for name in ALL_BUT_HLS for word in ("--executor", name))
    done = edgekit(folder.parent, "verify", "out", "--json", *only)
    report = json.loads(done.stdout)
    assert done.returncode == 0, report["failures"]
    assert [(one["name"], one["differing"]) for one in report["executors"]] == [(name, 0) for name in ALL_BUT_HLS[1:]]
    assert report["inputs"]["count"] == 64 and report["inputs"]["kinds"] == {"photograph": 17, "noise": 17, "extreme": 14, "climb": 16}
    assert all(one["values"] > 1_000_000 for one in report["executors"])
    output = report["outputs"][0]
    assert output["varying"] == output["elements"] == 10 and output["distinct"] > 16


@pytest.mark.csim
def test_an_hls_project_is_the_same_in_its_simulation(tmp_path: Path) -> None:
    done = edgekit(tmp_path, "hls", *SMALLEST, "--board", "ultra96", "-o", "project", "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["files"] == sum(path.is_file() for path in (tmp_path / "project").rglob("*")) and said["part"].startswith("xczu3eg")
    done = edgekit(tmp_path, "verify", "project", "--json", "--executor", "hls-csim", "--executor", "keras")
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert [(one["name"], one["differing"]) for one in report["executors"]] == [("keras", 0), ("hls-csim", 0)]


def test_a_simulation_without_a_compiler_is_named_with_its_reason(bundle: Path) -> None:
    done = edgekit(bundle.parent, "verify", "out", "--inputs", "2", *QUICK, "--executor", "hls-csim", EDGEKIT_CXX="/nonexistent/g++")
    assert done.returncode == 2 and done.stdout == ""
    assert "executor 'hls-csim' cannot run here: EDGEKIT_CXX is '/nonexistent/g++'" in done.stderr


def test_one_flipped_weight_that_the_manifest_does_not_tell_is_found_bit_by_bit(bundle: Path) -> None:
    """Whoever changed the file also wrote its hash into the manifest: then the executors differ from the graph."""
    first = next(op for op in graph_of(bundle).ops if isinstance(op, Conv2D))
    content = bytearray((bundle / "model.tflite").read_bytes())
    weights = first.weights.transpose(3, 0, 1, 2).tobytes()
    at = content.find(weights)
    assert at > 0 and content.count(weights) == 1
    content[at] ^= 64
    (bundle / "model.tflite").write_bytes(content)
    done = edgekit(bundle.parent, "verify", "out", "--json", *QUICK)
    assert done.returncode == 1
    assert json.loads(done.stdout)["failures"] == ["model.tflite: changed since it was exported; export again"]

    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"]["model.tflite"] = hashlib.sha256(content).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    done = edgekit(bundle.parent, "verify", "out", "--json", *QUICK)
    report = json.loads(done.stdout)
    assert done.returncode == 1 and not report["passed"]
    for one in report["executors"]:
        assert one["differing"] > 0 and one["first"]["tensor"] == first.output


def test_a_killed_export_leaves_no_folder_or_a_whole_one(bundle: Path) -> None:
    """From an ONNX graph, which needs no TensorFlow. Killed at moments over the whole run, more of them near its end."""
    folder = bundle.parent
    (folder / "net.onnx").write_bytes((bundle / "model.onnx").read_bytes())
    words = ("export", "net.onnx", "--target", "rpi4", "-o", "killed")
    start = time.monotonic()
    assert edgekit(folder, *words).returncode == 0
    whole, seconds = listing(folder / "killed"), time.monotonic() - start
    shutil.rmtree(folder / "killed")
    moments, outcomes = random.Random(1), []
    for _ in range(8):
        child = subprocess.Popen(command(*words), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=variables())
        time.sleep(seconds * (1 - moments.random() ** 2))
        child.kill()
        child.wait()
        outcomes.append((folder / "killed").exists())
        assert listing(folder / "killed") == (whole if outcomes[-1] else {})
        shutil.rmtree(folder / "killed", ignore_errors=True)
    assert not all(outcomes)
    assert edgekit(folder, *words).returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == ["killed", "net.onnx", "out"]  # what a killed run left is cleared away
    assert open_bundle(folder / "killed").changed == {}


def test_models_is_one_json_object(tmp_path: Path) -> None:
    found = json.loads(edgekit(tmp_path, "models", "--json").stdout)
    names = [network["name"] for network in found["networks"]]
    assert names[:2] == ["mobilenet_v1", "mobilenet_v2"]
    assert len(set(names)) == len(names)
