#!/usr/bin/env python3
"""Runs on a board with PYNQ: loads the overlay, compares its results bit by bit with the numpy reference's, then times it.

    sudo -E python3 driver.py [--frames 64] [--seconds 5] [--json]

Exit code 1 if any value differs. accelerator.json says where things are; tb_data has inputs and expected results.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
CONTROL, START, DONE = 0x00, 1, 2
SECONDS_MAX = 60


class Accelerator:
    """The IP in the fabric, and memory for up to `frames` images that both sides see."""

    def __init__(self, folder: Path = HERE, frames: int = 64):
        import pynq

        self.facts = json.loads((folder / "accelerator.json").read_text())
        if not 1 <= frames <= self.facts["frames_max"]:
            raise ValueError(f"{frames} frames: the accelerator takes 1 to {self.facts['frames_max']} a call")
        self.overlay = pynq.Overlay(str(folder / "edgekit.bit"))
        self.ip = getattr(self.overlay, self.facts["ip"])
        self.images = pynq.allocate((frames, self.facts["image_bytes"]), np.uint8)
        self.results = pynq.allocate((frames, self.facts["result_bytes"]), np.uint8)
        registers, memories = self.facts["registers"], self.facts["memories"]
        self.tell(registers["images"], self.images.device_address)
        self.tell(registers["results"], self.results.device_address)
        self.weights = pynq.allocate((max([1, *(memory["first"] + memory["bytes"] for memory in memories)]),), np.uint8)
        for memory in memories:
            content = np.fromfile(folder / memory["file"], np.uint8)
            self.weights[memory["first"] : memory["first"] + memory["bytes"]] = content
            self.tell(memory["register"], self.weights.device_address + memory["first"])
        self.weights.flush()

    def tell(self, register: int, address: int) -> None:
        """Writes a 64-bit address."""
        self.ip.write(register, address & 0xFFFFFFFF)
        self.ip.write(register + 4, address >> 32)

    def start(self, frames: int) -> None:
        """Images must be in memory (`load`)."""
        self.ip.write(self.facts["registers"]["frames"], frames)
        self.ip.write(CONTROL, START)

    def wait(self) -> None:
        """Until the accelerator is done. Raises TimeoutError."""
        end = time.monotonic() + SECONDS_MAX
        while not self.ip.read(CONTROL) & DONE:
            if time.monotonic() > end:
                raise TimeoutError(f"the accelerator did not finish within {SECONDS_MAX} s")

    def load(self, images: Any) -> None:
        """`images` uint8 (frames, values), two's complement where the input is signed."""
        self.images[: len(images), : images.shape[1]] = images
        self.images.flush()

    def outputs(self, frames: int) -> dict[str, Any]:
        """Tensor name -> (frames, *shape), int8 or uint8."""
        self.results.invalidate()
        found = {}
        for output in self.facts["outputs"]:
            values = int(np.prod(output["shape"]))
            taken = np.array(self.results[:frames, output["first"] : output["first"] + values])
            found[output["name"]] = taken.view(np.int8 if output["signed"] else np.uint8).reshape(frames, *output["shape"])
        return found

    def run(self, images: Any) -> dict[str, Any]:
        """`images` uint8 (frames, values) -> outputs by name."""
        self.load(images)
        self.start(len(images))
        self.wait()
        return self.outputs(len(images))


def differing_values(accelerator: Accelerator, folder: Path) -> tuple[int, int]:
    """How many golden values differ, and of how many."""
    inputs = np.fromfile(folder / "tb_data" / "inputs.bin", np.uint8).reshape(-1, accelerator.facts["image_values"])
    expected = np.fromfile(folder / "tb_data" / "expected.bin", np.uint8).reshape(len(inputs), -1)
    found = accelerator.run(inputs)
    computed = np.concatenate([values.view(np.uint8).reshape(len(inputs), -1) for values in found.values()], axis=1)
    return int((computed != expected).sum()), expected.size


def time_frames(accelerator: Accelerator, frames: int, seconds: float) -> dict[str, float]:
    """Milliseconds of one image alone, and images a second of `frames` in a row."""

    def seconds_of(count: int) -> list[float]:
        taken: list[float] = []
        while not taken or sum(taken) < seconds / 2:
            begin = time.perf_counter()
            accelerator.start(count)
            accelerator.wait()
            taken.append(time.perf_counter() - begin)
        return taken

    seconds_of(1)  # warm-up
    return {"latency_ms_p50": 1e3 * float(np.median(seconds_of(1))), "fps": frames / float(np.median(seconds_of(frames)))}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="compare the accelerator's golden vectors bit by bit, then time it")
    parser.add_argument("--frames", type=int, default=64, help="images a call when timing")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    accelerator = Accelerator(HERE, options.frames)
    differing, values = differing_values(accelerator, HERE)
    report: dict[str, Any] = {"network": accelerator.facts["network"], "differing": differing, "values": values}
    if differing == 0:
        report |= time_frames(accelerator, options.frames, options.seconds)
    if options.json:
        print(json.dumps(report))
    else:
        print(f"{'FAILED' if differing else 'passed'}: {differing} of {values} values differ")
        if differing == 0:
            print(f"one image {report['latency_ms_p50']:.3f} ms (p50), {report['fps']:.1f} images a second in calls of {options.frames}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
