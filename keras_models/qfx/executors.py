"""The executor `keras`: the qkeras layers and QFX quantizers of a graph, in float32, read back as integers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.graph import (
    IntegerGraph,
    Tensor,
)
from edgekit.graph.ir import IntArray
from edgekit.keras_models.qfx.integers import integers_at
from edgekit.progress import Note


def _missing(artifact: Artifact) -> str | None:
    if artifact.graph is None:
        return "the artifact has no integer graph"
    return None


@contextmanager
def _open(artifact: Artifact, note: Note) -> Iterator[Run]:
    from edgekit.keras_models.layers.legacy_keras import import_keras

    keras = import_keras()
    from edgekit.keras_models.qfx.thaw import thaw

    graph = artifact.graph
    assert graph is not None
    note("building the qkeras model")
    model, tensors = thaw(_numbered(graph))
    probe = keras.Model(model.inputs, tensors)
    source = graph.tensors[graph.input]

    def run(inputs: IntArray) -> Values:
        real = np.ldexp(inputs.astype(np.float32), -source.binary_point)
        values = probe.predict_on_batch(real)
        return {name: integers(graph.tensors[name], np.asarray(value)) for name, value in values.items()}

    def integers(tensor: Tensor, real: npt.NDArray[Any]) -> IntArray:
        otherwise = f"Keras gives tensor '{tensor.name}' values between its integers"
        return integers_at(tensor.binary_point, real, otherwise).astype(tensor.dtype)

    yield run
    keras.backend.clear_session()


def _numbered(graph: IntegerGraph) -> IntegerGraph:
    """The graph with ops of names that TensorFlow takes as layers': it knows fewer letters than the contract."""
    ops = tuple(replace(op, name=f"op_{number}") for number, op in enumerate(graph.ops))
    return replace(graph, name="network", ops=ops)


EXECUTORS = (Executor("keras", _missing, _open),)
