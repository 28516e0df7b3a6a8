"""RapidNet (arXiv 2412.10995, table 1 and figure 2) as in the authors' code (mmunir127/RapidNet-Official).

A layer's name is the path of the authors' PyTorch module that holds its weights, "backbone.2.7.mixer.fc1.0"; that of a layer scale,
a bare parameter there, is the parameter's path, "backbone.2.7.layer_scale_1".
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from edgekit.graph import Window
from edgekit.graph.ir import Pair
from edgekit.keras_models.zoo.arch import Arch
from edgekit.keras_models.zoo.network import of_one_width
from edgekit.keras_models.zoo.vocabulary import LINEAR, ONE_CELL, Act, BatchNorm, Function, Layers, Value, symmetric

EXPANSION = 4
LAYER_SCALE = 1e-5
DILATIONS = (("nn", 2), ("nn_2", 3))


@dataclass(frozen=True)
class ConvBN:
    """3x3, stride 2, with batch norm; `path` of the Sequential that holds the convolution at `index` and the batch norm after it."""

    path: str
    index: int
    filters: int
    activation: Act = LINEAR

    def build(self, layers: Layers, x: Value) -> Value:
        return layers.conv(
            x,
            f"{self.path}.{self.index}",
            self.filters,
            symmetric((3, 3), (2, 2)),
            batch_norm=_batch_norm(f"{self.path}.{self.index + 1}"),
            activation=self.activation,
            use_bias=True,
        )


@dataclass(frozen=True)
class InvertedResidual:
    """x + layer_scale * (1x1 to 4 times the channels, 3x3 depthwise, 1x1)."""

    path: str

    def build(self, layers: Layers, x: Value) -> Value:
        name, channels = f"{self.path}.dws", layers.shape(x)[-1]
        wide = _conv(layers, x, f"{name}.pw1", f"{name}.norm1", EXPANSION * channels, activation=Act(Function.GELU, f"{name}.act1"))
        wide = layers.depthwise(
            wide,
            f"{name}.dw",
            symmetric((3, 3)),
            batch_norm=_batch_norm(f"{name}.norm2"),
            activation=Act(Function.GELU, f"{name}.act2"),
            use_bias=True,
        )
        narrow = _conv(layers, wide, f"{name}.pw2", f"{name}.norm3", channels)
        return _scaled_add(layers, x, narrow, self.path, 1)


@dataclass(frozen=True)
class DilatedBlock:
    """x + layer_scale * MLDC(x), then x + layer_scale * FFN(x).

    MLDC: the position encoding x + depthwise 7x7(x), 1x1, two dilated 3x3 side by side, 1x1. FFN: depthwise 7x7, 1x1 to 4 times
    the channels, 1x1.
    """

    path: str

    def build(self, layers: Layers, x: Value) -> Value:
        x = _scaled_add(layers, x, self._mixer(layers, x, f"{self.path}.mixer"), self.path, 1)
        return _scaled_add(layers, x, self._ffn(layers, x, f"{self.path}.ffn"), self.path, 2)

    def _mixer(self, layers: Layers, x: Value, name: str) -> Value:
        channels = layers.shape(x)[-1]
        encoding = layers.depthwise(x, f"{name}.cpe.pe", symmetric((7, 7)), use_bias=True)
        x = layers.add(x, encoding, f"{name}.cpe.add")
        x = _conv(layers, x, f"{name}.fc1.0", f"{name}.fc1.1", channels)
        near, far = (
            _conv(
                layers,
                x,
                f"{name}.graph_conv.{branch}.0",
                f"{name}.graph_conv.{branch}.1",
                channels,
                window=symmetric((3, 3), dilation=(dilation, dilation)),
                activation=Act(Function.GELU, f"{name}.graph_conv.{branch}.2"),
            )
            for branch, dilation in DILATIONS
        )
        x = layers.add(near, far, f"{name}.graph_conv.add")
        return _conv(layers, x, f"{name}.fc2.0", f"{name}.fc2.1", channels)

    def _ffn(self, layers: Layers, x: Value, name: str) -> Value:
        channels = layers.shape(x)[-1]
        x = layers.depthwise(x, f"{name}.conv.conv", symmetric((7, 7)), batch_norm=_batch_norm(f"{name}.norm1"))
        x = _conv(layers, x, f"{name}.fc1", f"{name}.norm2", EXPANSION * channels, activation=Act(Function.GELU, f"{name}.act"))
        return _conv(layers, x, f"{name}.fc2", f"{name}.norm3", channels)


@dataclass(frozen=True)
class TwoHeads:
    """The mean of the classifier and the distillation head, as the authors' model gives in inference."""

    hidden: int

    def build(self, layers: Layers, x: Value, classes: int) -> Value:
        x = layers.global_pool(x, "prediction.0", keep_map=True)
        x = _conv(layers, x, "prediction.1", "prediction.2", self.hidden, activation=Act(Function.GELU, "prediction.3"))
        return layers.dense(x, "head", classes, as_convolution=True, second_head="dist_head")


