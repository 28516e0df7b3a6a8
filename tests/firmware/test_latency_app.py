"""The latency application: its C++ unit tests under sanitizers, and the program itself on this machine's LiteRT and under emulation."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_graphs import random_graph, random_inputs

from edgekit import firmware
from edgekit.connections.emulator import emulator_folder
from edgekit.errors import EdgekitError, UnknownName
from edgekit.graph import Conv2D, DepthwiseConv2D, IntegerGraph, run
from edgekit.plan import write
from edgekit.targets.emulators import EMULATORS
from edgekit.tflite.application import (
    ARCHITECTURES,
    LIBRARY,
    WRONG,
    Settings,
    application_folder,
    arguments,
    build_application,
    folder_command,
    parse_report,
)
from edgekit.tflite.tensors import stored
from edgekit.tflite.writer import write_tflite, write_unchecked
from edgekit.tools import CMAKE, GXX, GXX_AARCH64, MAKE, QEMU, Tool, missing_reason, require

SOURCES = Path(firmware.__file__).resolve().parent
HERE = platform.machine()
QUICK = Settings(warm_up=1, iterations=3)
AARCH64_LIBRARY = emulator_folder(EMULATORS["rpi4"]) / "ai-edge-litert" / "ai_edge_litert" / LIBRARY
"""The emulated Raspberry Pi has it: pip does not install another machine's wheel."""


def needs(*tools: Tool) -> None:
    for tool in tools:
        if (reason := missing_reason(tool)) is not None:
            pytest.skip(reason)


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Programs are built once for the whole module, in a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKIT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield Path(os.environ["EDGEKIT_CACHE"])


