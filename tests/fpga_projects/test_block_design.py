"""The Tcl that builds a bitstream, run by tclsh against stand-ins of Vivado's commands, which refuse what Vivado would."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from board_graphs import small_project, write

from edgekit import fpga_projects
from edgekit.errors import EdgekitError
from edgekit.targets.boards import AXI_MASTER, BOARDS, at_clock, check_interface, find_board

STANDINS = Path(__file__).parent / "vivado_standins.tcl"
README = Path(fpga_projects.__file__).parent / "README.md"
WITH_PROJECT = sorted(name for name, one in BOARDS.items() if AXI_MASTER in one.interfaces)
needs_tclsh = pytest.mark.skipif(shutil.which("tclsh") is None, reason="there is no tclsh (Debian: apt install tcl)")


def build(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = ["tclsh", str(STANDINS), "build_bitstream.tcl"]
    return subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True)


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write(small_project(find_board(name)), tmp_path_factory.mktemp(name)) for name in WITH_PROJECT}


@pytest.fixture
def ultra96(projects: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(projects["ultra96"], tmp_path / "project"))


def test_the_readme_names_the_boards_that_have_projects() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", README.read_text(), re.MULTILINE)[2:]
    listed = {name: family for _, names, family in rows for name in re.findall(r"`(\w+)`", names)}
    assert listed == {name: find_board(name).part.processing_system.title for name in WITH_PROJECT}


@needs_tclsh
@pytest.mark.parametrize("name", WITH_PROJECT)
def test_the_block_design_is_complete(projects: dict[str, Path], tmp_path: Path, name: str) -> None:
    project = Path(shutil.copytree(projects[name], tmp_path / "project"))
    done = build(project)
    assert done.returncode == 0, done.stderr
    target = find_board(name)
    assert f"part {target.part.name} board {target.board_part}\n" in done.stdout
    assert "memory NUM_SI 4\n" in done.stdout  # images, results, and the weights of two layers
    assert (project / "build" / "edgekit.bit").exists() and (project / "build" / "edgekit.hwh").exists()
    system = target.part.processing_system
    assert re.findall(r"^processing_system \w+_DATA_WIDTH (\d+)$", done.stdout, re.MULTILINE) == [str(system.hp_port_bits)]
    assert f"edgekit-accelerator@{system.control_address:x} {{" in (project / "overlay.dts").read_text()


@needs_tclsh
@pytest.mark.parametrize(("name", "setting"), [("ultra96", "PSU__SAXIGP2__DATA_WIDTH 128"), ("pynq_z2", "PCW_S_AXI_HP0_DATA_WIDTH 64")])
def test_the_memory_port_of_a_family_has_its_width(projects: dict[str, Path], tmp_path: Path, name: str, setting: str) -> None:
    """UG1085: the HP ports of a Zynq UltraScale+ have 128 bits. UG585: those of a Zynq-7000 have 64."""
    done = build(Path(shutil.copytree(projects[name], tmp_path / "project")))
    assert f"processing_system {setting}\n" in done.stdout


@needs_tclsh
def test_the_clock_is_the_one_asked_for(tmp_path: Path) -> None:
    done = build(write(small_project(at_clock(find_board("ultra96"), 187.5)), tmp_path))
    assert "processing_system PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ 187.5\n" in done.stdout
    assert "assigned-clock-rates = <187500000>" in (tmp_path / "overlay.dts").read_text()
    assert re.search(r"create_clock -period 5\.33333 ", (tmp_path / "build_ip.tcl").read_text())


@needs_tclsh
@pytest.mark.parametrize(
    ("file", "old", "new", "complaint"),
    [
        ("build_bitstream.tcl", "ip:smartconnect", "ip:smartconect", "no block 'xilinx.com:ip:smartconect' in the catalog"),
        ("build_bitstream.tcl", "accelerator/ap_rst_n", "accelerator/ap_rst", "'accelerator' has no pin 'ap_rst'"),
        ("build_bitstream.tcl", "m_axi_results", "m_axi_result", "'accelerator' has no pin 'm_axi_result'"),
        ("build_bitstream.tcl", "validate_bd_design", "validate_design", 'invalid command name "validate_design"'),
        ("build_bitstream.tcl", "-to_step write_bitstream", "-step write_bitstream", "unknown option -step"),
        ("build_bitstream.tcl", "memory/S03_AXI", "memory/S00_AXI", "'memory/S00_AXI' is joined twice"),
        ("build_bitstream.tcl", "control/M00_AXI]", "control/S00_AXI]", "are not a master and a slave"),
        ("processing_system.tcl", "PSU__USE__IRQ0", "PSU__USE_IRQ0", "has no parameter 'CONFIG.PSU__USE_IRQ0'"),
        ("processing_system.tcl", "CONFIG.PSU__USE__S_AXI_GP2 1", "CONFIG.PSU__USE__S_AXI_GP2 0", "has no pin 'saxihp0_fpd_aclk'"),
        ("processing_system.tcl", "USE__M_AXI_GP1 0", "USE__M_AXI_GP1 1", "'processing_system/M_AXI_HPM1_FPD' is not connected"),
        ("accelerator.cpp", "bundle=images", "bundle=pictures", "'accelerator' has no pin 'm_axi_images'"),
    ],
)  # fmt: skip
def test_a_mistake_fails(ultra96: Path, file: str, old: str, new: str, complaint: str) -> None:
    text = (ultra96 / file).read_text()
    assert old in text
    (ultra96 / file).write_text(text.replace(old, new, 1))
    done = build(ultra96)
    assert done.returncode != 0 and complaint in done.stderr


@needs_tclsh
def test_missed_timing_is_no_bitstream(ultra96: Path) -> None:
    done = build(ultra96, STANDIN_SLACK="-0.2")
    assert done.returncode != 0 and "timing is not met at 100 MHz: the worst slack is -0.2 ns" in done.stderr
    assert not (ultra96 / "build" / "edgekit.bit").exists()


def test_the_carrier_of_a_module_is_named(projects: dict[str, Path]) -> None:
    assert "set_property board_connections {som240_1_connector " in (projects["kv260"] / "build_bitstream.tcl").read_text()
    assert "board_connections" not in (projects["zcu104"] / "build_bitstream.tcl").read_text()


def test_a_board_without_the_asked_interface_is_refused() -> None:
    with pytest.raises(EdgekitError, match="ZCU102 has no interface 'axi-master' here; it has axi-stream"):
        check_interface(find_board("zcu102"), AXI_MASTER)


@pytest.mark.parametrize(("name", "clock"), [("ultra96", 401.0), ("pynq_z2", 250.1), ("ultra96", 0.0), ("ultra96", float("nan"))])
def test_a_clock_that_the_part_cannot_have_is_refused(name: str, clock: float) -> None:
    with pytest.raises(EdgekitError, match="MHz for its fabric; without --clock it is 100 MHz"):
        at_clock(find_board(name), clock)


def test_bitstream_and_deploy_say_what_is_missing(ultra96: Path) -> None:
    def make(*words: str) -> str:
        return subprocess.run(["make", *words], cwd=ultra96, capture_output=True, text=True).stderr

    assert "no_vivado is not there" in make("bitstream", "VIVADO=no_vivado")
    assert "no_vivado is not there" in make("bitstream", "EDGEKIT_VIVADO=no_vivado", "VIVADO=true")
    assert "make ip first" in make("bitstream", "VIVADO=true")
    assert "which board?" in make("deploy")
    assert "make bitstream first" in make("deploy", "BOARD=root@board")


def test_deploy_copies_everything_that_the_board_needs(ultra96: Path, tmp_path: Path) -> None:
    """With cp in scp's place: what arrives is what the driver opens."""
    for tool, body in {"ssh": 'shift; exec "$@"', "scp": 'set -- "${@/#board:/}"; exec cp "$@"'}.items():
        (tmp_path / tool).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / tool).chmod(0o755)
    (ultra96 / "build").mkdir()
    for name in ("edgekit.bit", "edgekit.hwh"):
        (ultra96 / "build" / name).write_bytes(b"")
    there = tmp_path / "there"
    command = ["make", "deploy", "BOARD=board", f"SSH={tmp_path}/ssh", f"SCP={tmp_path}/scp", f"DESTINATION={there}"]
    done = subprocess.run(command, cwd=ultra96, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {path.relative_to(there).as_posix() for path in there.rglob("*") if path.is_file()}
    memories = {path.relative_to(ultra96).as_posix() for path in (ultra96 / "firmware" / "memory").iterdir()}
    assert len(memories) == 2
    assert (
        found
        == {"edgekit.bit", "edgekit.hwh", "driver.py", "board.py", "accelerator.json", "tb_data/inputs.bin", "tb_data/expected.bin"}
        | memories
    )
