"""QKerasLayers: the vocabulary that builds the quantized twin of a network out of qkeras layers and QFX quantizers.

Batch norm is folded: a convolution is a QConv2D with bias and a QActivation that requantizes, under the names of the float model's
layers. The binary points start at 0; calibrate.py chooses them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil, log2
from typing import Any

import numpy as np

from edgekit.errors import UnsupportedLayer
from edgekit.graph import Activation, Padding, Window
from edgekit.keras_models.layers.backend import qkeras, tf_keras
from edgekit.keras_models.layers.custom_layers import CUSTOM_LAYERS
from edgekit.keras_models.layers.formulas import Clipped
from edgekit.keras_models.layers.padding import keras_padding
from edgekit.keras_models.qfx.binary_point import BinaryPoint
from edgekit.keras_models.qfx.model import QActivation, QFXModel
from edgekit.keras_models.qfx.precision import SIX_BITS, Precisions
from edgekit.keras_models.qfx.products import QAttentionScores, QDepthwiseConv2DTranspose, QMatMul
from edgekit.keras_models.qfx.quantizers import QFXActivation, QFXBias, QFXInput, QFXLookup, QFXProduct, QFXProductBias, QFXWeight
from edgekit.keras_models.zoo.vocabulary import LINEAR, ONE_CELL, Act, Function

NEVER_NEGATIVE = (Function.SIGMOID, Function.HARD_SIGMOID, Function.RELU6_SIGMOID, Function.EXPONENTIAL, Function.SOFTPLUS)


@dataclass(frozen=True)
class QValue:
    """A quantized tensor. Its real values are `gain` times the float model's: a mean over n cells is kept as sum / 2**k.

    `attended`: what an attention gave, also once it is projected.
    """

    tensor: Any
    point: BinaryPoint
    signed: bool
    gain: float = 1.0
    attended: bool = False


class QKerasLayers:
    """`weight_gains` tells, for each layer whose input has a gain, what its float kernel must be multiplied by; `output_gain` how many
    times the float model's the outputs of the model that was built last are."""

    def __init__(self, precisions: Precisions | None = None) -> None:
        self.precisions = precisions or Precisions()
        self.weight_gains: dict[str, float] = {}
        self.output_gain = 1.0
        self._apart: set[int] = set()

    def input(self, shape: tuple[int, int, int]) -> QValue:
        point = BinaryPoint("input")
        tensor = tf_keras.Input(shape, name="input")
        return QValue(QActivation(QFXInput(point, signed=True), name="input_quantize", trainable=False)(tensor), point, signed=True)

    def conv(self, x: QValue, name: str, filters: int, window: Window, activation: Act = LINEAR) -> QValue:
        x, options = self._padded(x, name, window)

        def layer(weight: QFXWeight, bias: QFXBias) -> Any:
            return qkeras.QConv2D(filters, window.kernel, kernel_quantizer=weight, bias_quantizer=bias, **options)

        return self._weighted(x, name, layer, 3, np.zeros(filters, np.float32), activation)

    def depthwise(self, x: QValue, name: str, window: Window, activation: Act = LINEAR) -> QValue:
        x, options = self._padded(x, name, window)

        def layer(weight: QFXWeight, bias: QFXBias) -> Any:
            return qkeras.QDepthwiseConv2D(window.kernel, depthwise_quantizer=weight, bias_quantizer=bias, **options)

        return self._weighted(x, name, layer, 2, np.zeros(self.shape(x)[-1], np.float32), activation)

    def dense(self, x: QValue, name: str, units: int, activation: Act = LINEAR) -> QValue:
        tensor = x.tensor if len(self.shape(x)) == 1 else tf_keras.layers.Flatten(name=f"{name}_flatten")(x.tensor)

        def layer(weight: QFXWeight, bias: QFXBias) -> Any:
            return qkeras.QDense(units, kernel_quantizer=weight, bias_quantizer=bias, name=name)

        # one binary point a tensor: every runtime has that FULLY_CONNECTED
        return self._weighted(replace(x, tensor=tensor), name, layer, None, np.float32(0.0), activation)

    def add(self, x: QValue, y: QValue, name: str, activation: Act = LINEAR) -> QValue:
        gain, ending = self._common_gain(name, x, y), _carried(activation)
        if gain != 1.0 and ending.kind is Activation.RELU6:  # its 6 is not that of the values
            raise self._unabsorbed(activation.name)
        if y.attended and id(x.point.root) not in self._apart:
            # An attention can be a hundred times the map that it is added to, and the tensors before the map are of the map's range: with
            # a binary point of its own the sum does not spoil theirs.
            x = self.average_pool(x, f"{name}_skip", ONE_CELL)
            self._apart.add(id(x.point.root))
        y.point.share(x.point)
        total = tf_keras.layers.Add(name=name)([x.tensor, y.tensor])
        clamp = ending.clamp
        signed = clamp is Activation.NONE and (x.signed or y.signed)
        layer_name = ending.name if clamp is not Activation.NONE else f"{name}_quantize"
        result = QActivation(QFXActivation(x.point, signed, clamp), name=layer_name)(total)
        return self._looked_up(QValue(result, x.point, signed, gain), activation)

    def concat(self, values: Sequence[QValue], name: str) -> QValue:
        gain = self._common_gain(name, *values)
        if len({value.signed for value in values}) > 1:
            raise UnsupportedLayer(f"layer '{name}' joins tensors with and without a ReLU; give all of them one, or none.")
        for value in values[1:]:
            value.point.share(values[0].point)
        return QValue(tf_keras.layers.Concatenate(name=name)([v.tensor for v in values]), values[0].point, values[0].signed, gain)

    def max_pool(self, x: QValue, name: str, window: Window) -> QValue:
        """Padded cells take no part."""
        rows, columns = self.shape(x)[:2]
        tensor, padding = x.tensor, keras_padding(window, (rows, columns))
        if padding is None:
            if x.signed:
                raise UnsupportedLayer(
                    f"layer '{name}' pads a max-pool of signed values; use 'same' or 'valid' padding, or a ReLU before it."
                )
            tensor, padding = zero_padding(tensor, name, window.padding), "valid"  # zero is the lowest value there is
        layer = tf_keras.layers.MaxPooling2D(window.kernel, strides=window.strides, padding=padding, name=name)
        return replace(x, tensor=layer(tensor))

    def average_pool(self, x: QValue, name: str, window: Window) -> QValue:
        """A depthwise convolution with the constant 2**-k: sum / 2**k = mean * gain. Without padding."""
        cells = window.kernel[0] * window.kernel[1]
        doublings = ceil(log2(cells))

        def layer(weight: QFXWeight, bias: QFXBias) -> Any:
            return qkeras.QDepthwiseConv2D(
                window.kernel,
                strides=window.strides,
                depthwise_quantizer=weight,
                bias_quantizer=bias,
                depthwise_initializer=tf_keras.initializers.Constant(2.0**-doublings),
                name=name,
                trainable=False,
            )

        value = self._weighted(x, name, layer, 2, np.full(self.shape(x)[-1], doublings + 6.0, np.float32), LINEAR, keeps_sign=True)
        return replace(value, gain=x.gain * cells / 2.0**doublings)

    def global_pool(self, x: QValue, name: str, *, keep_map: bool = False) -> QValue:
        """(1, 1, channels) in either case: the mean of each column, then of the row of means.

        Two short windows, because XNNPACK's kernels hold windows of at most 25 cells: a 7x7 one is many times slower.
        """
        rows, columns = self.shape(x)[:2]
        if rows > 1 and columns > 1:
            x = self.average_pool(x, f"{name}_rows", Window((rows, 1)))
            rows = 1
        return self.average_pool(x, name, Window((rows, columns)))

    def pointwise_mean(self, x: QValue, name: str, filters: int, pool_name: str, *, keep_map: bool) -> QValue:
        return self.global_pool(self.conv(x, name, filters, ONE_CELL), pool_name, keep_map=keep_map)

    def multiply(self, x: QValue, y: QValue, name: str) -> QValue:
        return self._product(tf_keras.layers.Multiply(name=name), x, y, x.signed or y.signed, LINEAR)

    def channels(self, x: QValue, name: str, start: int, count: int) -> QValue:
        return replace(x, tensor=CUSTOM_LAYERS["ChannelSlice"](start, count, name=name)(x.tensor))

    def upsample(self, x: QValue, name: str, factor: int) -> QValue:
        def layer(weight: QFXWeight, bias: QFXBias) -> Any:
            return QDepthwiseConv2DTranspose((factor, factor), weight, bias, name=name)

        return self._weighted(x, name, layer, 2, np.zeros(self.shape(x)[-1], np.float32), LINEAR)

    def position_encoding(self, x: QValue, name: str, window: Window, *, add_name: str, activation: Act = LINEAR) -> QValue:
        """A convolution and a sum: with the identity in its kernel, the small weights around it would be lost in 6 bits."""
        return self.add(x, self.depthwise(x, name, window), add_name, activation)

    def never_negative(self, x: QValue) -> bool:
        return not x.signed

    def softmax(self, x: QValue, name: str) -> QValue:
        return x

    def normalize(self, x: QValue, name: str, epsilon: float) -> QValue:
        return self.layer_norm(x, name.removesuffix("_normalize"), epsilon)

    def layer_norm(self, x: QValue, name: str, epsilon: float) -> QValue:
        raise _no_exact_form(name, "is a layer norm")

    def attention(self, queries_keys: QValue, values: QValue, name: str, heads: int) -> QValue:
        raise _no_exact_form(name, "is an attention with softmax")

    def relu_attention(self, queries: QValue, keys: QValue, values: QValue, name: str, heads: int) -> QValue:
        """Two matrix products. The scores, 0..127, are signed, as the operands of a product are."""
        if not (queries.signed and keys.signed and values.signed):
            raise UnsupportedLayer(f"layer '{name}' takes queries, keys and values that may be negative; leave out the ReLU before it.")
        if queries.gain * keys.gain != 1.0:  # the 6 would be another one
            raise self._unabsorbed(name)
        biases = QFXProductBias(queries.point, keys.point)
        scores = self._product(QAttentionScores(heads, biases, name=name), queries, keys, True, Act(Activation.RELU6, f"{name}_relu"))
        return replace(self._product(QMatMul(heads, False, name=f"{name}_mix"), scores, values, True, LINEAR), attended=True)

    def reshape(self, x: QValue, name: str, shape: tuple[int, ...]) -> QValue:
        return replace(x, tensor=tf_keras.layers.Reshape(shape, name=name)(x.tensor))

    def activate(self, x: QValue, activation: Act) -> QValue:
        """A table, of a tensor that is quantized already."""
        return self._looked_up(x, activation)

    def shape(self, x: QValue) -> tuple[int, ...]:
        return tuple(x.tensor.shape[1:])

    def model(self, inputs: QValue, outputs: QValue, name: str) -> QFXModel:
        source = inputs.tensor.node.input_tensors
        self.output_gain = outputs.gain
        return QFXModel(source, outputs.tensor, name=name)

    def _padded(self, x: QValue, name: str, window: Window) -> tuple[QValue, dict[str, Any]]:
        """What a convolution reads, and the options that it has besides its kernel."""
        tensor, padding = padded(x.tensor, name, window)
        return replace(x, tensor=tensor), {"strides": window.strides, "dilation_rate": window.dilation, "padding": padding, "name": name}

    def _weighted(
        self,
        x: QValue,
        name: str,
        layer: Callable[..., Any],
        channel_axis: int | None,
        weight_point: Any,
        activation: Act,
        keeps_sign: bool = False,
    ) -> QValue:
        """A layer with weights and the requantize that ends it."""
        kernel, target = BinaryPoint(f"{name}/kernel", weight_point), BinaryPoint(name)
        precision = SIX_BITS if keeps_sign else self.precisions.of(name)
        weight = QFXWeight(kernel, x.point, target, channel_axis, precision.k_hot, bits=precision.bits)
        accumulator = layer(weight, QFXBias(kernel, x.point, target))(x.tensor)
        if x.gain != 1.0 and not keeps_sign:
            self.weight_gains[name] = 1.0 / x.gain
        ending = _carried(activation)
        clamp = ending.clamp
        signed = x.signed if keeps_sign else clamp is Activation.NONE
        layer_name = ending.name if clamp is not Activation.NONE else f"{name}_quantize"
        result = QActivation(QFXActivation(target, signed, clamp), name=layer_name)(accumulator)
        return self._looked_up(QValue(result, target, signed, attended=x.attended), activation)

    def _product(self, layer: Any, x: QValue, y: QValue, signed: bool, activation: Act) -> QValue:
        """A product of activations and the requantize that ends it."""
        point, clamp = BinaryPoint(layer.name), activation.clamp
        quantizer = QFXProduct(point, x.point, y.point, signed, clamp)
        layer_name = activation.name if clamp is not Activation.NONE else f"{layer.name}_quantize"
        result = QActivation(quantizer, name=layer_name)(layer([x.tensor, y.tensor]))
        return QValue(result, point, signed, x.gain * y.gain)

    def _looked_up(self, x: QValue, activation: Act) -> QValue:
        if isinstance(activation.kind, Activation):
            return x
        if x.gain != 1.0:
            raise self._unabsorbed(activation.name)
        point = BinaryPoint(activation.name)
        kind = activation.kind
        signed = kind not in NEVER_NEGATIVE if isinstance(kind, Function) else not kind.never_negative
        table = QFXLookup(point, signed, activation.kind.value)
        return QValue(QActivation(table, name=activation.name)(x.tensor), point, signed)

    def _common_gain(self, name: str, *values: QValue) -> float:
        gains = {value.gain for value in values}
        if len(gains) > 1:
            raise self._unabsorbed(name)
        return gains.pop()

    @staticmethod
    def _unabsorbed(name: str) -> UnsupportedLayer:
        return UnsupportedLayer(
            f"layer '{name}' follows a mean over a number of cells that is no power of two; put a layer with weights between them, "
            "which can absorb the factor."
        )


def _carried(activation: Act) -> Act:
    """The clamp that an op carries before a table does the rest: it keeps out what the table would make 0, and so leaves finer steps."""
    kind = activation.kind
    if isinstance(kind, Clipped) and (kind.slope, kind.factor, kind.shift) == (0.0, 1.0, 0.0):
        return Act(Activation.RELU6 if kind.high <= 6.0 else Activation.RELU, f"{activation.name}_relu")
    return activation


def _no_exact_form(name: str, what: str) -> UnsupportedLayer:
    return UnsupportedLayer(f"layer '{name}' {what}, which has no exact form; edgekit.keras_models.bn_form gives the model another one.")


def padded(tensor: Any, name: str, window: Window) -> tuple[Any, str]:
    """The map that a convolution of this name reads, and the padding that it has left to do, as Keras calls it."""
    padding = keras_padding(window, (tensor.shape[1], tensor.shape[2]))
    return (zero_padding(tensor, name, window.padding), "valid") if padding is None else (tensor, padding)


def zero_padding(tensor: Any, name: str, padding: Padding) -> Any:
    cells = ((padding.top, padding.bottom), (padding.left, padding.right))
    return tf_keras.layers.ZeroPadding2D(cells, name=f"{name}_pad")(tensor)
