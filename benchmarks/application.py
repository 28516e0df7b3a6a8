"""The latency application against Python's interpreter: how much the application adds to the runtime's own invoke time.

    python benchmarks/application.py [FOLDER]      bundles are exported into FOLDER, or found there

MobileNetV2 at 224 in float32, int8 and qfx, XNNPACK, one thread on one processor. Both take turns, round after round, so that
whatever else the machine does meets both alike; a round's figure is the median of its runs, and the result the median of rounds.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from edgekit.jobs.export import export_model
from edgekit.jobs.source import ModelRequest
from edgekit.tflite.application import APPLICATION, LIBRARY, Settings, arguments, build_application, parse_report

NETWORK, PRECISIONS = "mobilenet_v2", ("float32", "int8", "qfx")
ROUNDS, WARM_UP, RUNS, VECTORS = 15, 5, 30, 2
LARGEST_OVERHEAD = 0.02


@dataclass(frozen=True)
class Comparison:
    """Milliseconds an invoke, and the median of the rounds' ratios."""

    precision: str
    application_ms: float
    python_ms: float
    ratio: float


def compare(precision: str, model: Path, application: Path, library: Path) -> Comparison:
    """Both on one model. Raises EdgekitError or RuntimeError where the application does not measure."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(model), num_threads=1)
    interpreter.allocate_tensors()
    golden = model.parent / "golden"
    write_golden(interpreter, golden)
    cpu = max(os.sched_getaffinity(0))
    settings = Settings(warm_up=WARM_UP, iterations=RUNS, cpus=(cpu,))
    command = [application, *arguments(str(library), str(model), str(golden), settings)]
    ours, theirs = [], []
    for _ in range(ROUNDS):
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
        if done.returncode:
            raise RuntimeError(done.stderr)
        ours.append(parse_report(done.stdout)["latency_ms"]["p50"])
        theirs.append(python_ms(interpreter, cpu))
    ratio = median(one / other for one, other in zip(ours, theirs, strict=True))
    return Comparison(precision, median(ours), median(theirs), ratio)


def python_ms(interpreter: Any, cpu: int) -> float:
    """The median of RUNS invokes, on one processor."""
    everywhere = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        for _ in range(WARM_UP):
            interpreter.invoke()
        times = []
        for _ in range(RUNS):
            start = perf_counter()
            interpreter.invoke()
            times.append(perf_counter() - start)
    finally:
        os.sched_setaffinity(0, everywhere)
    return 1000 * median(times)


def write_golden(interpreter: Any, folder: Path) -> None:
    """Random inputs and what this interpreter makes of them; the input of the last stays set."""
    rng = np.random.default_rng(0)
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    inputs, outputs = [], []
    for _ in range(VECTORS):
        real = rng.uniform(-1, 1, source["shape"])
        image = (127 * real if source["dtype"] is np.int8 else real).astype(source["dtype"])
        interpreter.set_tensor(source["index"], image)
        interpreter.invoke()
        inputs.append(image.tobytes())
        outputs.append(interpreter.get_tensor(result["index"]).tobytes())
    folder.mkdir(exist_ok=True)
    (folder / "input.bin").write_bytes(b"".join(inputs))
    (folder / "output.bin").write_bytes(b"".join(outputs))


def measure(folder: Path) -> list[Comparison]:
    """Exports what `folder` lacks, builds the application, compares."""
    import ai_edge_litert

    library = Path(ai_edge_litert.__file__).parent / LIBRARY
    application = folder / APPLICATION
    application.write_bytes(build_application(platform.machine(), print))
    application.chmod(0o755)
    found = []
    for precision in PRECISIONS:
        model = folder / precision / "model.tflite"
        if not model.is_file():
            export_model(ModelRequest(NETWORK), target="linux-x86_64", precision=precision, output=model.parent, note=print)
        found.append(compare(precision, model, application, library))
    return found


def main() -> int:
    """Prints a table; fails where the application adds more than it may."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        rows = measure(folder)
    print(f"{NETWORK}, one thread, XNNPACK: milliseconds an invoke")
    print(f"{'':10}{'application':>12}{'Python':>10}{'ratio':>8}")
    for row in rows:
        print(f"{row.precision:10}{row.application_ms:12.3f}{row.python_ms:10.3f}{row.ratio:8.3f}")
    return 0 if all(row.ratio <= 1 + LARGEST_OVERHEAD for row in rows) else 1


if __name__ == "__main__":
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
    raise SystemExit(main())
