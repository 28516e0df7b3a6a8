"""What importing weights has in common for all kinds of files: a model's layers and classifiers, what to refuse and how to tell of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import Preprocessing

Shapes: TypeAlias = tuple[tuple[int, ...], ...]
Tensors: TypeAlias = Mapping[str, list[Any]]
"""Layer name -> its datasets or variables, layers in the model's order."""

LISTED_MAX = 8


@dataclass(frozen=True)
class ImportedWeights:
    """What `import_weights` did.

    `new_head`: the classifier's name if the file had none that fits, and it kept its own weights. Of a PyTorch checkpoint:
    `collection`, whose names it has; `taken_from`, the key under which the weights were; `preprocessing`, what they were trained with.
    """

    layers: int
    new_head: str | None
    collection: str | None = None
    taken_from: str | None = None
    preprocessing: Preprocessing | None = None

    @property
    def note(self) -> str:
        text = f"loaded {self.layers} layers"
        if self.taken_from:
            text += f" from '{self.taken_from}'"
        if self.collection:
            text += f", named and computed as by {self.collection}"
        return f"{text}; the file has no '{self.new_head}' for this number of classes, so it starts untrained" if self.new_head else text


def layers_of(model: Any) -> Tensors:
    """In the order in which Keras writes a layer's weights, which for a model inside the model is not that of `weights`."""
    return {layer.name: [*layer.trainable_weights, *layer.non_trainable_weights] for layer in model.layers if layer.weights}


def heads_of(layers: Tensors) -> tuple[str, ...]:
    """The classifier, the last layer with weights; and before it others of its shapes, as RapidNet's second head is."""
    names = list(layers)
    last = shapes_of(layers[names[-1]])
    heads = takewhile(lambda name: shapes_of(layers[name]) == last and len(last[0]) > 1, reversed(names[:-1]))
    return (*reversed(tuple(heads)), names[-1])


def listed(problems: Sequence[str]) -> str:
    """Not more than LISTED_MAX of them, and the number of the others."""
    more = f"; and {len(problems) - LISTED_MAX} more" if len(problems) > LISTED_MAX else ""
    return "; ".join(problems[:LISTED_MAX]) + more


def shapes_of(tensors: Iterable[Any]) -> Shapes:
    return tuple(tuple(tensor.shape) for tensor in tensors)


def require_finite(values: npt.NDArray[np.float32], name: str, source: Path) -> npt.NDArray[np.float32]:
    """Raises EdgekitError for a NaN or an infinity, naming the tensor."""
    if not np.isfinite(values).all():
        count = int(np.size(values) - np.isfinite(values).sum())
        raise EdgekitError(f"'{source}': tensor '{name}' has {count} values that are NaN or infinite; the model was left as it was")
    return values
