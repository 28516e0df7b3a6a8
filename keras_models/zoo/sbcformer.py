"""SBCFormer (arXiv 2311.03747, table 1 and figure 3) as in the authors' code (xyongLu/SBCFormer).

A layer's name is the path of the authors' PyTorch module that holds its weights: "sbcformer_blocks.0.proj.conv". What is a bare
parameter there, attention_biases, names its layer with its own path. Their Linear layers on tokens are 1x1 convolutions here.
Of the paths under which their checkpoints repeat a module, patch_embed and sbcformer_blk, the names have the first one,
merging_blocks.0 and sbcformer_blocks.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from edgekit.errors import EdgekitError
from edgekit.graph import Activation, Window
from edgekit.keras_models.zoo.arch import Arch
from edgekit.keras_models.zoo.network import of_one_width
from edgekit.keras_models.zoo.vocabulary import LINEAR, ONE_CELL, Act, BatchNorm, Function, Layers, Value, symmetric

LAYER_NORM_EPSILON = 1e-6
MIXER_RATIO, MLP_RATIO, VALUE_RATIO = 2, 4, 2
MIXERS = 2


@dataclass(frozen=True)
class Stage:
    """Local branch, attention on a map that is `pool` times smaller, and the gate that joins them."""

    index: int
    local_blocks: int
    local_ratio: int
    pool: int
    attention_blocks: int
    key_dim: int
    heads: int

    def build(self, layers: Layers, x: Value) -> Value:
        name = f"sbcformer_blocks.{self.index}"
        for i in range(self.local_blocks):
            x = _inverted_residual(layers, x, f"{name}.invres_blocks.InvRes_{i}", self.local_ratio)
        local = x
        if self.pool > 1:
            rows, columns, _ = layers.shape(x)
            if rows % self.pool or columns % self.pool:
                raise EdgekitError(
                    f"SBCFormer's stage {self.index + 1} pools its map by {self.pool}, but at this size of the image the map is "
                    f"{rows}x{columns}. Multiples of 32 fit, so does the published 224"
                )
            x = layers.average_pool(x, f"{name}.pool", Window((self.pool, self.pool), (self.pool, self.pool)))
        for i in range(MIXERS):
            x = _inverted_residual(layers, x, f"{name}.mixer.Mixer_{i}", MIXER_RATIO)
        for i in range(self.attention_blocks):
            x = self._transformer(layers, x, f"{name}.trans_blocks.MAttn_{i}")
        if self.pool > 1:
            x = layers.upsample(x, f"{name}.convTrans", self.pool, _batch_norm(f"{name}.norm"))
        gate = _conv_bn(layers, x, f"{name}.proj", layers.shape(x)[-1], activation=Act(Function.RELU6_SIGMOID, f"{name}.act"))
        joined = layers.concat([x, layers.multiply(local, gate, f"{name}.gate")], f"{name}.concat")
        return _conv_bn(layers, joined, f"{name}.proj_fuse", layers.shape(x)[-1])

    def _transformer(self, layers: Layers, x: Value, name: str) -> Value:
        """Pre-norm: attention, then a perceptron of each cell, each added to its input."""
        channels = layers.shape(x)[-1]
        attended = self._attention(layers, layers.layer_norm(x, f"{name}.norm1", LAYER_NORM_EPSILON), f"{name}.attn")
        x = layers.add(x, attended, f"{name}.add1")
        wide = layers.layer_norm(x, f"{name}.norm2", LAYER_NORM_EPSILON)
        wide = layers.conv(
            wide, f"{name}.mlp.fc1", MLP_RATIO * channels, ONE_CELL, use_bias=True, activation=Act(Function.GELU, f"{name}.mlp.act")
        )
        return layers.add(x, layers.conv(wide, f"{name}.mlp.fc2", channels, ONE_CELL, use_bias=True), f"{name}.add2")

    def _attention(self, layers: Layers, x: Value, name: str) -> Value:
        """One 1x1 convolution gives queries, keys and values; the values get a depthwise convolution of themselves added."""
        channels, key_channels = layers.shape(x)[-1], self.key_dim * self.heads
        value_channels = VALUE_RATIO * key_channels
        mixed = layers.conv(x, f"{name}.pwconv", 2 * key_channels + value_channels, ONE_CELL, use_bias=True)
        queries_keys = layers.channels(mixed, f"{name}.queries_keys", 0, 2 * key_channels)
        values = layers.channels(mixed, f"{name}.values", 2 * key_channels, value_channels)
        around = _depthwise_bn(layers, values, f"{name}.dwconv", Act(Function.GELU, f"{name}.act"))
        values = layers.add(values, around, f"{name}.add")
        attended = layers.attention(queries_keys, values, f"{name}.attention_biases", self.heads)
        return layers.conv(attended, f"{name}.proj_out", channels, ONE_CELL, use_bias=True)


@dataclass(frozen=True)
class ConvBN:
    """3x3, stride 2; the names of the convolution and the batch norm."""

    conv: str
    norm: str
    filters: int
    activation: Act = LINEAR

    def build(self, layers: Layers, x: Value) -> Value:
        return layers.conv(
            x,
            self.conv,
            self.filters,
            symmetric((3, 3), (2, 2)),
            batch_norm=_batch_norm(self.norm),
            activation=self.activation,
        )


@dataclass(frozen=True)
class NormAndClassify:
    def build(self, layers: Layers, x: Value, classes: int) -> Value:
        pooled = layers.global_pool(x, "global_pool")
        return layers.dense(layers.layer_norm(pooled, "norm", LAYER_NORM_EPSILON), "head", classes)


def _sbcformer(
    alpha: float, widths: tuple[int, ...], key_dim: int, heads: tuple[int, ...], local_ratio: int, depths: tuple[int, ...]
) -> Arch:
    """`depths`: attention blocks of each stage. There is one width only, alpha 1."""
    blocks: list[Any] = []
    for i, (stem, part) in enumerate(zip(("stem.0", "stem.2", "stem.4"), (4, 2, 1), strict=True)):
        name = f"merging_blocks.0.{stem}"
        blocks.append(ConvBN(f"{name}.conv", f"{name}.bn", widths[0] // part, Act(Activation.RELU, f"merging_blocks.0.stem.{2 * i + 1}")))
    for i, (width, pool, local) in enumerate(zip(widths, (4, 2, 1), (2, 2, 1), strict=True)):
        if i:
            blocks.append(ConvBN(f"merging_blocks.{i}.conv", f"merging_blocks.{i}.norm", width))
        blocks.append(Stage(i, local, local_ratio, pool, depths[i], key_dim, heads[i]))
    return Arch(tuple(blocks), NormAndClassify())


sbcformer_xs = partial(_sbcformer, widths=(96, 160, 288), key_dim=16, heads=(3, 5, 6), local_ratio=2, depths=(2, 3, 2))
sbcformer_s = partial(_sbcformer, widths=(96, 192, 320), key_dim=16, heads=(3, 5, 7), local_ratio=2, depths=(2, 4, 3))
sbcformer_b = partial(_sbcformer, widths=(128, 256, 384), key_dim=24, heads=(4, 6, 8), local_ratio=2, depths=(2, 4, 3))
sbcformer_l = partial(_sbcformer, widths=(192, 288, 384), key_dim=32, heads=(4, 6, 8), local_ratio=4, depths=(2, 4, 3))


def _inverted_residual(layers: Layers, x: Value, name: str, ratio: int) -> Value:
    channels = layers.shape(x)[-1]
    wide = _conv_bn(layers, x, f"{name}.pwconv1_bn", ratio * channels, activation=Act(Function.GELU, f"{name}.act1"))
    wide = _depthwise_bn(layers, wide, f"{name}.dwconv_bn", Act(Function.GELU, f"{name}.act2"))
    return layers.add(x, _conv_bn(layers, wide, f"{name}.pwconv2_bn", channels), f"{name}.add")


def _conv_bn(layers: Layers, x: Value, name: str, filters: int, activation: Act = LINEAR) -> Value:
    return layers.conv(x, f"{name}.conv", filters, ONE_CELL, batch_norm=_batch_norm(f"{name}.bn"), activation=activation)


def _depthwise_bn(layers: Layers, x: Value, name: str, activation: Act) -> Value:
    return layers.depthwise(x, f"{name}.conv", symmetric((3, 3)), batch_norm=_batch_norm(f"{name}.bn"), activation=activation)


def _batch_norm(name: str) -> BatchNorm:
    """PyTorch's defaults; its momentum 0.1 is the share of the new value."""
    return BatchNorm(name, epsilon=1e-5, momentum=0.9)


SBCFORMERS = tuple(
    of_one_width(f"sbcformer_{size}", f"SBCFormer-{size.upper()}", "SBCFormer", "arXiv 2311.03747", arch, top1)
    for size, arch, top1 in (("xs", sbcformer_xs, 75.8), ("s", sbcformer_s, 77.7), ("b", sbcformer_b, 80.0), ("l", sbcformer_l, 81.1))
)
