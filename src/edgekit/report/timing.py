"""How long one inference takes here, in the Python interpreter of the runtime that is installed: enough for a histogram."""

from __future__ import annotations

import platform
import time
from dataclasses import dataclass

import numpy as np

WARM_UP, MOST, SECONDS = 5, 300, 5.0


@dataclass(frozen=True)
class Timing:
    """`milliseconds` of each inference, in order, on one thread of this machine, with XNNPACK."""

    milliseconds: tuple[float, ...]
    runtime: str
    machine: str

    def percentile(self, share: float) -> float:
        return float(np.percentile(self.milliseconds, share))


def time_locally(tflite: bytes) -> Timing:
    """Times a TFLite file for at most SECONDS after a warm-up. The input is zeros: kernels take the same time for any values."""
    import importlib.metadata

    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=tflite, num_threads=1)
    interpreter.allocate_tensors()
    detail = interpreter.get_input_details()[0]
    interpreter.set_tensor(detail["index"], np.zeros(detail["shape"], detail["dtype"]))
    for _ in range(WARM_UP):
        interpreter.invoke()
    taken: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(taken) < MOST and time.perf_counter() < end:
        start = time.perf_counter()
        interpreter.invoke()
        taken.append((time.perf_counter() - start) * 1e3)
    return Timing(
        tuple(taken), f"ai-edge-litert {importlib.metadata.version('ai-edge-litert')}", f"{platform.system()} {platform.machine()}"
    )
