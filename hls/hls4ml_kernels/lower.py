"""From the integer graph to the layer dictionaries that hls4ml takes. Plain data; hls4ml is not imported here.

Every tensor is carried by a stream of tokens, each one a position's channels: an (H, W, C) map has H*W tokens of C values, a
vector of N values is a 1 x 1 map of N channels. Each op becomes one hls4ml layer, a weighted op two: hls4ml's own
convolution, which writes accumulators, then our requantize. A reshape is no layer: its tensor is carried by the same stream.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

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
    Op,
    Padding,
    Reshape,
    Tensor,
    check,
    clamp_range,
    op_inputs,
)
from edgekit.hls.kernels.arithmetic import Quarters, quarters, signed_bits, value_type

Layer: TypeAlias = dict[str, Any]
Shape: TypeAlias = tuple[int, int, int]
NAME_MAX = 48
"""Longer op names are cut in the C++; the number before them keeps them apart."""
STREAM_READERS_MAX = 7
"""hls4ml copies a stream for at most as many readers."""


@dataclass
class Network:
    """What hls4ml builds a network from.

    `layers`: layer dictionaries in order. `settings`: layer name -> its entry under hls4ml's LayerName configuration.
    `tensors`: tensor name -> the layer whose output stream carries it. `shapes`: layer -> (rows, columns, channels) of its stream.
    """

    layers: list[Layer] = field(default_factory=list)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    tensors: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)

    def add(self, layer: Layer, settings: dict[str, Any], shape: Shape) -> None:
        self.layers.append(layer)
        self.shapes[layer["name"]] = shape
        self.settings[layer["name"]] = settings


def stream_shape(shape: tuple[int, ...]) -> Shape:
    """(rows, columns, channels) of the stream that carries a tensor of this shape."""
    if len(shape) == 3:
        return (shape[0], shape[1], shape[2])
    return (prod(shape[:-1]), 1, shape[-1])


def lower(graph: IntegerGraph) -> Network:
    """
    Raises:
        ContractError: the graph breaks the contract, on which the hardware's truncating shifts rely.
        EdgekitError: hls4ml's kernels cannot express an op.
    """
    check(graph)
    reason = stock_refusal(graph)
    if reason is not None:
        raise EdgekitError(reason)
    network = Network()
    tensor = graph.tensors[graph.input]
    name, shape = "network_input", stream_shape(tensor.shape)
    network.add({"class_name": "Input", "name": name, "input_shape": list(shape)}, _result(tensor), shape)
    network.inputs = [name]
    network.tensors[graph.input] = name
    for index, op in enumerate(_needed(graph)):
        name = f"n{index}_{re.sub('[^A-Za-z0-9]+', '_', op.name).strip('_').lower()[:NAME_MAX]}"
        _LOWER[type(op)](network, graph, op, name)
    for index, output in enumerate(graph.outputs):
        if network.tensors[output] in (*network.inputs, *network.outputs):  # hls4ml cannot end where it starts, nor twice in one layer
            _repack(network, graph, output, f"output{index}")
        network.outputs.append(network.tensors[output])
    _refuse_many_readers(graph, network)
    return network


def stock_refusal(graph: IntegerGraph) -> str | None:
    """Which op hls4ml's own kernels, with our few in their form, cannot compute; None if there is none."""
    for op in _needed(graph):
        if type(op) not in _LOWER:
            return f"op '{op.name}': hls4ml's own kernels have none for a {type(op).__name__}; the folded kernels do ('hls-csim')"
    return None


def _needed(graph: IntegerGraph) -> Iterable[Op]:
    """Ops that some output depends on: a stream that nobody reads would stall the hardware."""
    wanted, needed = set(graph.outputs), []
    for op in reversed(graph.ops):
        if op.output in wanted:
            wanted.update(op_inputs(op))
            needed.append(op)
    return reversed(needed)


def _refuse_many_readers(graph: IntegerGraph, network: Network) -> None:
    readers = [name for layer in network.layers for name in layer.get("inputs", [])] + network.outputs
    for tensor, layer in network.tensors.items():
        if readers.count(layer) > STREAM_READERS_MAX:
            raise EdgekitError(
                f"tensor '{tensor}' of '{graph.name}' is read {readers.count(layer)} times; hls4ml copies a stream"
                f" {STREAM_READERS_MAX} times at most. Let some of its readers take a later tensor"
            )


def _result(tensor: Tensor) -> dict[str, Any]:
    return {"Precision": {"result": value_type(tensor)}}


