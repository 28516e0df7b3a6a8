"""Every network at its default size, float32 and stock int8: ops, file size, and latency relative to MobileNetV2 in the same rounds.

The yardstick is what users have today, the authors' PyTorch through litert-torch. Its ratio depends on the machine, as any does: give the
files that litert-torch made as --yardstick NETWORK=FILE, and they are timed in the same rounds. Without them there is what was measured
elsewhere, on one x86 thread with LiteRT 2.3, XNNPACK, float32: SBCFormer-XS 1,073 ops and 6.49 ms, RapidNet-Ti 149 ops and 8.41 ms, where
TensorFlow's MobileNetV2 took 3.2 ms. Beside those two stands what their convolutions and GELUs alone take: each op in a file of its own,
again and again, so that its weights and maps are in the caches, which they are not in the network. Whatever form the rest is given, less
than that it does not take.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from running import runner
from timing import Row, ratio, seconds_in_a_row, seconds_of

from edgekit.jobs import ModelRequest, export_model
from edgekit.keras_models.zoo.networks import NETWORKS
from edgekit.tflite.flatbuffer import pack
from edgekit.tflite.reader import describe, parse

BASELINE = "mobilenet_v2"
YARDSTICKS = {"sbcformer_xs": (1073, 6.49 / 3.2), "rapidnet_ti": (149, 8.41 / 3.2)}
"""Ops and latency relative to MobileNetV2, float32, on another machine."""
FIXED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "GELU")
REPEATS = 30


def network_ratios(names: tuple[str, ...], yardsticks: Mapping[str, Path], rounds: int) -> Iterator[Row]:
    """Two rows a network, and one for its file in `yardsticks`. The latency is that of one thread with XNNPACK."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for precision in ("float32", "int8"):
            base = runner(export(BASELINE, precision, folder))
            for network in names or tuple(NETWORKS):
                file = export(network, precision, folder)
                what = f"{network} {precision}: {size(file)}; / {BASELINE}"
                if precision == "float32" and network in YARDSTICKS:
                    what += " (elsewhere a yardstick of {} ops, {:.2f})".format(*YARDSTICKS[network])
                yield beside(what, (network, run := runner(file)), (f"{BASELINE} (base)", base), rounds)
                if precision == "float32" and network in yardsticks:
                    other = yardsticks[network].read_bytes()
                    what = f"{network} {yardsticks[network].name}: {size(other)}; / {BASELINE}"
                    yield beside(what, (network, run_other := runner(other)), (f"{BASELINE} (base)", base), rounds)
                    what = f"{network} float32; / {yardsticks[network].name}"
                    yield beside(what, (network, run), (yardsticks[network].name, run_other), rounds)
                if precision == "float32" and network in YARDSTICKS:
                    yield alone(network, file, base)


Side: TypeAlias = tuple[str, Callable[[], object]]


def beside(what: str, candidate: Side, baseline: Side, rounds: int) -> Row:
    sides = ((name, partial(seconds_in_a_row, run)) for name, run in (candidate, baseline))
    return ratio("networks", what, *sides, rounds)


def size(file: bytes) -> str:
    return f"{len(describe(file))} ops, {len(file) / 1e6:.1f} MB"


def export(network: str, precision: str, folder: Path) -> bytes:
    output = folder / f"{network}-{precision}"
    if not output.exists():
        export_model(ModelRequest(network), target="linux-x86_64", precision=precision, output=output)
    return (output / "model.tflite").read_bytes()


def alone(network: str, file: bytes, base: Callable[[], object]) -> Row:
    """The sum over the file's FIXED ops, beside the baseline."""
    ops, baseline = sum(median(one) for one in single_ops(file)), median(base)
    what = f"{network} float32: its convolutions and GELUs, each alone"
    return Row("networks", what, ops / baseline, ops / baseline, ops / baseline, "ratio", {network: ops, BASELINE: baseline})


def single_ops(file: bytes) -> Iterator[Callable[[], object]]:
    model, kinds = parse(file), describe(file)
    model.signatureDefs = []
    subgraph = model.subgraphs[0]
    for op, kind in zip(subgraph.operators, kinds, strict=True):
        if kind.name in FIXED:
            subgraph.operators = [op]
            subgraph.inputs, subgraph.outputs = np.array(op.inputs[:1], np.int32), np.array(op.outputs, np.int32)
            yield runner(pack(model))


def median(run: Callable[[], object]) -> float:
    return float(np.median([seconds_of(run) for _ in range(REPEATS)]))
