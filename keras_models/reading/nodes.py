"""The calls of layers that a functional model is made of, in order."""

from __future__ import annotations

from collections import Counter
from typing import Any

from edgekit.errors import UnsupportedLayer


def nodes_of(model: Any) -> list[Any]:
    depths = getattr(model, "_nodes_by_depth", None)
    if not depths:
        raise UnsupportedLayer(
            f"model '{getattr(model, 'name', model)}' is neither functional nor a built Sequential; make it one of them."
        )
    nodes = [node for depth in sorted(depths, reverse=True) for node in depths[depth]]
    calls = Counter(id(node.layer) for node in nodes)
    for node in nodes:
        if calls[id(node.layer)] > 1:
            raise UnsupportedLayer(f"layer '{node.layer.name}' is used {calls[id(node.layer)]} times; give each place a layer of its own.")
    return nodes


def key_of(tensor: Any) -> tuple[str, int, int]:
    history = tensor._keras_history
    return history.layer.name, history.node_index, history.tensor_index
