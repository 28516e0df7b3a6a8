"""An architecture table that is no part of the zoo: MnasNet's factorized blocks (arXiv 1807.11626, section 4.1), as a search writes them.

A stage is a number of blocks of one kind, of which the first has the stride. Layer names are those of MnasNet with the stage and the
block's place in it: "block_2_0_expand" is of the first block of stage 2. So the layers of two tables that do the same bear the same name.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from types import MappingProxyType

from edgekit.graph import Activation
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, Preprocessing
from edgekit.keras_models.zoo.arch import Arch, Block, Conv, PoolAndClassify
from edgekit.keras_models.zoo.mnasnet import InvertedResidual
from edgekit.keras_models.zoo.network import Network
from edgekit.keras_models.zoo.vocabulary import Act, BatchNorm, Layers, Value, same


class BlockOp(str, enum.Enum):
    """What a block does. INVERTED: MnasNet's inverted residual; SEPARABLE: one without expansion; CONV: a dense convolution."""

    INVERTED = "inverted"
    SEPARABLE = "separable"
    CONV = "conv"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """`repeats` blocks of one kind. `expansion` is of INVERTED alone, `squeeze_excite` of all but CONV. `skip`: whether a block that keeps
    its shape adds its input."""

    op: BlockOp = BlockOp.INVERTED
    kernel: int = 3
    stride: int = 1
    expansion: int = 6
    filters: int
    squeeze_excite: bool = False
    skip: bool = True
    repeats: int = 1


@dataclass(frozen=True, kw_only=True)
class Table:
    """`size`: rows and columns of the image that it was made for. `head`: filters of a last 1x1 convolution, or 0 for none."""

    name: str
    size: int
    stem: int
    stem_kernel: int = 3
    stem_stride: int = 2
    stages: tuple[Stage, ...]
    head: int
    activation: Activation = Activation.RELU6
    preprocessing: Preprocessing = MINUS_ONE_TO_ONE


@dataclass(frozen=True)
class ConvBlock:
    """A dense convolution with batch norm and activation, and the sum with its input where it keeps its shape and `skip` is wanted."""

    name: str
    kernel: int
    stride: int
    filters: int
    skip: bool
    activation: Activation

    def build(self, layers: Layers, x: Value) -> Value:
        name, channels = f"{self.name}_conv", layers.shape(x)[-1]
        window = same(layers, x, (self.kernel, self.kernel), (self.stride, self.stride))
        made = layers.conv(x, name, self.filters, window, batch_norm=_batch_norm(name), activation=Act(self.activation, f"{name}_relu"))
        keeps_shape = self.stride == 1 and self.filters == channels
        return layers.add(x, made, f"{self.name}_add") if keeps_shape and self.skip else made


def arch_of(table: Table) -> Arch:
    """The architecture of a table."""
    window, strides = (table.stem_kernel, table.stem_kernel), (table.stem_stride, table.stem_stride)
    stem = Conv("stem", table.stem, window, strides, _batch_norm("stem"), Act(table.activation, "stem_relu"))
    blocks = [
        _block(f"block_{number}_{repeat}", stage, stage.stride if repeat == 0 else 1, table.activation)
        for number, stage in enumerate(table.stages)
        for repeat in range(stage.repeats)
    ]
    head = [Conv("head", table.head, (1, 1), (1, 1), _batch_norm("head"), Act(table.activation, "head_relu"))] if table.head else []
    return Arch((stem, *blocks, *head), PoolAndClassify("classifier"))


def network_of(table: Table) -> Network:
    """The table as a network like those of the zoo: of one width, without published accuracies."""
    return Network(
        name=table.name,
        title=table.name,
        family="searched",
        paper="a table of one's own",
        arch=lambda alpha: arch_of(table),
        alphas=(1.0,),
        sizes=(table.size,),
        default_size=table.size,
        top1=MappingProxyType({}),
        top1_source="none was published",
        preprocessing=table.preprocessing,
    )


def _block(name: str, stage: Stage, stride: int, activation: Activation) -> Block:
    if stage.op is BlockOp.CONV:
        return ConvBlock(name, stage.kernel, stride, stage.filters, stage.skip, activation)
    expansion = stage.expansion if stage.op is BlockOp.INVERTED else 1
    return InvertedResidual(name, stage.kernel, stride, expansion, stage.filters, stage.squeeze_excite, stage.skip, activation)


def _batch_norm(layer: str) -> BatchNorm:
    return BatchNorm(f"{layer}_bn", epsilon=1e-3, momentum=0.99)
