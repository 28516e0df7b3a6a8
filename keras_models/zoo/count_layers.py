"""CountLayers, the vocabulary that counts parameters and multiply-accumulates instead of making layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

from edgekit.graph import Activation, Window
from edgekit.graph.ir import Pair
from edgekit.keras_models.zoo.vocabulary import LINEAR, Act, BatchNorm

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class LayerCount:
    """One verb of the vocabulary. `kind` says what it is, with its activation, which `activation` names alone; `shape` is of its output,
    without batch."""

    name: str
    kind: str
    shape: Shape
    params: int
    macs: int
    activation: str = LINEAR.kind.value


@dataclass(frozen=True)
class Counts:
    """`params`: what training changes (moving statistics of batch norm are not counted). `macs`: of convolutions and dense layers,
    for one image; products of two activations, as in attention, are not among them, as papers count."""

    params: int
    macs: int
    layers: tuple[LayerCount, ...] = field(default=(), compare=False, repr=False)


@dataclass
class CountLayers:
    """A tensor is its shape. Use one for each network: `model` gives all that was counted."""

    layers: list[LayerCount] = field(default_factory=list)

    def input(self, shape: tuple[int, int, int]) -> Shape:
        return shape

    def conv(
        self,
        x: Shape,
        name: str,
        filters: int,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Shape:
        shape = (*_places(x, window), filters)
        return self._sums(
            name, _kind("conv", window, activation), prod(window.kernel) * x[-1], shape, (2 if batch_norm else 0) + use_bias, activation
        )

    def depthwise(
        self,
        x: Shape,
        name: str,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Shape:
        shape = (*_places(x, window), x[-1])
        return self._sums(
            name, _kind("depthwise", window, activation), prod(window.kernel), shape, (2 if batch_norm else 0) + use_bias, activation
        )

    def dense(self, x: Shape, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0, second_head: str = "") -> Shape:
        if second_head:
            self._sums(second_head, "dense", x[-1], (units,), 1)
        return self._sums(name, "dense", x[-1], (units,), 1)

    def add(self, x: Shape, y: Shape, name: str) -> Shape:
        return self._write(name, "add", x)

    def multiply(self, x: Shape, y: Shape, name: str) -> Shape:
        return self._write(name, "multiply", x)

    def concat(self, values: Sequence[Shape], name: str) -> Shape:
        return self._write(name, "concat", (*values[0][:-1], sum(value[-1] for value in values)))

    def channels(self, x: Shape, name: str, start: int, count: int) -> Shape:
        return self._write(name, "channels", (*x[:-1], count))

    def global_pool(self, x: Shape, name: str, *, keep_map: bool = False) -> Shape:
        return self._write(name, "global pool", (1, 1, x[-1]) if keep_map else (x[-1],))

    def average_pool(self, x: Shape, name: str, window: Window) -> Shape:
        return self._write(name, _kind("average pool", window), (*_places(x, window), x[-1]))

    def upsample(self, x: Shape, name: str, factor: int, batch_norm: BatchNorm | None = None) -> Shape:
        shape = (x[0] * factor, x[1] * factor, x[2])
        self._write(name, f"depthwise upsampling x{factor}", shape, (factor**2 + (3 if batch_norm else 1)) * x[2], prod(shape))
        return shape

    def layer_norm(self, x: Shape, name: str, epsilon: float) -> Shape:
        return self._write(name, "layer norm", x, 2 * x[-1])

    def layer_scale(self, x: Shape, name: str, initial: float) -> Shape:
        return self._write(name, "layer scale", x, x[-1])

    def attention(self, queries_keys: Shape, values: Shape, name: str, heads: int) -> Shape:
        return self._write(name, f"attention, {heads} heads", values, heads * prod(values[:-1]))

    def shape(self, x: Shape) -> Shape:
        return x

    def model(self, inputs: Shape, outputs: Shape, name: str) -> Counts:
        return Counts(sum(layer.params for layer in self.layers), sum(layer.macs for layer in self.layers), tuple(self.layers))

    def _sums(self, name: str, kind: str, taps: int, shape: Shape, per_channel: int, activation: Act = LINEAR) -> Shape:
        """A layer whose every output value is a sum of `taps` products, with `per_channel` more parameters a channel."""
        return self._write(name, kind, shape, (taps + per_channel) * shape[-1], taps * prod(shape), activation)

    def _write(self, name: str, kind: str, shape: Shape, params: int = 0, macs: int = 0, activation: Act = LINEAR) -> Shape:
        self.layers.append(LayerCount(name, kind, shape, params, macs, activation.kind.value))
        return shape


def _places(x: Shape, window: Window) -> Pair:
    return window.places((x[0], x[1]))


def _kind(verb: str, window: Window, activation: Act = LINEAR) -> str:
    stride = f"/{window.strides[0]}" if window.strides != (1, 1) else ""
    apart = f" dilation {window.dilation[0]}" if window.dilation != (1, 1) else ""
    ending = f", {activation.kind.value}" if activation.kind is not Activation.NONE else ""
    return f"{verb} {window.kernel[0]}x{window.kernel[1]}{stride}{apart}{ending}"
