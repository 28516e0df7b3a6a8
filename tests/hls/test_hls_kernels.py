"""The C++ kernels themselves: arithmetic units in every case, and what high-level synthesis and two compilers ask of the source."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from projects import EVERY_STAGE, plan_with_memory, write

from edgekit.graph import IntegerGraph
from edgekit.hls.kernels.registry import HEADERS, KERNELS, Kernel
from edgekit.hls.project.project import plan_simulation
from edgekit.hls.simulation.csim import FLAGS
from edgekit.targets.boards import find_board

HERE = Path(__file__).parent
HLS = Path(__file__).resolve().parents[2] / "hls"
STRICT = ("-Wall", "-Wextra", "-Wno-unknown-pragmas", "-Wno-unused-label")  # labels name loops in HLS reports
COMPILERS = [
    pytest.param(name, marks=[pytest.mark.csim, pytest.mark.skipif(shutil.which(name) is None, reason=f"no {name}")])
    for name in ("g++", "clang++")
]


def header(name: str) -> Path:
    return HLS / "kernels" / name


def types_folder(types: str) -> Path:
    if types == "native":
        return HLS / "native"
    import hls4ml

    return Path(hls4ml.__file__).parent / "templates" / "vivado" / "ap_types"


@pytest.mark.parametrize("types", ["native", "ap_types"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_arithmetic_units_in_every_case(compiler: str, types: str, tmp_path: Path) -> None:
    program = tmp_path / "arithmetic"
    flags = ["-std=c++14", "-O1", *STRICT, "-isystem", str(types_folder(types)), *(f"-I{HLS / room}" for room in ("kernels", "simulation"))]
    done = subprocess.run([compiler, *flags, str(HERE / "arithmetic.cpp"), "-o", str(program)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = subprocess.run([str(program)], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "6888330 cases are equal\n")


@pytest.mark.parametrize("make", EVERY_STAGE)
@pytest.mark.parametrize("types", ["native", "ap_types"])
@pytest.mark.parametrize("compiler", COMPILERS)
def test_a_project_of_every_kernel_compiles_without_a_warning(
    compiler: str, types: str, make: Callable[[], IntegerGraph], tmp_path: Path
) -> None:
    graph = make()
    project = write(plan_simulation(graph, find_board("ultra96"), plan_with_memory(graph)), tmp_path)
    assert (project / "firmware" / "memory").is_dir()
    flags = [*(flag for flag in FLAGS if flag != "-w"), *STRICT, "-fsyntax-only", "-isystem", f"firmware/{types}"]
    sources = ["firmware/edgekit_network.cpp", "simulate.cpp", "count.cpp"]
    for source in sources:
        done = subprocess.run([compiler, *flags, source], cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        ours = re.findall(r"^\S*(?:edgekit_\w+\.h|network_io\.h|count\.cpp|simulate\.cpp):\d+.*warning.*$", done.stderr, re.MULTILINE)
        assert ours == []


@pytest.mark.parametrize("name", HEADERS)
def test_no_memory_is_allocated_and_every_loop_has_a_static_bound(name: str) -> None:
    text = re.sub(r"//.*", "", header(name).read_text())
    assert re.findall(r"\b(?:new|delete|malloc|free|while|do|goto|std)\b", text) == []
    static = r"(?:\w+ \+ 1 < )?(?:\w+ < )?(?:CONFIG_T::|PE\b|SIMD\b|K\b|pe\b|lanes\b|\w+_T::size\b)"
    loops = re.findall(r"for \(\w+ \w+ = \w+; (.*?);", text)
    assert len(loops) == text.count("for (")
    assert [loop for loop in loops if not re.match(rf"\w+ < {static}", loop)] == []


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.name)
def test_every_pipelined_loop_is_counted_and_written_for_one_iteration_a_cycle(kernel: Kernel) -> None:
    text = header(kernel.header).read_text()
    assert text.count("#pragma HLS PIPELINE") == text.count("#pragma HLS PIPELINE II=1\n") > 0
    assert text.count("EDGEKIT_ITERATION(CONFIG_T);") == text.count("#pragma HLS PIPELINE II=1")
