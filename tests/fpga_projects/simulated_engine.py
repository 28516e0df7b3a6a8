"""The engine without an FPGA: its own C++, compiled, called with the memory that a driver has filled."""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from hand_graphs import small_mobilenet
from simulated_board import Hardware

from edgekit.fpga_projects.engine_project import engine_files, network_files
from edgekit.graph import IntegerGraph
from edgekit.hls.engine.compiler import compile_graph
from edgekit.hls.engine.cost import Design
from edgekit.hls.engine.size import EngineSize
from edgekit.targets import Board, at_clock, find_board

DESIGN = Design(EngineSize(simd=8, words=3, banks=4, bank_words=1000, positions=96), 200.0)
"""Small, with rows of 12 bytes, which no word of a port divides."""
PROGRAM = """
#include "accelerator.h"
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>
int main(int, char **argv) {
    std::ifstream file(argv[1], std::ios::binary);
    std::vector<char> memory((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    file.close();
    char *at[6];
    for (int i = 0; i < 6; i++) {
        at[i] = memory.data() + std::strtoull(argv[2 + i], nullptr, 10);
    }
    unsigned number[10];
    for (int i = 0; i < 10; i++) {
        number[i] = unsigned(std::strtoul(argv[8 + i], nullptr, 10));
    }
    typedef edgekit::memory_word words;
    const unsigned ended = edgekit_accelerator(
        (words *)at[0], (words *)at[1], (words *)at[2], (words *)at[3], (unsigned char *)at[4], (nnet::engine_word<engine_size> *)at[5],
        number[0], number[1], number[2], number[3], number[4], number[5], number[6], number[7], number[8], number[9]);
    std::ofstream(argv[1], std::ios::binary).write(memory.data(), std::streamsize(memory.size()));
    std::printf("%u", ended);
}
"""
POINTERS = ("matrix_jobs", "matrix_program", "vector_jobs", "vector_program", "images", "results")
PLACES = ("matrix_at", "vector_at", "rows_at")
NUMBERS = ("engine", "beats", "matrix_count", "vector_count", *PLACES, "image_bytes", "result_words", "frames")


def networks() -> tuple[IntegerGraph, IntegerGraph]:
    """Two that one engine runs: of different sizes of image and weights."""
    return small_mobilenet(np.random.default_rng(1), size=16), small_mobilenet(np.random.default_rng(2), size=8, widths=(8, 8, 16, 16))


def engine_project(graph: IntegerGraph, board: Board, design: Design = DESIGN) -> dict[str, bytes]:
    target = at_clock(board, design.clock_mhz)
    return engine_files(design, target) | network_files(graph, compile_graph(graph, design.size), design, target)


def write(files: dict[str, bytes], folder: Path) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def project_in(folder: Path, board: str = "ultra96") -> Path:
    """The project of the first network in `folder`, and the second one's program and vectors in `folder`/second."""
    first, second = networks()
    write(engine_project(first, find_board(board)), folder)
    files = engine_project(second, find_board(board))
    return write({f"second/{name}": files[name] for name in files if name == "network.program" or name.startswith("tb_data")}, folder)


def compile_engine_project(project: Path) -> Hardware:
    """The hardware of a project's engine."""
    (project / "simulated.cpp").write_text(PROGRAM)
    flags = ["-std=c++14", "-O1", "-w", "-I.", "-isystem", "firmware/native"]
    done = subprocess.run(
        ["g++", *flags, "accelerator.cpp", "simulated.cpp", "-o", "simulated"], cwd=project, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return partial(EnginePort, project)


class EnginePort:
    """What the control port holds, by byte address; and the memory that 64-bit addresses in it point to."""

    def __init__(self, project: Path, memory: np.ndarray[Any, Any], base: int):
        self.project, self.memory, self.base = project, memory, base
        self.words: dict[int, int] = {}

    def start(self) -> None:
        registers = json.loads((self.project / "engine.json").read_text())["registers"]
        places = [self.words[registers[name]] + (self.words[registers[name] + 4] << 32) - self.base for name in POINTERS]
        numbers = [self.words[registers[name]] for name in NUMBERS]
        assert all(0 <= place < len(self.memory) for place in places)
        self.memory.tofile(self.project / "sim_memory")
        command = [str(self.project / "simulated"), "sim_memory", *map(str, places), *map(str, numbers)]
        done = subprocess.run(command, cwd=self.project, check=True, timeout=60, capture_output=True, text=True)
        self.memory[:] = np.fromfile(self.project / "sim_memory", np.uint8)
        self.words[0x10] = int(done.stdout)
