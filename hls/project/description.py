"""What a project's simulation reads and writes: the file network.json, between plan and simulation."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.files import read_bounded
from edgekit.graph import IntegerGraph
from edgekit.hls.project.network import Layer, Network

FILE_NAME = "network.json"
DESCRIPTION_BYTES_MAX = 16 << 20


@dataclass(frozen=True)
class StreamedTensor:
    """A tensor of the graph as bytes: `shape` without the batch, row-major."""

    name: str
    shape: tuple[int, ...]
    signed: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype(np.int8 if self.signed else np.uint8)

    @property
    def values(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True)
class TracedLayer:
    """A layer whose output the simulation shows, with the tensors that it carries: the same values in several shapes."""

    name: str
    values: int
    tensors: tuple[StreamedTensor, ...]


@dataclass(frozen=True)
class Description:
    """For each image the simulation writes the outputs, then the layers, in this order."""

    graph: str
    input: StreamedTensor
    outputs: tuple[StreamedTensor, ...]
    layers: tuple[TracedLayer, ...]


def describe(graph: IntegerGraph, network: Network) -> Description:
    def streamed(name: str) -> StreamedTensor:
        tensor = graph.tensors[name]
        return StreamedTensor(name, tensor.shape, tensor.signed)

    def traced(layer: Layer) -> TracedLayer:
        carried = (name for name, carrier in network.carriers.items() if carrier == layer.name)
        return TracedLayer(layer.name, prod(layer.shape), tuple(streamed(name) for name in carried))

    layers = tuple(traced(layer) for layer in network.layers if layer.trace)
    outputs = tuple(streamed(name) for name in graph.outputs)
    return Description(graph=graph.name, input=streamed(graph.input), outputs=outputs, layers=layers)


def to_json(description: Description) -> bytes:
    return (json.dumps(asdict(description), indent=1) + "\n").encode()


def read_description(project: Path) -> Description:
    """Raises EdgekitError: the folder has no such file, or the file says something else."""

    def streamed(entry: Any) -> StreamedTensor:
        return StreamedTensor(name=str(entry["name"]), shape=tuple(int(size) for size in entry["shape"]), signed=bool(entry["signed"]))

    def layer(entry: Any) -> TracedLayer:
        return TracedLayer(str(entry["name"]), int(entry["values"]), tuple(streamed(tensor) for tensor in entry["tensors"]))

    try:
        found = json.loads(read_bounded(project / FILE_NAME, DESCRIPTION_BYTES_MAX))
        return Description(
            graph=str(found["graph"]),
            input=streamed(found["input"]),
            outputs=tuple(streamed(entry) for entry in found["outputs"]),
            layers=tuple(layer(entry) for entry in found["layers"]),
        )
    except Exception as error:  # whatever a file that says something else leads to
        reason = f"{type(error).__name__}: {error}"
        raise EdgekitError(f"{project} is no HLS project of edgekit: its {FILE_NAME} cannot be used ({reason})") from None
