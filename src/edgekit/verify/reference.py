"""The executor that is the numpy reference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt

from edgekit import graph as integer_graph
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.progress import Note


def _missing(artifact: Artifact) -> str | None:
    return "there is no integer graph" if artifact.graph is None else None


@contextmanager
def _open(artifact: Artifact, note: Note) -> Iterator[Run]:
    graph = artifact.graph
    if graph is None:
        raise EdgekitError("the reference runs an integer graph, and there is none")

    def run(inputs: npt.NDArray[Any]) -> Values:
        return integer_graph.run(graph, inputs)

    yield run


EXECUTOR = Executor("reference", _missing, _open)
