"""KerasLayers, the vocabulary of the float model: Keras layers with batch norm, as in tf_keras.applications."""

from __future__ import annotations

from typing import Any, TypeAlias

from edgekit.graph import Padding, same_padding
from edgekit.graph.ir import Pair
from edgekit.keras_models.legacy_keras import import_keras
from edgekit.keras_models.vocabulary import LINEAR, NO_PADDING, Act, BatchNorm

KerasTensor: TypeAlias = Any


class KerasLayers:
    """A tensor is a symbolic Keras tensor; `model` gives a tf_keras.Model."""

    def __init__(self) -> None:
        self._keras = import_keras()
        self._layers = self._keras.layers

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

    def dense(self, x: KerasTensor, name: str, units: int, *, as_convolution: bool = False, dropout: float = 0.0) -> KerasTensor:
        if dropout:
            x = self._layers.Dropout(dropout, name=f"{name}_dropout")(x)
        if not as_convolution:
            return self._layers.Dense(units, name=name)(x)
        x = self._layers.Reshape((1, 1, self.shape(x)[-1]), name=f"{name}_map")(x)
        x = self._layers.Conv2D(units, (1, 1), name=name)(x)
        return self._layers.Reshape((units,), name=f"{name}_logits")(x)

    def add(self, x: KerasTensor, y: KerasTensor, name: str) -> KerasTensor:
        return self._layers.Add(name=name)([x, y])

    def global_pool(self, x: KerasTensor, name: str) -> KerasTensor:
        return self._layers.GlobalAveragePooling2D(name=name)(x)

    def shape(self, x: KerasTensor) -> tuple[int, ...]:
        return tuple(x.shape[1:])

    def model(self, inputs: KerasTensor, outputs: KerasTensor, name: str) -> Any:
        return self._keras.Model(inputs, outputs, name=name)

    def _pad(self, x: KerasTensor, name: str, kernel: Pair, strides: Pair, padding: Padding, dilation: Pair) -> tuple[KerasTensor, str]:
        """Keras knows two paddings by name. Any other one is a layer before the convolution, which TFLite runs as an op of its own."""
        if padding == same_padding(self.shape(x)[:2], kernel, strides, dilation):  # type: ignore[arg-type]
            return x, "same"
        if padding == NO_PADDING:
            return x, "valid"
        cells = ((padding.top, padding.bottom), (padding.left, padding.right))
        return self._layers.ZeroPadding2D(cells, name=f"{name}_pad")(x), "valid"

    def _finish(self, x: KerasTensor, batch_norm: BatchNorm | None, activation: Act) -> KerasTensor:
        if batch_norm:
            x = self._layers.BatchNormalization(epsilon=batch_norm.epsilon, momentum=batch_norm.momentum, name=batch_norm.name)(x)
        if activation.kind == "linear":
            return x
        return self._layers.ReLU(6.0 if activation.kind == "relu6" else None, name=activation.name)(x)
