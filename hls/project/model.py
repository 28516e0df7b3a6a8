"""A network as hls4ml's ModelGraph. Here its layers become the dictionaries that hls4ml takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from edgekit.hls.dataflow import Dataflow
from edgekit.hls.ops import divisors
from edgekit.hls.project.calls import variables
from edgekit.hls.project.network import Layer, Network
from edgekit.targets import Board

TOP = "edgekit_network"
"""The function that becomes the IP."""


def network_to_hls4ml(network: Network, board: Board, folder: Path) -> Any:
    """hls4ml's ModelGraph: Vitis backend, streams between the layers. Its layers have to be registered.

    Args:
        folder: where hls4ml would write the project; nothing is written yet.
    """
    from hls4ml.model.graph import ModelGraph
    from hls4ml.utils.config import create_config

    config = create_config(
        output_dir=str(folder),
        project_name=TOP,
        backend="Vitis",
        part=board.part.name,
        clock_period=board.clock_period_ns,
        io_type="io_stream",
    )
    config["TraceOutput"] = True
    settings = {layer.name: layer.settings() for layer in network.layers}
    config["HLSConfig"] = {"Model": {"Precision": "int<8>", "ReuseFactor": 1, "Strategy": "resource"}, "LayerName": settings}
    layers = [_dictionary(layer) for layer in network.layers]
    with _quick_reuse_factors():
        return ModelGraph.from_layer_list(config, layers, list(network.inputs), list(network.outputs))


def _dictionary(layer: Layer) -> dict[str, Any]:
    inputs = {"inputs": list(layer.inputs)} if layer.inputs else {}
    return {"class_name": layer.class_name, "name": layer.name, **inputs, "trace": layer.trace, **layer.attributes()}


def set_fifo_depths(model: Any, flow: Dataflow, depths: Mapping[str, int]) -> None:
    """Gives each FIFO of a folded dataflow's model its depth, in tokens. The network's inputs and outputs are no FIFOs."""
    streams = {name: variable for layer in model.get_layers() for name, variable in layer.variables.items()}
    for stream, name in variables(flow).items():
        if name in streams:
            streams[name].pragma = ("stream", depths[stream])


@contextmanager
def _quick_reuse_factors() -> Iterator[None]:
    """hls4ml lists a layer's legal reuse factors by trying every number up to n_in * n_out, a million for a classifier.

    The same list, from the divisors of n_in * n_out; what is legal is still asked of hls4ml.
    """
    from hls4ml.backends.fpga.fpga_backend import FPGABackend

    def legal(self: Any, n_in: int, n_out: int) -> list[int]:
        return [divisor for divisor in divisors(n_in * n_out) if self._validate_reuse_factor(n_in, n_out, divisor)]

    with patch.object(FPGABackend, "get_valid_reuse_factors", legal):
        yield
