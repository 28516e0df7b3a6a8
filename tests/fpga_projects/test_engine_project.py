"""The project of an engine: the same files for every network, its C simulation from a copy, its Tcl, and both programs for the board."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from simulated_board import Hardware, bitstream, fake_pynq, fake_system, load_driver
from simulated_engine import DESIGN, compile_engine_project, engine_project, networks, project_in

from edgekit.fpga_projects.engine_plan import engine_of, engine_project_files, plan_engine
from edgekit.fpga_projects.engine_project import engine_files, engine_identity
from edgekit.hls.engine.program_file import CHECKSUM_AT, HEAD
from edgekit.targets.boards import AXI_MASTER, BOARDS, find_board

STANDINS = Path(__file__).parent / "vivado_standins.tcl"
NETWORKS_OWN = {"network.program", "tb_data/inputs.bin", "tb_data/expected.bin", "README.md", "estimates.json", "timeline.svg"}
MEMORY = 8 << 20
needs_tclsh = pytest.mark.skipif(shutil.which("tclsh") is None, reason="there is no tclsh (Debian: apt install tcl)")
needs_gxx = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return project_in(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="module")
def hardware(project: Path) -> Hardware:
    return compile_engine_project(project)


def test_the_engine_is_the_same_for_every_network_of_a_board() -> None:
    board = find_board("ultra96")
    first, second = (engine_project_files(graph, plan_engine(graph, board)) for graph in networks())
    assert set(first) == set(second)
    assert {name for name in first if first[name] != second[name]} == NETWORKS_OWN
    assert set(engine_files(*engine_of(board))) == set(first) - NETWORKS_OWN


def test_the_identity_is_of_what_is_synthesized() -> None:
    """Neither the clock nor the board's wiring is part of it; the size, the kernel and the ports' width are."""
    ultra96, pynq = find_board("ultra96"), find_board("pynq_z2")
    design, board = engine_of(ultra96)
    assert (
        engine_identity(design, board)
        == engine_identity(*engine_of(find_board("ultra96_v1")))
        == engine_identity(*engine_of(ultra96, 100.0))
    )
    assert len({engine_identity(design, board), engine_identity(DESIGN, board), engine_identity(DESIGN, pynq)}) == 3


@needs_tclsh
@pytest.mark.parametrize("name", sorted(name for name, one in BOARDS.items() if AXI_MASTER in one.interfaces))
def test_the_block_design_is_complete(tmp_path: Path, name: str) -> None:
    design, board = engine_of(find_board(name))
    for file, content in engine_files(design, board).items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_bytes(content)
    done = subprocess.run(["tclsh", str(STANDINS), "build_bitstream.tcl"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "memory NUM_SI 2\n" in done.stdout and "second NUM_SI 4\n" in done.stdout
    widths = re.findall(r"^processing_system \w+_DATA_WIDTH (\d+)$", done.stdout, re.MULTILINE)
    assert widths == [str(board.part.processing_system.hp_port_bits)] * 2
    text = (tmp_path / "accelerator.cpp").read_text()
    offsets = re.findall(r"s_axilite port=(\w+) bundle=control offset=0x(\w+)", text)
    assert {register: int(place, 16) for register, place in offsets} == json.loads((tmp_path / "engine.json").read_text())["registers"]


@needs_tclsh
def test_a_master_that_is_not_joined_fails(project: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    text = (copy / "build_bitstream.tcl").read_text()
    line = next(line for line in text.splitlines() if "m_axi_results" in line)
    (copy / "build_bitstream.tcl").write_text(text.replace(line + "\n", ""))
    done = subprocess.run(["tclsh", str(STANDINS), "build_bitstream.tcl"], cwd=copy, capture_output=True, text=True)
    assert done.returncode != 0 and "m_axi_results' is not connected" in done.stderr


@pytest.mark.csim
@pytest.mark.parametrize("compiler", ["g++", "clang++-16"])
def test_the_simulation_builds_from_a_copy_without_warnings_and_compares(project: Path, tmp_path: Path, compiler: str) -> None:
    """Warnings are errors in the Makefile; the golden vectors of both networks, then one that is wrong."""
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler}")
    copy = Path(shutil.copytree(project, tmp_path / "elsewhere"))

    def csim() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["make", "csim", f"CXX={compiler}"], cwd=copy, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})

    done = csim()
    assert done.returncode == 0 and "passed: 0 of 20 values differ" in done.stdout, done.stderr
    for name in ("network.program", "tb_data"):
        (shutil.copytree if name == "tb_data" else shutil.copy)(
            copy / "second" / name, copy / name, **({"dirs_exist_ok": True} if name == "tb_data" else {})
        )
    assert "passed: 0 of 20 values differ" in csim().stdout
    expected = copy / "tb_data" / "expected.bin"
    expected.write_bytes(expected.read_bytes()[:-1] + bytes([expected.read_bytes()[-1] ^ 1]))
    done = csim()
    assert done.returncode != 0 and "FAILED: 1 of 20 values differ" in done.stdout


def spoilt(project: Path, engine: int | None) -> None:
    """Makes the program one of another engine, with the checksum that belongs to it, or damages it."""
    import zlib

    path = project / "network.program"
    content = bytearray(path.read_bytes())
    if engine is None:
        content[-1] ^= 1
    else:
        struct.pack_into("<I", content, 8 + 4 * HEAD.index("engine"), engine)
        content[CHECKSUM_AT : CHECKSUM_AT + 4] = bytes(4)
        struct.pack_into("<I", content, CHECKSUM_AT, zlib.crc32(content))
    path.write_bytes(content)


REFUSED = [(None, "the program is damaged"), (7, "for another engine|for engine 00000007")]


@pytest.mark.csim
@needs_gxx
def test_pynq_driver_runs_several_networks_on_one_bitstream(
    project: Path, hardware: Hardware, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pynq: Any = fake_pynq(hardware, MEMORY)
    monkeypatch.setitem(sys.modules, "pynq", pynq)
    driver = load_driver(project)
    folders = [str(project), str(project / "second"), str(project)]
    assert driver.main([*folders, "--frames", "3", "--seconds", "0.01", "--json"]) == 0
    reports = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["differing"], one["values"]) for one in reports] == [(0, 20)] * 3 and all(one["fps"] > 0 for one in reports)
    assert pynq.loaded == [str(project / "edgekit.bit")]
    for engine, complaint in REFUSED:
        copy = Path(shutil.copytree(project / "second", tmp_path / f"copy{engine}"))
        spoilt(copy, engine)
        assert driver.main([str(copy)]) == 2 and re.search(complaint, capsys.readouterr().err)
    wrong = Path(shutil.copytree(project / "second", tmp_path / "wrong"))
    (wrong / "tb_data" / "expected.bin").write_bytes(bytes(20))
    assert driver.main([str(wrong), "--frames", "1"]) == 1 and "FAILED" in capsys.readouterr().out


@pytest.mark.csim
@needs_gxx
def test_a_driver_sees_that_the_bitstream_is_another_engines(
    project: Path, hardware: Hardware, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its engine.json and the program agree, and the fabric has something else."""
    copy = Path(shutil.copytree(project, tmp_path / "copy"))
    facts = json.loads((copy / "engine.json").read_text())
    (copy / "engine.json").write_text(json.dumps({**facts, "engine": 7}))
    spoilt(copy, 7)
    monkeypatch.setitem(sys.modules, "pynq", fake_pynq(hardware, MEMORY))
    with pytest.raises(RuntimeError, match="the bitstream is of another engine"):
        load_driver(copy).main(["--frames", "2"])


