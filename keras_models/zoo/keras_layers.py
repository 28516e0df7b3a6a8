"""KerasLayers, the vocabulary of the float model: Keras layers with batch norm, as in tf_keras.applications."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any, TypeAlias

from edgekit.graph import NO_PADDING, Activation, Padding, Window, same_padding
from edgekit.keras_models.layers.formulas import Clipped, Elu, Formula, Thresholded
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.zoo.vocabulary import AS_WRITTEN, LINEAR, Act, BatchNorm, Convention, Form, Function, symmetric

KerasTensor: TypeAlias = Any


class CommonKerasLayers:
    """What a float model is built with, from a table or from one that is read. A tensor is a symbolic Keras tensor; `model` gives a
    tf_keras.Model."""

    def __init__(self) -> None:
        from edgekit.keras_models.layers.activations import activation_function
        from edgekit.keras_models.layers.bn_layers import BN_FORM_LAYERS
        from edgekit.keras_models.layers.custom_layers import CUSTOM_LAYERS

        self._keras = import_keras()
        self._layers = self._keras.layers
        self._custom = CUSTOM_LAYERS | BN_FORM_LAYERS
        self._function = activation_function

    def input(self, shape: tuple[int, int, int]) -> KerasTensor:
        return self._layers.Input(shape)

    def multiply(self, x: KerasTensor, y: KerasTensor, name: str) -> KerasTensor:
        return self._layers.Multiply(name=name)([x, y])

    def concat(self, values: Sequence[KerasTensor], name: str) -> KerasTensor:
        return self._layers.Concatenate(name=name)(list(values))

    def channels(self, x: KerasTensor, name: str, start: int, count: int) -> KerasTensor:
        return self._custom["ChannelSlice"](start, count, name=name)(x)

    def global_pool(self, x: KerasTensor, name: str, *, keep_map: bool = False) -> KerasTensor:
        return self._layers.GlobalAveragePooling2D(keepdims=keep_map, name=name)(x)

    def average_pool(self, x: KerasTensor, name: str, window: Window) -> KerasTensor:
        return self._layers.AveragePooling2D(window.kernel, window.strides, name=name)(x)

    def shape(self, x: KerasTensor) -> tuple[int, ...]:
        return tuple(x.shape[1:])

    def model(self, inputs: KerasTensor, outputs: KerasTensor, name: str) -> Any:
        return self._keras.Model(inputs, outputs, name=name)

    def _convolution(self, x: KerasTensor, name: str, filters: int, window: Window, use_bias: bool) -> KerasTensor:
        x, options = self._padded(x, name, window, use_bias)
        return self._layers.Conv2D(filters, window.kernel, **options)(x)

    def _depthwise_convolution(self, x: KerasTensor, name: str, window: Window, use_bias: bool) -> KerasTensor:
        x, options = self._padded(x, name, window, use_bias)
        return self._layers.DepthwiseConv2D(window.kernel, **options)(x)

    def _padded(self, x: KerasTensor, name: str, window: Window, use_bias: bool) -> tuple[KerasTensor, dict[str, Any]]:
        """What a convolution reads, and its options. Keras knows two paddings by name. Any other one is a layer before the convolution,
        which TFLite runs as an op of its own."""
        rows, columns = self.shape(x)[:2]
        padding = "valid"
        if window.padding == same_padding((rows, columns), window.kernel, window.strides, window.dilation):
            padding = "same"
        elif window.padding != NO_PADDING:
            x = self._zeros_around(x, name, window.padding)
        options = {"strides": window.strides, "padding": padding, "dilation_rate": window.dilation, "use_bias": use_bias, "name": name}
        return x, options

    def _zeros_around(self, x: KerasTensor, name: str, padding: Padding) -> KerasTensor:
        cells = ((padding.top, padding.bottom), (padding.left, padding.right))
        return self._layers.ZeroPadding2D(cells, name=f"{name}_pad")(x)

    def _activated(self, x: KerasTensor, activation: Act) -> KerasTensor:
        kind = activation.kind
        if kind is Activation.NONE:
            return x
        if isinstance(kind, Activation):
            return self._layers.ReLU(6.0 if kind is Activation.RELU6 else None, name=activation.name)(x)
        if isinstance(kind, Function):
            return self._layers.Activation(self._function(kind.value), name=activation.name)(x)
        return self._formula(x, kind, activation.name)

    def _formula(self, x: KerasTensor, formula: Formula, name: str) -> KerasTensor:
        """In layers that Keras has, so that any reader of the model knows them; all but the last bear the name and what they do."""
        if isinstance(formula, Elu):
            return self._layers.ELU(formula.alpha, name=name)(x)
        if isinstance(formula, Thresholded):
            high = None if formula.high == inf else formula.high
            return self._layers.ReLU(high, formula.slope, formula.threshold, name=name)(x)
        return self._clipped(x, formula, name)

    def _clipped(self, x: KerasTensor, formula: Clipped, name: str) -> KerasTensor:
        low = max(formula.low, 0.0) if formula.slope == 0.0 else formula.low
        high = None if formula.high == inf else formula.high
        if (formula.factor, formula.shift) != (1.0, 0.0):
            x = self._layers.Rescaling(formula.factor, formula.shift, name=f"{name}_affine")(x)
        if formula.slope not in (0.0, 1.0):
            bounded = (low, high) != (-inf, None)
            x = self._layers.LeakyReLU(formula.slope, name=f"{name}_leaky" if bounded else name)(x)
            if not bounded:
                return x
        if low == 0.0:
            return self._layers.ReLU(high, name=name)(x)
        if low == -inf:  # min(t, high) = high - relu(high - t)
            turned = self._layers.Rescaling(-1.0, high, name=f"{name}_turned")(x)
            return self._layers.Rescaling(-1.0, high, name=name)(self._layers.ReLU(name=f"{name}_relu")(turned))
        lifted = self._layers.Rescaling(1.0, -low, name=f"{name}_lifted")(x)
        clipped = self._layers.ReLU(None if high is None else high - low, name=f"{name}_relu")(lifted)
        return self._layers.Rescaling(1.0, low, name=name)(clipped)


class KerasLayers(CommonKerasLayers):
    """`convention` replaces the table's padding and epsilon, `form` says what a layer norm and an attention are."""

    def __init__(self, convention: Convention = AS_WRITTEN, form: Form = Form.PUBLISHED) -> None:
        super().__init__()
        self._convention = convention
        self._form = form

    def conv(
        self,
        x: KerasTensor,
        name: str,
        filters: int,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> KerasTensor:
        x = self._convolution(x, name, filters, self._by_convention(window), use_bias)
        return self._activated(self._normalized(x, batch_norm), activation)

    def depthwise(
        self,
        x: KerasTensor,
        name: str,
        window: Window,
        *,
        batch_norm: BatchNorm | None = None,
        activation: Act = LINEAR,
        use_bias: bool = False,
    ) -> KerasTensor:
        x = self._depthwise_convolution(x, name, self._by_convention(window), use_bias)
        return self._activated(self._normalized(x, batch_norm), activation)

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

    def upsample(self, x: KerasTensor, name: str, factor: int, batch_norm: BatchNorm | None = None) -> KerasTensor:
        return self._normalized(self._custom["DepthwiseUpsampling2D"](factor, name=name)(x), batch_norm)

    def layer_norm(self, x: KerasTensor, name: str, epsilon: float) -> KerasTensor:
        if self._form is Form.BN:
            return self._custom["ProgressiveNorm"](epsilon, name=name)(x)
        return self._layers.LayerNormalization(epsilon=epsilon, name=name)(x)

    def layer_scale(self, x: KerasTensor, name: str, initial: float) -> KerasTensor:
        return self._custom["LayerScale"](initial, name=name)(x)

    def attention(self, queries_keys: KerasTensor, values: KerasTensor, name: str, heads: int) -> KerasTensor:
        kind = "ReluAttention" if self._form is Form.BN else "OffsetAttention"
        return self._custom[kind](heads, name=name)([queries_keys, values])

    def _by_convention(self, window: Window) -> Window:
        return symmetric(window.kernel, window.strides, window.dilation) if self._convention.symmetric_padding else window

    def _normalized(self, x: KerasTensor, batch_norm: BatchNorm | None) -> KerasTensor:
        if batch_norm is None:
            return x
        epsilon = self._convention.batch_norm_epsilon or batch_norm.epsilon
        return self._layers.BatchNormalization(epsilon=epsilon, momentum=batch_norm.momentum, name=batch_norm.name)(x)
