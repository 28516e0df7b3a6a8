"""KerasLayers, the vocabulary of the float model: Keras layers with batch norm, as in tf_keras.applications."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from edgekit.graph import Padding, same_padding
from edgekit.graph.ir import Pair
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.zoo.vocabulary import AS_WRITTEN, LINEAR, NO_PADDING, Act, BatchNorm, Convention, Form, symmetric

KerasTensor: TypeAlias = Any


class KerasLayers:
    """A tensor is a symbolic Keras tensor; `model` gives a tf_keras.Model."""

    def __init__(self, convention: Convention = AS_WRITTEN, form: Form = Form.PUBLISHED) -> None:
        from edgekit.keras_models.layers.activations import activation_function
        from edgekit.keras_models.layers.bn_layers import BN_FORM_LAYERS
        from edgekit.keras_models.layers.custom_layers import CUSTOM_LAYERS

        self._keras = import_keras()
        self._layers = self._keras.layers
        self._custom = CUSTOM_LAYERS | BN_FORM_LAYERS
        self._function = activation_function
        self._convention = convention
        self._form = form

    def input(self, shape: tuple[int, int, int]) -> KerasTensor:
        return self._layers.Input(shape)

    def conv(
        self,
        x: KerasTensor,
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
    ) -> KerasTensor:
        x, mode = self._pad(x, name, kernel, strides, padding, dilation)
        conv = self._layers.Conv2D(filters, kernel, strides, mode, dilation_rate=dilation, use_bias=use_bias, name=name)
        return self._finish(conv(x), batch_norm, activation)

    def depthwise(
        self,
        x: KerasTensor,
        name: str,
        kernel: Pair,
        *,
        strides: Pair = (1, 1),
        padding: Padding = NO_PADDING,
        dilation: Pair = (1, 1),
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> KerasTensor:
        x, mode = self._pad(x, name, kernel, strides, padding, dilation)
        depthwise = self._layers.DepthwiseConv2D(kernel, strides, mode, dilation_rate=dilation, use_bias=use_bias, name=name)
        return self._finish(depthwise(x), batch_norm, activation)

    def dense(
        self, x: KerasTensor, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0, second_head: str = ""
    ) -> KerasTensor:
        if dropout:
            x = self._layers.Dropout(dropout, name=f"{name}_dropout")(x)
        if second_head:
            heads = [self.dense(x, one, units, as_convolution=as_convolution) for one in (name, second_head)]
            return self._layers.Average(name=f"{name}_mean")(heads)
        if not as_convolution:
            return self._layers.Dense(units, name=name)(x)
        if len(self.shape(x)) == 1:
            x = self._layers.Reshape((1, 1, self.shape(x)[-1]), name=f"{name}_map")(x)
        x = self._layers.Conv2D(units, (1, 1), name=name)(x)
        return self._layers.Reshape((units,), name=f"{name}_logits")(x)

    def add(self, x: KerasTensor, y: KerasTensor, name: str) -> KerasTensor:
        return self._layers.Add(name=name)([x, y])

    def multiply(self, x: KerasTensor, y: KerasTensor, name: str) -> KerasTensor:
        return self._layers.Multiply(name=name)([x, y])

    def concat(self, values: Sequence[KerasTensor], name: str) -> KerasTensor:
        return self._layers.Concatenate(name=name)(list(values))

    def channels(self, x: KerasTensor, name: str, start: int, count: int) -> KerasTensor:
        return self._custom["ChannelSlice"](start, count, name=name)(x)

    def global_pool(self, x: KerasTensor, name: str, *, keep_map: bool = False) -> KerasTensor:
        return self._layers.GlobalAveragePooling2D(keepdims=keep_map, name=name)(x)

    def average_pool(self, x: KerasTensor, name: str, pool: Pair, *, strides: Pair) -> KerasTensor:
        return self._layers.AveragePooling2D(pool, strides, name=name)(x)

    def upsample(self, x: KerasTensor, name: str, factor: int, batch_norm: BatchNorm | None = None) -> KerasTensor:
        return self._finish(self._custom["DepthwiseUpsampling2D"](factor, name=name)(x), batch_norm, LINEAR)

    def layer_norm(self, x: KerasTensor, name: str, epsilon: float) -> KerasTensor:
        if self._form is Form.BN:
            return self._custom["ProgressiveNorm"](epsilon, name=name)(x)
        return self._layers.LayerNormalization(epsilon=epsilon, name=name)(x)

    def layer_scale(self, x: KerasTensor, name: str, initial: float) -> KerasTensor:
        return self._custom["LayerScale"](initial, name=name)(x)

    def attention(self, queries_keys: KerasTensor, values: KerasTensor, name: str, heads: int) -> KerasTensor:
        kind = "ReluAttention" if self._form is Form.BN else "OffsetAttention"
        return self._custom[kind](heads, name=name)([queries_keys, values])

    def shape(self, x: KerasTensor) -> tuple[int, ...]:
        return tuple(x.shape[1:])

    def model(self, inputs: KerasTensor, outputs: KerasTensor, name: str) -> Any:
        return self._keras.Model(inputs, outputs, name=name)

    def _pad(self, x: KerasTensor, name: str, kernel: Pair, strides: Pair, padding: Padding, dilation: Pair) -> tuple[KerasTensor, str]:
        """Keras knows two paddings by name. Any other one is a layer before the convolution, which TFLite runs as an op of its own."""
        if self._convention.symmetric_padding:
            padding = symmetric(kernel, dilation)
        if padding == same_padding(self.shape(x)[:2], kernel, strides, dilation):  # type: ignore[arg-type]
            return x, "same"
        if padding == NO_PADDING:
            return x, "valid"
        return self._zeros_around(x, name, padding), "valid"

    def _zeros_around(self, x: KerasTensor, name: str, padding: Padding) -> KerasTensor:
        cells = ((padding.top, padding.bottom), (padding.left, padding.right))
        return self._layers.ZeroPadding2D(cells, name=f"{name}_pad")(x)

    def _finish(self, x: KerasTensor, batch_norm: BatchNorm | None, activation: Act) -> KerasTensor:
        if batch_norm:
            epsilon = self._convention.batch_norm_epsilon or batch_norm.epsilon
            x = self._layers.BatchNormalization(epsilon=epsilon, momentum=batch_norm.momentum, name=batch_norm.name)(x)
        if activation.kind == "linear":
            return x
        if activation.kind in ("relu", "relu6"):
            return self._layers.ReLU(6.0 if activation.kind == "relu6" else None, name=activation.name)(x)
        return self._layers.Activation(self._function(activation.kind), name=activation.name)(x)