@pytest.fixture(scope="module")
def application(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs(GXX, CMAKE, MAKE)
    if HERE not in ARCHITECTURES:
        pytest.skip(f"there is no latency application for {HERE}")
    path = tmp_path_factory.mktemp("application") / "edgekit-latency"
    path.write_bytes(build_application(HERE))
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def library() -> Path:
    import ai_edge_litert

    return Path(ai_edge_litert.__file__).parent / LIBRARY


def write_case(folder: Path, graph: IntegerGraph, inputs: np.ndarray) -> bytes:
    """model.tflite and golden vectors of the numpy reference, as the file stores them; the expected output bytes."""
    values = run(graph, inputs)
    (folder / "golden").mkdir(parents=True)
    (folder / "model.tflite").write_bytes(write_tflite(graph))
    (folder / "golden/input.bin").write_bytes(stored(graph.tensors[graph.input], inputs).tobytes())
    outputs = [[stored(graph.tensors[name], values[name][i]).tobytes() for name in graph.outputs] for i in range(len(inputs))]
    expected = b"".join(b"".join(vector) for vector in outputs)
    (folder / "golden/output.bin").write_bytes(expected)
    return expected


def measure(application: Path, library: Path, folder: Path, settings: Settings = QUICK) -> subprocess.CompletedProcess[str]:
    words = arguments(str(library), str(folder / "model.tflite"), str(folder / "golden"), settings)
    return subprocess.run([application, *words], capture_output=True, text=True, errors="replace", timeout=60)


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.strip().splitlines()[-1]


def convolutions(rng: np.random.Generator) -> IntegerGraph:
    """A graph with a convolution whose weights reach its output."""
    return random_graph(rng, (Conv2D, DepthwiseConv2D), length=3)


def test_unit_tests_under_sanitizers(tmp_path):
    needs(GXX, CMAKE, MAKE)
    cmake = require(CMAKE)
    configure = [cmake, "-S", SOURCES, "-B", tmp_path, "-DCMAKE_BUILD_TYPE=Debug", "-DEDGEKIT_SANITIZE=ON"]
    for command in (
        [*configure, f"-DCMAKE_CXX_COMPILER={require(GXX)}"],
        [cmake, "--build", tmp_path, "--target", "latency-tests", "--parallel", "2"],
        [cmake.with_name("ctest"), "--test-dir", tmp_path, "--output-on-failure"],
    ):
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout + done.stderr
    assert "100% tests passed" in done.stdout


@pytest.mark.parametrize("kernels", ["optimized", "xnnpack"])
def test_outputs_are_the_references(application, library, tmp_path, rng, kernels):
    """The CRC32 that the application computes on the device is that of the numpy reference; graphs have up to several outputs."""
    several = 0
    for case in range(6):
        folder = tmp_path / str(case)
        graph = random_graph(rng)
        inputs = random_inputs(rng, graph)
        expected = write_case(folder, graph, inputs)
        several += len(graph.outputs) > 1
        done = measure(application, library, folder, Settings(kernels=kernels, threads=2, warm_up=0, iterations=2))
        assert done.returncode == 0, done.stderr
        report = parse_report(done.stdout)
        assert report["golden"]["vectors"] == len(inputs)
        assert report["golden"]["values"] == len(expected)
        assert report["golden"]["differing_values"] == 0
        assert report["golden"]["outputs_crc32"] == f"{zlib.crc32(expected):08x}"
    assert several


def test_the_report_has_what_the_readme_says(application, library, tmp_path, rng):
    write_case(tmp_path, graph := convolutions(rng), random_inputs(rng, graph))
    model = (tmp_path / "model.tflite").read_bytes()
    settings = Settings(warm_up=0, iterations=7, cpus=(min(os.sched_getaffinity(0)),), runtime_version="2.x", model_crc32=zlib.crc32(model))
    report = parse_report(measure(application, library, tmp_path, settings).stdout)
    assert report["problem"] is None
    assert report["machine"]["architecture"] == HERE
    assert report["runtime"] == {
        "name": "LiteRT",
        "version": "2.x",
        "bytes": library.stat().st_size,
        "crc32": f"{zlib.crc32(library.read_bytes()):08x}",
    }
    assert report["model"] == {"bytes": len(model), "crc32": f"{zlib.crc32(model):08x}"}
    assert report["settings"] == {"kernels": "xnnpack", "threads": 1, "cpus": list(settings.cpus), "warm_up": 0, "tolerance": 0.0}
    latency, samples = report["latency_ms"], np.array(report["latency_ms"]["samples"])
    assert latency["runs"] == len(samples) == 7
    assert (latency["min"], latency["max"]) == (samples.min(), samples.max())
    assert latency["p50"] == np.sort(samples)[3]
    np.testing.assert_allclose(latency["mean"], samples.mean(), atol=1e-6)
    np.testing.assert_allclose(latency["standard_deviation"], samples.std(ddof=1), atol=1e-6)
    assert report["load_ms"] > 0
    assert report["first_run_ms"] > 0
    assert report["peak_memory_bytes"] > library.stat().st_size // 100
    assert set(report["before"]) == set(report["after"]) == {"temperature_celsius", "clock_mhz", "throttled_bits", "throttled_now"}
    fields = {key for part in (report, *(value for value in report.values() if isinstance(value, dict))) for key in part}
    readme = (SOURCES / "README.md").read_text()
    assert not [field for field in fields if f"`{field}`" not in readme]


def test_a_photograph_becomes_the_input_and_the_classes_of_every_other_part(application, library, tmp_path, rng):
    from edgekit.images.preprocessing import MINUS_ONE_TO_ONE
    from edgekit.verify.inputs import graph_input, make_inputs

    graph = next(graph for graph in iter(lambda: convolutions(rng), None) if len(graph.tensors[graph.input].shape) == 3)
    source = graph.tensors[graph.input]
    write_case(tmp_path, graph, random_inputs(rng, graph))
    pixels = rng.integers(0, 256, (37, 50, 3)).astype(np.uint8)
    (tmp_path / "photo.ppm").write_bytes(b"P6 50 37 255\n" + pixels.tobytes())
    (tmp_path / "input_table.bin").write_bytes(stored(source, graph_input(graph).table(MINUS_ONE_TO_ONE)).tobytes())
    words = arguments(str(library), str(tmp_path / "model.tflite"), str(tmp_path / "golden"), QUICK)
    words += ("--image", str(tmp_path / "photo.ppm"), "--input-table", str(tmp_path / "input_table.bin"))
    done = subprocess.run([application, *words], capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 0, done.stderr
    image = parse_report(done.stdout)["image"]
    inputs = make_inputs(graph_input(graph), MINUS_ONE_TO_ONE, count=1, seed=0, images=pixels[np.newaxis]).values[1:]
    values = run(graph, inputs)
    outputs = b"".join(stored(graph.tensors[name], values[name]).tobytes() for name in graph.outputs)
    best = np.argsort(-values[graph.outputs[0]].astype(int).ravel(), kind="stable")[:5]
    assert image == {
        "input_crc32": f"{zlib.crc32(stored(source, inputs).tobytes()):08x}",
        "outputs_crc32": f"{zlib.crc32(outputs):08x}",
        "classes": best.tolist(),
    }
    readme = (SOURCES / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in ("image", *image))
    (tmp_path / "input_table.bin").write_bytes(b"short")
    done = subprocess.run([application, *words], capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 2 and "the input table has 5 bytes" in last_line(done)


def flipped(model: bytes, place: int) -> bytes:
    return model[:place] + bytes([model[place] ^ 0x40]) + model[place + 1 :]


def test_a_flipped_weight_gives_no_time(application, library, tmp_path, rng):
    """Every weight of the last layer, one at a time where there are few: golden outputs change and nothing is measured."""
    graph = convolutions(rng)
    inputs = random_inputs(rng, graph, noise=8)
    write_case(tmp_path, graph, inputs)
    model = (tmp_path / "model.tflite").read_bytes()
    op = graph.ops[-1]
    weights = op.weights.transpose(3, 0, 1, 2) if isinstance(op, Conv2D) else op.weights
    start = model.index(np.ascontiguousarray(weights).tobytes())
    caught = []
    for place in range(start, start + min(weights.size, 8)):
        (tmp_path / "model.tflite").write_bytes(flipped(model, place))
        done = measure(application, library, tmp_path)
        caught.append(done.returncode)
        if done.returncode == WRONG:
            report = json.loads(done.stdout)
            assert "output values differ" in report["problem"]
            assert report["golden"]["differing_values"] > 0
            assert report["golden"]["first_difference"] is not None
            assert "_ms" not in done.stdout
            assert "nothing was measured" in last_line(done)
        # A weight that the golden vectors do not see is caught by the file's own CRC32, which bundles give along.
        done = measure(application, library, tmp_path, Settings(model_crc32=zlib.crc32(model)))
        assert done.returncode == WRONG
        assert "the model file changed" in parse_report(done.stdout)["problem"]
        assert "_ms" not in done.stdout
    assert WRONG in caught


def plain(graph: IntegerGraph, rng: np.random.Generator) -> IntegerGraph:
    """The same graph with any int8 weights, as a stock quantizer gives them: kernel sets then round differently."""
    ops = tuple(replace(op, weights=rng.integers(-127, 128, op.weights.shape).astype(np.int8), bias=op.bias // 3) for op in graph.ops)
    return replace(graph, ops=ops)


def test_kernel_sets_are_what_they_are_called(application, library, tmp_path, rng):
    """On stock-like weights, where kernel sets differ, each gives the bits of the Python interpreter's set of that name."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolvers = {"reference": "BUILTIN_REF", "optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "xnnpack": "BUILTIN"}
    for _ in range(40):
        graph = plain(random_graph(rng, (Conv2D, DepthwiseConv2D), length=4, channels=16), rng)
        model, inputs = write_unchecked(graph), stored(graph.tensors[graph.input], random_inputs(rng, graph, noise=12))
        wanted = {}
        for kernels, resolver in resolvers.items():
            interpreter = Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType[resolver], num_threads=1)
            interpreter.allocate_tensors()
            source, results = interpreter.get_input_details()[0], interpreter.get_output_details()
            wanted[kernels] = b""
            for image in inputs:
                interpreter.set_tensor(source["index"], image[np.newaxis])
                interpreter.invoke()
                wanted[kernels] += b"".join(interpreter.get_tensor(result["index"]).tobytes() for result in results)
        if len(set(wanted.values())) == len(wanted):
            break
    else:
        pytest.fail("no graph on which all kernel sets differ")
    (tmp_path / "golden").mkdir()
    (tmp_path / "model.tflite").write_bytes(model)
    (tmp_path / "golden/input.bin").write_bytes(inputs.tobytes())
    for kernels, expected in wanted.items():
        (tmp_path / "golden/output.bin").write_bytes(expected)
        done = measure(application, library, tmp_path, Settings(kernels=kernels, warm_up=0, iterations=1))
        if kernels == "reference" and done.returncode == 2:
            assert "has no reference kernels" in last_line(done)
        else:
            assert done.returncode == 0, done.stderr
    done = measure(application, library, tmp_path, Settings(kernels="xnnpack"))  # the golden outputs are XNNPACK's now
    assert done.returncode == 0
    done = measure(application, library, tmp_path, Settings(kernels="optimized"))
    assert done.returncode == WRONG
    tolerated = parse_report(measure(application, library, tmp_path, Settings(kernels="optimized", tolerance=255)).stdout)
    assert tolerated["golden"]["differing_values"] == json.loads(done.stdout)["golden"]["differing_values"] > 0
    assert tolerated["latency_ms"]["runs"] == 100


def refusal(command: list[object]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    return last_line(done)


def test_what_cannot_be_done_is_refused(application, library, tmp_path, rng):
    write_case(tmp_path, graph := convolutions(rng), random_inputs(rng, graph))
    golden, model = tmp_path / "golden", tmp_path / "model.tflite"
    assert refusal([application]) == "edgekit-latency: --library is missing; --help shows what there is"
    assert "No such file" in refusal([application, *arguments(str(tmp_path / "none.so"), str(model), str(golden))])
    assert "cannot open the runtime" in refusal([application, *arguments(str(model), str(model), str(golden))])
    assert "No such file" in refusal([application, *arguments(str(library), str(tmp_path / "none"), str(golden))])
    assert "input.bin does not exist" in refusal([application, *arguments(str(library), str(model), str(tmp_path))])
    assert "does not load the model" in refusal([application, *arguments(str(library), str(golden / "input.bin"), str(golden))])
    with (golden / "output.bin").open("ab") as file:
        file.write(b"x")
    assert "output.bin has" in refusal([application, *arguments(str(library), str(model), str(golden))])
    libc = next(line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "libc.so" in line or "libc-" in line)
    assert "has no LiteRt" in refusal([application, *arguments(libc, str(model), str(golden))])


def test_the_program_is_built_once(application, cache, monkeypatch):
    monkeypatch.setenv(MAKE.variable, "/bin/false")  # it would not build
    assert build_application(HERE) == application.read_bytes()
    monkeypatch.setenv("EDGEKIT_CACHE", str(cache / "empty"))
    with pytest.raises(EdgekitError, match="does not build"):
        build_application(HERE)
    assert not any((cache / "empty").rglob("*"))


def test_missing_or_wrong_tools_are_named(cache, monkeypatch):
    with pytest.raises(UnknownName, match="unknown architecture 'armv7l'"):
        build_application("armv7l")
    monkeypatch.setenv("EDGEKIT_CXX", "/bin/true")
    monkeypatch.setenv("EDGEKIT_CXX_AARCH64", "/bin/true")
    with pytest.raises(EdgekitError, match=r"/bin/true builds for '', not for aarch64; set EDGEKIT_CXX"):
        build_application("aarch64")
    monkeypatch.setenv("EDGEKIT_CXX", "no-such-compiler")
    monkeypatch.setenv("EDGEKIT_CXX_AARCH64", "no-such-compiler")
    with pytest.raises(EdgekitError, match="'no-such-compiler', which is no program"):
        build_application("aarch64")


def test_reports_from_elsewhere_are_checked():
    good = {"schema": "edgekit-latency/1", "problem": None, "golden": {}, "latency_ms": {}}
    assert parse_report(json.dumps(good)) == good
    for text in ("", "null", "[" * 100_000, json.dumps({**good, "schema": "other"})):
        with pytest.raises(EdgekitError):
            parse_report(text)
    for change in ({"problem": "wrong bits"}, {"problem": ""}, {"problem": 3}, {"latency_ms": None}, {"golden": 1}):
        with pytest.raises(EdgekitError):
            parse_report(json.dumps({**good, **change}))


def test_an_unknown_kernel_set_is_refused():
    with pytest.raises(UnknownName, match="xnnpack"):
        arguments("l", "m", "g", Settings(kernels="xnpack"))


def test_the_folder_runs_by_its_own_loader(application, library, tmp_path, rng):
    """Nothing of the system is used but its kernel: the same folder, and the same command, as on Android."""
    plan = application_folder(HERE, library.read_bytes())
    write(plan, tmp_path / "device")
    write_case(tmp_path / "case", graph := convolutions(rng), random_inputs(rng, graph))
    words = [*folder_command(HERE), *arguments(f"./{LIBRARY}", "../case/model.tflite", "../case/golden", QUICK)]
    done = subprocess.run(words, cwd=tmp_path / "device", env={}, capture_output=True, text=True, errors="replace", timeout=60)
    assert done.returncode == 0, done.stderr
    assert parse_report(done.stdout)["golden"]["differing_values"] == 0
    shown = subprocess.run(
        [*folder_command(HERE)[:-1], "--list", f"./{LIBRARY}"],
        cwd=tmp_path / "device",
        env={},
        capture_output=True,
        text=True,
        errors="replace",
    )
    paths = [line.split("=>")[1].split()[0] for line in shown.stdout.splitlines() if "=>" in line]
    assert paths
    assert not [path for path in paths if Path(path).is_absolute()]


@pytest.mark.emulator
@pytest.mark.parametrize("kernels", ["reference", "optimized", "xnnpack"])
def test_the_android_folder_runs_under_emulation(cache, tmp_path, rng, kernels):
    needs(GXX_AARCH64, CMAKE, MAKE, QEMU)
    write(application_folder("aarch64", AARCH64_LIBRARY.read_bytes()), tmp_path / "device")
    graph = random_graph(rng)
    expected = write_case(tmp_path / "case", graph, random_inputs(rng, graph))
    settings = Settings(kernels=kernels, warm_up=0, iterations=1)
    words = [*folder_command("aarch64"), *arguments(f"./{LIBRARY}", "../case/model.tflite", "../case/golden", settings)]
    emulated = [require(QEMU), "-cpu", "cortex-a72", *words]
    done = subprocess.run(emulated, cwd=tmp_path / "device", capture_output=True, text=True, errors="replace", timeout=120)
    assert done.returncode == 0, done.stderr
    report = parse_report(done.stdout)
    assert report["machine"]["architecture"] == "aarch64"
    assert report["golden"]["outputs_crc32"] == f"{zlib.crc32(expected):08x}"


def test_sources_are_formatted():
    import shutil

    program = shutil.which("clang-format")
    if program is None:
        pytest.skip("clang-format is not installed: apt install clang-format")
    files = [path for path in SOURCES.rglob("*") if path.suffix in (".cc", ".h")]
    done = subprocess.run([program, "--dry-run", "--Werror", *files], capture_output=True, text=True, errors="replace")
    assert done.returncode == 0, done.stderr