def _rapidnet(alpha: float, widths: tuple[int, ...], depths: tuple[Pair, ...], hidden: int) -> Arch:
    """`depths`: inverted residual and dilated blocks of each stage. There is one width only, alpha 1."""
    blocks: list[Any] = [
        ConvBN("stem.stem", 0, widths[0] // 2, Act(Function.GELU, "stem.stem.2")),
        ConvBN("stem.stem", 3, widths[0], Act(Function.GELU, "stem.stem.5")),
    ]
    for stage, (width, (local, dilated)) in enumerate(zip(widths, depths, strict=True)):
        first = 0
        if stage:
            blocks.append(ConvBN(f"backbone.{stage}.0.conv", 0, width))
            first = 1
        paths = [f"backbone.{stage}.{first + i}" for i in range(local + dilated)]
        blocks += [InvertedResidual(path) for path in paths[:local]]
        blocks += [DilatedBlock(path) for path in paths[local:]]
    return Arch(tuple(blocks), TwoHeads(hidden))


TINY, DEEP = ((2, 0), (2, 0), (6, 2), (2, 2)), ((3, 0), (3, 0), (9, 3), (3, 3))
rapidnet_ti = partial(_rapidnet, widths=(32, 64, 112, 224), depths=TINY, hidden=512)
rapidnet_s = partial(_rapidnet, widths=(32, 64, 112, 224), depths=DEEP, hidden=512)
rapidnet_m = partial(_rapidnet, widths=(32, 64, 160, 320), depths=DEEP, hidden=512)
rapidnet_b = partial(_rapidnet, widths=(64, 128, 224, 416), depths=DEEP, hidden=768)


def _conv(
    layers: Layers,
    x: Value,
    name: str,
    norm: str,
    filters: int,
    *,
    window: Window = ONE_CELL,
    activation: Act = LINEAR,
) -> Value:
    """A convolution with bias and batch norm."""
    return layers.conv(x, name, filters, window, batch_norm=_batch_norm(norm), activation=activation, use_bias=True)


def _scaled_add(layers: Layers, x: Value, branch: Value, path: str, number: int) -> Value:
    return layers.add(x, layers.layer_scale(branch, f"{path}.layer_scale_{number}", LAYER_SCALE), f"{path}.add_{number}")


def _batch_norm(name: str) -> BatchNorm:
    """PyTorch's defaults; its momentum 0.1 is the share of the new value."""
    return BatchNorm(name, epsilon=1e-5, momentum=0.9)


RAPIDNETS = tuple(
    of_one_width(f"rapidnet_{size}", f"RapidNet-{size.capitalize()}", "RapidNet", "arXiv 2412.10995", arch, top1)
    for size, arch, top1 in (("ti", rapidnet_ti, 76.3), ("s", rapidnet_s, None), ("m", rapidnet_m, None), ("b", rapidnet_b, None))
)
