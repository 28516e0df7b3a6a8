"""What driver.py does with any circuit of edgekit on a board: its control port, golden vectors compared bit by bit, and times."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CONTROL, START, DONE = 0x00, 1, 2
SECONDS_MAX = 60


def tell(ip: Any, register: int, address: int) -> None:
    """Writes a 64-bit address."""
    ip.write(register, address & 0xFFFFFFFF)
    ip.write(register + 4, address >> 32)


def wait(ip: Any) -> None:
    """Until the circuit is done. Raises TimeoutError."""
    end = time.monotonic() + SECONDS_MAX
    while not ip.read(CONTROL) & DONE:
        if time.monotonic() > end:
            raise TimeoutError(f"the circuit did not finish within {SECONDS_MAX} s")


def differing_values(run: Callable[[Any], dict[str, Any]], image_values: int, folder: Path) -> tuple[int, int]:
    """How many golden values differ, and of how many. `run` takes images uint8 (count, values) and has outputs by name."""
    inputs = np.fromfile(folder / "tb_data" / "inputs.bin", np.uint8).reshape(-1, image_values)
    expected = np.fromfile(folder / "tb_data" / "expected.bin", np.uint8).reshape(len(inputs), -1)
    computed = np.concatenate([values.view(np.uint8).reshape(len(inputs), -1) for values in run(inputs).values()], axis=1)
    return int((computed != expected).sum()), expected.size


def time_frames(call: Callable[[int], None], frames: int, seconds: float) -> dict[str, float]:
    """Milliseconds of one image alone, and images a second of `frames` in a row; `call` runs so many that are in memory."""

    def seconds_of(count: int) -> list[float]:
        taken: list[float] = []
        while not taken or sum(taken) < seconds / 2:
            begin = time.perf_counter()
            call(count)
            taken.append(time.perf_counter() - begin)
        return taken

    seconds_of(1)  # warm-up
    return {"latency_ms_p50": 1e3 * float(np.median(seconds_of(1))), "fps": frames / float(np.median(seconds_of(frames)))}


def show(report: dict[str, Any], frames: int, as_json: bool) -> None:
    """Prints `report`: network, differing, values, and what time_frames found if nothing differs."""
    if as_json:
        print(json.dumps(report))
        return
    differing = report["differing"]
    print(f"{report['network']} {'FAILED' if differing else 'passed'}: {differing} of {report['values']} values differ")
    if differing == 0:
        print(f"one image {report['latency_ms_p50']:.3f} ms (p50), {report['fps']:.1f} images a second in calls of {frames}")
