"""The executor `keras`: the qkeras layers and QFX quantizers of a graph, in float32, read back as integers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.graph import Conv2D, Dense, DepthwiseConv2D, product_bound, shifts_of
from edgekit.graph.check import SHIFT_ALWAYS_EXACT
from edgekit.graph.ir import IntArray, ProductOp
from edgekit.progress import Note

FLOAT32_INTEGERS = 1 << 24
"""float32 holds every whole number up to this one."""


def _missing(artifact: Artifact) -> str | None:
    if artifact.graph is None:
        return "the artifact has no integer graph"
    for op in artifact.graph.ops:
        if isinstance(op, Conv2D | DepthwiseConv2D) and max(op.strides) > 1 and max(op.dilation) > 1:
            return f"op '{op.name}' has strides {op.strides} and dilation {op.dilation}, which Keras does not take together"
        if isinstance(op, Conv2D | DepthwiseConv2D | Dense) and max(shifts_of(artifact.graph, op)) > SHIFT_ALWAYS_EXACT:
            return f"op '{op.name}' shifts by more than {SHIFT_ALWAYS_EXACT}, which QFX quantizers never do"
        if isinstance(op, ProductOp) and product_bound(artifact.graph, op) > FLOAT32_INTEGERS:
            return f"the accumulator of op '{op.name}' may pass 2**24, up to where float32 holds every whole number"
    return None


@contextmanager
def _open(artifact: Artifact, note: Note) -> Iterator[Run]:
    from edgekit.keras_models.layers.legacy_keras import import_keras

    keras = import_keras()
    from edgekit.keras_models.qfx.thaw import thaw

    graph = artifact.graph
    assert graph is not None
    note("building the qkeras model")
    model, tensors = thaw(graph)
    probe = keras.Model(model.inputs, tensors)
    source = graph.tensors[graph.input]

    def run(inputs: IntArray) -> Values:
        real = np.ldexp(inputs.astype(np.float32), -source.binary_point)
        values = probe.predict_on_batch(real)
        return {
            name: _integers(np.asarray(value), graph.tensors[name].binary_point, name).astype(graph.tensors[name].dtype)
            for name, value in values.items()
        }

    yield run
    keras.backend.clear_session()


def _integers(real: IntArray, binary_point: int, name: str) -> IntArray:
    scaled = np.ldexp(real.astype(np.float64), binary_point)
    if not np.array_equal(scaled, np.rint(scaled)):
        raise EdgekitError(f"Keras gives tensor '{name}' values between its integers")
    return scaled.astype(np.int64)


EXECUTORS = (Executor("keras", _missing, _open),)
