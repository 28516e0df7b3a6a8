"""The words that an architecture is written in.

A network is built by walking its table with a vocabulary: KerasLayers gives the float model, CountLayers its parameters and
multiply-accumulates. Blocks speak the verbs of `Layers` only and never name a layer class. A model that is read becomes verbs of
`FoldedLayers` (reading/vocabulary.py); what both say in the same way is `CommonLayers`. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from edgekit.graph import Activation, Padding, Window, same_padding
from edgekit.graph.ir import Pair
from edgekit.keras_models.layers.formulas import Formula

Value: TypeAlias = Any
"""A vocabulary's own handle of a tensor."""


@dataclass(frozen=True)
class BatchNorm:
    """Follows a convolution, under a layer name of its own. `momentum` is of the moving average."""

    name: str
    epsilon: float
    momentum: float


class Function(str, enum.Enum):
    """Activation functions that are no clamps: what a table of 256 entries is in the integer graph. Values are the names that Keras and
    layers/activations.py give them, and that files hold."""

    SIGMOID = "sigmoid"
    TANH = "tanh"
    SWISH = "swish"
    SILU = "silu"
    GELU = "gelu"
    HARD_SIGMOID = "hard_sigmoid"
    HARD_SWISH = "hard_swish"
    RELU6_SIGMOID = "relu6_sigmoid"
    ELU = "elu"
    SELU = "selu"
    SOFTPLUS = "softplus"
    SOFTSIGN = "softsign"
    EXPONENTIAL = "exponential"
    MISH = "mish"


Kind: TypeAlias = Activation | Function | Formula


@dataclass(frozen=True)
class Act:
    """What ends a layer: a clamp, which is fused into its op, or a function. LINEAR makes no layer."""

    kind: Kind
    name: str

    @property
    def clamp(self) -> Activation:
        """The clamp, NONE for a function."""
        return self.kind if isinstance(self.kind, Activation) else Activation.NONE


LINEAR = Act(Activation.NONE, "")
ONE_CELL = Window((1, 1))
"""What a 1x1 convolution reads."""


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


class CommonLayers(Protocol):
    """Verbs that take and give tensors, in tables and of models that are read alike.

    Maps are (rows, columns, channels); the batch is left out of every shape. A convolution, what follows it and its activation are one
    verb, because a quantized model makes one layer of them. `name` is the name of the layer with weights, the same in every vocabulary.
    """

    def input(self, shape: tuple[int, int, int]) -> Value: ...

    def multiply(self, x: Value, y: Value, name: str) -> Value:
        """A gate: of two maps of one shape, or of a map and one number a channel (1, 1, channels)."""
        ...

    def concat(self, values: Sequence[Value], name: str) -> Value:
        """Joins tensors along their channels."""
        ...

    def channels(self, x: Value, name: str, start: int, count: int) -> Value:
        """Channels `start` to `start + count` of a convolution's result."""
        ...

    def global_pool(self, x: Value, name: str, *, keep_map: bool = False) -> Value:
        """The mean over rows and columns, (channels,), or (1, 1, channels) to go on with convolutions."""
        ...

    def average_pool(self, x: Value, name: str, window: Window) -> Value:
        """The mean over the places of a window without padding."""
        ...

    def layer_norm(self, x: Value, name: str, epsilon: float) -> Value:
        """Over the channels of each cell, with a scale and a shift a channel (arXiv 1607.06450)."""
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


class Layers(CommonLayers, Protocol):
    """The verbs of tables. `use_bias` is for a convolution without batch norm."""

    def conv(
        self,
        x: Value,
        name: str,
        filters: int,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Value: ...

    def depthwise(
        self,
        x: Value,
        name: str,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Value: ...

    def dense(self, x: Value, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0, second_head: str = "") -> Value:
        """From a pooled tensor, (channels,) or (1, 1, channels), to logits (units,), with bias.

        Some published weights keep the kernel as a 1x1 convolution's, (1, 1, channels, units); some networks train with dropout before
        the classifier, and some with a second classifier beside it: then the logits are the mean of both.
        """
        ...

    def add(self, x: Value, y: Value, name: str) -> Value: ...

    def upsample(self, x: Value, name: str, factor: int, batch_norm: BatchNorm | None = None) -> Value:
        """Depthwise transposed convolution with bias whose kernel and stride are `factor`: rows and columns times `factor`."""
        ...

    def layer_scale(self, x: Value, name: str, initial: float) -> Value:
        """The result of a layer with weights times a factor a channel that training starts small (arXiv 2103.17239)."""
        ...


def same(layers: Layers, x: Value, kernel: Pair, strides: Pair = (1, 1), dilation: Pair = (1, 1)) -> Window:
    """A window on the map x with the padding that TensorFlow calls 'SAME'."""
    rows, columns = layers.shape(x)[:2]
    return Window(kernel, strides, same_padding((rows, columns), kernel, strides, dilation), dilation)


def symmetric(kernel: Pair, strides: Pair = (1, 1), dilation: Pair = (1, 1)) -> Window:
    """A window with PyTorch's usual padding: half a kernel on every side, at stride 2 too, where 'SAME' pads even maps at the end only."""
    rows, columns = (taps // 2 * step for taps, step in zip(kernel, dilation, strict=True))
    return Window(kernel, strides, Padding(rows, rows, columns, columns), dilation)
