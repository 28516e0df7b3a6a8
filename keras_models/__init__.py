"""Networks as Keras models: architecture tables, the layer vocabularies that build them, weights, training and quantization.

Importing this package imports no TensorFlow; the functions that need it import it when they are called.
"""

from edgekit.keras_models.build import build_model
from edgekit.keras_models.count_layers import Counts
from edgekit.keras_models.networks import NETWORKS, Network, count, network_of
from edgekit.keras_models.weights import ImportedWeights, import_weights

__all__ = ["NETWORKS", "Counts", "ImportedWeights", "Network", "build_model", "count", "import_weights", "network_of"]