def _read(network: Network, graph: IntegerGraph, tensor: str) -> str:
    """The layer whose stream has the tensor in tokens of its own channels."""
    channels = graph.tensors[tensor].shape[-1]
    if network.shapes[network.tensors[tensor]][2] != channels:
        _repack(network, graph, tensor, f"{network.tensors[tensor]}_by_{channels}")
    return network.tensors[tensor]


def _repack(network: Network, graph: IntegerGraph, tensor: str, name: str) -> None:
    """From here on, the tensor is carried by a stream of its own channels."""
    source = network.tensors[tensor]
    if name not in network.settings:
        _add_layer(network, graph, {"class_name": "EdgekitRepack", "name": name, "inputs": [source]}, tensor)
    network.tensors[tensor] = name


def _add_layer(network: Network, graph: IntegerGraph, layer: Layer, output: str, **precision: str) -> None:
    """Adds a layer of ours that writes the stream of tensor `output`; `trace` lets the C simulation see it."""
    tensor = graph.tensors[output]
    shape = stream_shape(tensor.shape)
    common = {"trace": True, "target_shape": list(shape), "n_positions": shape[0] * shape[1], "n_chan": shape[2]}
    network.add(layer | common, {"Precision": {"result": value_type(tensor), **precision}}, shape)
    network.tensors[output] = layer["name"]


def expand(weights: Int64, dilation: tuple[int, int], padding: Padding, one_row: bool) -> tuple[Int64, Padding]:
    """A kernel that hls4ml's streaming convolution computes correctly, and the padding to go with it; same results.

    hls4ml ignores dilation silently, so the taps are moved apart and zeros put between them (they cost memory and cycles
    that a dilated line buffer would not). A kernel of one row ignores the vertical stride, so it gets a second row of
    zeros, and the map one more row of padding, unless hls4ml has another kernel for it (`one_row`: 1 x 1 convolutions).
    """
    rows, columns = ((size - 1) * step + 1 for size, step in zip(weights.shape[:2], dilation, strict=True))
    extra = 1 if rows == 1 and not one_row else 0
    kernel = np.zeros((rows + extra, columns, *weights.shape[2:]), np.int64)
    kernel[: rows : dilation[0], :: dilation[1]] = weights
    return kernel, Padding(padding.top, padding.bottom + extra, padding.left, padding.right)


def _conv2d(network: Network, graph: IntegerGraph, op: Conv2D, name: str) -> None:
    q = quarters(graph, op)
    pointwise = op.weights.shape[:2] == (1, 1)
    weights, padding = expand(q.weights, op.dilation, op.padding, one_row=pointwise)
    _convolution(network, graph, op, name, _read(network, graph, op.input), q, weights, op.strides, padding)


def _depthwise(network: Network, graph: IntegerGraph, op: DepthwiseConv2D, name: str) -> None:
    q = quarters(graph, op)
    weights, padding = expand(q.weights, op.dilation, op.padding, one_row=False)
    _convolution(network, graph, op, name, _read(network, graph, op.input), q, weights[..., np.newaxis], op.strides, padding)


def _dense(network: Network, graph: IntegerGraph, op: Dense, name: str) -> None:
    """A dense op is a convolution whose kernel is the whole map."""
    q = quarters(graph, op)
    weights = q.weights.reshape(*network.shapes[network.tensors[op.input]], -1)
    weights, padding = expand(weights, (1, 1), Padding(), one_row=weights.shape[:2] == (1, 1))
    _convolution(network, graph, op, name, network.tensors[op.input], q, weights, (1, 1), padding)


