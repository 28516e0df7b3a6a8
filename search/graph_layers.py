"""GraphLayers: the vocabulary that gives an integer graph with random weights at once, without Keras.

Its ops, shapes and levels of weights are those of the graph that the trained network is frozen to; so it takes as long on a device, and
is planned for a board in the same way. What it computes means nothing. `graph_of` has the graphs of all networks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from edgekit.errors import UnsupportedLayer
from edgekit.graph import Activation, Add, Conv2D, Dense, DepthwiseConv2D, GraphBuilder, IntegerGraph, Lookup, Multiply, Window
from edgekit.keras_models import Precisions, WeightPrecision
from edgekit.keras_models.zoo.arch import build
from edgekit.keras_models.zoo.network import Request
from edgekit.keras_models.zoo.vocabulary import LINEAR, Act, BatchNorm

POINT, WEIGHT_POINT = 4, 7
"""Binary points of all activations and all weights. Neither time nor resources depend on them."""
IMAGES = 16
"""Photographs that a network is calibrated with whose graph Keras has to make."""
HALF = 2
"""A bias that no accumulator with it is half-way between two outputs."""


@dataclass(frozen=True)
class GraphValue:
    """A tensor of the graph, by its name."""

    name: str
    shape: tuple[int, ...]
    signed: bool


class GraphLayers:
    """`precisions`: the levels that weights are drawn from. Use one for each network. Refuses verbs that no convolutional network has."""

    def __init__(self, name: str, precisions: Precisions | None = None, seed: int = 0) -> None:
        self._graph = GraphBuilder(name)
        self._precisions = precisions or Precisions()
        self._rng = np.random.default_rng(seed)

    def input(self, shape: tuple[int, int, int]) -> GraphValue:
        return GraphValue(self._graph.input("input", shape, signed=True, binary_point=6), shape, True)

    def conv(
        self,
        x: GraphValue,
        name: str,
        filters: int,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> GraphValue:
        weights = self._weights(name, (*window.kernel, x.shape[-1], filters))
        op = Conv2D(name, x.name, name, weights, _bias(filters), (WEIGHT_POINT,) * filters, window.strides, window.padding, window.dilation)
        return self._ended(op, activation)

    def depthwise(
        self,
        x: GraphValue,
        name: str,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> GraphValue:
        return self._depthwise(x, name, window, self._weights(name, (*window.kernel, x.shape[-1])), activation)

    def dense(
        self, x: GraphValue, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0, second_head: str = ""
    ) -> GraphValue:
        if second_head:
            raise _refuse(second_head, "a second classifier")
        if as_convolution:
            return self.conv(x, name, units, Window((1, 1)))
        weights = self._weights(name, (int(np.prod(x.shape)), units))
        return self._ended(Dense(name, x.name, name, weights, _bias(units), (WEIGHT_POINT,) * units), LINEAR)

    def add(self, x: GraphValue, y: GraphValue, name: str) -> GraphValue:
        return self._written(Add(name, (x.name, y.name), name), x.signed or y.signed)

    def multiply(self, x: GraphValue, y: GraphValue, name: str) -> GraphValue:
        return self._written(Multiply(name, (x.name, y.name), name), x.signed or y.signed)

    def global_pool(self, x: GraphValue, name: str, *, keep_map: bool = False) -> GraphValue:
        """The mean of each column, then of the row of means, as edgekit.keras_models.qfx.layers has it."""
        rows, columns = x.shape[:2]
        if rows > 1 and columns > 1:
            x, rows = self.average_pool(x, f"{name}_rows", Window((rows, 1))), 1
        return self.average_pool(x, name, Window((rows, columns)))

    def average_pool(self, x: GraphValue, name: str, window: Window) -> GraphValue:
        weights = np.full((*window.kernel, x.shape[-1]), 64, np.int8)
        return replace(self._depthwise(x, name, window, weights, LINEAR, signed=x.signed))

    def concat(self, values: Sequence[GraphValue], name: str) -> GraphValue:
        raise _refuse(name, "a join of tensors")

    def channels(self, x: GraphValue, name: str, start: int, count: int) -> GraphValue:
        raise _refuse(name, "a part of the channels")

    def layer_norm(self, x: GraphValue, name: str, epsilon: float) -> GraphValue:
        raise _refuse(name, "a layer norm")

    def attention(self, queries_keys: GraphValue, values: GraphValue, name: str, heads: int) -> GraphValue:
        raise _refuse(name, "an attention")

    def upsample(self, x: GraphValue, name: str, factor: int, batch_norm: BatchNorm | None = None) -> GraphValue:
        raise _refuse(name, "an up-sampling")

    def layer_scale(self, x: GraphValue, name: str, initial: float) -> GraphValue:
        raise _refuse(name, "a factor a channel")

    def shape(self, x: GraphValue) -> tuple[int, ...]:
        return x.shape

    def model(self, inputs: GraphValue, outputs: GraphValue, name: str) -> IntegerGraph:
        return self._graph.graph(outputs.name)

    def _depthwise(self, x: GraphValue, name: str, window: Window, weights: Any, activation: Act, signed: bool | None = None) -> GraphValue:
        channels = x.shape[-1]
        op = DepthwiseConv2D(
            name, x.name, name, weights, _bias(channels), (WEIGHT_POINT,) * channels, window.strides, window.padding, window.dilation
        )
        return self._ended(op, activation, signed)

    def _weights(self, name: str, shape: tuple[int, ...]) -> Any:
        """4 * level, of either sign, all levels of the layer's precision equally likely."""
        levels = _signed_levels(self._precisions.of(name))
        return (4 * self._rng.choice(levels, shape)).astype(np.int8)

    def _ended(self, op: Any, activation: Act, signed: bool | None = None) -> GraphValue:
        clamp = activation.clamp
        value = self._written(replace(op, activation=clamp), clamp is Activation.NONE if signed is None else signed)
        if isinstance(activation.kind, Activation):
            return value
        from edgekit.keras_models.qfx.layers import NEVER_NEGATIVE  # TensorFlow comes with it

        unsigned = activation.kind in NEVER_NEGATIVE
        table = np.arange(256) // 2 if unsigned else np.arange(-128, 128)
        kept = table.astype(np.uint8 if unsigned else np.int8)
        return self._written(Lookup(activation.name, value.name, activation.name, kept), not unsigned)

    def _written(self, op: Any, signed: bool) -> GraphValue:
        name = self._graph.write(op, signed=signed, binary_point=POINT)
        return GraphValue(name, self._graph.tensors[name].shape, signed)


