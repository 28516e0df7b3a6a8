"""From the integer graph to the layers of hls4ml's own kernels.

Every tensor is carried by a stream of tokens, each one a position's channels: an (H, W, C) map has H*W tokens of C values, a
vector of N values is a 1 x 1 map of N channels. Each op becomes one hls4ml layer, a weighted op two: hls4ml's own
convolution, which writes accumulators, then our requantize. A reshape is no layer: its tensor is carried by the same stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from edgekit.arrays import Int64
from edgekit.errors import EdgekitError
from edgekit.graph import (
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    IntegerGraph,
    Lookup,
    MaxPool,
    Reshape,
    Window,
    check,
    clamp_range,
    requantize_of,
)
from edgekit.graph.ir import WeightedOp
from edgekit.hls.hls4ml_kernels import layers
from edgekit.hls.kernels.arithmetic import Quarters, quarters, signed_bits, value_type
from edgekit.hls.needed import cpp_name, needed
from edgekit.hls.project.network import InputLayer, Layer, Network, Shape

STREAM_READERS_MAX = 7
"""hls4ml copies a stream for at most as many readers."""


def lower(graph: IntegerGraph) -> Network:
    """
    Raises:
        ContractError: the graph breaks the contract, on which the hardware's truncating shifts rely.
        EdgekitError: hls4ml's kernels cannot express an op.
    """
    check(graph)
    reason = refusal(graph)
    if reason is not None:
        raise EdgekitError(reason)
    tensor = graph.tensors[graph.input]
    source = InputLayer(name="network_input", shape=stream_shape(tensor.shape), precision=value_type(tensor))
    growing = _Growing(graph, {source.name: source}, {graph.input: source.name})
    for index, op in enumerate(needed(graph)):
        _LOWER[type(op)](growing, op, cpp_name(index, op.name))
    outputs: list[str] = []
    for index, output in enumerate(graph.outputs):
        if growing.carriers[output] in (source.name, *outputs):  # hls4ml cannot end where it starts, nor twice in one layer
            growing.repack(output, f"output{index}")
        outputs.append(growing.carriers[output])
    network = Network(layers=tuple(growing.layers.values()), carriers=growing.carriers, inputs=(source.name,), outputs=tuple(outputs))
    _refuse_many_readers(graph, network)
    return network


def refusal(graph: IntegerGraph) -> str | None:
    """Which op hls4ml's own kernels, with our few in their form, cannot compute; None if there is none."""
    for op in needed(graph):
        if type(op) not in _LOWER:
            return f"op '{op.name}': hls4ml's own kernels have none for a {type(op).__name__}; the folded kernels do ('hls-csim')"
    return None


def _refuse_many_readers(graph: IntegerGraph, network: Network) -> None:
    readers = [name for layer in network.layers for name in layer.inputs] + list(network.outputs)
    for tensor, layer in network.carriers.items():
        if readers.count(layer) > STREAM_READERS_MAX:
            raise EdgekitError(
                f"tensor '{tensor}' of '{graph.name}' is read {readers.count(layer)} times; hls4ml copies a stream"
                f" {STREAM_READERS_MAX} times at most. Let some of its readers take a later tensor"
            )


def stream_shape(shape: tuple[int, ...]) -> Shape:
    """(rows, columns, channels) of the stream that carries a tensor of this shape."""
    if len(shape) == 3:
        return (shape[0], shape[1], shape[2])
    return (prod(shape[:-1]), 1, shape[-1])


@dataclass
class _Growing:
    """A network under construction. `layers`: by name, in order. `carriers`: tensor -> the layer whose stream carries it."""

    graph: IntegerGraph
    layers: dict[str, Layer]
    carriers: dict[str, str]

    def add(self, layer: Layer, tensor: str) -> None:
        """From here on, the layer's stream carries the tensor."""
        self.layers[layer.name] = layer
        self.carriers[tensor] = layer.name

    def shape(self, tensor: str) -> Shape:
        """The shape of the stream that carries a tensor; after a reshape that keeps the channels, it is not the tensor's own."""
        return self.layers[self.carriers[tensor]].shape

    def read(self, tensor: str) -> str:
        """The layer whose stream has the tensor in tokens of its own channels."""
        channels = self.graph.tensors[tensor].shape[-1]
        if self.shape(tensor)[2] != channels:
            self.repack(tensor, f"{self.carriers[tensor]}_by_{channels}")
        return self.carriers[tensor]

    def repack(self, tensor: str, name: str) -> None:
        """From here on, the tensor is carried by a stream of its own channels."""
        if name not in self.layers:
            self.layers[name] = layers.Repack(inputs=(self.carriers[tensor],), **self.written(tensor, name))
        self.carriers[tensor] = name

    def written(self, tensor: str, name: str) -> dict[str, Any]:
        """Name, shape and precision of a layer that writes the tensor."""
        found = self.graph.tensors[tensor]
        return {"name": name, "shape": stream_shape(found.shape), "precision": value_type(found)}


