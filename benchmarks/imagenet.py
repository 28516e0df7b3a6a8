"""accuracy.py imagenet: what quantization costs a network for ImageNet with real weights, on photographs.

    python benchmarks/accuracy.py imagenet --weights FILE [--network NAME] --data DIR --labels FILE

FILE is a Keras model, or weights for the network of the zoo called NAME. DIR holds photographs, in folders that are called as lines of
--labels, or with such a line in their names: 000_n01440764.jpg. Every second one, 250 at most, calibrates all schemes; the others are what
is reported. Each scheme is exported in a process of its own, whose time and peak memory are shown, and run in LiteRT:

    float         TensorFlow's float32 file
    int8          TensorFlow's int8 file
    exact quick   edgekit's file, binary points chosen and biases corrected
    exact full    edgekit's file, every layer reconstructed (`edgekit export --effort full`)

`KL` is the mean Kullback-Leibler divergence of the float network's classes from the scheme's, whose logits may differ by a factor.
Intervals are 95 % ones over images; that of "top-1 - float" is of the difference image by image, since all schemes see the same ones.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.jobs import ModelRequest, export_model
from edgekit.keras_models.training.images import SUFFIXES

Reals: TypeAlias = npt.NDArray[np.float64]

CALIBRATE_MAX = 250
TARGET, CHUNK, NORMAL_95 = "linux-x86_64", 25, 1.96
SCHEMES = {"float": ("float32", "quick"), "int8": ("int8", "quick"), "exact quick": ("qfx", "quick"), "exact full": ("qfx", "full")}
"""Precision and effort."""
HEADING = (
    "| network | scheme | top-1 | top-5 | top-1 - float | agreement with float | KL | seconds | CPU seconds | peak GiB |",
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
)


@dataclass(frozen=True)
class Photograph:
    file: Path
    label: int


@dataclass(frozen=True)
class Scored:
    """`scores` (images, classes), and what the export took."""

    scores: Reals
    seconds: float
    cpu_seconds: float
    peak_gib: float


def main(words: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="accuracy.py imagenet", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="a Keras model, or the weights of --network")
    parser.add_argument("--network", help="a network of the zoo")
    parser.add_argument("--data", type=Path, required=True, help="the folder of photographs")
    parser.add_argument("--labels", type=Path, required=True, help="a line for each class, in their order")
    parser.add_argument("--calibration", default="images", choices=("images", "synthesized"), help="what schemes are calibrated with")
    parser.add_argument("--scheme", action="append", choices=list(SCHEMES), help="only this one beside float; may be repeated")
    options = parser.parse_args(words)
    photographs = labelled(options.data, options.labels.read_text(encoding="utf-8").split())
    seen, held_out = photographs[::2][:CALIBRATE_MAX], photographs[1::2]
    print(f"{len(seen)} photographs to calibrate with, {len(held_out)} to report on", file=sys.stderr)
    wanted = ["float", *(one for one in SCHEMES if one != "float" and one in (options.scheme or SCHEMES))]
    name = options.network or options.weights.stem
    print("\n".join(HEADING))
    with tempfile.TemporaryDirectory() as folder:
        calibration = Path(folder) / "calibration"
        calibration.mkdir()
        for photograph in seen:
            (calibration / photograph.file.name).symlink_to(photograph.file.resolve())
        source = str(calibration) if options.calibration == "images" else options.calibration
        if options.network:
            request = {"model": options.network, "weights": options.weights, "calibration": source}
        else:
            request = {"model": str(options.weights), "calibration": source}
        labels = np.array([photograph.label for photograph in held_out])
        real = np.zeros((0, 0))
        for scheme in wanted:
            with get_context("spawn").Pool(1) as pool:
                scored: Scored = pool.apply(score, (scheme, request, [one.file for one in held_out], Path(folder)))
            real = scored.scores if scheme == "float" else real
            print(row(name, scheme, scored, real, labels), flush=True)


def labelled(data: Path, classes: list[str]) -> list[Photograph]:
    """The photographs of a folder, by path, with the class that their folder or a part of their name is called after."""
    index = {name: number for number, name in enumerate(classes)}
    found = []
    for file in sorted(data.rglob("*")):
        if file.suffix.lower() in SUFFIXES:
            names = [name for name in (file.parent.name, *file.stem.split("_")) if name in index]
            if not names:
                raise SystemExit(f"neither its folder nor its name says which class '{file}' is of")
            found.append(Photograph(file, index[names[0]]))
    return found


def score(scheme: str, request: dict[str, Any], files: list[Path], folder: Path) -> Scored:
    """Runs in a process of its own."""
    from edgekit.images.pixels import fit
    from edgekit.jobs.candidates import candidates_of
    from edgekit.keras_models.training.images import decode

    precision, effort = SCHEMES[scheme]
    output, started, worked = folder / scheme.replace(" ", "-"), time.monotonic(), time.process_time()
    note = lambda text: print(f"{scheme}: {text}", file=sys.stderr)  # noqa: E731
    export_model(ModelRequest(**request, effort=effort), target=TARGET, precision=precision, output=output, note=note)
    seconds, cpu_seconds = time.monotonic() - started, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)
    candidate = candidates_of(str(output))[0]
    found = []
    with candidate.open(lambda _: None) as run:
        for start in range(0, len(files), CHUNK):
            found.append(run(np.stack([fit(decode(file), candidate.shape) for file in files[start : start + CHUNK]])))
    return Scored(np.concatenate(found), seconds, cpu_seconds, peak)


def row(network: str, scheme: str, scored: Scored, real: Reals, labels: npt.NDArray[np.int64]) -> str:
    """A row of the table. `real`: the float network's scores."""
    right, float_right = (one.argmax(axis=1) == labels for one in (scored.scores, real))
    top5 = np.mean((np.argsort(-scored.scores, axis=1, kind="stable")[:, :5] == labels[:, np.newaxis]).any(axis=1))
    same = scored.scores.argmax(axis=1) == real.argmax(axis=1)
    cells = [network, scheme, f"{100 * right.mean():.1f}", f"{100 * top5:.1f}"]
    if scheme == "float":
        cells += ["", "", ""]
    else:
        cells += [interval(100.0 * right - 100.0 * float_right, "+.1f"), interval(100.0 * same, ".1f")]
        cells += [interval(divergences(real, scored.scores), ".4f")]
    return "| " + " | ".join([*cells, f"{scored.seconds:.0f}", f"{scored.cpu_seconds:.0f}", f"{scored.peak_gib:.1f}"]) + " |"


def divergences(real: Reals, scores: Reals) -> Reals:
    """The Kullback-Leibler divergence of the float network's classes from those of `scores`, (images,).

    Scores may be float's times a factor, which changes no answer: an exact network keeps a mean over 7x7 cells as a sum / 64. So they are
    multiplied by the one with the least squared error first.
    """
    wanted, given = (one - one.mean(axis=1, keepdims=True) for one in (real, scores))
    given = given * (np.sum(wanted * given) / max(np.sum(given * given), np.finfo(np.float64).tiny))
    return np.asarray(np.sum(np.exp(log_softmax(wanted)) * (log_softmax(wanted) - log_softmax(given)), axis=1))


def log_softmax(scores: Reals) -> Reals:
    lowered = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(lowered - np.log(np.sum(np.exp(lowered), axis=1, keepdims=True)))


def interval(values: npt.NDArray[Any], form: str) -> str:
    """The mean over images, and half the width of its 95 % interval."""
    half = NORMAL_95 * np.std(values, ddof=1) / np.sqrt(len(values))
    return f"{np.mean(values):{form}} +- {half:{form.lstrip('+')}}"