def graph_of(request: Request, precisions: Precisions | None = None, seed: int = 0) -> IntegerGraph:
    """The integer graph of a network with random weights. One with verbs that are not spoken here, such as attention, is built in Keras,
    quantized and frozen, which takes a minute rather than a moment. Raises UnsupportedLayer for such a network with `precisions`."""
    layers = GraphLayers(request.model_name, precisions, seed)
    try:
        made: IntegerGraph = build(request.network.arch(request.alpha), layers, request.size, request.classes, request.model_name)
    except UnsupportedLayer:
        if precisions is not None:
            raise
        return _frozen(request.network.name, request.alpha, request.size, request.classes, seed)
    return made


@lru_cache(maxsize=16)
def _frozen(name: str, alpha: float, size: int, classes: int, seed: int) -> IntegerGraph:
    from edgekit.keras_models import build_model, freeze, quantize
    from edgekit.keras_models.training.images import photographs
    from edgekit.keras_models.weights.random import randomize

    model = build_model(name, size=size, classes=classes, form="bn", alpha=alpha)
    images = photographs(size, IMAGES, seed=seed)
    randomize(model, images, seed)
    return freeze(quantize(model, images).model)


def _signed_levels(precision: WeightPrecision) -> Any:
    levels = np.array(precision.levels)
    return np.unique(np.concatenate([-levels, levels]))


def _bias(channels: int) -> Any:
    return np.full(channels, HALF, np.int32)


def _refuse(name: str, what: str) -> UnsupportedLayer:
    return UnsupportedLayer(f"layer '{name}' is {what}, of which a search does not know what it costs; leave the network out of the space")
