"""MobileNetV1 (arXiv 1704.04861, table 1), with the layer names and the padding of tf_keras.applications.MobileNet."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.graph import Activation, Window
from edgekit.keras_models.zoo.arch import Arch, Conv, PoolAndClassify, padding_at_end
from edgekit.keras_models.zoo.network import Network, top1_table
from edgekit.keras_models.zoo.vocabulary import ONE_CELL, Act, BatchNorm, Layers, Value, same

STEM_FILTERS = 32


@dataclass(frozen=True)
class Row:
    """A block: `filters` of the pointwise convolution, `stride` of the depthwise one."""

    filters: int
    stride: int


ROWS = (
    Row(64, 1),
    Row(128, 2),
    Row(128, 1),
    Row(256, 2),
    Row(256, 1),
    Row(512, 2),
    Row(512, 1),
    Row(512, 1),
    Row(512, 1),
    Row(512, 1),
    Row(512, 1),
    Row(1024, 2),  # the paper prints stride 2 for the block after it too; its map sizes, and the authors' code, have 1
    Row(1024, 1),
)


@dataclass(frozen=True)
class SeparableBlock:
    """3x3 depthwise, then 1x1, each with batch norm and ReLU6. `index` counts from 1."""

    index: int
    filters: int
    stride: int

    def build(self, layers: Layers, x: Value) -> Value:
        depthwise, pointwise = f"conv_dw_{self.index}", f"conv_pw_{self.index}"
        # At stride 2 Keras pads one row and column at the end, for odd maps too, where 'same' would pad both ends.
        window = Window((3, 3), (2, 2), padding_at_end(1)) if self.stride == 2 else same(layers, x, (3, 3))
        x = layers.depthwise(
            x,
            depthwise,
            window,
            batch_norm=_batch_norm(depthwise),
            activation=_relu6(depthwise),
        )
        return layers.conv(x, pointwise, self.filters, ONE_CELL, batch_norm=_batch_norm(pointwise), activation=_relu6(pointwise))


def mobilenet_v1(alpha: float) -> Arch:
    """`alpha` scales the channels of every layer."""
    stem = Conv("conv1", int(STEM_FILTERS * alpha), (3, 3), (2, 2), _batch_norm("conv1"), _relu6("conv1"))
    blocks = (SeparableBlock(index, int(row.filters * alpha), row.stride) for index, row in enumerate(ROWS, start=1))
    return Arch((stem, *blocks), PoolAndClassify("conv_preds", as_convolution=True, dropout=1e-3))


def _batch_norm(layer: str) -> BatchNorm:
    return BatchNorm(f"{layer}_bn", epsilon=1e-3, momentum=0.99)


def _relu6(layer: str) -> Act:
    return Act(Activation.RELU6, f"{layer}_relu")


MOBILENET_V1 = Network(
    name="mobilenet_v1",
    title="MobileNetV1",
    family="MobileNet",
    paper="arXiv 1704.04861",
    arch=mobilenet_v1,
    alphas=(0.25, 0.5, 0.75, 1.0),
    sizes=(128, 160, 192, 224),
    default_size=224,
    top1=top1_table(
        (224, 192, 160, 128),
        {
            1.0: (70.9, 70.0, 68.0, 65.2),
            0.75: (68.4, 67.2, 65.3, 62.1),
            0.5: (63.3, 61.7, 59.1, 56.3),
            0.25: (49.8, 47.7, 45.5, 41.5),
        },
    ),
    top1_source="tensorflow/models, slim/nets/mobilenet_v1.md",
)
