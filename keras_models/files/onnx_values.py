"""What is known of an ONNX network's tensors while it is read: how the file lays each one out, and functions that it spells out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import numpy as np
from onnx import NodeProto

from edgekit.arrays import Array
from edgekit.errors import UnsupportedLayer
from edgekit.graph import NO_PADDING, Padding, Window, same_padding
from edgekit.keras_models.files import plain_layers as plain
from edgekit.keras_models.layers.backend import tf_keras

FIRST = (0, 2, 3, 1)


LAST, FIRST = (0, 3, 1, 2), (0, 2, 3, 1)
"""Transpose's permutations: from channels last to channels first, and back."""


TINY = 1e-3
"""Constants of a spelled-out function are printed with some three digits at least."""


@dataclass(frozen=True)
class Map:
    """A tensor of four dimensions. `first`: the ONNX file has its channels in front here."""

    tensor: Any
    first: bool

    def axis(self, axis: int) -> int:
        """An axis as ONNX counts as the Keras tensor's."""
        return (0, 3, 1, 2)[axis % 4] if self.first else axis % 4

    @property
    def shape(self) -> tuple[int, ...]:
        batch, *rest = (1, *(int(size) for size in self.tensor.shape[1:]))
        rows, columns, channels = rest
        return (batch, channels, rows, columns) if self.first else (batch, rows, columns, channels)


@dataclass(frozen=True)
class Vector:
    """(batch, features)."""

    tensor: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, int(self.tensor.shape[1]))


@dataclass(frozen=True)
class Flat:
    """A map whose values lie in a row, channel by channel as ONNX has them: the next dense layer takes its rows in that order."""

    source: Map

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, prod(self.source.shape))


@dataclass(frozen=True)
class Part:
    """Part of a function of x that is spelled out: `factor` times what `kind` says.

    "affine": x + shift; "erf": erf(x / sqrt(2)) + shift; "clip": clip(x + 3, 0, 6).
    """

    kind: str
    x: Map | Vector
    factor: float = 1.0
    shift: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.x.shape


Value: TypeAlias = Map | Vector | Flat | Part | Array


@dataclass
class Reading:
    values: dict[str, Value]
    names: plain.Names = field(default_factory=plain.Names)
    gates: dict[int, tuple[str, Any]] = field(default_factory=dict)
    """By identity of a tensor that is a gate of another one: the function of their product, and that other tensor."""


def title(node: NodeProto) -> str:
    return node.name or (node.output[0] if node.output else node.op_type)


@dataclass(frozen=True)
class Node:
    """A node that is read."""

    reading: Reading
    proto: NodeProto
    attributes: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.reading.names.unique(title(self.proto), self.proto.op_type)

    def refuse(self, what: str) -> UnsupportedLayer:
        return UnsupportedLayer(f"node '{title(self.proto)}' ({self.proto.op_type}) of the ONNX file {what}.")

    def constant(self, value: Value | None, what: str) -> Array:
        if not isinstance(value, np.ndarray):
            raise self.refuse(f"has {what} that are computed while it runs")
        return value

    def settle(self, value: Value | None) -> Map | Vector:
        """What a layer can read."""
        if isinstance(value, Part):
            value = whole(self.reading, value, f"{title(self.proto)}_{value.kind}")
        if isinstance(value, Flat):
            if value.source.tensor.shape[1:3] != (1, 1):
                raise self.refuse("reads a map that was flattened channel by channel; only a Gemm or MatMul can")
            value = Vector(
                tf_keras.layers.Flatten(name=self.reading.names.unique(f"{title(self.proto)}_flatten", "flatten"))(value.source.tensor)
            )
        if not isinstance(value, Map | Vector):
            raise self.refuse("reads a constant where a layer's output is expected")
        return value

    def map(self, value: Value | None) -> Map:
        settled = self.settle(value)
        if not isinstance(settled, Map) or not settled.first:
            raise self.refuse(f"takes maps (batch, channels, rows, columns), not shape {settled.shape}")
        return settled

    def window(self, x: Map, kernel: tuple[int, int]) -> Window:
        """Kernel, strides, padding and dilation by the node's attributes."""
        pair = {name: tuple(self.attributes.get(name, (1, 1))) for name in ("strides", "dilations")}
        pads = tuple(self.attributes.get("pads", (0, 0, 0, 0)))
        auto = self.attributes.get("auto_pad", "NOTSET")
        if any(len(value) != 2 for value in pair.values()) or len(pads) != 4 or min(pads) < 0:
            raise self.refuse("is not of two dimensions, or cuts the map")
        strides, dilation = pair["strides"], pair["dilations"]
        if auto == "SAME_UPPER":
            padding = same_padding(plain.rows_columns(x.tensor), kernel, strides, dilation)
        elif auto in ("NOTSET", "VALID"):
            padding = Padding(pads[0], pads[2], pads[1], pads[3]) if auto == "NOTSET" else NO_PADDING
        else:
            raise self.refuse(f"has auto_pad {auto}")
        if self.attributes.get("ceil_mode", 0):
            raise self.refuse("has ceil_mode")
        return Window(kernel, strides, padding, dilation)


def same(x: Map | Vector, tensor: Any) -> Map | Vector:
    return Map(tensor, x.first) if isinstance(x, Map) else Vector(tensor)


def whole(reading: Reading, part: Part, name: str) -> Map | Vector:
    """A part that nothing completed, as layers."""
    name, x = reading.names.unique(name, part.kind), part.x
    if part.kind == "erf":
        raise UnsupportedLayer(f"'{name}' is an Erf that is no part of a GELU, for which there is no layer.")
    if part.kind == "clip":
        gate = plain.activation(x.tensor, name, "relu6_sigmoid")
        tensor = gate if abs(part.factor * 6 - 1) < TINY else plain.affine(gate, f"{name}_scaled", 6 * part.factor, 0.0)
        if tensor is gate:
            reading.gates[id(gate)] = ("hard_swish", x.tensor)
        return same(x, tensor)
    return same(x, plain.affine(x.tensor, name, part.factor, part.factor * part.shift))
