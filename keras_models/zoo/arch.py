"""An architecture as data, and the walk that builds it with any vocabulary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from edgekit.graph import Padding
from edgekit.graph.ir import Pair
from edgekit.keras_models.zoo.vocabulary import Act, BatchNorm, Layers, Value, same

CHANNELS_IN = 3


class Block(Protocol):
    """A row of an architecture, a frozen dataclass of its sizes."""

    def build(self, layers: Layers, x: Value) -> Value: ...


class Head(Protocol):
    """From the last map to logits (classes,)."""

    def build(self, layers: Layers, x: Value, classes: int) -> Value: ...


@dataclass(frozen=True)
class Arch:
    """A network at one width: all channel counts are final, only the image's size and the number of classes are open."""

    blocks: tuple[Block, ...]
    head: Head


def build(arch: Arch, layers: Layers, size: int, classes: int, name: str) -> Any:
    """The vocabulary's model of `arch` for images (size, size, 3), giving logits (classes,)."""
    inputs = x = layers.input((size, size, CHANNELS_IN))
    for block in arch.blocks:
        x = block.build(layers, x)
    return layers.model(inputs, arch.head.build(layers, x, classes), name)


@dataclass(frozen=True)
class Conv:
    """A dense convolution with 'same' padding, batch norm and activation."""

    name: str
    filters: int
    kernel: Pair
    strides: Pair
    batch_norm: BatchNorm
    activation: Act

    def build(self, layers: Layers, x: Value) -> Value:
        return layers.conv(
            x,
            self.name,
            self.filters,
            same(layers, x, self.kernel, self.strides),
            batch_norm=self.batch_norm,
            activation=self.activation,
        )


@dataclass(frozen=True)
class PoolAndClassify:
    """Global average pooling, dropout in training, and the classifier. `as_convolution`: see Layers.dense."""

    name: str
    as_convolution: bool = False
    dropout: float = 0.0

    def build(self, layers: Layers, x: Value, classes: int) -> Value:
        pooled = layers.global_pool(x, "global_pool")
        return layers.dense(pooled, self.name, classes, as_convolution=self.as_convolution, dropout=self.dropout)


def round_filters(filters: float) -> int:
    """The nearest multiple of 8, at least 8, and never more than a tenth below: how the MobileNets scale their widths."""
    rounded = max(8, int(filters + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * filters else rounded


def padding_at_end(cells: int) -> Padding:
    """`cells` rows below and columns to the right."""
    return Padding(bottom=cells, right=cells)
