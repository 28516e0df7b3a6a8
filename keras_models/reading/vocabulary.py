"""FoldedLayers, the words that a model which is read becomes, and the weights that go with them: batch norm is folded by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from edgekit.arrays import Floats
from edgekit.graph import Window
from edgekit.keras_models.zoo.vocabulary import LINEAR, Act, CommonLayers, Value


@dataclass(frozen=True, eq=False)
class FoldedWeights:
    """A layer's float kernel, in its Keras shape, and bias with the batch norm that followed it."""

    kernel: Floats
    bias: Floats


@dataclass(frozen=True, eq=False)
class AttentionBiases:
    """What an attention adds to its scores: `table` (heads, cells), by distance |dy| * columns + |dx|."""

    table: Floats


Folded: TypeAlias = FoldedWeights | AttentionBiases


class FoldedLayers(CommonLayers, Protocol):
    """The verbs of models that are read. No batch norm reaches them and every layer with weights has a bias; there are more than in tables,
    for what Keras models have that no table here has."""

    def conv(self, x: Value, name: str, filters: int, window: Window, activation: Act = LINEAR) -> Value: ...

    def depthwise(self, x: Value, name: str, window: Window, activation: Act = LINEAR) -> Value: ...

    def dense(self, x: Value, name: str, units: int, activation: Act = LINEAR) -> Value:
        """From a tensor, of which every value counts, to (units,)."""
        ...

    def add(self, x: Value, y: Value, name: str, activation: Act = LINEAR) -> Value: ...

    def position_encoding(self, x: Value, name: str, window: Window, *, add_name: str, activation: Act = LINEAR) -> Value:
        """x + depthwise(x), a convolution that keeps the map's size (arXiv 2102.10882)."""
        ...

    def upsample(self, x: Value, name: str, factor: int) -> Value:
        """Depthwise transposed convolution whose kernel and stride are `factor`: rows and columns times `factor`."""
        ...

    def normalize(self, x: Value, name: str, epsilon: float) -> Value:
        """A layer norm without scale and shift, which the next layer takes in."""
        ...

    def relu_attention(self, queries: Value, keys: Value, values: Value, name: str, heads: int) -> Value:
        """The sum over cells of relu(q k^T + bias) v, in the shape of `values`: ReLU attention, whose factors the next layer takes in.

        `name` has the AttentionBiases.
        """
        ...

    def pointwise_mean(self, x: Value, name: str, filters: int, pool_name: str, *, keep_map: bool) -> Value:
        """The mean over the map (`global_pool`) of a 1x1 convolution: the same, up to rounding, as the convolution of the mean."""
        ...

    def max_pool(self, x: Value, name: str, window: Window) -> Value: ...

    def reshape(self, x: Value, name: str, shape: tuple[int, ...]) -> Value: ...

    def activate(self, x: Value, activation: Act) -> Value: ...

    def never_negative(self, x: Value) -> bool:
        """Whether it is known that no value of x is below zero."""
        ...

    def softmax(self, x: Value, name: str) -> Value:
        """Returns x itself where the vocabulary leaves a last softmax out."""
        ...
