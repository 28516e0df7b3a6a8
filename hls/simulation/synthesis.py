"""Runs Vitis HLS on a project and reads its reports: what synthesis says, to set beside the estimates."""

from __future__ import annotations

import subprocess
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

from edgekit.children import started
from edgekit.errors import EdgekitError
from edgekit.files import read_bounded
from edgekit.progress import Note

SCRIPT, LOG = "build_ip.tcl", "build_ip.log"
REPORTS = Path("build_ip/solution/syn/report")
TOPS = ("edgekit_accelerator", "edgekit_network")
NETWORK = "edgekit_network"
REPORT_BYTES_MAX = 64 << 20
LINES_SHOWN = 15


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """What the reports of C synthesis say; None where they say "undef" or nothing. Cycles are the network's for one frame."""

    top: str
    clock_target_ns: float | None
    clock_estimated_ns: float | None
    latency_cycles: int | None
    interval_cycles: int | None
    lut: int | None
    ff: int | None
    bram36: float | None
    dsp: int | None


def synthesize(project: Path, program: Path, note: Note) -> Synthesis:
    """Runs the project's script with Vitis HLS. Each line of its log goes to `note` and, at the end, all are in build_ip.log.

    Raises:
        EdgekitError: the folder has no script, Vitis HLS fails (the message has the end of its log), or writes no report.
    """
    if not (project / SCRIPT).is_file():
        raise EdgekitError(f"{project} has no {SCRIPT}; name a folder that 'edgekit hls' wrote")
    command = [str(program), "--mode", "hls", "--tcl", SCRIPT] if program.name == "vitis-run" else [str(program), "-f", SCRIPT]
    lines: list[str] = []
    with (
        (project / LOG).open("wb") as log,
        started(command, folder=project, messages=subprocess.STDOUT) as process,
    ):
        assert process.stdout is not None
        for said in process.stdout:
            log.write(said)
            line = said.decode(errors="replace").rstrip()
            lines = [*lines[-LINES_SHOWN:], line]
            if line.strip():
                note(f"Vitis HLS: {line.strip()[:120]}")
        code = process.wait()
    if code != 0:
        raise EdgekitError(f"{program} ended with code {code}; {project / LOG} says why. Its end:\n" + "\n".join(lines))
    return read_reports(project)


def read_reports(project: Path) -> Synthesis:
    """Reads csynth.xml of the top function, and of the network in it. Raises EdgekitError."""
    found = {top: project / REPORTS / f"{top}_csynth.xml" for top in TOPS}
    present = [top for top in TOPS if found[top].is_file()]
    if not present:
        raise EdgekitError(f"Vitis HLS wrote no report: there is no {found[TOPS[0]]}")
    top = _parse(found[present[0]])
    network = _parse(found[NETWORK]) if NETWORK in present else top
    area = "AreaEstimates/Resources"
    bram18 = _integer(top, f"{area}/BRAM_18K")
    return Synthesis(
        top=present[0],
        clock_target_ns=_number(top, "UserAssignments/TargetClockPeriod"),
        clock_estimated_ns=_number(top, "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod"),
        latency_cycles=_integer(network, "PerformanceEstimates/SummaryOfOverallLatency/Worst-caseLatency"),
        interval_cycles=_integer(network, "PerformanceEstimates/SummaryOfOverallLatency/Interval-max"),
        lut=_integer(top, f"{area}/LUT"),
        ff=_integer(top, f"{area}/FF"),
        bram36=None if bram18 is None else bram18 / 2,
        dsp=_integer(top, f"{area}/DSP", f"{area}/DSP48E"),
    )


def _parse(path: Path) -> ElementTree.Element:
    try:
        content = read_bounded(path, REPORT_BYTES_MAX)
        if not content or b"<!DOCTYPE" in content or b"<!ENTITY" in content:
            raise EdgekitError(f"{path} is no report of Vitis HLS")
        return ElementTree.fromstring(content)
    except (OSError, ElementTree.ParseError) as error:
        raise EdgekitError(f"{path} cannot be read: {error}") from error


def _number(root: ElementTree.Element, *places: str) -> float | None:
    """The number at the first of the places that is there."""
    texts = [text for place in places if (text := root.findtext(place)) is not None]
    try:
        return float(texts[0])
    except (IndexError, ValueError):
        return None


def _integer(root: ElementTree.Element, *places: str) -> int | None:
    number = _number(root, *places)
    return None if number is None else round(number)
