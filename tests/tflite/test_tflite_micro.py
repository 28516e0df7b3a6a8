"""TFLite Micro's kernels give the integers of all others, every tensor; what it has no kernel for is named, and nothing dies with it."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
import pytest
from hand_graphs import every_product, extreme_images
from random_graphs import random_graph, random_inputs

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact
from edgekit.graph import IntegerGraph, run
from edgekit.tflite import micro
from edgekit.tflite.micro import EXECUTOR
from edgekit.verify.executors import executors_for

pytestmark = pytest.mark.skipif(importlib.util.find_spec("tflite_micro") is None, reason="no tflite-micro; pip install tflite-micro")


def assert_equal(graph: IntegerGraph, inputs: Any) -> None:
    expected = run(graph, inputs)
    assert EXECUTOR.missing(Artifact(graph=graph)) is None
    with EXECUTOR.open(Artifact(graph=graph), lambda text: None) as execute:
        values = execute(inputs)
    assert set(values) == set(graph.tensors)
    for name, value in values.items():
        np.testing.assert_array_equal(value, expected[name], err_msg=name)
        assert value.dtype == graph.tensors[name].dtype


@pytest.mark.parametrize("seed", range(8))
def test_random_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng)
    assert_equal(graph, random_inputs(rng, graph))


def test_products_attention_and_slices() -> None:
    graph = every_product()
    assert_equal(graph, extreme_images(graph.tensors[graph.input], np.random.default_rng(5), noise=3))


def test_it_runs_where_it_is_asked_for() -> None:
    graph = every_product()
    assert "tflm" not in [one.name for one in executors_for(Artifact(graph=graph))]
    (found,) = executors_for(Artifact(graph=graph), ["tflm"])
    assert found.executor is EXECUTOR


def test_what_it_has_no_kernel_for_is_named() -> None:
    import edgekit
    from edgekit.tflite.tensorflow import Precision, convert

    model = edgekit.build_model("mobilenet_v1", alpha=0.25, size=32, classes=4)
    reason = EXECUTOR.missing(Artifact(tflite=convert(model, Precision.DYNAMIC, None)))
    assert reason is not None and "Hybrid models are not supported on TFLite Micro" in reason


def test_a_process_that_it_aborts_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """With too little memory its own check ends the process."""
    monkeypatch.setattr(micro, "_arena_bytes", lambda model: 100)
    reason = EXECUTOR.missing(Artifact(graph=every_product()))
    assert reason is not None and "TFLite Micro does not run the file: Failed to allocate" in reason


def test_inputs_out_of_range_are_refused() -> None:
    graph = every_product()
    with EXECUTOR.open(Artifact(graph=graph), lambda text: None) as execute, pytest.raises(EdgekitError, match=r"leave -128\.\.127"):
        execute(np.full((1, *graph.tensors[graph.input].shape), 300, np.int16))
