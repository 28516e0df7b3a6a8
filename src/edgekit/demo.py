"""The demo: handwritten digits from training to a Raspberry Pi bundle and an Ultra96 project, equal to the last bit.

    python -m edgekit.demo [FOLDER]

It trains MobileNetV1 0.25 on scikit-learn's digits, fine-tunes it with QFX, exports it, writes the HLS project, and compares every
executor on the held-out digits. Every number that it prints was measured in this run.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgekit.bundle import Bundle, open_bundle
from edgekit.cli.output import executor_progress, training_progress
from edgekit.images.preprocessing import as_pixels
from edgekit.jobs import ModelRequest, export_model, train_model, write_hls_project
from edgekit.jobs.dataset import DIGITS
from edgekit.jobs.evaluate import top1_of
from edgekit.keras_models.training.images import Images, digits
from edgekit.verify import executors_for, show, verify
from edgekit.verify.remake import remade_project

NETWORK, ALPHA, SIZE = "mobilenet_v1", 0.25, 48
MEASURED = ("keras", "tflite-xnnpack", "hls-csim")
COMMAND = ("python", "-m", "edgekit.demo")


def main(folder: Path) -> int:
    """Runs the demo into `folder`; 1 if any bit differs."""
    console = Console()
    folder.mkdir(parents=True, exist_ok=True)
    float_file, qfx_file = folder / "digits.keras", folder / "digits-qfx.keras"
    with _step(console, f"1. Training {NETWORK} {ALPHA} at {SIZE} x {SIZE} on the digits, in float"), training_progress(True) as progress:
        trained = train_model(ModelRequest(NETWORK, alpha=ALPHA, size=SIZE), data=DIGITS, output=float_file, progress=progress)
    with (
        _step(console, "2. Fine-tuning with QFX: 6-bit weights, 8-bit activations, learned binary points"),
        training_progress(True) as progress,
    ):
        tuned = train_model(ModelRequest(str(float_file)), data=DIGITS, qfx=True, output=qfx_file, progress=progress)
    request = ModelRequest(str(qfx_file))
    with _step(console, "3. Exporting for the Raspberry Pi 4"):
        device = open_bundle(export_model(request, target="rpi4", output=folder / "rpi4", command=COMMAND).folder)
    with _step(console, "4. Writing the HLS project for the Ultra96"):
        board = open_bundle(write_hls_project(request, board="ultra96", output=folder / "ultra96", command=COMMAND).folder)
    held_out = digits(SIZE).held_out
    both = replace(device, artifact=replace(device.artifact, hls_project=remade_project(board)))
    with _step(console, f"5. Accuracy on the {len(held_out)} held-out digits"):
        measured = _accuracies(both, held_out)
    _show_accuracies(console, trained.accuracy, tuned.accuracy_before, tuned.accuracy, measured)
    _show_sizes(console, folder, device, board)
    console.rule("6. Comparing every executor, bit by bit")
    with executor_progress(shown=True) as executing:
        found = verify(both, images=as_pixels(held_out.images), progress=executing)
    show(found, console)
    return 0 if found.passed else 1


@contextmanager
def _step(console: Console, title: str) -> Iterator[None]:
    console.rule(title)
    start = time.perf_counter()
    yield
    console.print(f"{time.perf_counter() - start:.0f} s", style="dim")


def _accuracies(bundle: Bundle, images: Images) -> dict[str, float | str]:
    """The accuracy of each executor, or why it cannot run here."""
    found = executors_for(bundle.artifact, MEASURED)
    return {one.name: top1_of(one.executor, bundle.artifact, images) if one.executor else f"not run: {one.reason}" for one in found}


def _show_accuracies(console: Console, float_accuracy: float, post_training: float, qfx: float, measured: dict[str, float | str]) -> None:
    rows: dict[str, float | str] = {
        "float Keras model": float_accuracy,
        "QFX, quantized after training": post_training,
        "QFX, fine-tuned (QKeras model)": qfx,
    }
    names: dict[str, str] = {"keras": "integer graph in QKeras", "tflite-xnnpack": "TFLite file (XNNPACK)", "hls-csim": "HLS C simulation"}
    rows.update({names[name]: value for name, value in measured.items()})
    console.print(_table(("accuracy", "held-out digits"), rows, lambda value: value if isinstance(value, str) else f"{value:.2%}"))


def _show_sizes(console: Console, folder: Path, device: Bundle, board: Bundle) -> None:
    sizes = {f"{path.name}": path.stat().st_size for path in sorted(folder.glob("*.keras"))}
    sizes |= {f"rpi4/{name}": (device.folder / name).stat().st_size for name in device.manifest.files}
    sizes["ultra96/ (HLS project)"] = sum((board.folder / name).stat().st_size for name in board.manifest.files)
    console.print(_table(("artifact", "bytes"), sizes, lambda size: f"{size:,}"))


def _table(headings: tuple[str, str], rows: dict[str, object] | dict[str, int] | dict[str, float | str], text: Callable[..., str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(headings[0])
    table.add_column(headings[1], justify="right")
    for name, value in rows.items():
        table.add_row(name, text(value))
    return table


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo")))
