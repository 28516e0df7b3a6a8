"""Reads a float Keras model (or one quantized by other qkeras quantizers) as verbs of the vocabulary, batch norm folded.

`replay(model, layers)` speaks the verbs to a vocabulary and collects the folded weights under the same names; so any functional or
sequential model of the supported layers gets a quantized twin and an inference form as the zoo's networks do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from edgekit.errors import UnsupportedLayer
from edgekit.keras_models.layers.legacy_keras import as_written
from edgekit.keras_models.reading.activations import ACTIVATION_READERS
from edgekit.keras_models.reading.arguments import require_inference, require_readable_arguments
from edgekit.keras_models.reading.arithmetic import ARITHMETIC_READERS
from edgekit.keras_models.reading.attention import ATTENTION_READERS
from edgekit.keras_models.reading.convolutions import CONVOLUTION_READERS
from edgekit.keras_models.reading.heads import HEAD_READERS
from edgekit.keras_models.reading.joins import JOIN_READERS
from edgekit.keras_models.reading.nested import flattened
from edgekit.keras_models.reading.nodes import key_of, nodes_of
from edgekit.keras_models.reading.norms import NORM_READERS
from edgekit.keras_models.reading.pending import Pending, Reading
from edgekit.keras_models.reading.sequences import SEQUENCE_READERS
from edgekit.keras_models.reading.vocabulary import Folded, FoldedLayers
from edgekit.keras_models.reading.windows import WINDOW_READERS

READERS: dict[str, Callable[..., Any]] = {
    **(CONVOLUTION_READERS | NORM_READERS | ACTIVATION_READERS | WINDOW_READERS | JOIN_READERS),
    **(HEAD_READERS | ATTENTION_READERS | ARITHMETIC_READERS | SEQUENCE_READERS),
}
"""What each Keras layer becomes in verbs of the vocabulary: a function (reading, layer, *inputs) -> value, by the layer's class."""


def replay(model: Any, layers: FoldedLayers) -> tuple[Any, dict[str, Folded], list[str]]:
    """The model that `layers` builds, the folded float weights by layer name, and what the user should be told.

    Raises:
        UnsupportedLayer: names the layer, its class and what is supported.
    """
    if len(model.inputs or ()) != 1 or len(model.outputs) != 1:
        raise UnsupportedLayer(
            f"model '{model.name}' has {len(model.inputs or ())} inputs and {len(model.outputs)} outputs; one of each is supported."
        )
    model = flattened(model)
    nodes = nodes_of(model)
    _require_readable(nodes)
    reading = Reading(layers)
    built = as_written(_build)(model, nodes, reading, layers)
    return built, reading.weights, reading.notes


def _build(model: Any, nodes: list[Any], reading: Reading, layers: FoldedLayers) -> Any:
    slices = "ChannelSlice"  # a part of a convolution's channels is a convolution: it does not need the whole
    uses = Counter(key_of(tensor) for node in nodes if type(node.layer).__name__ != slices for tensor in node.keras_inputs)
    uses.update(key_of(tensor) for tensor in model.outputs)
    values: dict[Any, Any] = {}
    source: Any = None
    for node in nodes:
        layer, output = node.layer, key_of(node.outputs)
        if not node.keras_inputs:
            source = layers.input(tuple(node.outputs.shape[1:]))
            values[output] = source
            continue
        read = READERS[type(layer).__name__]
        inputs = [values[key_of(tensor)] for tensor in node.keras_inputs]
        value = read(reading, layer, *inputs)
        shared = uses[output] > 1
        values[output] = reading.settle(value) if shared and isinstance(value, Pending) else value
    end = reading.settle(values[key_of(model.outputs[0])])
    wanted = tuple(model.outputs[0].shape[1:])
    if layers.shape(end) != wanted:
        end = layers.reshape(end, "output_reshape", wanted)
    return layers.model(source, end, model.name)


def _require_readable(nodes: list[Any]) -> None:
    """Before any work: every layer has a reader, and arguments that it reads."""
    for node in nodes:
        layer, kind = node.layer, type(node.layer).__name__
        if not node.keras_inputs:
            continue
        if kind not in READERS:
            raise UnsupportedLayer(f"layer '{layer.name}' is a {kind}. Supported: {', '.join(sorted(READERS))}.")
        require_readable_arguments(layer)
        if kind not in ARITHMETIC_READERS:
            require_inference(layer, node.call_kwargs)
