"""Two vocabularies of the supernet: ShapeLayers tells which arrays a network has, SharedLayers runs it on parts of larger ones.

Both speak the verbs of networks of a space, which are few; of the others they say so. Two networks share the weights of a layer where it
does the same in both: it has the same name, in a block of the same operation, and reads what the same stage made. A classifier that reads
the last map in one network and a head in another has two sets of weights, and so has a depthwise convolution with and without an expansion
before it. docs/search.md has how little random networks learn all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from edgekit.graph import Activation, Window
from edgekit.keras_models.zoo.table import Table
from edgekit.keras_models.zoo.vocabulary import LINEAR, Act, BatchNorm, Function

Shape: TypeAlias = tuple[int, ...]
Naming: TypeAlias = Callable[[str], str]
"""The name of a layer of one network -> that of the weights that it has a part of."""
EPSILON = 1e-3


def shared_names(table: Table) -> Naming:
    """The names of the weights of a table's layers: what is read of the stages before, and the operation of a block, are told apart."""
    before, source = {}, "stem"
    for number, stage in enumerate(table.stages):
        if stage.repeats:
            before[number], source = source, f"stage_{number}"
    ends = {"head": source, "classifier": "head" if table.head else source}

    def name_of(layer: str) -> str:
        if not layer.startswith("block_"):
            kind = layer.split("_")[0]
            return f"{layer}@{ends[kind]}" if kind in ends else layer
        _, number, repeat, _ = layer.split("_", 3)
        stage = int(number)
        return f"{layer}@{table.stages[stage].op.value}" + (f"@{before[stage]}" if repeat == "0" else "")

    return name_of


@dataclass
class ShapeLayers:
    """A tensor is its shape. `shapes`: of each array, by the name of its weights and part."""

    names: Naming
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
        self.shapes[f"{self.names(name)}/kernel"] = kernel
        if batch_norm is not None:
            self.shapes |= {f"{self.names(batch_norm.name)}/{part}": kernel[-1:] for part in ("gamma", "beta")}
        if use_bias:
            self.shapes[f"{self.names(name)}/bias"] = kernel[-1:]


@dataclass
class SharedLayers:
    """A tensor is a batch of maps, and `model` gives the logits. `variables`: the largest arrays.

    Batch norms take the batch's statistics.
    """

    variables: Mapping[str, Any]
    batch: Any
    names: Naming

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

        kernel = self._cut(name, "kernel", (*window.kernel, x.shape[-1], filters))
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

        kernel = self._cut(name, "kernel", (*window.kernel, x.shape[-1]))[..., None]
        made = tf.nn.depthwise_conv2d(x, kernel, (1, *window.strides, 1), "SAME")
        return self._ended(made, name, batch_norm, activation, use_bias)

    def dense(self, x: Any, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0, second_head: str = "") -> Any:
        return x @ self._cut(name, "kernel", (x.shape[-1], units)) + self._cut(name, "bias", (units,))

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
            x = x + self._cut(name, "bias", channels)
        if batch_norm is not None:
            gamma, beta = (self._cut(batch_norm.name, part, channels) for part in ("gamma", "beta"))
            x = tf.compat.v1.nn.fused_batch_norm(x, gamma, beta, epsilon=EPSILON, is_training=True)[0]
        endings = {Activation.NONE: tf.identity, Activation.RELU: tf.nn.relu, Activation.RELU6: tf.nn.relu6, Function.SIGMOID: tf.sigmoid}
        return endings[activation.kind](x)  # type: ignore[index]

    def _cut(self, layer: str, part: str, shape: Sequence[int]) -> Any:
        return cut(self.variables[f"{self.names(layer)}/{part}"], tuple(shape))


def cut(whole: Any, shape: tuple[int, ...]) -> Any:
    """The middle cells of a kernel, of three or four axes, and the first of all channels."""
    spatial = 2 if len(shape) > 2 else 0
    starts = [(whole.shape[axis] - shape[axis]) // 2 if axis < spatial else 0 for axis in range(len(shape))]
    return whole[tuple(slice(start, start + length) for start, length in zip(starts, shape, strict=True))]