def expand(weights: Int64, window: Window, one_row: bool) -> tuple[Int64, Window]:
    """A kernel that hls4ml's streaming convolution computes correctly, and the window to go with it; same results.

    hls4ml ignores dilation silently, so the taps are moved apart and zeros put between them (they cost memory and cycles
    that a dilated line buffer would not). A kernel of one row ignores the vertical stride, so it gets a second row of
    zeros, and the map one more row of padding, unless hls4ml has another kernel for it (`one_row`: 1 x 1 convolutions).
    """
    rows, columns = ((size - 1) * step + 1 for size, step in zip(window.kernel, window.dilation, strict=True))
    extra = 1 if rows == 1 and not one_row else 0
    kernel = np.zeros((rows + extra, columns, *weights.shape[2:]), np.int64)
    kernel[: rows : window.dilation[0], :: window.dilation[1]] = weights
    padding = replace(window.padding, bottom=window.padding.bottom + extra)
    return kernel, Window((rows + extra, columns), window.strides, padding)


def _conv2d(growing: _Growing, op: Conv2D, name: str) -> None:
    q, window = quarters(growing.graph, op), _window(op)
    weights, window = expand(q.weights, window, one_row=window.kernel == (1, 1))
    _weighted(growing, op, name, q, layers.Convolution, weights, window)


def _depthwise(growing: _Growing, op: DepthwiseConv2D, name: str) -> None:
    q = quarters(growing.graph, op)
    weights, window = expand(q.weights, _window(op), one_row=False)
    _weighted(growing, op, name, q, layers.DepthwiseConvolution, weights[..., np.newaxis], window)


def _window(op: Conv2D | DepthwiseConv2D) -> Window:
    return Window((op.weights.shape[0], op.weights.shape[1]), op.strides, op.padding, op.dilation)


def _dense(growing: _Growing, op: Dense, name: str) -> None:
    """A dense op is a convolution whose kernel is the whole map."""
    q = quarters(growing.graph, op)
    rows, columns, channels = growing.shape(op.input)
    weights, window = expand(q.weights.reshape(rows, columns, channels, -1), Window((rows, columns)), one_row=(rows, columns) == (1, 1))
    _weighted(growing, op, name, q, layers.Convolution, weights, window)


def _weighted(
    growing: _Growing, op: WeightedOp, name: str, q: Quarters, kind: type[layers.Convolution], weights: Int64, window: Window
) -> None:
    """hls4ml's convolution, then our requantize."""
    # After a reshape that keeps the channels, rows and columns are the op's own, not the stream's; a dense op takes the stream's.
    source = growing.shape(op.input) if isinstance(op, Dense) else stream_shape(growing.graph.tensors[op.input].shape)
    output = growing.graph.tensors[op.output]
    accumulators = kind(
        name=f"{name}_accumulators",
        inputs=(growing.carriers[op.input] if isinstance(op, Dense) else growing.read(op.input),),
        source=source,
        shape=stream_shape(output.shape),
        precision=f"int<{signed_bits(q.bound)}>",
        weights=weights,
        bias=q.bias,
        bias_precision=f"int<{signed_bits(int(np.abs(q.bias).max()))}>",
        window=window,
    )
    growing.layers[accumulators.name] = accumulators
    end, wide = requantize_of(growing.graph, op), signed_bits(q.wide_bound)
    requantize = layers.Requantize(
        inputs=(accumulators.name,), low=end.low, high=end.high, wide_bits=wide, shifts=end.shifts, **growing.written(op.output, name)
    )
    growing.add(requantize, op.output)


def _add(growing: _Growing, op: Add, name: str) -> None:
    low, high = clamp_range(op.activation, growing.graph.tensors[op.output])
    sources = tuple(growing.read(tensor) for tensor in op.inputs)
    growing.add(layers.Add(inputs=sources, low=low, high=high, **growing.written(op.output, name)), op.output)


def _concat(growing: _Growing, op: Concat, name: str) -> None:
    """hls4ml joins two streams; more are joined one after the other."""
    output = growing.graph.tensors[op.output]
    rows, columns, _ = stream_shape(output.shape)
    joined, *others = [growing.read(tensor) for tensor in op.inputs]
    for index, other in enumerate(others):
        last = index == len(others) - 1
        layer = layers.Concatenate(
            name=name if last else f"{name}_{index}",
            inputs=(joined, other),
            shape=(rows, columns, growing.layers[joined].shape[2] + growing.layers[other].shape[2]),
            precision=value_type(output),
            trace=last,
        )
        growing.layers[layer.name] = layer
        joined = layer.name
    growing.carriers[op.output] = joined


def _max_pool(growing: _Growing, op: MaxPool, name: str) -> None:
    source = growing.graph.tensors[op.input]
    layer = layers.MaxPool(
        inputs=(growing.read(op.input),),
        source=stream_shape(source.shape),
        window=Window(op.pool, op.strides, op.padding),
        lowest=source.low,
        **growing.written(op.output, name),
    )
    growing.add(layer, op.output)


def _lookup(growing: _Growing, op: Lookup, name: str) -> None:
    lowest, table = growing.graph.tensors[op.input].low, op.table.astype(np.int64)
    written = growing.written(op.output, name)
    growing.add(layers.Lookup(inputs=(growing.read(op.input),), lowest=lowest, table=table, **written), op.output)


def _reshape(growing: _Growing, op: Reshape, name: str) -> None:
    """The stream stays; who needs its values in tokens of another size repacks them (`_Growing.read`)."""
    growing.carriers[op.output] = growing.carriers[op.input]


_LOWER: dict[type, Callable[[_Growing, Any, str], None]] = {
    Conv2D: _conv2d,
    DepthwiseConv2D: _depthwise,
    Dense: _dense,
    Add: _add,
    Concat: _concat,
    MaxPool: _max_pool,
    Lookup: _lookup,
    Reshape: _reshape,
}
