"""The authors' own logits for weights and images made by a recipe, and a checkpoint's tensors into a Keras model.

tests/golden/NAME.json lists a checkpoint's tensors as [name, shape], in order; NAME.npy holds the logits (2, 1000) that the authors'
PyTorch model computes in float64 for the weights below and the images below.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent.parent / "golden"


def images() -> Any:
    return np.random.default_rng(20260).standard_normal((2, 224, 224, 3)).astype(np.float32)


def logits(name: str) -> Any:
    return np.load(FOLDER / f"{name}.npy")


def checkpoint(name: str) -> dict[str, Any]:
    """Tensors by name, made by the recipe of the golden files."""
    listing = json.loads((FOLDER / f"{name}.json").read_text())
    return {tensor: _value(tensor, shape, listing["gain"]) for tensor, shape in listing["tensors"] if "num_batches_tracked" not in tensor}


def _value(name: str, shape: list[int], gain: float) -> Any:
    n = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        v = 1 + 0.2 * np.abs(n)
    elif name.endswith("running_mean"):
        v = 0.1 * n
    elif "layer_scale" in name:
        v = 0.5 + 0.1 * n
    elif "attention_biases" in name:
        v = 0.2 * n
    elif len(shape) >= 2:
        v = n * np.sqrt(gain / np.prod(shape[1:]))
    elif name.endswith("weight"):
        v = 1 + 0.1 * n
    else:
        v = 0.1 * n
    return v.astype(np.float32)


def load_by_path(model: Any, tensors: dict[str, Any]) -> None:
    """Into layers that have the names of PyTorch modules. Of a module listed twice the later tensors count, as in PyTorch."""
    of_layers: dict[str, dict[str, Any]] = {}
    for name, value in tensors.items():
        path = name.replace("patch_embed.", "merging_blocks.0.").replace("sbcformer_blk.", "sbcformer_blocks.2.")
        if "idxs" in path:
            continue
        bare = "layer_scale" in path or "attention_biases" in path
        layer, kind = (path, "parameter") if bare else path.rsplit(".", 1)
        of_layers.setdefault(layer, {})[kind] = value
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_in_keras_order(layer, list(of_layers.pop(layer.name).values())))
    assert not of_layers


def load_by_order(model: Any, tensors: dict[str, Any]) -> None:
    """The tensors of each layer after the other, as both list them."""
    values = list(tensors.values())
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(_in_keras_order(layer, [values.pop(0) for _ in layer.weights]))
    assert not values


def _in_keras_order(layer: Any, values: list[Any]) -> list[Any]:
    """PyTorch's (out, in, rows, columns) and (out, in) as this layer's kernel; what else there is has one dimension."""
    first = values[0]
    if first.ndim == 4:
        first = first.transpose((2, 3, 0, 1) if "Depthwise" in type(layer).__name__ else (2, 3, 1, 0))
    elif first.ndim == 2 and "attention" not in layer.name.split(".")[-1]:
        first = first.T
    return [first.reshape(layer.weights[0].shape), *values[1:]]
