"""CountLayers, the vocabulary that counts parameters and multiply-accumulates instead of making layers."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from edgekit.graph import Padding
from edgekit.graph.ir import Pair, window_count
from edgekit.keras_models.vocabulary import LINEAR, NO_PADDING, Act, BatchNorm

Shape: TypeAlias = tuple[int, ...]


@dataclass(frozen=True)
class Counts:
    """`params`: what training changes (moving statistics of batch norm are not counted). `macs`: of convolutions and dense
    layers, for one image."""

    params: int
    macs: int


@dataclass
class CountLayers:
    """A tensor is its shape. Use one for each network: `model` gives all that was counted."""

    params: int = 0
    macs: int = 0

    def input(self, shape: tuple[int, int, int]) -> Shape:
        return shape

    def conv(
        self,
        x: Shape,
        name: str,
        filters: int,
        kernel: Pair,
        *,
        strides: Pair = (1, 1),
        padding: Padding = NO_PADDING,
        dilation: Pair = (1, 1),
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Shape:
        rows, columns = _windows(x, kernel, strides, padding, dilation)
        self._count(prod(kernel) * x[-1], (rows, columns, filters), batch_norm, use_bias)
        return rows, columns, filters

    def depthwise(
        self,
        x: Shape,
        name: str,
        kernel: Pair,
        *,
        strides: Pair = (1, 1),
        padding: Padding = NO_PADDING,
        dilation: Pair = (1, 1),
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Shape:
        rows, columns = _windows(x, kernel, strides, padding, dilation)
        self._count(prod(kernel), (rows, columns, x[-1]), batch_norm, use_bias)
        return rows, columns, x[-1]

    def dense(self, x: Shape, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0) -> Shape:
        self._count(x[-1], (units,), None, use_bias=True)
        return (units,)

    def add(self, x: Shape, y: Shape, name: str) -> Shape:
        return x

    def global_pool(self, x: Shape, name: str) -> Shape:
        return (x[-1],)

    def shape(self, x: Shape) -> Shape:
        return x

    def model(self, inputs: Shape, outputs: Shape, name: str) -> Counts:
        return Counts(self.params, self.macs)

    def _count(self, taps: int, output: Shape, batch_norm: BatchNorm | None, use_bias: bool) -> None:
        """A layer whose every output value is a sum of `taps` products."""
        per_channel = taps + (2 if batch_norm else 0) + (1 if use_bias else 0)
        self.params += per_channel * output[-1]
        self.macs += taps * prod(output)


def _windows(x: Shape, kernel: Pair, strides: Pair, padding: Padding, dilation: Pair) -> Pair:
    rows = window_count(x[0], kernel[0], strides[0], dilation[0], padding.top + padding.bottom)
    columns = window_count(x[1], kernel[1], strides[1], dilation[1], padding.left + padding.right)
    return rows, columns
