"""The networks there are, and tables in files beside them. Imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
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
from edgekit.keras_models.zoo.table import network_of
from edgekit.keras_models.zoo.table_file import is_table_name, read_table

NETWORKS: Mapping[str, Network] = MappingProxyType(
    {
        network.name: network
        for network in (MOBILENET_V1, MOBILENET_V2, *MOBILENETS_V3, *MNASNETS, *EFFICIENTNETS_LITE, *SBCFORMERS, *RAPIDNETS)
    }
)


def is_network(name: str) -> bool:
    """Whether it names a network of the zoo, or the file of an architecture table."""
    return name in NETWORKS or is_table_name(name)


def find_network(name: str) -> Network:
    """The network of that name, or of the table in that file. Raises UnknownName, EdgekitError for a file that is no table."""
    if name in NETWORKS:
        return NETWORKS[name]
    if is_table_name(name):
        return network_of(read_table(Path(name)))
    raise UnknownName("network", name, NETWORKS)
