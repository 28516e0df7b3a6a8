"""The words that an architecture is written in.

A network is built by walking its table with a vocabulary: KerasLayers gives the float model, QKerasLayers the quantized one,
CountLayers its parameters and multiply-accumulates. Blocks speak these verbs only and never name a layer class. Nothing here
imports TensorFlow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from edgekit.graph import Padding, same_padding
from edgekit.graph.ir import Pair

Value: TypeAlias = Any
"""A vocabulary's own handle of a tensor."""


@dataclass(frozen=True)
class BatchNorm:
    """Follows a convolution, under a layer name of its own. `momentum` is of the moving average."""

    name: str
    epsilon: float
    momentum: float


@dataclass(frozen=True)
class Act:
    """What ends a layer. `kind` is "linear", "relu", "relu6" or the name of a Keras activation; LINEAR makes no layer."""

    kind: str
    name: str


LINEAR = Act("linear", "")
NO_PADDING = Padding()


class Layers(Protocol):
    """Verbs that take and give tensors. Maps are (rows, columns, channels); the batch is left out of every shape.

    A convolution, its batch norm and its activation are one verb, because a quantized model makes one layer of them. `name` is the
    name of the layer with weights, the same in every vocabulary. `use_bias` is for a convolution without batch norm.
    """

    def input(self, shape: tuple[int, int, int]) -> Value: ...

    def conv(
        self,
        x: Value,
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
    ) -> Value: ...

    def depthwise(
        self,
        x: Value,
        name: str,
        kernel: Pair,
        *,
        strides: Pair = (1, 1),
        padding: Padding = NO_PADDING,
        dilation: Pair = (1, 1),
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Value: ...

    def dense(self, x: Value, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0) -> Value:
        """From a pooled tensor, (channels,) or (1, 1, channels), to logits (units,), with bias.

        The float model alone looks at the keywords: some published weights keep the kernel as a 1x1 convolution's,
        (1, 1, channels, units), and some networks train with dropout before the classifier.
        """
        ...

    def add(self, x: Value, y: Value, name: str) -> Value: ...

    def global_pool(self, x: Value, name: str) -> Value:
        """The mean over rows and columns."""
        ...

    def shape(self, x: Value) -> tuple[int, ...]: ...

    def model(self, inputs: Value, outputs: Value, name: str) -> Any:
        """What the vocabulary is for, once the outputs are known."""
        ...


def same(layers: Layers, x: Value, kernel: Pair, strides: Pair = (1, 1), dilation: Pair = (1, 1)) -> Padding:
    """TensorFlow's 'SAME' as cells around the map x."""
    rows, columns = layers.shape(x)[:2]
    return same_padding((rows, columns), kernel, strides, dilation)
