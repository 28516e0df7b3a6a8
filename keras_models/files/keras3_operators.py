"""Arithmetic in a file of Keras 3, as x + 3.0 or preprocess_input(x): each operator is a node of its own, with its constant as argument.

With one constant it becomes a Rescaling, with two tensors the layer Add, Subtract or Multiply.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgekit.errors import UnsupportedLayer

MODULE = "keras.src.ops."
"""Where operators are, in the words of a file; layers are in keras.layers."""
LAYERS: Mapping[str, str] = {"Add": "Add", "Multiply": "Multiply", "Subtract": "Subtract"}
"""Operators of two tensors -> the layer that does the same."""
OPERATORS = (*LAYERS, "Divide", "TrueDivide")


def is_operator(node: Mapping[str, Any]) -> bool:
    return str(node.get("module", "")).startswith(MODULE)


def operator(node: Mapping[str, Any]) -> dict[str, Any]:
    """The layer of Keras 2 that does what the operator does. Raises UnsupportedLayer, which names it."""
    kind, name = str(node["class_name"]), str(node["config"]["name"])
    if kind not in OPERATORS:
        raise UnsupportedLayer(f"'{name}' is the operator {kind} of Keras 3; it is loaded with {', '.join(OPERATORS)} only.")
    reads, constants = [], []
    for use in node["inbound_nodes"]:
        if len(use["args"]) != 2 or any(value is not None for value in use.get("kwargs", {}).values()):
            raise UnsupportedLayer(f"the operator '{name}' ({kind}) of Keras 3 is called with more than its two operands.")
        histories = [_history(one) for one in use["args"]]
        reads.append([[*one, {}] for one in histories if one is not None])
        constants.append([None if one is not None else _number(use["args"][at], name) for at, one in enumerate(histories)])
    made: dict[str, Any] = {"name": name, "trainable": True, "dtype": "float32"}
    if all(both == [None, None] for both in constants) and kind in LAYERS:
        return {"class_name": LAYERS[kind], "config": made, "name": name, "inbound_nodes": reads}
    if len(constants) != 1 or len(reads[0]) != 1:
        raise UnsupportedLayer(f"the operator '{name}' of Keras 3 is a {kind} of two tensors, or is used twice; that is not supported.")
    left, right = constants[0]
    scale, offset = _line(kind, name, right if left is None else left, first=left is None)
    config = {**made, "scale": scale, "offset": offset}
    return {"class_name": "Rescaling", "config": config, "name": name, "inbound_nodes": reads}


def _history(operand: Any) -> list[Any] | None:
    """[layer, node, tensor] of a tensor, None of a constant."""
    if isinstance(operand, dict) and operand.get("class_name") == "__keras_tensor__":
        return list(operand["config"]["keras_history"])
    return None


def _number(operand: Any, name: str) -> Any:
    """One number, or a list of one a channel. Arrays come as {"class_name": "__numpy__", "config": {"value": ...}}."""
    if isinstance(operand, dict) and operand.get("class_name") in ("__numpy__", "__tensor__"):
        operand = operand["config"]["value"]
    try:
        value = np.asarray(operand, np.float64)
    except (ValueError, TypeError) as error:
        raise UnsupportedLayer(f"the operator '{name}' of Keras 3 has an operand that is no number.") from error
    if value.size != 1 and value.size != value.shape[-1]:
        raise UnsupportedLayer(
            f"the operator '{name}' of Keras 3 has a constant of shape {value.shape}; a number, or one a channel, is read."
        )
    return float(value.reshape(())) if value.size == 1 else value.ravel().tolist()


def _line(kind: str, name: str, constant: Any, *, first: bool) -> tuple[Any, Any]:
    """Factor and summand; `first`: the tensor stands before the constant."""
    value = np.asarray(constant)
    if kind == "Add":
        return 1.0, constant
    if kind == "Multiply":
        return constant, 0.0
    if kind == "Subtract":
        return (1.0, (-value).tolist()) if first else (-1.0, constant)
    if not first or not np.all(value):
        raise UnsupportedLayer(f"the operator '{name}' of Keras 3 divides by something else than numbers other than 0.")
    return (1 / value).tolist(), 0.0
