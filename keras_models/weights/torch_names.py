"""What a network's layers are called in the PyTorch checkpoints that are published for it. Imports no TensorFlow.

Of each collection of checkpoints there is a `Scheme` a network. A block's parts are listed once for each collection, and so is, for
each family, how its Keras layers are spelled; a scheme walks the architecture's rows and pairs the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from edgekit.images.preprocessing import IMAGENET, LITE, MINUS_ONE_TO_ONE, Preprocessing
from edgekit.keras_models.zoo import efficientnet_lite, mnasnet, mobilenet_v1, mobilenet_v2, mobilenet_v3
from edgekit.keras_models.zoo.network import Network
from edgekit.keras_models.zoo.vocabulary import AS_WRITTEN, TORCH, Convention

Names: TypeAlias = dict[str, str]
ConvAndNorm: TypeAlias = tuple[str, str]
"""The names of a convolution and of the batch norm after it."""


@dataclass(frozen=True)
class Scheme:
    """The names in one collection's checkpoints of one network.

    `modules`: Keras layer -> PyTorch module, whose tensors are called module.weight, module.bias, ...; layers that are not in it have
    their module's name already. `aliases`: modules that a checkpoint holds twice, the second path -> the first; PyTorch loads the
    second one last. `preprocessing`: what the collection trained with.
    """

    collection: str
    convention: Convention
    preprocessing: Preprocessing
    modules: Mapping[str, str] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Spelling:
    """A family's Keras names. `block` takes the block's index (the first block's may be irregular), `part` the block's name and
    "expand", "depthwise" or "project", `norm` a layer's name, `squeeze` the block's name."""

    stem: ConvAndNorm
    first_block: str
    block: str
    part: str
    norm: str
    squeeze: ConvAndNorm
    last: ConvAndNorm
    classifier: str

    def block_name(self, index: int) -> str:
        return self.block.format(index) if index else self.first_block

    def layers(self, block: str, part: str) -> ConvAndNorm:
        layer = self.part.format(block=block, part=part)
        return layer, self.norm.format(layer)


MOBILENET_V2 = Spelling(
    ("Conv1", "bn_Conv1"), "expanded_conv", "block_{}", "{block}_{part}", "{}_BN", ("", ""), ("Conv_1", "Conv_1_bn"), "predictions"
)
MOBILENET_V3 = Spelling(
    stem=("Conv", "Conv/BatchNorm"),
    first_block="expanded_conv",
    block="expanded_conv_{}",
    part="{block}/{part}",
    norm="{}/BatchNorm",
    squeeze=("{}/squeeze_excite/Conv", "{}/squeeze_excite/Conv_1"),
    last=("Conv_1", "Conv_1/BatchNorm"),
    classifier="Logits",
)
MNASNET = Spelling(
    stem=("stem", "stem_bn"),
    first_block="block_0",
    block="block_{}",
    part="{block}_{part}",
    norm="{}_bn",
    squeeze=("{}_se_reduce", "{}_se_expand"),
    last=("head", "head_bn"),
    classifier="classifier",
)
HIDDEN = "Conv_2"
"""MobileNetV3's layer between pooling and classifier, without batch norm."""

TORCHVISION_V3 = Convention(symmetric_padding=True)
"""torchvision's MobileNetV3 took TensorFlow's epsilon, but not its padding."""


def _paired(layers: Iterable[str], modules: Iterable[str], path: str = "") -> Names:
    return {layer: f"{path}.{module}" if path else module for layer, module in zip(layers, modules, strict=True) if layer}


def _numbered(stages: Iterable[int]) -> Iterator[tuple[int, int]]:
    """(stage, block in the stage) of every block."""
    return ((stage, repeat) for stage, repeats in enumerate(stages) for repeat in range(repeats))


def _stages(rows: Sequence[mobilenet_v1.Row] | Sequence[mobilenet_v3.Row]) -> list[int]:
    """Numbers of consecutive blocks with as many filters; timm's stages are these."""
    widths = [row.filters for row in rows]
    return [widths.count(width) for width in dict.fromkeys(widths)]


# --- timm: blocks.STAGE.BLOCK.PART ------------------------------------------------------------------------------------------------

TIMM_SEPARABLE = {"depthwise": ("conv_dw", "bn1"), "project": ("conv_pw", "bn2")}
TIMM_INVERTED = {"expand": ("conv_pw", "bn1"), "depthwise": ("conv_dw", "bn2"), "project": ("conv_pwl", "bn3")}
TIMM_SQUEEZE = ("se.conv_reduce", "se.conv_expand")


def _timm(spelling: Spelling, stages: Sequence[int]) -> Names:
    """`stages`: numbers of blocks. The first block does not expand, which makes it another module."""
    names: Names = {}
    for index, (stage, repeat) in enumerate(_numbered(stages)):
        block, path = spelling.block_name(index), f"blocks.{stage}.{repeat}"
        for part, modules in (TIMM_INVERTED if index else TIMM_SEPARABLE).items():
            names |= _paired(spelling.layers(block, part), modules, path)
        names |= _paired([name.format(block) for name in spelling.squeeze], TIMM_SQUEEZE, path)
    return names | _paired(spelling.stem, ("conv_stem", "bn1")) | {spelling.classifier: "classifier"}


def _timm_mobilenet_v1() -> Names:
    names = _paired(("conv1", "conv1_bn"), ("conv_stem", "bn1")) | {"conv_preds": "classifier"}
    for index, (stage, repeat) in enumerate(_numbered(_stages(mobilenet_v1.ROWS)), start=1):
        for layer, part in ((f"conv_dw_{index}", "depthwise"), (f"conv_pw_{index}", "project")):
            names |= _paired((layer, f"{layer}_bn"), TIMM_SEPARABLE[part], f"blocks.{stage}.{repeat}")
    return names


def _timm_mobilenet_v2() -> Names:
    return _timm(MOBILENET_V2, [row.repeats for row in mobilenet_v2.ROWS]) | _paired(MOBILENET_V2.last, ("conv_head", "bn2"))


def _timm_mobilenet_v3(rows: Sequence[mobilenet_v3.Row]) -> Names:
    stages = _stages(rows)
    last = _paired(MOBILENET_V3.last, ("conv", "bn1"), f"blocks.{len(stages)}.0")
    return _timm(MOBILENET_V3, stages) | last | {HIDDEN: "conv_head"}


def _timm_mnasnet(rows: Sequence[mnasnet.Row]) -> Names:
    return _timm(MNASNET, [row.repeats for row in rows]) | _paired(MNASNET.last, ("conv_head", "bn2"))


# --- EfficientNet-PyTorch: _blocks.BLOCK._PART, of which efficientnet-lite-pytorch is a fork ------------------------------------------

UNDERSCORED = {"expand": ("_expand_conv", "_bn0"), "depthwise": ("_depthwise_conv", "_bn1"), "project": ("_project_conv", "_bn2")}


def _efficientnet_pytorch(rows: Sequence[mnasnet.Row]) -> Names:
    names = _paired(MNASNET.stem, ("_conv_stem", "_bn0")) | _paired(MNASNET.last, ("_conv_head", "_bn1")) | {MNASNET.classifier: "_fc"}
    for index in range(sum(row.repeats for row in rows)):
        for part, modules in UNDERSCORED.items():
            names |= _paired(MNASNET.layers(MNASNET.block_name(index), part), modules, f"_blocks.{index}")
    return names


# --- torchvision: Sequentials, numbered -------------------------------------------------------------------------------------------


def _torchvision_mobilenet_v2() -> Names:
    """features.BLOCK.conv: a Sequential a part, but for the projection, whose convolution and batch norm stand by themselves."""
    blocks = sum(row.repeats for row in mobilenet_v2.ROWS)
    names = _paired(MOBILENET_V2.stem, ("0.0", "0.1"), "features") | _paired(MOBILENET_V2.last, ("0", "1"), f"features.{blocks + 1}")
    for index in range(blocks):
        block, path = MOBILENET_V2.block_name(index), f"features.{index + 1}.conv"
        parts = ("expand", "depthwise")[0 if index else 1 :]
        for place, part in enumerate(parts):
            names |= _paired(MOBILENET_V2.layers(block, part), (f"{place}.0", f"{place}.1"), path)
        names |= _paired(MOBILENET_V2.layers(block, "project"), (f"{len(parts)}", f"{len(parts) + 1}"), path)
    return names | {MOBILENET_V2.classifier: "classifier.1"}


def _torchvision_mobilenet_v3(rows: Sequence[mobilenet_v3.Row]) -> Names:
    """features.BLOCK.block: a Sequential a part, with the squeeze-and-excite before the projection."""
    spelling = MOBILENET_V3
    names = _paired(spelling.stem, ("0.0", "0.1"), "features") | _paired(spelling.last, ("0", "1"), f"features.{len(rows) + 1}")
    for index, row in enumerate(rows):
        block, path = spelling.block_name(index), f"features.{index + 1}.block"
        parts = [*(["expand"] if index else []), "depthwise", *(["squeeze"] if row.squeeze_excite else []), "project"]
        for place, part in enumerate(parts):
            if part == "squeeze":
                names |= _paired([name.format(block) for name in spelling.squeeze], (f"{place}.fc1", f"{place}.fc2"), path)
            else:
                names |= _paired(spelling.layers(block, part), (f"{place}.0", f"{place}.1"), path)
    return names | {HIDDEN: "classifier.0", spelling.classifier: "classifier.3"}


def _torchvision_mnasnet() -> Names:
    """layers: the stem, the first block's layers and the last convolution with their ReLUs counted; between them a stack a row."""
    parts = {"expand": ("0", "1"), "depthwise": ("3", "4"), "project": ("6", "7")}
    names = _paired(MNASNET.stem, ("0", "1"), "layers") | _paired(MNASNET.last, ("14", "15"), "layers")
    for part in ("depthwise", "project"):
        names |= _paired(MNASNET.layers("block_0", part), parts[part], "layers")
    for index, (stack, repeat) in enumerate(_numbered([row.repeats for row in mnasnet.B1[1:]]), start=1):
        for part, modules in parts.items():
            names |= _paired(MNASNET.layers(f"block_{index}", part), modules, f"layers.{8 + stack}.{repeat}.layers")
    return names | {MNASNET.classifier: "classifier.1"}


# --- all of them ------------------------------------------------------------------------------------------------------------------

TENSORFLOW_PORTS: Mapping[str, Preprocessing] = {"tf_mobilenetv3_": MINUS_ONE_TO_ONE, "tf_efficientnet_lite": LITE}
"""So timm's names of its ports of TensorFlow's weights start, and what those were trained with. The file, or a folder that it was
downloaded into, has the model's name (models--timm--tf_mobilenetv3_large_100.in1k/.../model.safetensors). The names inside are those of
timm's own."""


def _of_timm(names: Names, preprocessing: Preprocessing = IMAGENET) -> Scheme:
    return Scheme("timm", TORCH, preprocessing, names)


def _port_in_timm(names: Mapping[str, str], preprocessing: Preprocessing = MINUS_ONE_TO_ONE) -> Scheme:
    return Scheme("timm (tf_)", AS_WRITTEN, preprocessing, names)


def _of_efficientnet_lite(scaling: efficientnet_lite.Scaling) -> tuple[Scheme, ...]:
    """Ports of TensorFlow's weights; timm says that its own take -1..1, which is nearly what TensorFlow trained with. Lite0 is also trained
    by timm itself, with PyTorch's padding."""
    rows = efficientnet_lite.rows(scaling)
    names = _timm_mnasnet(rows)
    timm = _of_timm(names) if scaling == efficientnet_lite.LITE0 else _port_in_timm(names, LITE)
    return timm, Scheme("efficientnet-lite-pytorch", AS_WRITTEN, LITE, _efficientnet_pytorch(rows))


def _of_torchvision(names: Names, convention: Convention = TORCH) -> Scheme:
    return Scheme("torchvision", convention, IMAGENET, names)


SCHEMES: Mapping[str, tuple[Scheme, ...]] = {
    "mobilenet_v1": (_of_timm(_timm_mobilenet_v1(), MINUS_ONE_TO_ONE),),
    "mobilenet_v2": (_of_timm(_timm_mobilenet_v2()), _of_torchvision(_torchvision_mobilenet_v2())),
    "mobilenet_v3_small": (
        _of_timm(_timm_mobilenet_v3(mobilenet_v3.SMALL)),
        _of_torchvision(_torchvision_mobilenet_v3(mobilenet_v3.SMALL), TORCHVISION_V3),
    ),
    "mobilenet_v3_large": (
        _of_timm(_timm_mobilenet_v3(mobilenet_v3.LARGE)),
        _of_torchvision(_torchvision_mobilenet_v3(mobilenet_v3.LARGE), TORCHVISION_V3),
    ),
    "mobilenet_v3_small_minimalistic": (_port_in_timm(_timm_mobilenet_v3(mobilenet_v3.SMALL)),),
    "mobilenet_v3_large_minimalistic": (_port_in_timm(_timm_mobilenet_v3(mobilenet_v3.LARGE)),),
    "mnasnet_a1": (_of_timm(_timm_mnasnet(mnasnet.A1)),),
    "mnasnet_b1": (_of_timm(_timm_mnasnet(mnasnet.B1)), _of_torchvision(_torchvision_mnasnet())),
    "efficientnet_lite0": _of_efficientnet_lite(efficientnet_lite.LITE0),
    "efficientnet_lite1": _of_efficientnet_lite(efficientnet_lite.LITE1),
    "efficientnet_lite2": _of_efficientnet_lite(efficientnet_lite.LITE2),
    "efficientnet_lite3": _of_efficientnet_lite(efficientnet_lite.LITE3),
    "efficientnet_lite4": _of_efficientnet_lite(efficientnet_lite.LITE4),
}
"""By network. mnasnet_small is not here: timm's adds its input in the first block, which the authors' network does not."""
AUTHORS: Mapping[str, Scheme] = {
    "SBCFormer": Scheme(
        "the authors", AS_WRITTEN, IMAGENET, aliases={"patch_embed": "merging_blocks.0", "sbcformer_blk": "sbcformer_blocks.2"}
    ),
    "RapidNet": Scheme("the authors", AS_WRITTEN, IMAGENET),
}
"""By family: networks whose authors use PyTorch."""


def schemes_of(network: Network) -> tuple[Scheme, ...]:
    """None if no checkpoint with the network's arithmetic is published."""
    return SCHEMES.get(network.name) or tuple(scheme for family, scheme in AUTHORS.items() if family == network.family)


def choose_scheme(schemes: Iterable[Scheme], tensors: Iterable[str], path: str) -> Scheme | None:
    """The scheme with most of whose names a file's tensors agree; None if with no name of any.

    The file's path tells timm's ports of TensorFlow's weights from its own checkpoints.
    """
    modules = {tensor.rpartition(".")[0] for tensor in tensors}

    def agreeing(scheme: Scheme) -> float:
        return len(modules & set(scheme.modules.values())) / len(scheme.modules) if scheme.modules else 1.0

    best = max(schemes, key=agreeing, default=None)
    if best is None or not agreeing(best):
        return None
    if best.collection == "timm":
        ports = (_port_in_timm(best.modules, preprocessing) for start, preprocessing in TENSORFLOW_PORTS.items() if start in path)
        return next(ports, best)
    return best
