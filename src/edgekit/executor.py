"""What runs an artifact and gives back integers. tflite, hls, keras_models and verify each bring executors of this form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias

from edgekit.arrays import Array
from edgekit.graph import IntegerGraph
from edgekit.progress import Note

Values: TypeAlias = Mapping[str, Array]
"""Tensor name -> (batch, *shape). Integers in the graph's own range (an unsigned tensor is 0..255 on every executor);
of a stock TFLite file, what the file stores."""


class Observed(dict[str, Array]):
    """Values of an executor that has more to tell: `remarks`, a sentence each."""

    def __init__(self, values: Values, remarks: tuple[str, ...]) -> None:
        super().__init__(values)
        self.remarks = remarks


Run: TypeAlias = Callable[[Array], Values]
"""Takes a batch of the input tensor's values, (batch, *shape)."""


@dataclass(frozen=True)
class Artifact:
    """What there is to run. An exact artifact has a graph; a stock TFLite file has only `tflite`.

    `hls_project`: the files of an HLS project by name, which edgekit itself has made. They are compiled and run; what lies in a folder
    that came from outside never is.
    """

    graph: IntegerGraph | None = None
    tflite: bytes | None = None
    hls_project: Mapping[str, bytes] | None = None


@dataclass(frozen=True)
class Executor:
    """`missing(artifact)` says why it cannot run here, or None. `open(artifact, note)` compiles or loads once and gives a Run.

    `inputs_max`: it is so slow that verify gives it no more inputs, spread over all; None for all of them.
    """

    name: str
    missing: Callable[[Artifact], str | None]
    open: Callable[[Artifact, Note], AbstractContextManager[Run]]
    inputs_max: int | None = None
