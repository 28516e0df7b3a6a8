"""EfficientNet-Lite, 0 to 4, as in the authors' code (tensorflow/tpu, models/official/efficientnet/lite): the blocks of EfficientNet-B0
(arXiv 1905.11946, table 1) without squeeze-and-excite and with ReLU6, scaled in width and depth; the stem and the head are not scaled.

Layer names are those of MnasNet, written at the top of its file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil

from edgekit.graph import Activation
from edgekit.images.preprocessing import LITE
from edgekit.keras_models.zoo.arch import Arch, Conv, PoolAndClassify, round_filters
from edgekit.keras_models.zoo.mnasnet import InvertedResidual, Row
from edgekit.keras_models.zoo.network import Network, top1_table
from edgekit.keras_models.zoo.vocabulary import Act, BatchNorm

STEM_FILTERS, HEAD_FILTERS = 32, 1280
B0 = (
    Row(1, 3, 1, 1, 16),
    Row(2, 3, 2, 6, 24),
    Row(2, 5, 2, 6, 40),
    Row(3, 3, 2, 6, 80),
    Row(3, 5, 1, 6, 112),
    Row(4, 5, 2, 6, 192),
    Row(1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Scaling:
    """What a member of the family multiplies B0's channels and repeats with, and the dropout that it was trained with."""

    width: float
    depth: float
    dropout: float


LITE0 = Scaling(1.0, 1.0, 0.2)
LITE1 = Scaling(1.0, 1.1, 0.2)
LITE2 = Scaling(1.1, 1.2, 0.3)
LITE3 = Scaling(1.2, 1.4, 0.3)
LITE4 = Scaling(1.4, 1.8, 0.3)


def rows(scaling: Scaling) -> tuple[Row, ...]:
    """B0's rows, scaled; the first and the last are not repeated."""
    last = len(B0) - 1
    return tuple(
        replace(
            row,
            repeats=row.repeats if index in (0, last) else ceil(row.repeats * scaling.depth),
            filters=round_filters(row.filters * scaling.width),
        )
        for index, row in enumerate(B0)
    )


def _efficientnet_lite(alpha: float, scaling: Scaling) -> Arch:
    """`alpha` is 1: how wide a member is belongs to its scaling."""
    stem = Conv("stem", STEM_FILTERS, (3, 3), (2, 2), _batch_norm("stem"), Act(Activation.RELU6, "stem_relu"))
    blocks = [(row, row.stride if repeat == 0 else 1) for row in rows(scaling) for repeat in range(row.repeats)]
    inverted = (
        InvertedResidual(f"block_{i}", row.kernel, stride, row.expansion, row.filters, row.squeeze_excite, row.skip, Activation.RELU6)
        for i, (row, stride) in enumerate(blocks)
    )
    head = Conv("head", HEAD_FILTERS, (1, 1), (1, 1), _batch_norm("head"), Act(Activation.RELU6, "head_relu"))
    return Arch((stem, *inverted, head), PoolAndClassify("classifier", dropout=scaling.dropout))


def _batch_norm(layer: str) -> BatchNorm:
    return BatchNorm(f"{layer}_bn", epsilon=1e-3, momentum=0.99)


efficientnet_lite0 = partial(_efficientnet_lite, scaling=LITE0)
efficientnet_lite1 = partial(_efficientnet_lite, scaling=LITE1)
efficientnet_lite2 = partial(_efficientnet_lite, scaling=LITE2)
efficientnet_lite3 = partial(_efficientnet_lite, scaling=LITE3)
efficientnet_lite4 = partial(_efficientnet_lite, scaling=LITE4)


def _network(number: int, arch: Callable[[float], Arch], size: int, top1: float) -> Network:
    return Network(
        name=f"efficientnet_lite{number}",
        title=f"EfficientNet-Lite{number}",
        family="EfficientNet-Lite",
        paper="arXiv 1905.11946",
        arch=arch,
        alphas=(1.0,),
        sizes=(size,),
        default_size=size,
        top1=top1_table((size,), {1.0: (top1,)}),
        top1_source="tensorflow/tpu, models/official/efficientnet/lite/README.md",
        preprocessing=LITE,
    )


EFFICIENTNETS_LITE = (
    _network(0, efficientnet_lite0, 224, 75.1),
    _network(1, efficientnet_lite1, 240, 76.7),
    _network(2, efficientnet_lite2, 260, 77.6),
    _network(3, efficientnet_lite3, 280, 79.8),
    _network(4, efficientnet_lite4, 300, 81.5),
)
