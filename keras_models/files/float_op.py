"""An op of a float network while it is read into Keras: its inputs, its options, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edgekit.arrays import Array
from edgekit.errors import UnsupportedLayer
from edgekit.float_network import FloatNetwork, FloatOp
from edgekit.graph import NO_PADDING, Window, same_padding
from edgekit.keras_models.files import plain_layers as plain

ACTIVATIONS: Mapping[str, str] = {"RELU": "relu", "RELU6": "relu6", "TANH": "tanh"}
"""Those that are fused into an op, by the schema's names."""


@dataclass
class Reading:
    """What is known while the ops are read. `values`: by tensor, a symbolic tensor of Keras or a constant.

    `plus_three` and `clipped`: of x + 3 and relu6(x + 3), by tensor, the x. `gates`: of a function of x whose product with x is one
    function, by tensor, that function and the x.
    """

    network: FloatNetwork
    values: dict[int, Any]
    names: plain.Names = field(default_factory=plain.Names)
    plus_three: dict[int, Any] = field(default_factory=dict)
    clipped: dict[int, Any] = field(default_factory=dict)
    gates: dict[int, tuple[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Op:
    """An op that is read."""

    reading: Reading
    op: FloatOp

    @property
    def place(self) -> str:
        tensors, outputs = self.reading.network.tensors, self.op.outputs
        return f"op '{tensors[outputs[0]].name if outputs else ''}' ({self.op.kind}) of the TFLite file"

    @property
    def name(self) -> str:
        """A layer's name, of the first of the names that converters join by semicolons."""
        text = self.reading.network.tensors[self.op.outputs[0]].name.split(";")[0]
        return self.reading.names.unique(text, self.op.kind)

    @property
    def shape(self) -> tuple[int, ...]:
        """What the file says that the op gives, with the batch."""
        return self.reading.network.tensors[self.op.outputs[0]].shape

    def refuse(self, what: str) -> UnsupportedLayer:
        return UnsupportedLayer(f"{self.place} {what}.")

    def value(self, index: int) -> Any:
        """An input, or None where it is left out."""
        at = self.op.inputs[index] if index < len(self.op.inputs) else None
        return None if at is None else self.reading.values[at]

    def tensor(self, index: int) -> Any:
        value = self.value(index)
        if value is None or isinstance(value, np.ndarray):
            raise self.refuse("reads a constant where a layer's output is expected")
        return value

    def map(self, index: int) -> Any:
        x = self.tensor(index)
        if len(x.shape) != 4:
            raise self.refuse(f"takes maps (batch, rows, columns, channels), not shape {tuple(x.shape)}")
        return x

    def constant(self, index: int, what: str) -> Array:
        value = self.value(index)
        if not isinstance(value, np.ndarray):
            raise self.refuse(f"has {what} that are computed while it runs")
        return value

    def bias(self, index: int, channels: int) -> Array | None:
        if self.value(index) is None:
            return None
        found = self.constant(index, "biases").astype(np.float32)
        if found.shape != (channels,):
            raise self.refuse(f"has biases of shape {found.shape} for {channels} channels")
        return found

    def option(self, name: str, default: Any) -> Any:
        return self.op.options.get(name, default)

    def window(self, x: Any, kernel: tuple[int, int]) -> Window:
        strides = (int(self.option("strideH", 1)), int(self.option("strideW", 1)))
        dilation = (int(self.option("dilationHFactor", 1)), int(self.option("dilationWFactor", 1)))
        if min(*strides, *dilation, *kernel) < 1:
            raise self.refuse(f"has kernel {kernel}, strides {strides} and dilation {dilation}")
        padding = NO_PADDING
        if self.option("padding", "") == "SAME":
            padding = same_padding(plain.rows_columns(x), kernel, strides, dilation)
        elif self.option("padding", "") != "VALID":
            raise self.refuse("has a padding that is neither SAME nor VALID")
        return Window(kernel, strides, padding, dilation)

    def activated(self, y: Any, name: str) -> Any:
        """With the activation that is fused into the op."""
        kind = self.option("activation", "NONE")
        if kind == "NONE":
            return y
        if kind not in ACTIVATIONS:
            raise self.refuse(f"has the activation {kind}")
        return plain.activation(y, self.reading.names.unique(f"{name}_{kind.lower()}", kind), ACTIVATIONS[kind])
