"""verify makes a bundle again and names every file that is another one; of an HLS project nothing that came from outside runs."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bundles import exact_plan
from compilers import needs_compiler
from mutations import OF_BOARDS, OF_BUNDLES, OF_ENGINES, OF_PROJECTS, Mutation, Unchanged, mend, mutated
from PIL import Image

from edgekit.bundle import open_bundle
from edgekit.cli.main import main
from edgekit.errors import EdgekitError
from edgekit.graph import Activation, Conv2D, Dense, GraphBuilder, IntegerGraph, Padding, write_onnx
from edgekit.jobs import ModelRequest, evaluate_models, write_hls_project
from edgekit.plan import write
from edgekit.verify import verify
from edgekit.verify.file_check import check_files


def small_graph() -> IntegerGraph:
    rng = np.random.default_rng(4)
    graph = GraphBuilder("small")
    x = graph.input("image", (6, 6, 3), signed=True, binary_point=6)

    def weights(*shape: int) -> np.ndarray:
        return (4 * rng.integers(-31, 32, shape)).astype(np.int8)

    bias = (4 * rng.integers(-30, 30, 4) + 2).astype(np.int32)
    conv = Conv2D("conv", x, "map", weights(3, 3, 3, 4), bias, (9,) * 4, padding=Padding(1, 1, 1, 1), activation=Activation.RELU)
    features = graph.write(conv, signed=False, binary_point=4)
    dense = Dense("dense", features, "logits", weights(144, 5), (bias[[0, 1, 2, 3, 0]]).astype(np.int32), (7,) * 5)
    graph.write(dense, signed=True, binary_point=0)
    return graph.graph("logits")


@pytest.fixture(scope="module")
def bundle_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    write(exact_plan(small_graph()), folder)
    return folder


@pytest.fixture(scope="module")
def project_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("projects")
    (folder / "small.onnx").write_bytes(write_onnx(small_graph()))
    write_hls_project(ModelRequest(str(folder / "small.onnx")), board="ultra96", output=folder / "project")
    return folder / "project"


def test_what_edgekit_wrote_is_what_it_makes(bundle_folder: Path, project_folder: Path) -> None:
    for folder in (bundle_folder, project_folder):
        found = check_files(open_bundle(folder))
        assert found.passed and found.findings == {} and found.aside == ()
        listed = json.loads((folder / "manifest.json").read_text())["files"]
        assert {*found.remade, *found.given} == set(listed)


def test_every_option_of_a_project_is_in_its_manifest(tmp_path: Path) -> None:
    (tmp_path / "small.onnx").write_bytes(write_onnx(small_graph()))
    request = ModelRequest(str(tmp_path / "small.onnx"))
    for options in ({"interface": "axi-stream"}, {"clock_mhz": 100.0}, {"fps": 100.0}):
        write_hls_project(request, board="pynq_z2", output=tmp_path / "out", **options)  # type: ignore[arg-type]
        assert check_files(open_bundle(tmp_path / "out")).findings == {}


def named(original: Path, mutation: Mutation, folder: Path, rng: np.random.Generator) -> None:
    try:
        said = mutated(original, folder, mutation, rng)
    except Unchanged:
        return
    try:
        report = verify(open_bundle(folder))
    except EdgekitError:
        return
    assert not report.passed and report.results == (), said
    assert report.files.findings, said


def test_every_kind_of_change_is_named(bundle_folder: Path, project_folder: Path, tmp_path: Path, rng: np.random.Generator) -> None:
    """With hashes mended, one of each kind; `make mutations` does hundreds."""
    for mutation in OF_BUNDLES:
        named(bundle_folder, mutation, tmp_path / "out", rng)
    for mutation in OF_PROJECTS:
        named(project_folder, mutation, tmp_path / "out", rng)


def test_every_kind_of_change_of_an_engines_project_is_named(tmp_path: Path, rng: np.random.Generator) -> None:
    (tmp_path / "small.onnx").write_bytes(write_onnx(small_graph()))
    write_hls_project(ModelRequest(str(tmp_path / "small.onnx")), board="ultra96", form="engine", output=tmp_path / "project")
    for mutation in OF_ENGINES:
        if mutation not in OF_BOARDS:  # which projects of kernels a layer have as well
            named(tmp_path / "project", mutation, tmp_path / "out", rng)


def test_changes_can_be_accepted_and_are_shown(bundle_folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "out"
    shutil.copytree(bundle_folder, folder)
    (folder / "run.py").write_text("print('mine')\n")
    words = ["verify", str(folder), "--inputs", "4", "--executor", "tflite-xnnpack"]

    def run(*more: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main([*words, *more])
        return int(stop.value.code or 0), capfd.readouterr().out

    code, text = run()
    assert code == 1 and "FAILED: run.py: changed since it was exported" in text
    code, text = run("--accept-changes")
    assert code == 0 and "accepted: run.py changed since it was exported, and is not as edgekit makes it" in " ".join(text.split())
    mend(folder)
    assert run()[0] == 1
    code, text = run("--accept-changes", "--json")
    found = json.loads(text)
    assert code == 0 and found["passed"] and found["files"]["accepted"]
    assert found["files"]["findings"] == {"run.py": "is not as edgekit makes it from the graph and the manifest"}
    with pytest.raises(SystemExit) as stop:
        main(
            ["report", str(folder), "--inputs", "4", "--executor", "tflite-xnnpack", "--accept-changes", "-o", str(tmp_path / "page.html")]
        )
    assert not stop.value.code
    assert "accepted: run.py is not as edgekit makes it" in (tmp_path / "page.html").read_text()


def test_an_accepted_graph_is_what_runs(bundle_folder: Path, tmp_path: Path) -> None:
    """The .tflite file of another graph: accepted, it is run, and differs."""
    folder = tmp_path / "out"
    shutil.copytree(bundle_folder, folder)
    graph = small_graph()
    other = dataclasses.replace(graph.ops[0], bias=(graph.ops[0].bias + 400).astype(np.int32))  # type: ignore[union-attr, type-var]
    from edgekit.tflite.writer import write_tflite

    (folder / "model.tflite").write_bytes(write_tflite(dataclasses.replace(graph, ops=(other, graph.ops[1]))))
    report = verify(open_bundle(folder), accept_changes=True, count=4, executors=["tflite-xnnpack"])
    assert not report.passed and report.results[0].differing > 0
    assert list(report.files.findings) == ["model.tflite"]


def test_what_make_leaves_is_set_aside(project_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    shutil.copytree(project_folder, folder)
    (folder / "build").mkdir()
    (folder / "build" / "testbench").write_bytes(b"\x7fELF")
    (folder / "build_ip.log").write_text("done")
    (folder / "link").symlink_to("/etc")
    found = check_files(open_bundle(folder))
    assert found.aside == ("build", "build_ip.log") and found.findings == {"link": "is not in the manifest"}


@pytest.mark.csim
@needs_compiler
@pytest.mark.parametrize("file", ["simulate.cpp", "network_io.h", "firmware/edgekit_network.cpp", "firmware/native/ap_int.h"])
def test_nothing_of_a_foreign_project_runs(project_folder: Path, tmp_path: Path, file: str, capfd: pytest.CaptureFixture[str]) -> None:
    """Code that leaves a mark where it runs, in a project whose hashes are right: refused; accepted, what edgekit makes runs instead."""
    folder, mark = tmp_path / "out", tmp_path / "it-ran"
    shutil.copytree(project_folder, folder)
    planted = f'#include <cstdlib>\nstatic int planted = std::system("touch {mark}");\n'
    (folder / file).write_text(planted + (folder / file).read_text())
    mend(folder)
    report = verify(open_bundle(folder), count=2)
    assert list(report.files.findings) == [file] and report.results == ()
    if file == "simulate.cpp":
        report = verify(open_bundle(folder), count=2, executors=["hls-csim"], accept_changes=True)
        assert report.passed and report.results[0].values > 0
        images = tmp_path / "images"
        for name in "abcde":
            (images / name).mkdir(parents=True)
            Image.new("RGB", (8, 8), (ord(name), 20, 20)).save(images / name / "one.png")
        evaluate_models([str(folder)], data=str(images))
    assert not mark.exists()
