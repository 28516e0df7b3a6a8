"""inference_form: a float model as it is exported, without what only training needs.

Batch norm and layer scale are folded into weights, two heads are one, dropout is gone. What TFLite would run as a cloud of small ops is
built of the few that it has; what each verb becomes stands at the verb.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from edgekit.arrays import Floats
from edgekit.graph import Window
from edgekit.keras_models.layers.padding import keras_padding
from edgekit.keras_models.reading.replay import replay
from edgekit.keras_models.reading.vocabulary import AttentionBiases, FoldedWeights
from edgekit.keras_models.zoo.keras_layers import CommonKerasLayers, KerasTensor
from edgekit.keras_models.zoo.vocabulary import LINEAR, ONE_CELL, Act

Arrays: TypeAlias = list[Floats]


def inference_form(model: Any) -> Any:
    """A new tf_keras.Model with the inputs and outputs of `model` and, but for float rounding, its values in inference.

    Layers keep their names; their weights are no longer those that training would go on with.

    Raises:
        UnsupportedLayer: a layer that cannot be read; the message names it.
    """
    layers = InferenceLayers()
    twin, weights, _ = replay(model, layers)
    for name, folded in weights.items():
        arrange = layers.arrange.get(name, _as_folded)
        twin.get_layer(name).set_weights(arrange(folded))
    return twin


def _as_folded(weights: FoldedWeights) -> Arrays:
    return [weights.kernel, weights.bias]


class InferenceLayers(CommonKerasLayers):
    """The vocabulary of the inference form. `arrange` tells how a layer's folded weights become those of the layer built here."""

    def __init__(self) -> None:
        super().__init__()
        from edgekit.keras_models.layers.custom_layers import centering, offsets

        self._centering, self._offsets = centering, offsets
        self.arrange: dict[str, Callable[[Any], Arrays]] = {}

    def conv(self, x: KerasTensor, name: str, filters: int, window: Window, activation: Act = LINEAR) -> KerasTensor:
        self._take_in(x, name)
        return self._activated(self._convolution(x, name, filters, window, use_bias=True), activation)

    def depthwise(self, x: KerasTensor, name: str, window: Window, activation: Act = LINEAR) -> KerasTensor:
        return self._activated(self._depthwise_convolution(x, name, window, use_bias=True), activation)

    def dense(self, x: KerasTensor, name: str, units: int, activation: Act = LINEAR) -> KerasTensor:
        self._take_in(x, name)
        if len(self.shape(x)) > 1:
            x = self._layers.Flatten(name=f"{name}_flatten")(x)
        return self._activated(self._layers.Dense(units, name=name)(x), activation)

    def pointwise_mean(self, x: KerasTensor, name: str, filters: int, pool_name: str, *, keep_map: bool) -> KerasTensor:
        """The mean first: one cell is left to convolve."""
        self._take_in(x, name)
        pooled = self.global_pool(x, pool_name, keep_map=keep_map)
        if keep_map:
            return self.conv(pooled, name, filters, ONE_CELL)
        arrange = self.arrange.get(name, _as_folded)

        def of_dense(weights: FoldedWeights) -> Arrays:
            kernel, bias = arrange(weights)
            return [kernel.reshape(-1, filters), bias]

        self.arrange[name] = of_dense
        return self._layers.Dense(filters, name=name)(pooled)

    def _take_in(self, x: KerasTensor, name: str) -> None:
        """Gives a layer that reads a UnitNorm the rest of the norm's work."""
        if not isinstance(x._keras_history.layer, self._custom["UnitNorm"]):
            return

        def of_unit_norm(weights: FoldedWeights) -> Arrays:
            channels = weights.kernel.shape[-2]
            kernel = np.sqrt(channels) * self._centering(channels) @ weights.kernel.astype(np.float64)
            return [kernel.astype(np.float32), weights.bias]

        self.arrange[name] = of_unit_norm

    def add(self, x: KerasTensor, y: KerasTensor, name: str, activation: Act = LINEAR) -> KerasTensor:
        return self._activated(self._layers.Add(name=name)([x, y]), activation)

    def position_encoding(self, x: KerasTensor, name: str, window: Window, *, add_name: str, activation: Act = LINEAR) -> KerasTensor:
        """One depthwise convolution, whose kernel has the identity added: 1 in its middle."""

        def with_identity(weights: FoldedWeights) -> Arrays:
            merged = weights.kernel.copy()
            merged[window.kernel[0] // 2, window.kernel[1] // 2] += 1
            return [merged, weights.bias]

        self.arrange[name] = with_identity
        return self.depthwise(x, name, window, activation)

    def upsample(self, x: KerasTensor, name: str, factor: int) -> KerasTensor:
        """A nearest-neighbour resize, and a factor for each of the cells that were one."""
        rows, columns, _ = self.shape(x)

        def over_the_map(weights: FoldedWeights) -> Arrays:
            return [np.tile(weights.kernel[..., 0], (rows, columns, 1))[np.newaxis], weights.bias]

        self.arrange[name] = over_the_map
        return self._custom["PhasedUpsampling2D"](factor, name=name)(x)

    def layer_norm(self, x: KerasTensor, name: str, epsilon: float) -> KerasTensor:
        return self._layers.LayerNormalization(epsilon=epsilon, name=name)(x)

    def normalize(self, x: KerasTensor, name: str, epsilon: float) -> KerasTensor:
        """See UnitNorm: the layer that reads it does a part of the work with its weights."""
        return self._custom["UnitNorm"](epsilon, name=name)(x)

    def attention(self, queries_keys: KerasTensor, values: KerasTensor, name: str, heads: int) -> KerasTensor:
        """The bias of each pair of cells is a constant, and the factor 1 / sqrt(channels) is in the weights that give the queries."""
        _, rows, columns, channels = queries_keys.shape
        distances = self._offsets(rows, columns)
        factor = (channels // (2 * heads)) ** -0.5

        def of_pairs(biases: AttentionBiases) -> Arrays:
            return [biases.table[:, distances]]

        def scaled_queries(weights: FoldedWeights) -> FoldedWeights:
            factors = np.repeat(np.array([factor, 1.0], np.float32), channels // 2)
            return FoldedWeights(weights.kernel * factors, weights.bias * factors)

        self.arrange[name] = of_pairs
        self._then(queries_keys._keras_history.layer.name, scaled_queries)
        return self._custom["PairAttention"](heads, name=name)([queries_keys, values])

    def relu_attention(self, queries: KerasTensor, keys: KerasTensor, values: KerasTensor, name: str, heads: int) -> KerasTensor:
        """The bias of each pair of cells is a constant."""
        distances = self._offsets(*self.shape(values)[:2])

        def of_pairs(biases: AttentionBiases) -> Arrays:
            return [biases.table[:, distances]]

        self.arrange[name] = of_pairs
        return self._custom["PairReluAttention"](heads, name=name)([queries, keys, values])

    def _then(self, name: str, change: Callable[[FoldedWeights], FoldedWeights]) -> None:
        """Changes a layer's folded weights before they are arranged."""
        arrange = self.arrange.get(name, _as_folded)
        self.arrange[name] = lambda weights: arrange(change(weights))

    def max_pool(self, x: KerasTensor, name: str, window: Window) -> KerasTensor:
        rows, columns = self.shape(x)[:2]
        padding = keras_padding(window, (rows, columns))
        if padding is None:
            x, padding = self._zeros_around(x, name, window.padding), "valid"
        return self._layers.MaxPooling2D(window.kernel, window.strides, padding, name=name)(x)

    def reshape(self, x: KerasTensor, name: str, shape: tuple[int, ...]) -> KerasTensor:
        return self._layers.Reshape(shape, name=name)(x)

    def activate(self, x: KerasTensor, activation: Act) -> KerasTensor:
        return self._activated(x, activation)

    def never_negative(self, x: KerasTensor) -> bool:
        layer = x._keras_history.layer
        return isinstance(layer, self._layers.ReLU) and not layer.negative_slope and layer.threshold >= 0

    def softmax(self, x: KerasTensor, name: str) -> KerasTensor:
        return self._layers.Softmax(name=name)(x)
