"""The networks there are. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from edgekit.errors import UnknownName
from edgekit.keras_models.zoo.efficientnet_lite import EFFICIENTNETS_LITE
from edgekit.keras_models.zoo.mnasnet import MNASNETS
from edgekit.keras_models.zoo.mobilenet_v1 import MOBILENET_V1
from edgekit.keras_models.zoo.mobilenet_v2 import MOBILENET_V2
from edgekit.keras_models.zoo.mobilenet_v3 import MOBILENETS_V3
from edgekit.keras_models.zoo.network import Network
from edgekit.keras_models.zoo.rapidnet import RAPIDNETS
from edgekit.keras_models.zoo.sbcformer import SBCFORMERS

NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        network.name: network
        for network in (MOBILENET_V1, MOBILENET_V2, *MOBILENETS_V3, *MNASNETS, *EFFICIENTNETS_LITE, *SBCFORMERS, *RAPIDNETS)
    }
)


def find_network(name: str) -> Network:
    """The network of that name. Raises UnknownName."""
    if name not in NETWORKS:
        raise UnknownName("network", name, NETWORKS)
    return NETWORKS[name]
