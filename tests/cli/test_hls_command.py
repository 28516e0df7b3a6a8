"""edgekit hls: the plan's table and files, what is refused, and Vitis HLS as a script that writes a recorded report."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import edgekit as package
from edgekit.graph import Conv2D, Dense, IntegerGraph, Tensor, write_onnx
from edgekit.tools import CLANG, OPT, YOSYS, find

REPORT = """<?xml version="1.0"?><profile>
<UserAssignments><unit>ns</unit><TargetClockPeriod>10.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates>
  <SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>7.300</EstimatedClockPeriod></SummaryOfTimingAnalysis>
  <SummaryOfOverallLatency><Best-caseLatency>900</Best-caseLatency><Worst-caseLatency>LATENCY</Worst-caseLatency>
  <Interval-min>640</Interval-min><Interval-max>641</Interval-max></SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates><Resources><BRAM_18K>30</BRAM_18K><DSP>7</DSP><FF>9000</FF><LUT>12345</LUT><URAM>0</URAM></Resources></AreaEstimates>
</profile>"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    tensors = {"x": Tensor("x", (8, 8, 3), True, 7), "a": Tensor("a", (6, 6, 8), False, 4), "y": Tensor("y", (10,), True, 3)}
    weights = (4 * rng.integers(-31, 32, (3, 3, 3, 8))).astype(np.int8), (4 * rng.integers(-31, 32, (288, 10))).astype(np.int8)
    conv = Conv2D("conv", "x", "a", weights[0], np.full(8, 2, np.int32), (7,) * 8)
    head = Dense("head", "a", "y", weights[1], np.full(10, 2, np.int32), (9,) * 10)
    path = tmp_path / "net.onnx"
    path.write_bytes(write_onnx(IntegerGraph("net", tensors, (conv, head), "x", ("y",))))
    return path


def edgekit(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "edgekit", "hls", *words]
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1]), **environment}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, timeout=120)


