"""The executors that every graph must give equal integers on, and the comparison."""

from __future__ import annotations

import numpy as np

from edgekit.executor import Artifact, Executor
from edgekit.graph import IntegerGraph, run
from edgekit.tflite.executors import EXECUTORS
from edgekit.verify.onnxruntime import EXECUTOR as ONNXRUNTIME

REFERENCE_KERNELS, OPTIMIZED_KERNELS, XNNPACK = EXECUTORS


def values_on(executor: Executor, artifact: Artifact, inputs: np.ndarray) -> dict[str, np.ndarray]:
    assert executor.missing(artifact) is None
    with executor.open(artifact, lambda text: None) as run_batch:
        return dict(run_batch(inputs))


def assert_equal_everywhere(graph: IntegerGraph, inputs: np.ndarray) -> None:
    """Every tensor of the graph, on LiteRT's three kernel sets and in onnxruntime equals the reference's."""
    expected = run(graph, inputs)
    artifact = Artifact(graph=graph)
    for executor in (*EXECUTORS, ONNXRUNTIME):
        values = values_on(executor, artifact, inputs)
        assert set(values) == set(graph.tensors)
        for name, value in values.items():
            np.testing.assert_array_equal(value, expected[name], err_msg=f"{name} on {executor.name}")
            assert value.dtype == graph.tensors[name].dtype
