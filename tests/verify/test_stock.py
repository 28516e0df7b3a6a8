"""A TFLite file without an integer graph: the kernel sets are compared with each other, on what the file stores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fakes import bundle_of

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact
from edgekit.graph import IntegerGraph
from edgekit.images.preprocessing import Preprocessing
from edgekit.tflite.writer import write_tflite
from edgekit.verify.recorded import stock_signature
from edgekit.verify.run import compare_executors

CENTERED = Preprocessing((127.5,), (127.5,))


def test_the_signature_is_the_file_s_own(graph: IntegerGraph) -> None:
    found = stock_signature(write_tflite(graph), CENTERED)
    assert (found.input.shape, found.input.dtype, found.input.low, found.input.high) == ((8, 8, 3), np.int8, -128, 127)
    assert found.outputs == {"logits": False}
    assert found.order.index("map") < found.order.index("logits")


def test_three_kernel_sets_agree_on_an_exact_file(graph: IntegerGraph) -> None:
    report = compare_executors(bundle_of(Artifact(tflite=write_tflite(graph))))
    assert report.passed and not report.exact and report.tolerance is None
    assert report.baseline == "tflite-reference"
    assert [(result.name, result.differing) for result in report.results] == [("tflite-optimized", 0), ("tflite-xnnpack", 0)]
    assert "reference" in {one.name for one in report.missing}


@pytest.mark.parametrize("keep", [0, 4, 100, 0.5, 0.98])
def test_a_truncated_file_is_refused_with_one_message(graph: IntegerGraph, keep: float) -> None:
    whole = write_tflite(graph)
    part = whole[: int(keep if keep > 1 else keep * len(whole))]
    with pytest.raises(EdgekitError):
        compare_executors(bundle_of(Artifact(tflite=part)))


def test_a_bundle_whose_file_is_not_of_its_graph_fails_at_the_first_tensor(graph: IntegerGraph) -> None:
    """One weight of the first convolution is changed in the file: the first difference is in that convolution's map."""
    op = graph.ops[0]
    weights = op.weights.copy()  # type: ignore[union-attr]
    weights[1, 1, 0, 2] = -124 if weights[1, 1, 0, 2] > 0 else 124
    other = replace(graph, ops=(replace(op, weights=weights), *graph.ops[1:]))  # type: ignore[arg-type, type-var]
    report = compare_executors(bundle_of(Artifact(graph, tflite=write_tflite(other))), executors=["tflite-xnnpack", "onnxruntime"])
    by_name = {result.name: result for result in report.results}
    assert not report.passed and by_name["onnxruntime"].differing == 0
    first = by_name["tflite-xnnpack"].first
    assert first is not None and first.tensor == "map" and first.index[2] == 2