def test_the_table_and_the_files(model: Path, tmp_path: Path) -> None:
    done = edgekit(tmp_path, "net.onnx", "--board", "ultra96", "--fps", "1000", "--clock", "150", "-o", "out")
    assert done.returncode == 0, done.stderr
    assert "Estimates for ultra96, before any synthesis" in done.stdout and "share of the chip" in done.stdout
    assert "frames a second at 150 MHz" in done.stdout
    found = json.loads((tmp_path / "out" / "estimates.json").read_text())
    assert found["what"].startswith("estimates") and found["fps"] >= 1000 and found["clock_mhz"] == 150
    assert [layer["name"] for layer in found["layers"]] == ["conv", "head"]
    assert (tmp_path / "out" / "estimates.svg").read_text().startswith("<svg ")
    assert set(json.loads((tmp_path / "out" / "folding.json").read_text())) == {"conv", "head"}
    assert {"build_bitstream.tcl", "driver.py", "accelerator.cpp", "application"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_the_same_bytes_wherever_it_is_written(model: Path, tmp_path: Path) -> None:
    digests = []
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        shutil.copy(model, tmp_path / folder)
        done = edgekit(tmp_path / folder, "net.onnx", "--board", "pynq_z2", "-o", "out", "--json")
        digests.append(json.loads(done.stdout)["digest"])
    assert digests[0] == digests[1]


def test_the_bare_ip_has_no_board_files(model: Path, tmp_path: Path) -> None:
    assert edgekit(tmp_path, "net.onnx", "--board", "zcu102", "--interface", "axi-stream", "-o", "out").returncode == 0
    assert not (tmp_path / "out" / "build_bitstream.tcl").exists()
    assert "set_top edgekit_network\n" in (tmp_path / "out" / "build_ip.tcl").read_text()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--board", "ultra96", "--clock", "900"), "a clock of 900 MHz: xczu3eg-sbva484-1-i of the Avnet Ultra96-V2 has 10 to 400 MHz"),
        (("--board", "zcu102"), "the Xilinx ZCU102 has no interface 'axi-master' here; it has axi-stream"),
        (("--board", "ultra96", "--interface", "pcie"), "has no interface 'pcie' here; it has axi-master and axi-stream"),
        (("--board", "ultra96", "--folding", "bad.json"), "op 'conv' cannot have PE 3: it has to divide 8; take one of 1, 2, 4, 8"),
        (("--board", "ultra96", "--folding", "none.json"), "cannot read 'none.json'"),
        (("--board", "ultra96", "--fps", "10000000"), "Layer 'conv' takes"),
        (("--board", "ultra69"), "unknown board 'ultra69'. Did you mean ultra96"),
        (("--board", "ultra96", "--synthesize"), "EDGEKIT_VITIS_HLS is 'no_vitis', which is no program"),
        (("--board", "ultra96", "--measure"), "EDGEKIT_CLANG is 'no_clang', which is no program"),
    ],
)
def test_refusals_say_why_and_write_nothing(model: Path, tmp_path: Path, words: tuple[str, ...], complaint: str) -> None:
    (tmp_path / "bad.json").write_text('{"conv": {"pe": 3}}')
    before = sorted(tmp_path.iterdir())
    done = edgekit(tmp_path, "net.onnx", *words, "-o", "out", EDGEKIT_VITIS_HLS="no_vitis", EDGEKIT_CLANG="no_clang")
    assert done.returncode == 2 and complaint in done.stderr
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.slow
@pytest.mark.skipif(not all(find(tool) for tool in (CLANG, OPT, YOSYS)), reason="no clang-16, llvm-16 or yosys")
def test_stages_mapped_by_yosys_are_set_beside_the_estimates_and_kept(model: Path, tmp_path: Path) -> None:
    """The second time, without a Yosys that could map anything, the cache has all of it."""
    words = ("net.onnx", "--board", "pynq_z2", "--fps", "100", "--measure")
    done = edgekit(tmp_path, *words, "-o", "out", EDGEKIT_CACHE=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stderr
    assert (
        "Mapped by Yosys" in done.stdout and "nothing placed" in done.stdout and "The clock of what was mapped is not known" in done.stdout
    )
    found = json.loads((tmp_path / "out" / "mapped.json").read_text())
    assert found["what"].startswith("stages mapped by Yosys") and found["family"] == "xc7" and found["program"].startswith("Yosys")
    estimates = json.loads((tmp_path / "out" / "estimates.json").read_text())
    assert [layer["name"] for layer in found["layers"]] == [layer["name"] for layer in estimates["layers"]]
    assert found["total"]["lut"] == sum(layer["lut"] for layer in found["layers"]) > 100
    assert found["total"]["dsp"] == found["total"]["estimated"]["dsp"] == estimates["dsp"]
    assert "| mapped by Yosys" in (tmp_path / "out" / "mapped.svg").read_text()
    program = tmp_path / "yosys"
    program.write_text(f"#!/bin/sh\ntest \"$1\" = -V && echo '{found['program']}' || exit 9\n")
    program.chmod(0o755)
    again = edgekit(tmp_path, *words, "--json", "-o", "again", EDGEKIT_CACHE=str(tmp_path / "cache"), EDGEKIT_YOSYS=str(program))
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["mapped"]["total"] == found["total"]


def fake_vitis(folder: Path, latency: str = "1000", code: int = 0) -> str:
    """Writes a report where Vitis HLS does, and says a few words."""
    report = folder / "report.xml"
    report.write_text(REPORT.replace("LATENCY", latency))
    script = folder / "vitis_hls"
    place = "build_ip/solution/syn/report"
    lines = ["#!/bin/bash", 'test "$1" = -f && test -f "$2" || exit 9', "echo INFO: [HLS 200-10] starting", f"mkdir -p {place}"]
    lines += [f"cp '{report}' {place}/$(sed -n 's/^set_top //p' $2)_csynth.xml", "echo INFO: finished", f"exit {code}"]
    script.write_text("\n".join(lines) + "\n")
    script.chmod(0o755)
    return str(script)


def test_synthesis_is_set_beside_the_estimates(model: Path, tmp_path: Path) -> None:
    done = edgekit(tmp_path, "net.onnx", "--board", "ultra96", "--synthesize", "-o", "out", EDGEKIT_VITIS_HLS=fake_vitis(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "Vitis HLS: INFO: [HLS 200-10] starting" in done.stderr  # streamed, as progress
    assert "Vitis HLS beside the estimates" in done.stdout and "12,345" in done.stdout and "641" in done.stdout
    assert "INFO: finished" in (tmp_path / "out" / "build_ip.log").read_text()


def test_a_report_without_a_latency_is_read(model: Path, tmp_path: Path) -> None:
    vitis = fake_vitis(tmp_path, latency="undef")
    done = edgekit(tmp_path, "net.onnx", "--board", "ultra96", "--synthesize", "--json", "-o", "out", EDGEKIT_VITIS_HLS=vitis)
    found = json.loads(done.stdout)["synthesis"]
    assert found["latency_cycles"] is None and found["interval_cycles"] == 641 and found["bram36"] == 15 and found["dsp"] == 7


def test_a_synthesis_that_fails_shows_the_end_of_its_log(model: Path, tmp_path: Path) -> None:
    vitis = fake_vitis(tmp_path, code=3)
    done = edgekit(tmp_path, "net.onnx", "--board", "ultra96", "--synthesize", "-o", "out", EDGEKIT_VITIS_HLS=vitis)
    assert done.returncode == 2 and "ended with code 3" in done.stderr and "INFO: finished" in done.stderr
