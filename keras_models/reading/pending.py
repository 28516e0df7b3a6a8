"""What is known of a Keras model while it is read: tensors whose layer is not finished, and the folded weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from edgekit.arrays import Floats
from edgekit.graph import Padding, Window
from edgekit.keras_models.reading.keras_layer import as_map, refuse
from edgekit.keras_models.reading.vocabulary import Folded, FoldedLayers, FoldedWeights
from edgekit.keras_models.zoo.vocabulary import LINEAR, ONE_CELL, Act, Value, symmetric


@dataclass
class Reading:
    """`weights` by layer name; `notes` are for the user."""

    layers: FoldedLayers
    weights: dict[str, Folded] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    built: dict[str, Any] = field(default_factory=dict)

    def settle(self, value: Any, activation: Act = LINEAR) -> Value:
        """A tensor of the vocabulary, ended by `activation`."""
        if isinstance(value, Padded):
            value = self._zeros_around(value)
        if isinstance(value, Normed):
            value = self._layer_norm(value)
        if isinstance(value, Pending):
            return value.settle(self, activation)
        return value if activation is LINEAR else self.layers.activate(value, activation)

    def normalized(self, norm: Normed) -> Value:
        """Without scale and shift, for a layer that takes them in."""
        name = f"{norm.name}_normalize"
        return self._once(name, lambda: self.layers.normalize(norm.input, name, norm.epsilon))

    def _zeros_around(self, padded: Padded) -> Value:
        """A 1x1 depthwise convolution that changes nothing takes the zeros in."""
        channels = self.layers.shape(padded.value)[-1]
        self.weights[padded.name] = FoldedWeights(np.ones((1, 1, channels, 1), np.float32), np.zeros(channels, np.float32))
        window = Window((1, 1), padding=padded.padding)
        return self._once(padded.name, lambda: self.layers.depthwise(padded.value, padded.name, window))

    def _layer_norm(self, norm: Normed) -> Value:
        self.weights[norm.name] = FoldedWeights(norm.scale, norm.shift)
        return self._once(norm.name, lambda: self.layers.layer_norm(norm.input, norm.name, norm.epsilon))

    def _once(self, name: str, build: Callable[[], Value]) -> Value:
        """However many layers read it."""
        if name not in self.built:
            self.built[name] = build()
        return self.built[name]


@dataclass(frozen=True)
class Padded:
    """A map with cells of zeros around it, which the next convolution takes in."""

    value: Value
    padding: Padding
    name: str


@dataclass(frozen=True, eq=False)
class Normed:
    """A layer norm that is not built yet: the next 1x1 convolution or dense layer takes in its `scale` and `shift`, a channel each."""

    name: str
    input: Value
    epsilon: float
    scale: Floats
    shift: Floats


class Pending(ABC):
    """An op that is not built yet, because its activation may still follow."""

    @abstractmethod
    def settle(self, reading: Reading, activation: Act) -> Value:
        """Builds it, ended by `activation`, and keeps its weights."""


@dataclass(frozen=True, eq=False)
class Sum(Pending):
    """x + y."""

    name: str
    x: Value
    y: Value

    def settle(self, reading: Reading, activation: Act) -> Value:
        return reading.layers.add(self.x, self.y, self.name, activation)


@dataclass(frozen=True, eq=False)
class Weighted(Pending):
    """A layer with weights, which reads `input`. A batch norm that follows is folded into them."""

    name: str
    input: Value
    weights: FoldedWeights

    def settle(self, reading: Reading, activation: Act) -> Value:
        reading.weights[self.name] = self.weights
        return self._build(reading.layers, activation)

    @abstractmethod
    def _build(self, layers: FoldedLayers, activation: Act) -> Value: ...


@dataclass(frozen=True, eq=False)
class Convolution(Weighted):
    window: Window

    def _build(self, layers: FoldedLayers, activation: Act) -> Value:
        return layers.conv(self.input, self.name, self.weights.kernel.shape[-1], self.window, activation)

    def part(self, name: str, start: int, count: int) -> Convolution:
        """Some of its channels are a convolution too, with a part of the weights."""
        some = slice(start, start + count)
        return replace(self, name=name, weights=FoldedWeights(self.weights.kernel[..., some], self.weights.bias[some]))

    def mean(self, reading: Reading, pool_name: str, keep_map: bool) -> Value:
        """The mean over the map of what it gives, where each cell is convolved by itself (`window` is ONE_CELL)."""
        reading.weights[self.name] = self.weights
        return reading.layers.pointwise_mean(self.input, self.name, self.weights.kernel.shape[-1], pool_name, keep_map=keep_map)


@dataclass(frozen=True, eq=False)
class SeparableEnd(Weighted):
    """The 1x1 convolution that ends a separable one. Nothing is made of its parts or its mean."""

    def _build(self, layers: FoldedLayers, activation: Act) -> Value:
        return layers.conv(self.input, self.name, self.weights.kernel.shape[-1], ONE_CELL, activation)


@dataclass(frozen=True, eq=False)
class Depthwise(Weighted):
    window: Window

    def _build(self, layers: FoldedLayers, activation: Act) -> Value:
        return layers.depthwise(self.input, self.name, self.window, activation)

    @property
    def is_centred(self) -> bool:
        """Whether each cell of its map is computed from those evenly around it, so that the input can be added to it."""
        rows, columns = self.window.kernel
        return self.window == symmetric(self.window.kernel) and bool(rows % 2 and columns % 2)


@dataclass(frozen=True, eq=False)
class PositionEncoding(Pending):
    """What a centred depthwise convolution reads and gives, added up under the name `name`."""

    name: str
    encoding: Depthwise

    def settle(self, reading: Reading, activation: Act) -> Value:
        own = self.encoding
        reading.weights[own.name] = own.weights
        return reading.layers.position_encoding(own.input, own.name, own.window, add_name=self.name, activation=activation)


@dataclass(frozen=True, eq=False)
class Factors(Weighted):
    """A factor and a shift a channel, which the next layer may take in. By itself it is a 1x1 depthwise convolution of its map.

    `layer` is the Keras layer that it comes from.
    """

    layer: Any

    def _build(self, layers: FoldedLayers, activation: Act) -> Value:
        cells = as_map(layers, self.layer, self.input)
        if len(layers.shape(cells)) != 3:
            raise refuse(self.layer, "no convolution or dense layer around it to fold into")
        return layers.depthwise(cells, self.name, ONE_CELL, activation)


@dataclass(frozen=True, eq=False)
class DenseLayer(Weighted):
    def _build(self, layers: FoldedLayers, activation: Act) -> Value:
        return layers.dense(self.input, self.name, self.weights.kernel.shape[1], activation)


@dataclass(frozen=True, eq=False)
class Upsampling(Weighted):
    factor: int

    def _build(self, layers: FoldedLayers, activation: Act) -> Value:
        value = layers.upsample(self.input, self.name, self.factor)
        return value if activation is LINEAR else layers.activate(value, activation)
