"""The accelerator without an FPGA: its own C++ source, compiled, called with the memory that a driver has filled."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

PROGRAM = """
#include "accelerator.h"
#include "network_io.h"
#include <fstream>
#include <iterator>
template <class word_T> std::vector<word_T> words(const std::string &path, size_t bytes) {
    std::ifstream file(path, std::ios::binary);
    const std::vector<char> found((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    std::vector<word_T> result(found.size() / bytes, 0);
    for (size_t i = 0; i < result.size() * bytes; i++) {
        result[i / bytes] |= word_T((unsigned char)found[i]) << (8 * (i % bytes));
    }
    return result;
}
int main(int, char **argv) {
    const unsigned frames = std::atoi(argv[1]);
    std::vector<edgekit::word_t> images = words<edgekit::word_t>("sim_images", edgekit::word_bytes);
    std::vector<edgekit::word_t> results(frames * edgekit::result_words, 0);
$loads
    edgekit_accelerator(images.data(), results.data(), ${arguments}frames);
    std::ofstream out("sim_results", std::ios::binary);
    for (size_t i = 0; i < results.size() * edgekit::word_bytes; i++) {
        out.put((results[i / edgekit::word_bytes] >> (8 * (i % edgekit::word_bytes))).to_uint() & 255);
    }
}
"""


@dataclass(frozen=True)
class SimulatedAccelerator:
    project: Path
    facts: dict[str, Any]

    def run(self, images: bytes, weights: dict[str, bytes], frames: int) -> bytes:
        """Memory words as the accelerator would read them; its results."""
        (self.project / "sim_images").write_bytes(images)
        for name, content in weights.items():
            (self.project / f"sim_{name}").write_bytes(content)
        subprocess.run(["./simulated", str(frames)], cwd=self.project, check=True, timeout=60)
        return (self.project / "sim_results").read_bytes()


def compile_accelerator(project: Path) -> SimulatedAccelerator:
    facts = json.loads((project / "accelerator.json").read_text())
    names = [memory["name"] for memory in facts["memories"]]
    sizes = {name: len((project / f"firmware/memory/{name}.bin").read_bytes()) for name in names}
    defines = (project / "firmware" / "defines.h").read_text()
    loads = []
    for name in names:
        bits = int(defines.split(f"> {name}_t;")[0].rsplit("<", 1)[1])
        assert sizes[name] % (bits // 8) == 0
        loads.append(f'    std::vector<{name}_t> {name} = words<{name}_t>("sim_{name}", {bits // 8});')
    arguments = "".join(f"{name}.data(), " for name in names)
    (project / "simulated.cpp").write_text(Template(PROGRAM).substitute(loads="\n".join(loads), arguments=arguments))
    flags = ["-std=c++14", "-O0", "-w", "-I.", "-isystem", "firmware/ap_types", '-DWEIGHTS_DIR="firmware/weights"']
    sources = ["firmware/edgekit_network.cpp", "accelerator.cpp", "simulated.cpp"]
    done = subprocess.run(["g++", *flags, *sources, "-o", "simulated"], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return SimulatedAccelerator(project, facts)


class Registers:
    """What the control port holds, by byte address; and the memory that 64-bit addresses in it point to."""

    def __init__(self, accelerator: SimulatedAccelerator, memory: np.ndarray[Any, Any], base: int):
        self.accelerator, self.memory, self.base = accelerator, memory, base
        self.words: dict[int, int] = {}

    def address(self, register: int) -> int:
        return self.words[register] + (self.words[register + 4] << 32) - self.base

    def start(self) -> None:
        facts = self.accelerator.facts
        frames = self.words[facts["registers"]["frames"]]
        images, results = (self.address(facts["registers"][name]) for name in ("images", "results"))
        weights = {one["name"]: self.address(one["register"]) for one in facts["memories"]}
        contents = {one["name"]: self.memory[weights[one["name"]] :][: one["bytes"]].tobytes() for one in facts["memories"]}
        computed = self.accelerator.run(self.memory[images:][: frames * facts["image_bytes"]].tobytes(), contents, frames)
        self.memory[results:][: len(computed)] = np.frombuffer(computed, np.uint8)
