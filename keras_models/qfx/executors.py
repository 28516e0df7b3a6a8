"""The executor `keras`: the qkeras layers and QFX quantizers of a graph, in float32, read back as integers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.graph import (
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    MatMul,
    Multiply,
    Op,
    Tensor,
    product_bound,
    shifts_of,
)
from edgekit.graph.check import SHIFT_ALWAYS_EXACT
from edgekit.graph.ir import ConvOp, IntArray, ProductOp, WeightedOp
from edgekit.graph.ranges import FLOAT32_INTEGERS
from edgekit.keras_models.qfx.integers import integers_at
from edgekit.progress import Note


def _missing(artifact: Artifact) -> str | None:
    if artifact.graph is None:
        return "the artifact has no integer graph"
    for op in artifact.graph.ops:
        refuses = SOMETIMES_REFUSED.get(type(op))
        reason = refuses(artifact.graph, op) if refuses else None
        if reason:
            return reason
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


def _weighted(graph: IntegerGraph, op: WeightedOp) -> str | None:
    if max(shifts_of(graph, op)) > SHIFT_ALWAYS_EXACT:
        return f"op '{op.name}' shifts by more than {SHIFT_ALWAYS_EXACT}, which QFX quantizers never do"
    return None


def _conv(graph: IntegerGraph, op: ConvOp) -> str | None:
    if max(op.strides) > 1 and max(op.dilation) > 1:
        return f"op '{op.name}' has strides {op.strides} and dilation {op.dilation}, which Keras does not take together"
    return _weighted(graph, op)


def _product(graph: IntegerGraph, op: ProductOp) -> str | None:
    if product_bound(graph, op) > FLOAT32_INTEGERS:
        return f"the accumulator of op '{op.name}' may pass 2**24, up to where float32 holds every whole number"
    return None


SOMETIMES_REFUSED: Mapping[type[Op], Callable[[IntegerGraph, Any], str | None]] = {
    Conv2D: _conv,
    DepthwiseConv2D: _conv,
    DepthwiseConv2DTranspose: _weighted,
    Dense: _weighted,
    Multiply: _product,
    MatMul: _product,
}
"""Ops that Keras does not always compute to the bit: why it cannot compute this one, or None. It always computes all others."""

EXECUTORS = (Executor("keras", _missing, _open),)
