"""Two vocabularies of the supernet: ShapeLayers tells which arrays a network has, SharedLayers runs it on parts of larger ones.

Both speak the verbs of networks of a space, which are few; of the others they say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from edgekit.graph import Activation, Window
from edgekit.keras_models.zoo.vocabulary import LINEAR, Act, BatchNorm, Function

Shape: TypeAlias = tuple[int, ...]
EPSILON = 1e-3


@dataclass
class ShapeLayers:
    """A tensor is its shape. `shapes`: of each array, by layer and part."""

    shapes: dict[str, Shape] = field(default_factory=dict)

    def input(self, shape: tuple[int, int, int]) -> Shape:
        return shape

    def conv(
        self,
        x: Shape,
        name: str,
        filters: int,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Shape:
        self._note(name, (*window.kernel, x[-1], filters), batch_norm, use_bias)
        return (*window.places((x[0], x[1])), filters)

    def depthwise(
        self,
        x: Shape,
        name: str,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Shape:
        self._note(name, (*window.kernel, x[-1]), batch_norm, use_bias)
        return (*window.places((x[0], x[1])), x[-1])

    def dense(self, x: Shape, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0, second_head: str = "") -> Shape:
        self._note(name, (x[-1], units), None, True)
        return (units,)

    def add(self, x: Shape, y: Shape, name: str) -> Shape:
        return x

    def multiply(self, x: Shape, y: Shape, name: str) -> Shape:
        return x

    def global_pool(self, x: Shape, name: str, *, keep_map: bool = False) -> Shape:
        return (1, 1, x[-1]) if keep_map else (x[-1],)

    def shape(self, x: Shape) -> Shape:
        return x

    def model(self, inputs: Shape, outputs: Shape, name: str) -> Shape:
        return outputs

    def __getattr__(self, verb: str) -> Any:
        raise AttributeError(f"networks of a search space have no {verb}")

    def _note(self, name: str, kernel: Shape, batch_norm: BatchNorm | None, use_bias: bool) -> None:
        self.shapes[f"{name}/kernel"] = kernel
        if batch_norm is not None:
            self.shapes |= {f"{batch_norm.name}/gamma": kernel[-1:], f"{batch_norm.name}/beta": kernel[-1:]}
        if use_bias:
            self.shapes[f"{name}/bias"] = kernel[-1:]


@dataclass
class SharedLayers:
    """A tensor is a batch of maps, and `model` gives the logits. `variables`: the largest arrays.

    Batch norms take the batch's statistics.
    """

    variables: Mapping[str, Any]
    batch: Any

    def input(self, shape: tuple[int, int, int]) -> Any:
        import tensorflow as tf

        return tf.convert_to_tensor(self.batch)

    def conv(
        self,
        x: Any,
        name: str,
        filters: int,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Any:
        import tensorflow as tf

        kernel = self._cut(f"{name}/kernel", (*window.kernel, x.shape[-1], filters))
        return self._ended(tf.nn.conv2d(x, kernel, window.strides, "SAME"), name, batch_norm, activation, use_bias)

    def depthwise(
        self,
        x: Any,
        name: str,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> Any:
        import tensorflow as tf

        kernel = self._cut(f"{name}/kernel", (*window.kernel, x.shape[-1]))[..., None]
        made = tf.nn.depthwise_conv2d(x, kernel, (1, *window.strides, 1), "SAME")
        return self._ended(made, name, batch_norm, activation, use_bias)

    def dense(self, x: Any, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0, second_head: str = "") -> Any:
        return x @ self._cut(f"{name}/kernel", (x.shape[-1], units)) + self._cut(f"{name}/bias", (units,))

    def add(self, x: Any, y: Any, name: str) -> Any:
        return x + y

    def multiply(self, x: Any, y: Any, name: str) -> Any:
        return x * y

    def global_pool(self, x: Any, name: str, *, keep_map: bool = False) -> Any:
        import tensorflow as tf

        return tf.reduce_mean(x, (1, 2), keepdims=keep_map)

    def shape(self, x: Any) -> Shape:
        return tuple(x.shape[1:])

    def model(self, inputs: Any, outputs: Any, name: str) -> Any:
        return outputs

    def __getattr__(self, verb: str) -> Any:
        raise AttributeError(f"networks of a search space have no {verb}")

    def _ended(self, x: Any, name: str, batch_norm: BatchNorm | None, activation: Act, use_bias: bool) -> Any:
        import tensorflow as tf

        channels = (x.shape[-1],)
        if use_bias:
            x = x + self._cut(f"{name}/bias", channels)
        if batch_norm is not None:
            gamma, beta = (self._cut(f"{batch_norm.name}/{part}", channels) for part in ("gamma", "beta"))
            x = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=EPSILON, is_training=True)[0]
        endings = {Activation.NONE: tf.identity, Activation.RELU: tf.nn.relu, Activation.RELU6: tf.nn.relu6, Function.SIGMOID: tf.sigmoid}
        return endings[activation.kind](x)  # type: ignore[index]

    def _cut(self, name: str, shape: Sequence[int]) -> Any:
        return cut(self.variables[name], tuple(shape))


def cut(whole: Any, shape: tuple[int, ...]) -> Any:
    """The middle cells of a kernel, of three or four axes, and the first of all channels."""
    spatial = 2 if len(shape) > 2 else 0
    starts = [(whole.shape[axis] - shape[axis]) // 2 if axis < spatial else 0 for axis in range(len(shape))]
    return whole[tuple(slice(start, start + length) for start, length in zip(starts, shape, strict=True))]
