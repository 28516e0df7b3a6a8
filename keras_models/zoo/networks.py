"""The networks there are: what their papers say, and what can be asked of them. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgekit.errors import EdgekitError, UnknownName
from edgekit.images.preprocessing import IMAGENET, LITE, MINUS_ONE_TO_ONE, Preprocessing
from edgekit.keras_models.zoo.arch import Arch, build
from edgekit.keras_models.zoo.count_layers import CountLayers, Counts
from edgekit.keras_models.zoo.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
    efficientnet_lite3,
    efficientnet_lite4,
)
from edgekit.keras_models.zoo.mnasnet import mnasnet_a1, mnasnet_b1, mnasnet_small
from edgekit.keras_models.zoo.mobilenet_v1 import mobilenet_v1
from edgekit.keras_models.zoo.mobilenet_v2 import mobilenet_v2
from edgekit.keras_models.zoo.mobilenet_v3 import (
    mobilenet_v3_large,
    mobilenet_v3_large_minimalistic,
    mobilenet_v3_small,
    mobilenet_v3_small_minimalistic,
)
from edgekit.keras_models.zoo.rapidnet import rapidnet_b, rapidnet_m, rapidnet_s, rapidnet_ti
from edgekit.keras_models.zoo.sbcformer import sbcformer_b, sbcformer_l, sbcformer_s, sbcformer_xs

SIZE_MIN, SIZE_MAX = 32, 1024


@dataclass(frozen=True)
class Network:
    """One architecture and its published figures.

    `top1` is the accuracy in percent on ImageNet's validation set that `top1_source` printed, by (alpha, size); edgekit did not
    measure it.
    """

    name: str
    title: str
    family: str
    paper: str
    arch: Callable[[float], Arch]
    alphas: tuple[float, ...]
    sizes: tuple[int, ...]
    default_size: int
    top1: Mapping[tuple[float, int], float]
    top1_source: str
    preprocessing: Preprocessing = MINUS_ONE_TO_ONE


def _top1(sizes: tuple[int, ...], rows: Mapping[float, tuple[float, ...]]) -> Mapping[tuple[float, int], float]:
    return MappingProxyType({(alpha, size): value for alpha, row in rows.items() for size, value in zip(sizes, row, strict=False)})


MOBILENET_V1 = Network(
    name="mobilenet_v1",
    title="MobileNetV1",
    family="MobileNet",
    paper="arXiv 1704.04861",
    arch=mobilenet_v1,
    alphas=(0.25, 0.5, 0.75, 1.0),
    sizes=(128, 160, 192, 224),
    default_size=224,
    top1=_top1(
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

MOBILENET_V2 = Network(
    name="mobilenet_v2",
    title="MobileNetV2",
    family="MobileNet",
    paper="arXiv 1801.04381",
    arch=mobilenet_v2,
    alphas=(0.35, 0.5, 0.75, 1.0, 1.3, 1.4),
    sizes=(96, 128, 160, 192, 224),
    default_size=224,
    top1=_top1(
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

MOBILENET_V3 = "arXiv 1905.02244"
V3_SOURCE = "tensorflow/models, slim/nets/mobilenet/README.md"


def _v3(name: str, title: str, arch: Callable[[float], Arch], top1: Mapping[float, float]) -> Network:
    return Network(
        name=name,
        title=title,
        family="MobileNet",
        paper=MOBILENET_V3,
        arch=arch,
        alphas=tuple(sorted(top1)),
        sizes=(224,),
        default_size=224,
        top1=_top1((224,), {alpha: (value,) for alpha, value in top1.items()}),
        top1_source=V3_SOURCE,
    )


MOBILENETS_V3 = (
    _v3("mobilenet_v3_small", "MobileNetV3-Small", mobilenet_v3_small, {0.75: 65.4, 1.0: 67.5}),
    _v3("mobilenet_v3_small_minimalistic", "MobileNetV3-Small minimalistic", mobilenet_v3_small_minimalistic, {1.0: 61.9}),
    _v3("mobilenet_v3_large", "MobileNetV3-Large", mobilenet_v3_large, {0.75: 73.3, 1.0: 75.2}),
    _v3("mobilenet_v3_large_minimalistic", "MobileNetV3-Large minimalistic", mobilenet_v3_large_minimalistic, {1.0: 72.3}),
)


def _mnasnet(
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
        top1=_top1(sizes, top1),
        top1_source=source,
        preprocessing=IMAGENET,
    )


MNASNETS = (
    _mnasnet(
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
    _mnasnet(
        "mnasnet_b1",
        "MnasNet-B1",
        mnasnet_b1,
        (224,),
        {1.3: (75.2,), 1.0: (74.1,), 0.75: (71.7,), 0.5: (68.0,)},
        "TensorFlow Lite hosted models; torchvision measured 73.5 for its own 1.0",
    ),
    _mnasnet("mnasnet_small", "MnasNet-small", mnasnet_small, (224,), {1.0: (66.2,)}, "tensorflow/tpu, models/official/mnasnet"),
)


def _efficientnet_lite(number: int, arch: Callable[[float], Arch], size: int, top1: float) -> Network:
    return Network(
        name=f"efficientnet_lite{number}",
        title=f"EfficientNet-Lite{number}",
        family="EfficientNet-Lite",
        paper="arXiv 1905.11946",
        arch=arch,
        alphas=(1.0,),
        sizes=(size,),
        default_size=size,
        top1=_top1((size,), {1.0: (top1,)}),
        top1_source="tensorflow/tpu, models/official/efficientnet/lite/README.md",
        preprocessing=LITE,
    )


EFFICIENTNETS_LITE = (
    _efficientnet_lite(0, efficientnet_lite0, 224, 75.1),
    _efficientnet_lite(1, efficientnet_lite1, 240, 76.7),
    _efficientnet_lite(2, efficientnet_lite2, 260, 77.6),
    _efficientnet_lite(3, efficientnet_lite3, 280, 79.8),
    _efficientnet_lite(4, efficientnet_lite4, 300, 81.5),
)


def _of_one_width(name: str, title: str, family: str, paper: str, arch: Callable[[float], Arch], top1: float | None) -> Network:
    return Network(
        name=name,
        title=title,
        family=family,
        paper=paper,
        arch=arch,
        alphas=(1.0,),
        sizes=(224,),
        default_size=224,
        top1=_top1((224,), {} if top1 is None else {1.0: (top1,)}),
        top1_source=f"the paper, {paper}",
        preprocessing=IMAGENET,
    )


SBCFORMERS = tuple(
    _of_one_width(f"sbcformer_{size}", f"SBCFormer-{size.upper()}", "SBCFormer", "arXiv 2311.03747", arch, top1)
    for size, arch, top1 in (("xs", sbcformer_xs, 75.8), ("s", sbcformer_s, 77.7), ("b", sbcformer_b, 80.0), ("l", sbcformer_l, 81.1))
)
RAPIDNETS = tuple(
    _of_one_width(f"rapidnet_{size}", f"RapidNet-{size.capitalize()}", "RapidNet", "arXiv 2412.10995", arch, top1)
    for size, arch, top1 in (("ti", rapidnet_ti, 76.3), ("s", rapidnet_s, None), ("m", rapidnet_m, None), ("b", rapidnet_b, None))
)

NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        network.name: network
        for network in (MOBILENET_V1, MOBILENET_V2, *MOBILENETS_V3, *MNASNETS, *EFFICIENTNETS_LITE, *SBCFORMERS, *RAPIDNETS)
    }
)


def find_network(name: str) -> Network:
    """Raises UnknownName."""
    if name not in NETWORKS:
        raise UnknownName("network", name, NETWORKS)
    return NETWORKS[name]


@dataclass(frozen=True)
class Request:
    """A network with every open choice made. Make it with `request`, which checks them."""

    network: Network
    alpha: float
    size: int
    classes: int

    @property
    def model_name(self) -> str:
        return f"{self.network.name}_{self.alpha:g}_{self.size}"


def request(name: str, *, alpha: float = 1.0, size: int | None = None, classes: int = 1000) -> Request:
    """Raises UnknownName for the network, EdgekitError for an alpha, size or number of classes that it does not have."""
    network = find_network(name)
    if alpha not in network.alphas:
        accepted = ", ".join(f"{a:g}" for a in network.alphas)
        raise EdgekitError(f"{network.title} has no alpha {alpha:g}; it has {accepted}")
    size = network.default_size if size is None else size
    if not SIZE_MIN <= size <= SIZE_MAX:
        published = ", ".join(map(str, network.sizes))
        raise EdgekitError(
            f"{network.title} cannot take images of size {size}: sizes are {SIZE_MIN} to {SIZE_MAX}; it was published for {published}"
        )
    if classes < 1:
        raise EdgekitError(f"a classifier needs at least 1 class, not {classes}")
    wanted = Request(network, alpha, size, classes)
    _count(wanted)  # a block that cannot take a map of this size says so
    return wanted


def count(name: str, *, alpha: float = 1.0, size: int | None = None, classes: int = 1000) -> Counts:
    """Trainable parameters and multiply-accumulates of a network, without building it. Raises as `request` does."""
    return _count(request(name, alpha=alpha, size=size, classes=classes))


def _count(wanted: Request) -> Counts:
    counts: Counts = build(wanted.network.arch(wanted.alpha), CountLayers(), wanted.size, wanted.classes, wanted.model_name)
    return counts
