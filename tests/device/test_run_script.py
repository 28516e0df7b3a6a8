"""run.py of a bundle: what it refuses, what it reads, what it prints; on this Python and on the others that are installed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from edgekit.connections.folder import emulated_session
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE as PIXELS
from edgekit.targets.emulators import EMULATORS
from edgekit.tflite.device_executors import device_scripts, run_script

PYENV = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
PYTHONS = [path for minor in range(9, 14) for path in sorted(PYENV.glob(f"3.{minor}.*/bin/python"))] or [Path(sys.executable)]
"""Those of pyenv; without it the one that runs the tests."""


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(folder / "run.py"), *words], capture_output=True, text=True, timeout=120)


@pytest.fixture
def script(tmp_path: Path) -> ModuleType:
    """run.py as a module, for its functions."""
    path = tmp_path / "run.py"
    path.write_bytes(run_script())
    spec = importlib.util.spec_from_file_location("bundle_run", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_check_finds_the_golden_outputs(make_bundle):
    folder = make_bundle().folder
    done = call(folder, "check", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["schema"] == "edgekit/1"
    assert (found["golden"]["differing_values"], found["golden"]["vectors"], found["golden"]["values"]) == (0, 8, 80)
    assert found["golden"]["outputs_crc32"] == found["golden"]["expected_crc32"]
    assert "0 of 80 values differ from reference" in call(folder, "check").stdout


@pytest.mark.parametrize("command", [("check",), ("time",), ("classify", "image.npy")])
def test_one_changed_byte_of_a_weight_is_caught_before_anything_else(command, make_bundle, tmp_path):
    folder = make_bundle().folder
    np.save(folder / "image.npy", np.zeros((8, 8, 3), np.uint8))
    path = folder / "model.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = call(folder, *command, "--json")
    assert done.returncode == 1
    assert "model.tflite is not the file that was exported" in json.loads(done.stdout)["error"]


def test_wrong_golden_outputs_fail_with_how_many_and_how_far(make_bundle):
    folder = make_bundle().folder
    path = folder / "golden" / "output.bin"
    content = bytearray(path.read_bytes())
    content[3] = (content[3] + 5) % 256
    path.write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["golden/output.bin"] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))
    done = call(folder, "time")
    assert done.returncode == 1 and "1 of 80 golden values differ" in done.stderr and "ms" not in done.stdout


def test_classify_gives_the_five_best_classes_with_their_labels(make_bundle, rng, graph):
    from edgekit.graph import quantize_input
    from edgekit.graph import run as reference

    folder = make_bundle().folder
    pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    np.save(folder / "image.npy", pixels)
    done = call(folder, "classify", str(folder / "image.npy"), "--json")
    classes = json.loads(done.stdout)["classes"]
    logits = reference(graph, quantize_input(graph.tensors["image"], pixels[np.newaxis] / 127.5 - 1))["logits"][0]
    best = np.argsort(-logits.astype(int), kind="stable")[:5]
    assert [one["label"] for one in classes] == [f"class {i}" for i in best]
    assert [one["score"] for one in classes] == [logits[i] / 4 for i in best], "binary point 2"


def test_time_gives_percentiles_that_are_runs_that_happened(make_bundle):
    found = json.loads(call(make_bundle().folder, "time", "--iterations", "7", "--warmup", "0", "--json").stdout)["latency_ms"]
    assert found["runs"] == 7 == len(found["samples"])
    assert found["p50"] == sorted(found["samples"])[3] and found["max"] == found["p99"] == max(found["samples"])


def test_a_runtime_that_the_bundle_is_not_for_is_refused(make_bundle):
    done = call(make_bundle(runtimes=("ai-edge-litert 2.1.6",)).folder, "check", "--runtime", "tflite-runtime")
    assert done.returncode == 2 and "export again with --runtime tflite-runtime" in done.stderr


def test_images_of_every_kind_are_the_same_pixels(script, tmp_path, rng):
    from PIL import Image

    pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)  # rows of 21 bytes: a BMP pads them to 24
    np.save(tmp_path / "a.npy", pixels)
    for suffix in ("bmp", "ppm", "png"):
        Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    Image.fromarray(pixels[..., 0]).save(tmp_path / "grey.ppm")
    for suffix in ("npy", "bmp", "ppm", "png"):
        np.testing.assert_array_equal(script.read_image(tmp_path / f"a.{suffix}"), pixels, err_msg=suffix)
    np.testing.assert_array_equal(script.read_image(tmp_path / "grey.ppm"), pixels[..., :1])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("short.ppm", b"P6 9 9 255\n" + b"\0" * 9),
        ("huge.ppm", b"P6 999999 999999 255\n"),
        ("empty.ppm", b"P6"),
        ("short.bmp", b"BM" + b"\0" * 20),
        ("text.npy", b"not an array"),
    ],
)
def test_broken_images_are_refused_in_one_sentence(name, content, script, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(script.Refused, match=name):
        script.read_image(tmp_path / name)


@pytest.mark.parametrize("size", [(8, 8), (5, 31), (200, 90), (1, 1)])
def test_a_photograph_becomes_the_input_that_edgekit_makes_of_it(size, make_bundle, rng, graph):
    """run.py in a process that has no edgekit, against the host: the same file, the same CRC32 of the input."""
    from edgekit.verify.inputs import graph_input, make_inputs

    folder = make_bundle().folder
    pixels = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
    (folder / "photo.ppm").write_bytes(b"P6 %d %d 255\n" % (size[1], size[0]) + pixels.tobytes())
    hidden = (
        "import sys; sys.modules['edgekit'] = None; sys.argv = sys.argv[1:]; import runpy; runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", hidden, str(folder / "run.py"), "classify", str(folder / "photo.ppm"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=folder)
    assert done.returncode == 0, done.stderr
    wanted = make_inputs(graph_input(graph), PIXELS, count=1, seed=0, images=pixels[np.newaxis]).values[1:]
    assert json.loads(done.stdout)["input_crc32"] == f"{zlib.crc32(wanted.tobytes()):08x}"


@pytest.mark.parametrize("name", ["pixels.py", "input_table.bin"])
def test_a_changed_file_of_the_preprocessing_is_caught(name, make_bundle):
    folder = make_bundle().folder
    np.save(folder / "image.npy", np.zeros((8, 8, 3), np.uint8))
    (folder / name).write_bytes((folder / name).read_bytes() + b"\n")
    done = call(folder, "classify", str(folder / "image.npy"))
    assert done.returncode == 1 and f"{name} is not the file that was exported" in done.stderr


@pytest.mark.parametrize(
    "pixels", [np.full((2, 2, 3), 0.5), np.full((2, 2, 3), 256), np.full((2, 2, 3), -1), np.zeros((2, 2, 4), np.uint8)]
)
def test_what_are_no_pixels_is_refused(pixels, script, tmp_path):
    np.save(tmp_path / "a.npy", pixels)
    with pytest.raises(script.Refused, match=r"a\.npy"):
        script.read_image(tmp_path / "a.npy")


@pytest.mark.parametrize("python", PYTHONS, ids=lambda path: path.parts[-3])
def test_every_supported_python_reads_it(python, tmp_path):
    for name, content in device_scripts().items():
        (tmp_path / name).write_bytes(content)
    path = tmp_path / "run.py"
    if subprocess.run([python, "-c", "import numpy"], capture_output=True).returncode:
        done = subprocess.run([python, "-m", "py_compile", path, tmp_path / "pixels.py"], capture_output=True, text=True)
    else:
        call_fit = "runpy.run_path('pixels.py')['fit'](numpy.ones((5, 4, 3), 'u1'), (2, 2, 1))"
        use = f"import runpy, numpy; numpy.testing.assert_array_equal({call_fit}, 1)"
        assert subprocess.run([python, "-c", use], cwd=tmp_path).returncode == 0
        done = subprocess.run([python, path, "--help"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.emulator
@pytest.mark.parametrize(("name", "package"), [("rpi4", "ai-edge-litert"), ("rpi4", "tflite-runtime"), ("rpi3", "tflite-runtime")])
def test_the_bundle_proves_itself_on_the_emulated_device(name, package, make_bundle):
    bundle = make_bundle()
    files = {path: (bundle.folder / path).read_bytes() for path in (*bundle.manifest.files, "manifest.json")}
    with emulated_session(EMULATORS[name]) as session:
        session.push(files)
        finished = session.run([*session.python(package), "run.py", "check", "--runtime", package, "--json"], 120)
    assert finished.code == 0, finished.stderr
    golden = json.loads(finished.stdout)["golden"]
    assert golden["differing_values"] == 0 and golden["outputs_crc32"] == bundle.manifest.golden.crc32
