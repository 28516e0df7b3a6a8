"""MobileNetV2 (arXiv 1801.04381, table 2), with the layer names of tf_keras.applications.MobileNetV2."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.graph import Activation
from edgekit.keras_models.zoo.arch import Arch, Conv, PoolAndClassify, round_filters
from edgekit.keras_models.zoo.network import Network, top1_table
from edgekit.keras_models.zoo.vocabulary import ONE_CELL, Act, BatchNorm, Layers, Value, same

STEM_FILTERS, LAST_FILTERS = 32, 1280


@dataclass(frozen=True)
class Row:
    """`repeats` blocks of one kind, of which the first has the stride."""

    expansion: int
    filters: int
    repeats: int
    stride: int


ROWS = (
    Row(1, 16, 1, 1),
    Row(6, 24, 2, 2),
    Row(6, 32, 3, 2),
    Row(6, 64, 4, 2),
    Row(6, 96, 3, 1),
    Row(6, 160, 3, 2),
    Row(6, 320, 1, 1),
)


@dataclass(frozen=True)
class InvertedResidual:
    """1x1 to `expansion` times the channels, 3x3 depthwise, linear 1x1 to `filters`; the input is added where the shapes agree."""

    prefix: str
    expansion: int
    filters: int
    stride: int

    def build(self, layers: Layers, x: Value) -> Value:
        name, channels = self.prefix, layers.shape(x)[-1]
        wide = x
        if self.expansion > 1:
            expand = f"{name}_expand"
            wide = layers.conv(
                x, expand, self.expansion * channels, ONE_CELL, batch_norm=_batch_norm(f"{expand}_BN"), activation=_relu6(expand)
            )
        depthwise = f"{name}_depthwise"
        wide = layers.depthwise(
            wide,
            depthwise,
            same(layers, wide, (3, 3), (self.stride, self.stride)),
            batch_norm=_batch_norm(f"{depthwise}_BN"),
            activation=_relu6(depthwise),
        )
        narrow = layers.conv(wide, f"{name}_project", self.filters, ONE_CELL, batch_norm=_batch_norm(f"{name}_project_BN"))
        return layers.add(x, narrow, f"{name}_add") if self.stride == 1 and self.filters == channels else narrow


def mobilenet_v2(alpha: float) -> Arch:
    """`alpha` scales the channels, rounded to multiples of 8; the last convolution's are never less than the paper's."""
    stem = Conv("Conv1", round_filters(STEM_FILTERS * alpha), (3, 3), (2, 2), _batch_norm("bn_Conv1"), _relu6("Conv1"))
    sizes = [
        (row.expansion, round_filters(int(row.filters * alpha)), row.stride if repeat == 0 else 1)
        for row in ROWS
        for repeat in range(row.repeats)
    ]
    blocks = (InvertedResidual(f"block_{i}" if i else "expanded_conv", *size) for i, size in enumerate(sizes))
    last_filters = round_filters(LAST_FILTERS * max(alpha, 1.0))
    last = Conv("Conv_1", last_filters, (1, 1), (1, 1), _batch_norm("Conv_1_bn"), Act(Activation.RELU6, "out_relu"))
    return Arch((stem, *blocks, last), PoolAndClassify("predictions"))


def _batch_norm(name: str) -> BatchNorm:
    return BatchNorm(name, epsilon=1e-3, momentum=0.999)


def _relu6(layer: str) -> Act:
    return Act(Activation.RELU6, f"{layer}_relu")


MOBILENET_V2 = Network(
    name="mobilenet_v2",
    title="MobileNetV2",
    family="MobileNet",
    paper="arXiv 1801.04381",
    arch=mobilenet_v2,
    alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    sizes=(96, 128, 160, 192, 224),
    default_size=224,
    top1=top1_table(
        (224, 192, 160, 128, 96),
        {
            1.4: (75.0,),
            1.3: (74.4,),
            1.0: (71.8, 70.7, 68.8, 65.3, 60.3),
            0.75: (69.8, 68.7, 66.4, 63.2, 58.8),
            0.5: (65.4, 63.9, 61.0, 57.7, 51.2),
            0.35: (60.3, 58.2, 55.7, 50.8, 45.5),
        },
    ),
    top1_source="tensorflow/models, slim/nets/mobilenet/README.md",
)
