"""The project: the same bytes each time, nothing of this machine in it, and it works where it is copied to."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compilers import needs_compiler
from hls4ml_projects import plan_hls4ml_project, to_hls4ml
from projects import every_kernel, plan_folded, write

import edgekit
from edgekit.targets.boards import find_board

PLANS = {"folded": plan_folded, "hls4ml": plan_hls4ml_project}
both = pytest.mark.parametrize("kind", PLANS)


def in_another_process(expression: str, kind: str = "folded") -> str:
    """What an expression of this module, `t`, prints in a fresh interpreter with another hash seed."""
    path = os.pathsep.join([str(Path(__file__).parent), str(Path(edgekit.__file__).parents[1])])
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": path}
    program = f"import sys, test_hls_project as t; plan = t.PLANS['{kind}'](t.every_kernel(), t.find_board('ultra96')); print({expression})"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def digest(plan: dict[str, bytes]) -> str:
    return hashlib.sha256(repr(sorted(plan.items())).encode()).hexdigest()


@both
def test_plan_is_the_same_every_time_also_in_another_process(kind: str) -> None:
    """In another process with another hash seed, where no other graph was converted before."""
    plan = PLANS[kind](every_kernel(), find_board("ultra96"))
    assert PLANS[kind](every_kernel(), find_board("ultra96")) == plan
    assert in_another_process("t.digest(plan)", kind) == digest(plan)


@both
def test_plan_holds_no_absolute_path_and_its_names_stay_inside(kind: str) -> None:
    plan = PLANS[kind](every_kernel(), find_board("ultra96"))
    places = [str(Path.cwd()), str(Path.home()), sys.prefix, "/tmp/", "/home/", "site-packages"]
    assert [(name, place) for name, content in plan.items() for place in places if place.encode() in content] == []
    assert all(re.fullmatch(r"[A-Za-z0-9_./]+", name) and ".." not in name and not name.startswith("/") for name in plan)


def test_plan_is_for_the_board() -> None:
    script = plan_folded(every_kernel(), find_board("pynq_z2"))["build_ip.tcl"].decode()
    assert "set_part xc7z020clg400-1\n" in script
    assert "create_clock -period 10 -name default\n" in script


def test_weights_have_six_bits_and_accumulators_what_the_bound_needs() -> None:
    """27 taps of -31..31 on -128..127 plus a bias: 18 bits hold 2 * 9 * 31 * 128 = 71424 and a bias below 2**17 - 71424."""
    plan = plan_hls4ml_project(every_kernel(), find_board("ultra96"))
    types = dict(re.findall(r"typedef (.*) (\w+);", plan["firmware/defines.h"].decode())[::-1])
    types = {name: kind for kind, name in types.items()}
    assert types["n0_block_1_conv_int_main_accumulators_weight_t"] == "ap_int<6>"
    width = int(re.fullmatch(r"ap_int<(\d+)>", types["n0_block_1_conv_int_main_accumulators_accum_t"]).group(1))  # type: ignore[union-attr]
    assert width <= 18


def test_tensorflow_is_not_needed() -> None:
    assert in_another_process("'tensorflow' in sys.modules") == "False"


def test_to_hls4ml_writes_nothing(tmp_path: Path) -> None:
    model = to_hls4ml(every_kernel(), find_board("ultra96"), tmp_path / "project")
    assert model.config.get_config_value("Part") == "xczu3eg-sbva484-1-i"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.csim
@needs_compiler
@both
def test_make_csim_in_a_copied_folder_without_warnings_from_our_sources(tmp_path: Path, kind: str) -> None:
    project = tmp_path / "a copy" / "of it"
    shutil.copytree(write(PLANS[kind](every_kernel(), find_board("ultra96")), tmp_path / "original"), project)
    shutil.rmtree(tmp_path / "original")
    flags = "CXXFLAGS=-O1 -Wall -Wextra -Wno-unknown-pragmas -Wno-unused-label"  # labels name loops in HLS reports
    done = subprocess.run(["make", "csim", flags], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "passed: 0 of 12 values differ" in done.stdout
    ours = [line for line in done.stderr.splitlines() if re.match(r"\S*(edgekit_\w+\.h|network_io\.h|testbench\.cpp):\d+.*warning", line)]
    assert ours == []

    expected = project / "tb_data" / "expected.bin"  # and it can fail
    expected.write_bytes(bytes([expected.read_bytes()[0] ^ 1]) + expected.read_bytes()[1:])
    done = subprocess.run(["make", "csim", flags], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "FAILED: 1 of 12 values differ" in done.stdout


def test_make_ip_without_vitis_hls_says_what_to_set(tmp_path: Path) -> None:
    project = write(plan_folded(every_kernel(), find_board("ultra96")), tmp_path)
    done = subprocess.run(["make", "ip", "VITIS_HLS=no_such_vitis"], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "no_such_vitis is not there" in done.stderr and "EDGEKIT_VITIS_HLS" in done.stderr


@pytest.mark.parametrize(
    ("variable", "program", "said"),
    [
        ("EDGEKIT_VITIS_HLS", "vitis_hls", "-f build_ip.tcl"),
        ("EDGEKIT_VITIS_HLS", "vitis-run", "--mode hls --tcl build_ip.tcl"),
        ("VITIS_HLS", "vitis_hls", "-f build_ip.tcl"),
        ("PATH", "vitis-run", "--mode hls --tcl build_ip.tcl"),
    ],
)
def test_make_ip_takes_the_program_of_any_release(tmp_path: Path, variable: str, program: str, said: str) -> None:
    """Named by edgekit's variable or the Makefile's own, or found; each is given the script in its own way."""
    project = write(plan_folded(every_kernel(), find_board("ultra96")), tmp_path / "project")
    vitis = tmp_path / "vitis" / program
    vitis.parent.mkdir()
    vitis.write_text('#!/bin/sh\necho "$@"\n')
    vitis.chmod(0o755)
    others = {name: value for name, value in os.environ.items() if name not in ("EDGEKIT_VITIS_HLS", "VITIS_HLS")}
    setting = f"{vitis.parent}:{os.environ['PATH']}" if variable == "PATH" else str(vitis)
    environment = {**others, "EDGEKIT_VITIS_HLS": "", variable: setting}
    done = subprocess.run(["make", "-s", "ip"], cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"{said}\n"
