"""The board's two programs, against an accelerator that is the C simulation: golden vectors bit by bit, then timing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from board_graphs import small_project, write
from simulated_accelerator import Registers, SimulatedAccelerator, compile_accelerator
from simulated_board import bitstream, fake_pynq, fake_system, load_driver

from edgekit.targets.boards import find_board

pytestmark = [pytest.mark.csim, pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")]
COMPILERS = {"host": "g++", "aarch64": "aarch64-linux-gnu-g++", "armv7": "arm-linux-gnueabihf-g++"}
EMULATORS = {"host": None, "aarch64": "qemu-aarch64-static", "armv7": "qemu-arm-static"}


@pytest.fixture(scope="module", params=["ultra96", "pynq_z2"])
def accelerator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SimulatedAccelerator:
    return compile_accelerator(write(small_project(find_board(request.param)), tmp_path_factory.mktemp(request.param)))


def test_pynq_driver_finds_no_differing_value(
    accelerator: SimulatedAccelerator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pynq", fake_pynq(partial(Registers, accelerator)))
    assert load_driver(accelerator.project).main(["--frames", "3", "--seconds", "0.01", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["differing"], report["values"]) == (0, 2 * (5 + 3))
    assert report["fps"] > 0 and report["latency_ms_p50"] > 0


def test_pynq_driver_finds_a_differing_value(
    accelerator: SimulatedAccelerator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    project = Path(shutil.copytree(accelerator.project, tmp_path / "copy"))
    expected = project / "tb_data" / "expected.bin"
    expected.write_bytes(expected.read_bytes()[:-1] + bytes([expected.read_bytes()[-1] ^ 1]))
    monkeypatch.setitem(sys.modules, "pynq", fake_pynq(partial(Registers, accelerator)))
    assert load_driver(project).main(["--frames", "2"]) == 1
    assert "FAILED: 1 of 16 values differ" in capsys.readouterr().out


@pytest.mark.parametrize("machine", COMPILERS)
def test_linux_application_loads_compares_and_times(accelerator: SimulatedAccelerator, tmp_path: Path, machine: str) -> None:
    compiler, emulator = COMPILERS[machine], EMULATORS[machine]
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} (Debian: apt install {compiler.removesuffix('-g++') if machine != 'host' else 'g++'})")
    project = Path(shutil.copytree(accelerator.project, tmp_path / "project"))
    flags = f"{compiler} -O0 -Werror -Wno-psabi"
    done = subprocess.run(["make", "application", f"CXX_FOR_BOARD={flags}"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    if emulator is not None and shutil.which(emulator) is None:
        pytest.skip(f"it compiles; there is no {emulator} to run it")
    (project / "edgekit.bit").write_bytes(bitstream(bytes(range(8))))
    (project / "edgekit.dtbo").write_bytes(b"tree")
    root = tmp_path / "root"
    command = [*([emulator] if emulator else []), "build/edgekit-zynq", "--root", str(root), "--frames", "3", "--seconds", "0.01", "."]

    with fake_system(partial(Registers, accelerator), root):
        done = subprocess.run(command, cwd=project, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "passed: 0 of 16 values differ\n" in done.stdout and "images a second in calls of 3" in done.stdout
        assert (root / "lib/firmware/edgekit.bit.bin").read_bytes() == bytes([3, 2, 1, 0, 7, 6, 5, 4])
        assert (root / "sys/kernel/config/device-tree/overlays/edgekit/dtbo").read_bytes() == b"tree"

        expected = project / "tb_data" / "expected.bin"
        expected.write_bytes(bytes([expected.read_bytes()[0] ^ 128]) + expected.read_bytes()[1:])
        done = subprocess.run([*command, "--loaded"], cwd=project, capture_output=True, text=True, timeout=120)
        assert done.returncode == 1 and "FAILED: 1 of 16 values differ" in done.stdout


def test_linux_application_refuses_what_is_no_bitstream(accelerator: SimulatedAccelerator, tmp_path: Path) -> None:
    project = Path(shutil.copytree(accelerator.project, tmp_path / "project"))
    subprocess.run(["make", "application", "CXX_FOR_BOARD=g++"], cwd=project, capture_output=True, check=True)
    (project / "edgekit.dtbo").write_bytes(b"")
    whole = bitstream(bytes(8))
    for content in (b"", b"no bitstream at all", whole[:-1], whole[:20]):
        (project / "edgekit.bit").write_bytes(content)
        done = subprocess.run(["build/edgekit-zynq", "--root", str(tmp_path), "."], cwd=project, capture_output=True, text=True)
        assert done.returncode == 2 and ("no .bit file" in done.stderr or "cut off" in done.stderr)
    done = subprocess.run(["build/edgekit-zynq", "--frames", "0"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 2 and "--frames is 1 to 4096" in done.stderr


def test_make_csim_runs_the_accelerator_too(tmp_path: Path) -> None:
    project = write(small_project(find_board("ultra96_v1")), tmp_path)
    done = subprocess.run(["make", "csim", "CXXFLAGS=-O0 -w"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.count("passed: 0 of 16 values differ") == 2, done.stderr
