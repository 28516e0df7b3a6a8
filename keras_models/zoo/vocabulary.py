"""The words that an architecture is written in.

A network is built by walking its table with a vocabulary: KerasLayers gives the float model, QKerasLayers the quantized one,
CountLayers its parameters and multiply-accumulates. Blocks speak these verbs only and never name a layer class. Nothing here
imports TensorFlow.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
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
    """What ends a layer. `kind` is "linear", "relu", "relu6", or a name that activations.py knows; LINEAR makes no layer."""

    kind: str
    name: str


LINEAR = Act("linear", "")
NO_PADDING = Padding()


@dataclass(frozen=True)
class Convention:
    """Where ports of one network to another framework differ, and so their weights: what replaces the table's own."""

    symmetric_padding: bool = False
    batch_norm_epsilon: float | None = None


AS_WRITTEN = Convention()
TORCH = Convention(symmetric_padding=True, batch_norm_epsilon=1e-5)
"""Networks of TensorFlow authors in torchvision and timm, but for timm's models named tf_*, which are AS_WRITTEN."""


class Form(str, enum.Enum):
    """Which function stands where the authors have a layer norm or softmax attention, for which there is no exact integer form.

    BN has batch norm (`ProgressiveNorm`) and ReLU attention; networks with neither are the same in both forms.
    """

    PUBLISHED = "published"
    BN = "bn"


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

    def dense(self, x: Value, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0, second_head: str = "") -> Value:
        """From a pooled tensor, (channels,) or (1, 1, channels), to logits (units,), with bias.

        The float model alone looks at the keywords: some published weights keep the kernel as a 1x1 convolution's,
        (1, 1, channels, units), some networks train with dropout before the classifier, and some with a second classifier beside it,
        of which they give the mean.
        """
        ...

    def add(self, x: Value, y: Value, name: str) -> Value: ...

    def multiply(self, x: Value, y: Value, name: str) -> Value:
        """A gate: of two maps of one shape, or of a map and one number a channel (1, 1, channels)."""
        ...

    def concat(self, values: Sequence[Value], name: str) -> Value:
        """Along the channels."""
        ...

    def channels(self, x: Value, name: str, start: int, count: int) -> Value:
        """Channels `start` to `start + count` of a convolution's result."""
        ...

    def global_pool(self, x: Value, name: str, *, keep_map: bool = False) -> Value:
        """The mean over rows and columns, (channels,), or (1, 1, channels) to go on with convolutions."""
        ...

    def average_pool(self, x: Value, name: str, pool: Pair, *, strides: Pair) -> Value:
        """The mean over windows, without padding."""
        ...

    def upsample(self, x: Value, name: str, factor: int, batch_norm: BatchNorm | None = None) -> Value:
        """Depthwise transposed convolution with bias whose kernel and stride are `factor`: rows and columns times `factor`."""
        ...

    def layer_norm(self, x: Value, name: str, epsilon: float) -> Value:
        """Over the channels of each cell, with a scale and a shift a channel (arXiv 1607.06450)."""
        ...

    def layer_scale(self, x: Value, name: str, initial: float) -> Value:
        """A factor a channel that training starts small (arXiv 2103.17239). Of the result of a layer with weights."""
        ...

    def attention(self, queries_keys: Value, values: Value, name: str, heads: int) -> Value:
        """Softmax attention between the cells of a map, with a learned bias a head and distance.

            output = softmax(q k^T / sqrt(channels of q in a head) + bias[head, |dy|, |dx|]) v

        `queries_keys` holds the queries of all heads and then their keys, `values` a head after the other, as the output does.
        """
        ...

    def shape(self, x: Value) -> tuple[int, ...]: ...

    def model(self, inputs: Value, outputs: Value, name: str) -> Any:
        """What the vocabulary is for, once the outputs are known."""
        ...


def same(layers: Layers, x: Value, kernel: Pair, strides: Pair = (1, 1), dilation: Pair = (1, 1)) -> Padding:
    """TensorFlow's 'SAME' as cells around the map x."""
    rows, columns = layers.shape(x)[:2]
    return same_padding((rows, columns), kernel, strides, dilation)


def symmetric(kernel: Pair, dilation: Pair = (1, 1)) -> Padding:
    """PyTorch's usual padding: half a kernel on every side, at stride 2 too, where 'SAME' pads even maps at their end only."""
    rows, columns = (taps // 2 * step for taps, step in zip(kernel, dilation, strict=True))
    return Padding(rows, rows, columns, columns)
