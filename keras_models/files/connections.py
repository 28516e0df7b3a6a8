"""Which layer reads what in a functional model's configuration of Keras 2, looked through before Keras does: it would look for ever for a
call of a layer that is not there."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any, TypeAlias

from edgekit.errors import EdgekitError

CONSTANT = "_CONSTANT_VALUE"
"""What Keras writes in place of a layer's name where a constant is read."""
SEQUENTIAL = "Sequential"
NO_CALL = -1

Call: TypeAlias = tuple[str, int]
"""Name of a layer, and which of its calls."""


def require_connected(config: Any, where: str) -> None:
    """Raises EdgekitError where a layer, in a model or in one inside it, reads what no call of another one gives; it is named."""
    inner = config.get("config") if isinstance(config, dict) else None
    layers = [layer for layer in inner.get("layers", ()) if isinstance(layer, dict)] if isinstance(inner, dict) else []
    for layer in layers:
        require_connected(layer, where)
    if not layers or config.get("class_name") == SEQUENTIAL:
        return
    waiting: dict[Call, list[Call]] = {}
    given: set[Call] = set()
    names = {str(layer.get("name")) for layer in layers}
    for layer in layers:
        name, nodes = str(layer.get("name")), layer.get("inbound_nodes") or ()
        if layer.get("class_name") == "InputLayer" or not nodes:
            given.add((name, 0))
        for number, node in enumerate(nodes):
            waiting[name, number + _first_call(layer)] = list(_read(node, names))
    found: set[Call] | None = None
    while found is None or found:
        found = {call for call, read in waiting.items() if set(read) <= given}
        given |= found
        waiting = {call: read for call, read in waiting.items() if call not in found}
    if waiting:
        (name, _), read = next(iter(waiting.items()))
        missing = next(one for one in read if one not in given)
        raise EdgekitError(f"{where}: layer '{name}' reads call {missing[1]} of '{missing[0]}', which no layer before it gives")


def _read(node: Any, names: Container[str]) -> Iterator[Call]:
    """Every [layer, call, tensor] in what a layer is called with, keyword arguments too; `names` are those of all layers. Keras looks for
    a call that is no number, too: it is one that no layer gives."""
    if isinstance(node, list) and len(node) in (3, 4) and isinstance(node[0], str):
        if node[0] == CONSTANT:
            node = node[3:]
        elif node[0] in names or all(type(one) is int for one in node[1:3]):
            yield node[0], node[1] if type(node[1]) is int else NO_CALL
            node = node[3:]
    for inner in node if isinstance(node, list) else node.values() if isinstance(node, dict) else ():
        yield from _read(inner, names)


def _first_call(layer: dict[str, Any]) -> int:
    """1 for a model inside the model that begins with its own input, whose making counts as a call."""
    config = layer.get("config")
    layers = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(layers, list) or not layers:
        return 0
    return int(layer.get("class_name") != SEQUENTIAL or _has_input(layers[0]))


def _has_input(layer: Any) -> bool:
    """Whether a Sequential that begins with this layer knows its input's shape, and so makes an input of its own."""
    config = layer.get("config") if isinstance(layer, dict) else None
    if not isinstance(config, dict):
        return False
    layers = config.get("layers")
    inner = isinstance(layers, list) and bool(layers) and (layer.get("class_name") != SEQUENTIAL or _has_input(layers[0]))
    return layer.get("class_name") == "InputLayer" or "batch_input_shape" in config or inner
