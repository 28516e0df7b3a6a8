#!/usr/bin/env python3
"""Runs on a board with PYNQ: loads the overlay, compares its results bit by bit with the numpy reference's, then times it.

    sudo -E python3 driver.py [--frames 64] [--seconds 5] [--json]

Exit code 1 if any value differs. accelerator.json says where things are; tb_data has inputs and expected results.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from board import CONTROL, START, differing_values, show, tell, time_frames, wait

HERE = Path(__file__).resolve().parent


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
        tell(self.ip, registers["images"], self.images.device_address)
        tell(self.ip, registers["results"], self.results.device_address)
        self.weights = pynq.allocate((max([1, *(memory["first"] + memory["bytes"] for memory in memories)]),), np.uint8)
        for memory in memories:
            content = np.fromfile(folder / memory["file"], np.uint8)
            self.weights[memory["first"] : memory["first"] + memory["bytes"]] = content
            tell(self.ip, memory["register"], self.weights.device_address + memory["first"])
        self.weights.flush()

    def start(self, frames: int) -> None:
        """Images must be in memory (`load`)."""
        self.ip.write(self.facts["registers"]["frames"], frames)
        self.ip.write(CONTROL, START)

    def call(self, frames: int) -> None:
        """The images that are in memory, to the end."""
        self.start(frames)
        wait(self.ip)

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
        self.call(len(images))
        return self.outputs(len(images))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="compare the accelerator's golden vectors bit by bit, then time it")
    parser.add_argument("--frames", type=int, default=64, help="images a call when timing")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to time")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    accelerator = Accelerator(HERE, options.frames)
    differing, values = differing_values(accelerator.run, accelerator.facts["image_values"], HERE)
    report: dict[str, Any] = {"network": accelerator.facts["network"], "differing": differing, "values": values}
    if differing == 0:
        report |= time_frames(accelerator.call, options.frames, options.seconds)
    show(report, options.frames, options.json)
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