@pytest.mark.csim
@needs_gxx
def test_linux_application_runs_several_networks_on_one_bitstream(project: Path, hardware: Hardware, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(project, tmp_path / "project"))
    made = subprocess.run(["make", "application", "CXX_FOR_BOARD=g++ -Werror"], cwd=copy, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    (copy / "edgekit.bit").write_bytes(bitstream(bytes(range(8))))
    (copy / "edgekit.dtbo").write_bytes(b"tree")
    root = tmp_path / "root"
    command = ["build/edgekit-zynq", "--root", str(root), "--frames", "3", "--seconds", "0.01"]

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*command, *words], cwd=copy, capture_output=True, text=True, timeout=120)

    with fake_system(hardware, root, MEMORY):
        done = run(".", "second", ".")
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("passed: 0 of 20 values differ") == 3 and done.stdout.count("images a second in calls of 3") == 3
        for engine, complaint in REFUSED:
            shutil.copy(project / "network.program", copy)
            spoilt(copy, engine)
            done = run("--loaded")
            assert done.returncode == 2 and re.search(complaint, done.stderr) and done.stderr.count("\n") == 1
        (copy / "second" / "tb_data" / "expected.bin").write_bytes(bytes(20))
        done = run("--loaded", "second")
        assert done.returncode == 1 and "FAILED" in done.stdout
    done = run("--loaded", "--frames", "0")
    assert done.returncode == 2 and "--frames is 1 to 4096" in done.stderr


def test_deploy_copies_everything_that_the_board_needs(tmp_path: Path) -> None:
    """With cp in scp's place: what arrives is what the driver opens."""
    files = engine_project(networks()[1], find_board("pynq_z2"))
    for name, content in files.items():
        (tmp_path / "p" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "p" / name).write_bytes(content)
    for tool, body in {"ssh": 'shift; exec "$@"', "scp": 'set -- "${@/#board:/}"; exec cp "$@"'}.items():
        (tmp_path / tool).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / tool).chmod(0o755)
    (tmp_path / "p" / "build").mkdir()
    for name in ("edgekit.bit", "edgekit.hwh"):
        (tmp_path / "p" / "build" / name).write_bytes(b"")
    there = tmp_path / "there"
    command = ["make", "deploy", "BOARD=board", f"SSH={tmp_path}/ssh", f"SCP={tmp_path}/scp", f"DESTINATION={there}"]
    done = subprocess.run(command, cwd=tmp_path / "p", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    scripts = {"driver.py", "board.py", "program_file.py", "engine.json", "network.program"}
    assert found == {"edgekit.bit", "edgekit.hwh", "tb_data/inputs.bin", "tb_data/expected.bin"} | scripts
