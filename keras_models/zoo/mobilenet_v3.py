"""MobileNetV3 (arXiv 1905.02244, tables 1 and 2), with the layer names and the padding of tf_keras.applications.MobileNetV3*."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from edgekit.graph import Activation
from edgekit.keras_models.zoo.arch import Arch, Conv, round_filters
from edgekit.keras_models.zoo.network import Network, top1_table
from edgekit.keras_models.zoo.vocabulary import ONE_CELL, Act, BatchNorm, Function, Kind, Layers, Value, same

STEM_FILTERS = 16
LAST_EXPANSION = 6
SQUEEZE = 0.25
DROPOUT = 0.2
RELU, HARD_SWISH = Activation.RELU, Function.HARD_SWISH


@dataclass(frozen=True)
class Row:
    """A block. The paper's exp size is `expansion` times the channels that come in."""

    expansion: float
    filters: int
    kernel: int
    stride: int
    squeeze_excite: bool
    activation: Kind


SMALL = (
    Row(1, 16, 3, 2, True, RELU),
    Row(72 / 16, 24, 3, 2, False, RELU),
    Row(88 / 24, 24, 3, 1, False, RELU),
    Row(4, 40, 5, 2, True, HARD_SWISH),
    Row(6, 40, 5, 1, True, HARD_SWISH),
    Row(6, 40, 5, 1, True, HARD_SWISH),
    Row(3, 48, 5, 1, True, HARD_SWISH),
    Row(3, 48, 5, 1, True, HARD_SWISH),
    Row(6, 96, 5, 2, True, HARD_SWISH),
    Row(6, 96, 5, 1, True, HARD_SWISH),
    Row(6, 96, 5, 1, True, HARD_SWISH),
)
LARGE = (
    Row(1, 16, 3, 1, False, RELU),
    Row(4, 24, 3, 2, False, RELU),
    Row(3, 24, 3, 1, False, RELU),
    Row(3, 40, 5, 2, True, RELU),
    Row(3, 40, 5, 1, True, RELU),
    Row(3, 40, 5, 1, True, RELU),
    Row(6, 80, 3, 2, False, HARD_SWISH),
    Row(2.5, 80, 3, 1, False, HARD_SWISH),
    Row(2.3, 80, 3, 1, False, HARD_SWISH),
    Row(2.3, 80, 3, 1, False, HARD_SWISH),
    Row(6, 112, 3, 1, True, HARD_SWISH),
    Row(6, 112, 3, 1, True, HARD_SWISH),
    Row(6, 160, 5, 2, True, HARD_SWISH),
    Row(6, 160, 5, 1, True, HARD_SWISH),
    Row(6, 160, 5, 1, True, HARD_SWISH),
)


@dataclass(frozen=True)
class InvertedResidual:
    """1x1 to `expansion` times the channels, depthwise, squeeze-and-excite, linear 1x1; the first block (0) does not expand."""

    index: int
    expansion: float
    filters: int
    kernel: int
    stride: int
    squeeze_excite: bool
    activation: Kind

    def build(self, layers: Layers, x: Value) -> Value:
        name, channels = f"expanded_conv_{self.index}" if self.index else "expanded_conv", layers.shape(x)[-1]
        wide_channels = round_filters(channels * self.expansion)
        wide = x
        if self.index:
            expand = f"{name}/expand"
            wide = layers.conv(
                x, expand, wide_channels, ONE_CELL, batch_norm=_batch_norm(expand), activation=Act(self.activation, f"{expand}/act")
            )
        depthwise = f"{name}/depthwise"
        wide = layers.depthwise(
            wide,
            depthwise,
            same(layers, wide, (self.kernel, self.kernel), (self.stride, self.stride)),
            batch_norm=_batch_norm(depthwise),
            activation=Act(self.activation, f"{depthwise}/act"),
        )
        if self.squeeze_excite:
            wide = self._gate(layers, wide, f"{name}/squeeze_excite", channels)
        narrow = layers.conv(wide, f"{name}/project", self.filters, ONE_CELL, batch_norm=_batch_norm(f"{name}/project"))
        return layers.add(x, narrow, f"{name}/Add") if self.stride == 1 and self.filters == channels else narrow

    def _gate(self, layers: Layers, wide: Value, name: str, channels: int) -> Value:
        wide_channels = layers.shape(wide)[-1]
        gate = layers.global_pool(wide, f"{name}/AvgPool", keep_map=True)
        squeezed = round_filters(wide_channels * SQUEEZE)
        gate = layers.conv(gate, f"{name}/Conv", squeezed, ONE_CELL, use_bias=True, activation=Act(RELU, f"{name}/Relu"))
        gate = layers.conv(
            gate, f"{name}/Conv_1", wide_channels, ONE_CELL, use_bias=True, activation=Act(Function.RELU6_SIGMOID, f"{name}/gate")
        )
        return layers.multiply(wide, gate, f"{name}/Mul")


