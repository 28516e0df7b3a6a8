"""A network as hls4ml is to build it: layers in order, and which of them carries which tensor. hls4ml is not imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

Shape: TypeAlias = tuple[int, int, int]
"""(rows, columns, channels) of a stream: rows * columns tokens of so many values."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A layer that hls4ml knows, its own or one of ours.

    `inputs`: the layers that it reads, or the streams of a fork. `shape`: of what it writes. `precision`: hls4ml's type of the values
    that it writes, such as "uint<8>". `trace`: the C simulation shows what it writes.
    """

    class_name: ClassVar[str]
    """What hls4ml knows it by."""

    name: str
    inputs: tuple[str, ...] = ()
    shape: Shape
    precision: str
    trace: bool = False

    def attributes(self) -> dict[str, Any]:
        """What hls4ml is told of the layer beside class, name, inputs and trace, in hls4ml's words."""
        raise NotImplementedError

    def precisions(self) -> dict[str, str]:
        """Types of what the layer computes with beside its result: weights, biases, sums, tables."""
        return {}

    def settings(self) -> dict[str, Any]:
        """How hls4ml is to build the layer: its entry under LayerName of hls4ml's configuration."""
        return {"Precision": {"result": self.precision, **self.precisions()}}


@dataclass(frozen=True, kw_only=True, eq=False)
class InputLayer(Layer):
    """Where the images come in."""

    class_name = "Input"

    def attributes(self) -> dict[str, Any]:
        return {"input_shape": list(self.shape)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """`carriers`: tensor of the graph -> the layer whose output stream carries it. `inputs`, `outputs`: layers."""

    layers: tuple[Layer, ...]
    carriers: Mapping[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
