"""What can be asked of a network: its published facts, and one choice of width, image size and classes. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import IMAGENET, MINUS_ONE_TO_ONE, Preprocessing
from edgekit.keras_models.zoo.arch import Arch, build
from edgekit.keras_models.zoo.count_layers import CountLayers, Counts

SIZE_MIN, SIZE_MAX = 32, 1024
CLASSES_MAX = 100_000


@dataclass(frozen=True, kw_only=True)
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


def top1_table(sizes: tuple[int, ...], rows: Mapping[float, tuple[float, ...]]) -> Mapping[tuple[float, int], float]:
    """Published accuracies by (alpha, size). `rows` has a row for each alpha, with a figure for each size, or for the first ones only."""
    return MappingProxyType({(alpha, size): value for alpha, row in rows.items() for size, value in zip(sizes, row, strict=False)})


def of_one_width(name: str, title: str, family: str, paper: str, arch: Callable[[float], Arch], top1: float | None) -> Network:
    """A network that its authors published at alpha 1 and 224x224 pixels alone, trained with ImageNet's mean and deviation."""
    return Network(
        name=name,
        title=title,
        family=family,
        paper=paper,
        arch=arch,
        alphas=(1.0,),
        sizes=(224,),
        default_size=224,
        top1=top1_table((224,), {} if top1 is None else {1.0: (top1,)}),
        top1_source=f"the paper, {paper}",
        preprocessing=IMAGENET,
    )


@dataclass(frozen=True)
class Request:
    """A network with every open choice made. Make it with `make_request`, which checks them."""

    network: Network
    alpha: float
    size: int
    classes: int

    @property
    def model_name(self) -> str:
        return f"{self.network.name}_{self.alpha:g}_{self.size}"


def make_request(network: Network, *, alpha: float = 1.0, size: int | None = None, classes: int = 1000) -> Request:
    """Raises EdgekitError for an alpha, a size or a number of classes that the network does not have."""
    if alpha not in network.alphas:
        accepted = ", ".join(f"{a:g}" for a in network.alphas)
        raise EdgekitError(f"{network.title} has no alpha {alpha:g}; it has {accepted}")
    size = network.default_size if size is None else size
    if not SIZE_MIN <= size <= SIZE_MAX:
        published = ", ".join(map(str, network.sizes))
        raise EdgekitError(
            f"{network.title} cannot take images of size {size}: sizes are {SIZE_MIN} to {SIZE_MAX}; it was published for {published}"
        )
    if not 1 <= classes <= CLASSES_MAX:
        most = "needs at least 1 class" if classes < 1 else f"has at most {CLASSES_MAX:,} classes here"
        raise EdgekitError(f"a classifier {most}, not {classes}")
    request = Request(network, alpha, size, classes)
    count_request(request)  # a block that cannot take a map of this size says so
    return request


def count_request(request: Request) -> Counts:
    """Trainable parameters and multiply-accumulates of a network, without building it."""
    counts: Counts = build(request.network.arch(request.alpha), CountLayers(), request.size, request.classes, request.model_name)
    return counts
