"""The layers of a network of hls4ml's own kernels: hls4ml's, and our five in the same form. hls4ml is not imported here."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from edgekit.arrays import Int64
from edgekit.graph import Window
from edgekit.hls.project.network import Layer, Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Convolution(Layer):
    """hls4ml's convolution, whose result are accumulators. `weights`: (rows, columns, inputs, outputs). `source`: shape of what it reads.

    The reuse factor is the number of cycles that a position takes: one multiplier an output channel in a convolution, one a
    tap in a depthwise convolution. Both are legal for hls4ml whatever the sizes; larger ones than n_in are not.
    """

    class_name = "Conv2D"
    weights_are: ClassVar[str] = "weight_data"

    source: Shape
    weights: Int64
    bias: Int64
    bias_precision: str
    window: Window

    @property
    def reuse_factor(self) -> int:
        return prod(self.weights.shape[:3])

    def attributes(self) -> dict[str, Any]:
        height, width, channels = self.source
        out_height, out_width, filters = self.shape
        padding = self.window.padding
        return {
            "data_format": "channels_last",
            "in_height": height,
            "in_width": width,
            "n_chan": channels,
            "out_height": out_height,
            "out_width": out_width,
            "n_filt": filters,
            "filt_height": self.window.kernel[0],
            "filt_width": self.window.kernel[1],
            "stride_height": self.window.strides[0],
            "stride_width": self.window.strides[1],
            "pad_top": padding.top,
            "pad_bottom": padding.bottom,
            "pad_left": padding.left,
            "pad_right": padding.right,
            self.weights_are: self.weights,
            "bias_data": self.bias,
        }

    def precisions(self) -> dict[str, str]:
        return {"weight": "int<6>", "bias": self.bias_precision, "accum": self.precision}

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), "ReuseFactor": self.reuse_factor, "Strategy": "resource"}


@dataclass(frozen=True, kw_only=True, eq=False)
class DepthwiseConvolution(Convolution):
    """The same, a channel at a time. `weights`: (rows, columns, channels, 1)."""

    class_name = "DepthwiseConv2D"
    weights_are = "depthwise_data"

    @property
    def reuse_factor(self) -> int:
        return self.source[2]


@dataclass(frozen=True, kw_only=True, eq=False)
class Concatenate(Layer):
    """Two streams side by side."""

    class_name = "Concatenate"

    def attributes(self) -> dict[str, Any]:
        return {"axis": -1, "op": "concatenate3d"}


@dataclass(frozen=True, kw_only=True, eq=False)
class OwnLayer(Layer):
    """One of ours (hls4ml_layers.py), shown by the C simulation."""

    trace: bool = True

    def attributes(self) -> dict[str, Any]:
        rows, columns, channels = self.shape
        return {"target_shape": list(self.shape), "n_positions": rows * columns, "n_chan": channels}


@dataclass(frozen=True, kw_only=True, eq=False)
class Requantize(OwnLayer):
    """Accumulators, in quarters, to activations from `low` to `high`. `shifts`: one a channel; a sum shifted left takes `wide_bits`."""

    class_name = "EdgekitRequantize"

    low: int
    high: int
    wide_bits: int
    shifts: tuple[int, ...]

    def attributes(self) -> dict[str, Any]:
        clamp = {"low": self.low, "high": self.high, "n_wide": self.wide_bits}
        return {**super().attributes(), **clamp, "shift_data": np.array(self.shifts, np.int64)}

    def precisions(self) -> dict[str, str]:
        return {"shift": "int<6>"}


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(OwnLayer):
    """The sum of two streams, clamped to `low`..`high`."""

    class_name = "EdgekitAdd"

    low: int
    high: int

    def attributes(self) -> dict[str, Any]:
        return {**super().attributes(), "low": self.low, "high": self.high}


@dataclass(frozen=True, kw_only=True, eq=False)
class Lookup(OwnLayer):
    """`table`: 256 entries, the first for an input of `lowest`."""

    class_name = "EdgekitLookup"

    lowest: int
    table: Int64

    def attributes(self) -> dict[str, Any]:
        return {**super().attributes(), "lowest": self.lowest, "table_data": self.table}

    def precisions(self) -> dict[str, str]:
        return {"table": self.precision}


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool(OwnLayer):
    """The largest value of each window. `source`: shape of what it reads. `lowest`: what padding counts as."""

    class_name = "EdgekitMaxPool"

    source: Shape
    window: Window
    lowest: int

    def attributes(self) -> dict[str, Any]:
        padding = self.window.padding
        return {
            **super().attributes(),
            "in_height": self.source[0],
            "in_width": self.source[1],
            "out_height": self.shape[0],
            "out_width": self.shape[1],
            "pool_height": self.window.kernel[0],
            "pool_width": self.window.kernel[1],
            "stride_height": self.window.strides[0],
            "stride_width": self.window.strides[1],
            "pad_top": padding.top,
            "pad_left": padding.left,
            "padded_height": self.source[0] + padding.top + padding.bottom,
            "padded_width": self.source[1] + padding.left + padding.right,
            "lowest": self.lowest,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class Repack(OwnLayer):
    """The same values in tokens of another size."""

    class_name = "EdgekitRepack"
