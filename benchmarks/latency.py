"""The exact file against the stock int8 file, on the same kernels and one thread."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from running import runner
from timing import Row, ratio, seconds_in_a_row

from edgekit.jobs import ModelRequest, export_model
from edgekit.tflite.flatbuffer import pack
from edgekit.tflite.reader import parse

PLAIN = ("mobilenet_v1", "mobilenet_v2")
"""Their files differ in the mean and the classifier only, which are timed on their own, too."""
NETWORKS = (*PLAIN, "mobilenet_v3_small", "mobilenet_v3_large", "mnasnet_a1", "sbcformer_xs", "rapidnet_ti")
SIZE = 224
KERNELS = {"xnnpack": "BUILTIN", "optimized": "BUILTIN_WITHOUT_DEFAULT_DELEGATES"}


def latency_ratios(rounds: int) -> Iterator[Row]:
    for network in NETWORKS:
        with tempfile.TemporaryDirectory() as name:
            files = {precision: _export(network, precision, Path(name)) for precision in ("qfx", "int8")}
        parts = [("", files, 1)]
        if network in PLAIN:
            parts.append((", mean and classifier only", {precision: _head(file) for precision, file in files.items()}, 10))
        for kernels, resolver in KERNELS.items():
            for part, pair, times in parts:
                exact, stock = (partial(seconds_in_a_row, runner(pair[precision], resolver)) for precision in ("qfx", "int8"))
                what = f"{network} 1.0 at {SIZE}, {kernels}{part}: qfx / int8"
                yield ratio("latency", what, ("qfx", exact), ("int8", stock), rounds * times)


def _export(network: str, precision: str, folder: Path) -> bytes:
    export_model(ModelRequest(network, size=SIZE), target="rpi4", precision=precision, output=folder / precision)
    return (folder / precision / "model.tflite").read_bytes()


def _head(file: bytes) -> bytes:
    """The file from the first op of the mean on, as a file of its own: what follows has one row of cells, or none."""
    model = parse(file)
    subgraph = model.subgraphs[0]
    shapes = [subgraph.tensors[operator.outputs[0]].shape for operator in subgraph.operators]
    first = 1 + max(position for position, shape in enumerate(shapes) if len(shape) == 4 and shape[1] > 1)
    subgraph.operators = subgraph.operators[first:]
    subgraph.inputs = np.array([subgraph.operators[0].inputs[0]], np.int32)
    model.signatureDefs = None
    return pack(model)
