"""What runs an artifact and gives back integers. tflite, hls, keras_models and verify each bring executors of this form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.graph import IntegerGraph

Values: TypeAlias = Mapping[str, npt.NDArray[Any]]
"""Tensor name -> (batch, *shape). Integers in the graph's own range (an unsigned tensor is 0..255 on every executor);
of a stock TFLite file, what the file stores."""

Run: TypeAlias = Callable[[npt.NDArray[Any]], Values]
"""Takes a batch of the input tensor's values, (batch, *shape)."""

Note: TypeAlias = Callable[[str], None]
"""Told, in a few words, what is being done, for progress."""


@dataclass(frozen=True)
class Artifact:
    """What there is to run. An exact artifact has a graph; a stock TFLite file has only `tflite`."""

    graph: IntegerGraph | None = None
    tflite: bytes | None = None
    hls_project: Path | None = None


@dataclass(frozen=True)
class Executor:
    """`missing(artifact)` says why it cannot run here, or None. `open(artifact, note)` compiles or loads once and gives a Run."""

    name: str
    missing: Callable[[Artifact], str | None]
    open: Callable[[Artifact, Note], AbstractContextManager[Run]]


def narrow(values: npt.NDArray[Any], low: int) -> npt.NDArray[Any]:
    """Integers as int8 or uint8, by the sign of their type's lowest value."""
    return values.astype(np.int8 if low < 0 else np.uint8)