def _convolution(
    network: Network,
    graph: IntegerGraph,
    op: Conv2D | DepthwiseConv2D | Dense,
    name: str,
    source: str,
    q: Quarters,
    weights: Int64,
    strides: tuple[int, int],
    padding: Padding,
) -> None:
    """hls4ml's convolution, then our requantize.

    The reuse factor is the number of cycles that a position takes: one multiplier an output channel in a convolution, one a
    tap in a depthwise convolution. Both are legal for hls4ml whatever the sizes; larger ones than n_in are not.
    """
    depthwise = isinstance(op, DepthwiseConv2D)
    output = graph.tensors[op.output]
    # A reshape that keeps the channels keeps the stream too: its rows and columns are the op's own, not the stream's.
    height, width, channels = network.shapes[source] if isinstance(op, Dense) else stream_shape(graph.tensors[op.input].shape)
    out_height, out_width, filters = stream_shape(output.shape)
    accumulators = f"{name}_accumulators"
    sums = f"int<{signed_bits(q.bound)}>"
    layer = {
        "class_name": "DepthwiseConv2D" if depthwise else "Conv2D",
        "name": accumulators,
        "inputs": [source],
        "data_format": "channels_last",
        "in_height": height,
        "in_width": width,
        "n_chan": channels,
        "out_height": out_height,
        "out_width": out_width,
        "n_filt": filters,
        "filt_height": weights.shape[0],
        "filt_width": weights.shape[1],
        "stride_height": strides[0],
        "stride_width": strides[1],
        "pad_top": padding.top,
        "pad_bottom": padding.bottom,
        "pad_left": padding.left,
        "pad_right": padding.right,
        "depthwise_data" if depthwise else "weight_data": weights,
        "bias_data": q.bias,
    }
    bias = f"int<{signed_bits(int(np.abs(q.bias).max()))}>"
    precision = {"weight": "int<6>", "bias": bias, "accum": sums, "result": sums}
    reuse_factor = channels if depthwise else int(prod(weights.shape[:3]))
    network.add(layer, {"Precision": precision, "ReuseFactor": reuse_factor, "Strategy": "resource"}, stream_shape(output.shape))
    low, high = clamp_range(op.activation, output)
    requantize = {"class_name": "EdgekitRequantize", "name": name, "inputs": [accumulators], "low": low, "high": high}
    requantize |= {"n_wide": signed_bits(q.wide_bound), "shift_data": np.array(q.shifts, np.int64)}
    _add_layer(network, graph, requantize, op.output, shift="int<6>")


def _add(network: Network, graph: IntegerGraph, op: Add, name: str) -> None:
    low, high = clamp_range(op.activation, graph.tensors[op.output])
    sources = [_read(network, graph, tensor) for tensor in op.inputs]
    _add_layer(network, graph, {"class_name": "EdgekitAdd", "name": name, "inputs": sources, "low": low, "high": high}, op.output)


def _concat(network: Network, graph: IntegerGraph, op: Concat, name: str) -> None:
    """hls4ml joins two streams; more are joined one after the other."""
    output = graph.tensors[op.output]
    rows, columns, _ = stream_shape(output.shape)
    joined, *others = [_read(network, graph, tensor) for tensor in op.inputs]
    for index, other in enumerate(others):
        last = index == len(others) - 1
        step = name if last else f"{name}_{index}"
        layer = {"class_name": "Concatenate", "name": step, "inputs": [joined, other], "axis": -1, "op": "concatenate3d", "trace": last}
        network.add(layer, _result(output), (rows, columns, network.shapes[joined][2] + network.shapes[other][2]))
        joined = step
    network.tensors[op.output] = joined


def _max_pool(network: Network, graph: IntegerGraph, op: MaxPool, name: str) -> None:
    source, output = graph.tensors[op.input], graph.tensors[op.output]
    layer = {
        "class_name": "EdgekitMaxPool",
        "name": name,
        "inputs": [_read(network, graph, op.input)],
        "in_height": source.shape[0],
        "in_width": source.shape[1],
        "out_height": output.shape[0],
        "out_width": output.shape[1],
        "pool_height": op.pool[0],
        "pool_width": op.pool[1],
        "stride_height": op.strides[0],
        "stride_width": op.strides[1],
        "pad_top": op.padding.top,
        "pad_left": op.padding.left,
        "padded_height": source.shape[0] + op.padding.top + op.padding.bottom,
        "padded_width": source.shape[1] + op.padding.left + op.padding.right,
        "lowest": source.low,
    }
    _add_layer(network, graph, layer, op.output)


def _lookup(network: Network, graph: IntegerGraph, op: Lookup, name: str) -> None:
    layer = {
        "class_name": "EdgekitLookup",
        "name": name,
        "inputs": [_read(network, graph, op.input)],
        "lowest": graph.tensors[op.input].low,
        "table_data": op.table.astype(np.int64),
    }
    _add_layer(network, graph, layer, op.output, table=value_type(graph.tensors[op.output]))


def _reshape(network: Network, graph: IntegerGraph, op: Reshape, name: str) -> None:
    """The stream stays; who needs its values in tokens of another size repacks them (`_read`)."""
    network.tensors[op.output] = network.tensors[op.input]


_LOWER: dict[type, Callable[[Network, IntegerGraph, Any, str], None]] = {
    Conv2D: _conv2d,
    DepthwiseConv2D: _depthwise,
    Dense: _dense,
    Add: _add,
    Concat: _concat,
    MaxPool: _max_pool,
    Lookup: _lookup,
    Reshape: _reshape,
}