@dataclass(frozen=True)
class LastConv:
    """1x1 to `LAST_EXPANSION` times the channels."""

    activation: Kind

    def build(self, layers: Layers, x: Value) -> Value:
        filters = round_filters(LAST_EXPANSION * layers.shape(x)[-1])
        return layers.conv(x, "Conv_1", filters, ONE_CELL, batch_norm=_batch_norm("Conv_1"), activation=Act(self.activation, "Conv_1/act"))


@dataclass(frozen=True)
class ConvHead:
    """Pooling before the last hidden layer, which makes that layer cheap."""

    hidden: int
    activation: Kind

    def build(self, layers: Layers, x: Value, classes: int) -> Value:
        x = layers.global_pool(x, "global_pool", keep_map=True)
        x = layers.conv(x, "Conv_2", self.hidden, ONE_CELL, use_bias=True, activation=Act(self.activation, "Conv_2/act"))
        return layers.dense(x, "Logits", classes, as_convolution=True, dropout=DROPOUT)


def _mobilenet_v3(alpha: float, rows: Sequence[Row], hidden: int, minimalistic: bool) -> Arch:
    """`alpha` scales the channels between blocks. Minimalistic: 3x3 kernels, ReLU and no squeeze-and-excite throughout."""
    last = RELU if minimalistic else HARD_SWISH
    stem = Conv("Conv", STEM_FILTERS, (3, 3), (2, 2), _batch_norm("Conv"), Act(last, "Conv/act"))
    if minimalistic:
        rows = [replace(row, kernel=3, squeeze_excite=False, activation=RELU) for row in rows]
    blocks = (
        InvertedResidual(i, row.expansion, round_filters(row.filters * alpha), row.kernel, row.stride, row.squeeze_excite, row.activation)
        for i, row in enumerate(rows)
    )
    return Arch((stem, *blocks, LastConv(last)), ConvHead(hidden, last))


mobilenet_v3_small = partial(_mobilenet_v3, rows=SMALL, hidden=1024, minimalistic=False)
mobilenet_v3_small_minimalistic = partial(_mobilenet_v3, rows=SMALL, hidden=1024, minimalistic=True)
mobilenet_v3_large = partial(_mobilenet_v3, rows=LARGE, hidden=1280, minimalistic=False)
mobilenet_v3_large_minimalistic = partial(_mobilenet_v3, rows=LARGE, hidden=1280, minimalistic=True)


def _batch_norm(layer: str) -> BatchNorm:
    return BatchNorm(f"{layer}/BatchNorm", epsilon=1e-3, momentum=0.999)


def _network(name: str, title: str, arch: Callable[[float], Arch], top1: Mapping[float, float]) -> Network:
    """`top1` by alpha, at 224x224 pixels, the only size that was published."""
    return Network(
        name=name,
        title=title,
        family="MobileNet",
        paper="arXiv 1905.02244",
        arch=arch,
        alphas=tuple(sorted(top1)),
        sizes=(224,),
        default_size=224,
        top1=top1_table((224,), {alpha: (value,) for alpha, value in top1.items()}),
        top1_source="tensorflow/models, slim/nets/mobilenet/README.md",
    )


MOBILENETS_V3 = (
    _network("mobilenet_v3_small", "MobileNetV3-Small", mobilenet_v3_small, {0.75: 65.4, 1.0: 67.5}),
    _network("mobilenet_v3_small_minimalistic", "MobileNetV3-Small minimalistic", mobilenet_v3_small_minimalistic, {1.0: 61.9}),
    _network("mobilenet_v3_large", "MobileNetV3-Large", mobilenet_v3_large, {0.75: 73.3, 1.0: 75.2}),
    _network("mobilenet_v3_large_minimalistic", "MobileNetV3-Large minimalistic", mobilenet_v3_large_minimalistic, {1.0: 72.3}),
)
