"""The networks there are: what their papers say, and what can be asked of them. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgekit.errors import EdgekitError, UnknownName
from edgekit.keras_models.arch import Arch, build
from edgekit.keras_models.count_layers import CountLayers, Counts
from edgekit.keras_models.mobilenet_v1 import mobilenet_v1
from edgekit.keras_models.mobilenet_v2 import mobilenet_v2
from edgekit.preprocessing import MINUS_ONE_TO_ONE, Preprocessing

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

NETWORKS: Mapping[str, Network] = MappingProxyType({network.name: network for network in (MOBILENET_V1, MOBILENET_V2)})


def network_of(name: str) -> Network:
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
    network = network_of(name)
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
    return Request(network, alpha, size, classes)


def count(name: str, *, alpha: float = 1.0, size: int | None = None, classes: int = 1000) -> Counts:
    """Trainable parameters and multiply-accumulates of a network, without building it. Raises as `request` does."""
    wanted = request(name, alpha=alpha, size=size, classes=classes)
    counts: Counts = build(wanted.network.arch(wanted.alpha), CountLayers(), wanted.size, wanted.classes, wanted.model_name)
    return counts
