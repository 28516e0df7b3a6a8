#!/usr/bin/env python3
"""Runs networks on an engine, on a board with PYNQ: loads the overlay once, then of each network the program, compares its results bit by
bit with the numpy reference's, and times it.

    sudo -E python3 driver.py [FOLDER ...] [--frames 16] [--seconds 5] [--json]

Each FOLDER has a network.program and its tb_data; by default the one that this file is in. Exit code 1 if any value differs, 2 where a
program is not for this engine. engine.json says where the registers are.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from board import CONTROL, START, differing_values, show, tell, time_frames, wait
from program_file import Named, Placed, ProgramFileError, read_program

HERE = Path(__file__).resolve().parent
RETURNED = 0x10
BURST_BYTES = 64


class Engine:
    """The engine in the fabric. `load` takes a network; images and results have memory that both sides see."""

    def __init__(self, folder: Path = HERE, frames: int = 16):
        import pynq

        self.facts = json.loads((folder / "engine.json").read_text())
        if not 1 <= frames <= self.facts["frames_max"]:
            raise ValueError(f"{frames} frames: the engine takes 1 to {self.facts['frames_max']} a call")
        self.pynq, self.frames = pynq, frames
        self.overlay = pynq.Overlay(str(folder / "edgekit.bit"))
        self.ip = getattr(self.overlay, self.facts["ip"])
        self.buffers: list[Any] = []

    def load(self, path: Path) -> Placed:
        """Puts the program in a file into memory, in the place of the one before; the bitstream stays. Raises ProgramFileError."""
        content = path.read_bytes()
        self.placed = read_program(content, self.facts["engine"])
        program = self.placed.program
        for buffer in self.buffers:
            buffer.freebuffer()
        self.memory = self.pynq.allocate((len(content),), np.uint8)
        self.memory[:] = np.frombuffer(content, np.uint8)
        self.memory.flush()
        self.images = self.pynq.allocate((self.frames * program.image_bytes + BURST_BYTES,), np.uint8)
        self.results = self.pynq.allocate((self.frames * program.result_words * program.size["simd"],), np.uint8)
        self.buffers = [self.memory, self.images, self.results]
        parts = {"matrix_at": self.placed.matrix_at, "vector_at": self.placed.vector_at, "rows_at": self.placed.rows_at}
        places = {"matrix_jobs": parts["matrix_at"], "vector_jobs": parts["vector_at"], "matrix_program": 0, "vector_program": 0}
        for name, first in places.items():
            tell(self.ip, self.facts["registers"][name], self.memory.device_address + first)
        tell(self.ip, self.facts["registers"]["images"], self.images.device_address)
        tell(self.ip, self.facts["registers"]["results"], self.results.device_address)
        numbers = {"engine": program.engine, "beats": program.beats, "image_bytes": program.image_bytes}
        numbers |= {"matrix_count": len(program.matrix) // 128, "vector_count": len(program.vector) // 128}
        for name, number in {**numbers, **parts, "result_words": program.result_words}.items():
            self.ip.write(self.facts["registers"][name], number)
        return self.placed

    def start(self, frames: int) -> None:
        """Images must be in memory (`show`)."""
        self.ip.write(self.facts["registers"]["frames"], frames)
        self.ip.write(CONTROL, START)

    def call(self, frames: int) -> None:
        """The images that are in memory, to the end. Raises RuntimeError where the bitstream is another engine's."""
        self.start(frames)
        wait(self.ip)
        if self.ip.read(RETURNED) != 0:
            raise RuntimeError("the bitstream is of another engine than engine.json and the program; load the one of this project")

    def show(self, images: Any) -> None:
        """`images` uint8 (frames, values), two's complement where the input is signed."""
        self.images[: images.size] = images.ravel()
        self.images.flush()

    def outputs(self, frames: int) -> dict[str, Any]:
        """Tensor name -> (frames, *shape), int8 or uint8."""
        self.results.invalidate()
        program = self.placed.program
        results = np.array(self.results).reshape(self.frames, -1)[:frames]
        return {output.name: _values(output, results[:, : program.result_words * program.size["simd"]]) for output in program.outputs}

    def run(self, images: Any) -> dict[str, Any]:
        """`images` uint8 (count, values), any number of them -> outputs by name."""
        found: dict[str, list[Any]] = {}
        for first in range(0, len(images), self.frames):
            some = images[first : first + self.frames]
            self.show(some)
            self.call(len(some))
            for name, values in self.outputs(len(some)).items():
                found.setdefault(name, []).append(values)
        return {name: np.concatenate(values) for name, values in found.items()}


def _values(output: Named, results: Any) -> Any:
    """An output (frames, *shape) out of results (frames, bytes)."""
    area = results[:, output.first : output.first + output.pixels * output.pixel_bytes]
    taken = area.reshape(len(results), output.pixels, output.pixel_bytes)[:, :, np.array(output.places)]
    return np.ascontiguousarray(taken).view(np.int8 if output.signed else np.uint8).reshape(len(results), *output.shape)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="compare networks' golden vectors bit by bit on the engine, then time them")
    parser.add_argument("folders", nargs="*", type=Path, default=[HERE], help="folders with network.program and tb_data")
    parser.add_argument("--frames", type=int, default=16, help="images a call")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to time each network")
    parser.add_argument("--json", action="store_true", help="print one JSON object a network")
    options = parser.parse_args(argv)
    engine, failed = Engine(HERE, options.frames), False
    for folder in options.folders:
        try:
            program = engine.load(folder / "network.program").program
        except (OSError, ProgramFileError) as error:
            print(f"driver.py: {folder / 'network.program'}: {error}", file=sys.stderr)
            return 2
        differing, values = differing_values(engine.run, program.image_bytes, folder)
        report: dict[str, Any] = {"network": program.network, "differing": differing, "values": values}
        if differing == 0:
            report |= time_frames(engine.call, options.frames, options.seconds)
        failed = failed or differing > 0
        show(report, options.frames, options.json)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
