"""What is known of a Keras model while it is read: tensors whose layer is not finished, and the folded weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.errors import UnsupportedLayer
from edgekit.graph import Padding
from edgekit.graph.ir import Pair
from edgekit.keras_models.zoo.vocabulary import LINEAR, NO_PADDING, Act, Layers, Value

Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True)
class FoldedWeights:
    """A layer's float kernel, in its Keras shape, and bias with the batch norm that followed it."""

    kernel: Floats
    bias: Floats


class FoldedLayers(Layers, Protocol):
    """A vocabulary that is built with folded weights: no batch norm reaches it, every layer with weights has a bias, and there are more
    verbs, for what Keras models have that no table here has."""

    def dense(
        self,
        x: Value,
        name: str,
        units: int,
        *,
        as_convolution: bool = False,
        dropout: float = 0.0,
        second_head: str = "",
        activation: Act = LINEAR,
    ) -> Value: ...

    def add(self, x: Value, y: Value, name: str, activation: Act = LINEAR) -> Value: ...

    def position_encoding(self, x: Value, name: str, kernel: Pair, *, padding: Padding, add_name: str, activation: Act = LINEAR) -> Value:
        """x + depthwise(x), a convolution that keeps the map's size (arXiv 2102.10882)."""
        ...

    def normalize(self, x: Value, name: str, epsilon: float) -> Value:
        """A layer norm without scale and shift, which the next layer takes in."""
        ...

    def relu_attention(self, queries: Value, keys: Value, values: Value, name: str, heads: int) -> Value:
        """The sum over cells of relu(q k^T + bias) v, in the shape of `values`: ReLU attention, whose factors the next layer takes in.

        `name` has the weights: as a kernel the table of biases (heads, cells), by distance |dy| * columns + |dx|.
        """
        ...

    def pointwise_mean(self, x: Value, name: str, filters: int, pool_name: str, *, keep_map: bool) -> Value:
        """The mean over the map (`global_pool`) of a 1x1 convolution: the same, up to rounding, as the convolution of the mean."""
        ...

    def max_pool(self, x: Value, name: str, pool: Pair, *, strides: Pair, padding: Padding = NO_PADDING) -> Value: ...

    def reshape(self, x: Value, name: str, shape: tuple[int, ...]) -> Value: ...

    def activate(self, x: Value, activation: Act) -> Value: ...

    def softmax(self, x: Value, name: str) -> Value:
        """x itself where the vocabulary leaves a last softmax out."""
        ...


@dataclass(frozen=True)
class Pending:
    """A weighted op, or a sum, whose batch norm and activation may still follow.

    `input` is what a depthwise convolution that keeps its map's size reads, as `encode` builds the sum of both (the sum's name,
    activation); of a dense layer, `is_dense`, it is what the layer reads. `part` gives some channels (name, start, count) of a
    convolution, `mean` the mean over the map (name, keep_map) of a 1x1 convolution. `scaled` is what a 1x1 depthwise convolution reads
    that is only a factor and a shift a channel, as the next layer may take them in.
    """

    name: str
    emit: Callable[[Act], Any]
    weights: FoldedWeights | None = None
    input: Any = None
    encode: Callable[[str, Act], Any] | None = None
    is_dense: bool = False
    part: Callable[[str, int, int], Pending] | None = None
    mean: Callable[[str, bool], Any] | None = None
    scaled: Any = None


@dataclass(frozen=True)
class Padded:
    """A map with cells of zeros around it, which the next convolution takes in."""

    value: Any
    padding: Padding
    name: str


@dataclass(frozen=True)
class Normed:
    """A layer norm that is not built yet: the next 1x1 convolution or dense layer takes in its `scale` and `shift`, a channel each."""

    name: str
    input: Any
    epsilon: float
    scale: Floats
    shift: Floats


@dataclass
class Reading:
    """`weights` by layer name; `notes` are for the user."""

    layers: FoldedLayers
    weights: dict[str, FoldedWeights] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    built: dict[str, Any] = field(default_factory=dict)

    def settle(self, value: Any, activation: Act = LINEAR) -> Any:
        """A tensor of the vocabulary, ended by `activation`."""
        if isinstance(value, Padded):
            raise UnsupportedLayer(f"layer '{value.name}' (ZeroPadding2D) is supported in front of a convolution or pooling only.")
        if isinstance(value, Normed):
            value = self._layer_norm(value)
        if not isinstance(value, Pending):
            return value if activation is LINEAR else self.layers.activate(value, activation)
        if value.weights is not None:
            self.weights[value.name] = value.weights
        return value.emit(activation)

    def normalized(self, norm: Normed) -> Any:
        """Without scale and shift, for a layer that takes them in."""
        name = f"{norm.name}_normalize"
        return self._once(name, lambda: self.layers.normalize(norm.input, name, norm.epsilon))

    def _layer_norm(self, norm: Normed) -> Any:
        self.weights[norm.name] = FoldedWeights(norm.scale, norm.shift)
        return self._once(norm.name, lambda: self.layers.layer_norm(norm.input, norm.name, norm.epsilon))

    def _once(self, name: str, build: Callable[[], Any]) -> Any:
        """However many layers read it."""
        if name not in self.built:
            self.built[name] = build()
        return self.built[name]
