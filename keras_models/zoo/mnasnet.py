"""MnasNet (arXiv 1807.11626), A1, B1 and small, as in the authors' code (tensorflow/tpu, models/official/mnasnet).

Layer names are ours, of a block "block_3": block_3_expand, block_3_depthwise, block_3_se_reduce, block_3_se_expand, block_3_project,
and each with _bn where a batch norm follows; before them "stem", after them "head" and "classifier".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from edgekit.graph import Activation
from edgekit.images.preprocessing import IMAGENET
from edgekit.keras_models.zoo.arch import Arch, Conv, PoolAndClassify, round_filters
from edgekit.keras_models.zoo.network import Network, top1_table
from edgekit.keras_models.zoo.vocabulary import ONE_CELL, Act, BatchNorm, Function, Kind, Layers, Value, same

HEAD_FILTERS = 1280
SQUEEZE = 0.25


@dataclass(frozen=True)
class Row:
    """`repeats` blocks of one kind, of which the first has the stride. `skip`: whether a block that keeps its shape adds its input."""

    repeats: int
    kernel: int
    stride: int
    expansion: int
    filters: int
    squeeze_excite: bool = False
    skip: bool = True


A1 = (
    Row(1, 3, 1, 1, 16, skip=False),
    Row(2, 3, 2, 6, 24),
    Row(3, 5, 2, 3, 40, squeeze_excite=True),
    Row(4, 3, 2, 6, 80),
    Row(2, 3, 1, 6, 112, squeeze_excite=True),
    Row(3, 5, 2, 6, 160, squeeze_excite=True),
    Row(1, 3, 1, 6, 320),
)
B1 = (
    Row(1, 3, 1, 1, 16, skip=False),
    Row(3, 3, 2, 3, 24),
    Row(3, 5, 2, 3, 40),
    Row(3, 5, 2, 6, 80),
    Row(2, 3, 1, 6, 96),
    Row(4, 5, 2, 6, 192),
    Row(1, 3, 1, 6, 320, skip=False),
)
SMALL = (
    Row(1, 3, 1, 1, 8, skip=False),  # 8 filters after a stem of 8: the authors' code adds no input here, other ports do
    Row(1, 3, 2, 3, 16),
    Row(2, 3, 2, 6, 16),
    Row(4, 5, 2, 6, 32, squeeze_excite=True),
    Row(3, 3, 1, 6, 32, squeeze_excite=True),
    Row(3, 5, 2, 6, 88, squeeze_excite=True),
    Row(1, 3, 1, 6, 144),
)


@dataclass(frozen=True)
class InvertedResidual:
    """1x1 to `expansion` times the channels, depthwise, squeeze-and-excite, linear 1x1. `activation`: the kind of Act of the first two."""

    name: str
    kernel: int
    stride: int
    expansion: int
    filters: int
    squeeze_excite: bool
    skip: bool
    activation: Kind = Activation.RELU

    def build(self, layers: Layers, x: Value) -> Value:
        name, channels = self.name, layers.shape(x)[-1]
        wide = x
        if self.expansion > 1:
            expand = f"{name}_expand"
            wide = layers.conv(x, expand, self.expansion * channels, ONE_CELL, batch_norm=_batch_norm(expand), activation=self._act(expand))
        depthwise, window = f"{name}_depthwise", same(layers, wide, (self.kernel, self.kernel), (self.stride, self.stride))
        wide = layers.depthwise(wide, depthwise, window, batch_norm=_batch_norm(depthwise), activation=self._act(depthwise))
        if self.squeeze_excite:
            wide = self._gate(layers, wide, max(1, int(channels * SQUEEZE)))
        narrow = layers.conv(wide, f"{name}_project", self.filters, ONE_CELL, batch_norm=_batch_norm(f"{name}_project"))
        keeps_shape = self.stride == 1 and self.filters == channels
        return layers.add(x, narrow, f"{name}_add") if keeps_shape and self.skip else narrow

    def _act(self, layer: str) -> Act:
        return Act(self.activation, f"{layer}_relu")

    def _gate(self, layers: Layers, wide: Value, squeezed: int) -> Value:
        name, channels = f"{self.name}_se", layers.shape(wide)[-1]
        gate = layers.global_pool(wide, f"{name}_pool", keep_map=True)
        gate = layers.conv(gate, f"{name}_reduce", squeezed, ONE_CELL, use_bias=True, activation=self._act(f"{name}_reduce"))
        gate = layers.conv(gate, f"{name}_expand", channels, ONE_CELL, use_bias=True, activation=Act(Function.SIGMOID, f"{name}_gate"))
        return layers.multiply(wide, gate, f"{name}_multiply")


def _mnasnet(alpha: float, rows: Sequence[Row], stem_filters: int, dropout: float) -> Arch:
    """`alpha` scales the channels of every layer but the head."""
    stem = Conv("stem", round_filters(stem_filters * alpha), (3, 3), (2, 2), _batch_norm("stem"), _relu("stem"))
    blocks = [
        (row.kernel, row.stride if repeat == 0 else 1, row.expansion, round_filters(row.filters * alpha), row.squeeze_excite, row.skip)
        for row in rows
        for repeat in range(row.repeats)
    ]
    head = Conv("head", HEAD_FILTERS, (1, 1), (1, 1), _batch_norm("head"), _relu("head"))
    return Arch(
        (stem, *(InvertedResidual(f"block_{i}", *block) for i, block in enumerate(blocks)), head),
        PoolAndClassify("classifier", dropout=dropout),
    )


mnasnet_a1 = partial(_mnasnet, rows=A1, stem_filters=32, dropout=0.2)
mnasnet_b1 = partial(_mnasnet, rows=B1, stem_filters=32, dropout=0.2)
mnasnet_small = partial(_mnasnet, rows=SMALL, stem_filters=8, dropout=0.0)


def _batch_norm(layer: str) -> BatchNorm:
    return BatchNorm(f"{layer}_bn", epsilon=1e-3, momentum=0.99)


def _relu(layer: str) -> Act:
    return Act(Activation.RELU, f"{layer}_relu")


def _network(
    name: str, title: str, arch: Callable[[float], Arch], sizes: tuple[int, ...], top1: Mapping[float, tuple[float, ...]], source: str
) -> Network:
    return Network(
        name=name,
        title=title,
        family="MnasNet",
        paper="arXiv 1807.11626",
        arch=arch,
        alphas=tuple(sorted(top1)),
        sizes=sizes,
        default_size=224,
        top1=top1_table(sizes, top1),
        top1_source=source,
        preprocessing=IMAGENET,
    )


MNASNETS = (
    _network(
        "mnasnet_a1",
        "MnasNet-A1",
        mnasnet_a1,
        (224, 192, 160, 128, 96),
        {
            1.4: (77.2, 76.1, 74.8, 72.5, 68.6),
            1.0: (75.2, 74.0, 72.0, 69.3, 64.4),
            0.75: (73.3, 72.1, 70.1, 67.0, 62.1),
            0.5: (68.9, 67.2, 64.9, 60.8, 54.7),
            0.35: (64.1, 62.4, 52.3, 54.8, 49.3),  # 52.3 stands where another column of the same table has 59.3
        },
        "tensorflow/tpu, models/official/mnasnet/README.md",
    ),
    _network(
        "mnasnet_b1",
        "MnasNet-B1",
        mnasnet_b1,
        (224,),
        {1.3: (75.2,), 1.0: (74.1,), 0.75: (71.7,), 0.5: (68.0,)},
        "TensorFlow Lite hosted models; torchvision measured 73.5 for its own 1.0",
    ),
    _network("mnasnet_small", "MnasNet-small", mnasnet_small, (224,), {1.0: (66.2,)}, "tensorflow/tpu, models/official/mnasnet"),
)
