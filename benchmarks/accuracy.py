"""make accuracy: what exact fixed point costs in accuracy, on the digits, for one small member of each family and several seeds.

    float        the float network, in the form that has integers for all of it, trained
    images       quantized after training with 64 training images; `none` with images synthesized from its batch norms
    qfx          trained on in exact fixed point; `2-hot` with two bits a weight at most
    8 bits       trained on likewise, but with any weight of -127..127: what the lattice (multiples of 4, 6 bits) is measured against

A seed is that of the initial weights and of the order of the images; the 450 held-out images are the same for all. Each result is kept in
a file of JSON lines as soon as it is there, and not measured again: the run can be stopped and gone on with.

`python benchmarks/accuracy.py imagenet ...` measures on photographs what real weights lose; see imagenet.py, or --help behind it.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from imagenet import main as measure_photographs

from edgekit.jobs.dataset import load_dataset
from edgekit.spread.tasks import Task, results_of, workers_at

COLUMNS = ("float", "images", "none", "qfx", "2-hot", "8 bits")
SEEDS = 3
HEAD = Path(__file__).parent / "accuracy_head.md"
DOCUMENT = Path(__file__).parent.parent / "docs" / "accuracy.md"
RESULTS = Path("build") / "accuracy.jsonl"
PLAIN_LEVELS = 127.0
NOT_RUN = "not run"


@dataclass(frozen=True)
class Member:
    """A small network of a family, and for how many epochs it is trained in float and then in fixed point."""

    network: str
    alpha: float
    size: int
    epochs: int
    qfx_epochs: int = 8


MEMBERS = (
    Member("mobilenet_v1", 0.25, 48, 20),
    Member("mobilenet_v2", 0.35, 48, 20),
    Member("mobilenet_v3_small", 0.75, 48, 20),
    Member("mnasnet_small", 1.0, 48, 20),
    Member("sbcformer_xs", 1.0, 64, 12),
    Member("rapidnet_ti", 1.0, 32, 10),
)


def main() -> None:
    if sys.argv[1:2] == ["imagenet"]:
        measure_photographs(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", action="append", choices=[one.network for one in MEMBERS], help="only this one; may be repeated")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many, from 0 on (default {SEEDS})")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"the file of JSON lines (default {RESULTS})")
    parser.add_argument("--workers", default="1", help="local, a number of processes, ray, or ray://host:port (default 1)")
    options = parser.parse_args()
    options.results.parent.mkdir(parents=True, exist_ok=True)
    members = [member for member in MEMBERS if not options.network or member.network in options.network]
    jobs = [(member, seed, options.results.absolute()) for seed in range(options.seeds) for member in members]
    tasks = [Task(f"{member.network}, seed {seed}", measure, (member, seed, results)) for member, seed, results in jobs]
    with workers_at(options.workers, tasks_each=1) as workers:  # TensorFlow keeps a gigabyte and more of every network
        for done in results_of(workers, tasks):
            print(f"{done.task.key}: done", file=sys.stderr, flush=True)
    rows = read(options.results)
    found = table(rows)
    print(found)
    missing = [one.network for one in MEMBERS if not any(row["network"] == one.network for row in rows)]
    if missing:
        print(f"{DOCUMENT.name} stays as it is: {options.results} has nothing of {', '.join(missing)}", file=sys.stderr)
    else:
        DOCUMENT.write_text(HEAD.read_text(encoding="utf-8") + found, encoding="utf-8")


def measure(job: tuple[Member, int, Path]) -> None:
    """Adds the columns that the file of results lacks of a member and seed: a line in one write, which others do not interrupt."""
    member, seed, results = job
    known = {row["column"] for row in read(results) if (row["network"], row["seed"]) == (member.network, seed)}
    if known == set(COLUMNS):
        return
    started = time.monotonic()
    for column, accuracy in accuracies(member, seed):
        print(f"{member.network}, seed {seed}, {column}: {accuracy:.2%} ({time.monotonic() - started:.0f} s)", file=sys.stderr, flush=True)
        if column not in known:
            row = {"network": member.network, "alpha": member.alpha, "size": member.size, "seed": seed, "column": column, "top1": accuracy}
            with results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


def accuracies(member: Member, seed: int) -> Iterator[tuple[str, float]]:
    """Top-1, 0..1, a column after the other."""
    from edgekit.images.preprocessing import float_table
    from edgekit.jobs.train import QFX_LEARNING_RATE, default_learning_rate
    from edgekit.keras_models.layers.bn_layers import set_norm_mix
    from edgekit.keras_models.layers.legacy_keras import import_keras
    from edgekit.keras_models.qfx.precision import Precisions, WeightPrecision
    from edgekit.keras_models.qfx.quantize import quantize
    from edgekit.keras_models.training.distillation import Teacher
    from edgekit.keras_models.training.fit import accuracy, fit
    from edgekit.keras_models.training.options import Options
    from edgekit.keras_models.training.stored_images import split_as_taken
    from edgekit.keras_models.training.synthesize import synthesize
    from edgekit.keras_models.zoo.build import build_model
    from edgekit.keras_models.zoo.networks import NETWORKS
    from edgekit.keras_models.zoo.vocabulary import Form

    preprocessing = NETWORKS[member.network].preprocessing
    split = split_as_taken(load_dataset("digits", member.size), preprocessing)

    def top1(model: Any) -> float:
        return accuracy(model, split.held_out.images, split.held_out.labels)

    def trained_on(model: Any) -> float:
        fit(model, split.train, Options(member.qfx_epochs, QFX_LEARNING_RATE, seed), teacher=Teacher(network))
        return top1(model)

    import_keras().utils.set_random_seed(seed)
    network = build_model(member.network, alpha=member.alpha, size=member.size, classes=10, form=Form.BN)
    set_norm_mix(network, 1)
    fit(network, split.train, Options(member.epochs, default_learning_rate(network), seed))
    yield "float", top1(network)
    images = split.train.images[:64]
    yield "images", top1(quantize(network, images).model)
    table = float_table(preprocessing, 3)
    yield "none", top1(quantize(network, synthesize(network, table[:, 0], table[:, -1])).model)
    yield "qfx", trained_on(quantize(network, images).model)
    yield "2-hot", trained_on(quantize(network, images, precisions=Precisions(WeightPrecision(k_hot=2))).model)
    plain = quantize(network, images).model
    with_plain_weights(plain)
    yield "8 bits", trained_on(plain)


def with_plain_weights(model: Any) -> None:
    """Every QFX weight quantizer of the model becomes one without the lattice, at the same binary point; biases stay float."""
    import tensorflow as tf

    from edgekit.keras_models.qfx.model import quantizers
    from edgekit.keras_models.qfx.quantizers import QFXBias, QFXWeight, fixed_point

    class Plain(QFXWeight):
        def __call__(self, w: Any) -> Any:
            f = self.binary_point()
            if self.channel_axis is not None:
                f = tf.reshape(f, [-1 if axis == self.channel_axis else 1 for axis in range(len(w.shape))])
            return fixed_point(w, f, -PLAIN_LEVELS, PLAIN_LEVELS)

    for quantizer in quantizers(model):
        if isinstance(quantizer, QFXWeight):
            quantizer.__class__ = Plain
        elif isinstance(quantizer, QFXBias):
            quantizer.active = False


def read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()] if results.exists() else []


def table(rows: list[dict[str, Any]]) -> str:
    """Per cent, the mean over seeds and, in brackets, the least; then differences in points, over the seeds that have both columns."""
    pairs = (("qfx", "float"), ("2-hot", "float"), ("qfx", "8 bits"))
    lines = [
        "| network | seeds | " + " | ".join(COLUMNS) + " | " + " | ".join(f"{a} - {b}" for a, b in pairs) + " |",
        "| --- | --- |" + " --- |" * (len(COLUMNS) + len(pairs)),
    ]
    for member in MEMBERS:
        of: dict[str, dict[int, float]] = {column: {} for column in COLUMNS}
        for row in rows:
            if row["network"] == member.network:
                of[row["column"]][row["seed"]] = 100 * row["top1"]
        if not of["float"]:
            continue
        cells = [f"{mean(values.values()):.2f} ({min(values.values()):.2f})" if values else NOT_RUN for values in of.values()]
        for a, b in pairs:
            both = of[a].keys() & of[b].keys()
            cells.append(f"{mean(of[a][seed] - of[b][seed] for seed in both):+.2f}" if both else NOT_RUN)
        lines.append(f"| {member.network} {member.alpha:g} at {member.size} | {len(of['float'])} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
