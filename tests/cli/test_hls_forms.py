"""edgekit hls with both forms: which one is taken and why, the engine's screen, and verify of its project."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hand_graphs import small_mobilenet

import edgekit as package
from edgekit import hls
from edgekit.bundle import open_bundle, with_changes
from edgekit.errors import EdgekitError
from edgekit.fpga_projects.engine_plan import fewest_cycles, plan_engine
from edgekit.graph import IntegerGraph, write_onnx
from edgekit.hls import DoesNotFit, plan_foldings
from edgekit.jobs.hls_form import Chosen, choose_form
from edgekit.targets import find_board
from edgekit.verify.file_check import check_files


def edgekit(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    command = [sys.executable, "-m", "edgekit", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=300)


def chosen(graph: IntegerGraph, board: str = "ultra96", form: str | None = None, fps: float | None = None) -> Chosen:
    return choose_form(graph, find_board(board), form=form, fps=fps, clock_mhz=None, pinned={}, only_layers=False, note=lambda _: None)


@pytest.fixture(scope="module")
def small() -> IntegerGraph:
    return small_mobilenet(np.random.default_rng(3), size=16)


@pytest.fixture(scope="module")
def large() -> IntegerGraph:
    """Weights that no board of this size holds as kernels a layer, on a map so small that its program is made in a second."""
    return small_mobilenet(np.random.default_rng(3), size=8, widths=(32, 256, 512, 1024))


@pytest.fixture(scope="module")
def project(small: IntegerGraph, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("forms")
    (folder / "net.onnx").write_bytes(write_onnx(small))
    done = edgekit(folder, "hls", "net.onnx", "--board", "ultra96", "--form", "engine", "-o", "engine")
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_a_network_that_fits_in_fewer_cycles_stays_a_kernel_a_layer(small: IntegerGraph) -> None:
    found = chosen(small)
    assert found.form == "layers" and found.layers is not None
    assert found.why == "kernels a layer fit the board, and no program of the engine takes fewer cycles a frame"
    middle = small_mobilenet(np.random.default_rng(3), size=24)
    found, cycles = chosen(middle), plan_engine(middle, find_board("ultra96")).estimate.cycles
    assert found.layers is not None and found.layers.estimates.interval_cycles <= cycles and f"{cycles:,} cycles" in found.why
    assert chosen(small, fps=100).why == "kernels a layer reach 100 frames a second"
    assert chosen(small, form="layers").why == "--form layers asks for it"


def test_one_that_would_take_more_cycles_takes_the_engine(large: IntegerGraph) -> None:
    found = chosen(large, "pynq_z2")
    assert found.engine is not None and found.engine.estimate.cycles < plan_foldings(large, find_board("pynq_z2")).estimates.interval_cycles
    assert found.form == "engine" and "kernels a layer fit the board, and would take" in found.why
    with pytest.raises(EdgekitError, match=r"makes [\d.]+ of 1e\+06 frames a second"):
        chosen(large, "pynq_z2", "engine", fps=1e6)


def test_one_that_does_not_fit_takes_the_engine(small: IntegerGraph, monkeypatch: pytest.MonkeyPatch) -> None:
    nearest = plan_foldings(small, find_board("ultra96"))

    def no_plan(*_: object, **__: object) -> None:
        raise DoesNotFit("It does not fit.", nearest, None)

    monkeypatch.setattr(hls, "plan_foldings", no_plan)
    found = chosen(small)
    assert found.form == "engine" and found.why == "kernels a layer do not fit the board" and not found.warnings
    forced = chosen(small, form="layers")
    assert forced.layers is nearest and "comes nearest" in forced.warnings[0]
    with pytest.raises(EdgekitError, match=r"It does not fit. The engine makes [\d.]+ frames a second"):
        chosen(small, fps=1e9)
    assert chosen(small, fps=1000).form == "engine"
    monkeypatch.setattr("edgekit.fpga_projects.engine_plan.program_for", no_room)
    found = chosen(small)
    assert found.layers is nearest and found.why == "the engine cannot run it: there is no room" and len(found.warnings) == 1


def no_room(*_: object) -> None:
    raise EdgekitError("there is no room")


def test_no_program_takes_fewer_cycles_than_the_bound(small: IntegerGraph, large: IntegerGraph) -> None:
    for graph in (small, large):
        for board in map(find_board, ("ultra96", "pynq_z2")):
            assert 200 < fewest_cycles(graph, board) <= plan_engine(graph, board).estimate.cycles
    assert plan_foldings(small, find_board("ultra96")).estimates.fps > 0


def test_the_screen_says_form_speed_limit_and_where_the_time_goes(project: tuple[Path, str]) -> None:
    folder, shown = project
    lines = shown.splitlines()
    assert len(lines) <= 24 and max(map(len, lines)) <= 120
    assert "All numbers are estimates: nothing was synthesized" in lines[0]
    for word in ("form ", "speed ", "limit ", "matrix array", "vector array", "DDR ", "frames a second at 250 MHz", "of its peak", "█"):
        assert word in shown
    found = json.loads((folder / "engine" / "estimates.json").read_text())
    assert f"speed    {found['fps']:.1f} frames a second" in shown and found["limit"] in shown
    assert (folder / "engine" / "timeline.svg").read_text().startswith("<svg ")
    manifest = json.loads((folder / "engine" / "manifest.json").read_text())
    assert manifest["options"]["form"] == "engine" and manifest["options"]["engine"] == found["engine"] and found["engine"] in shown
    assert manifest["options"]["clock_mhz"] == 250 and "network.program" in manifest["files"]


def test_json_has_the_same(project: tuple[Path, str]) -> None:
    folder, _ = project
    done = edgekit(folder, "hls", "net.onnx", "--board", "pynq_z2", "--form", "engine", "--clock", "100", "-o", "json", "--json")
    found = json.loads(done.stdout)
    assert found["form"] == "engine" and found["estimates"] is None and found["engine"]["clock_mhz"] == 100
    assert all(len(found["timeline"][name]) == 240 for name in ("matrix", "vector", "ddr")) and found["takes"]["dsp"] > 0


@pytest.mark.csim
def test_verify_makes_the_project_again_and_simulates_it(project: tuple[Path, str]) -> None:
    folder, _ = project
    done = edgekit(folder, "verify", "engine", "--executor", "hls-engine-csim", "--inputs", "20")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hls-engine-csim" in done.stdout and "no differing bit" in done.stdout
    path = folder / "engine" / "network.program"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    found = check_files(with_changes(open_bundle(folder / "engine")), accept_changes=True)
    path.write_bytes(whole)
    assert list(found.findings) == ["network.program"] and "is not as edgekit makes it" in found.findings["network.program"]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--form", "engin"), "unknown form 'engin'. Did you mean engine?"),
        (("--form", "engine", "--interface", "axi-stream"), "an engine has none; ask for --form layers"),
        (("--form", "engine", "--folding", "no.json"), "--folding: that is of kernels a layer"),
    ],
)
def test_refusals_say_why_and_write_nothing(project: tuple[Path, str], words: tuple[str, ...], complaint: str) -> None:
    folder, _ = project
    done = edgekit(folder, "hls", "net.onnx", "--board", "ultra96", *words, "-o", "none")
    assert done.returncode == 2 and complaint in done.stderr and not (folder / "none").exists()
