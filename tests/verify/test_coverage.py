"""What the inputs of a comparison did not reach is in every report: channels that never varied, clamps that never acted."""

from __future__ import annotations

import dataclasses

import numpy as np
from fakes import bundle_of, fake_executor
from test_verify import Register, report_text

from edgekit.executor import Artifact
from edgekit.graph import Activation, Conv2D, IntegerGraph
from edgekit.report import render_page
from edgekit.verify import as_json
from edgekit.verify.coverage import Extremes, coverage_of
from edgekit.verify.run import compare_executors


def with_a_dead_channel(graph: IntegerGraph) -> IntegerGraph:
    """Its first channel has no weights and a bias that a ReLU takes away, its second is always saturated."""
    conv = graph.ops[0]
    assert isinstance(conv, Conv2D)
    weights, bias = conv.weights.copy(), conv.bias.copy()
    weights[..., :2] = 0
    bias[:2] = -(1 << 20) + 2, (1 << 20) + 2
    changed = dataclasses.replace(conv, weights=weights, bias=bias, activation=Activation.RELU)
    return dataclasses.replace(graph, ops=(changed, *graph.ops[1:]))


def test_channels_that_never_vary_are_named(graph: IntegerGraph, register: Register) -> None:
    register(fake_executor("reference"), fake_executor("one"))
    report = compare_executors(bundle_of(Artifact(with_a_dead_channel(graph))))
    image, features, logits = report.coverage
    assert (features.name, features.channels, features.constant, features.values) == ("map", 4, 2, 256)
    assert features.unvaried == 128 and features.lower is not None and 1 <= features.lower <= 3
    assert (image.lower, image.upper, image.unvaried) == (None, None, 0)
    assert (logits.channels, logits.values) == (10, 10)
    words = "channels that never varied, in which agreement proves little: map 2 of 4"
    assert words in " ".join(report_text(report, 120).split())
    assert words in render_page(report, None)
    assert as_json(report)["coverage"][1] == dataclasses.asdict(features)


def test_chunks_add_up(graph: IntegerGraph) -> None:
    values = np.random.default_rng(0).integers(-128, 128, (9, *graph.tensors["image"].shape)).astype(np.int8)
    whole, parts = Extremes(), Extremes()
    whole.add("image", values)
    for part in np.array_split(values, 4):
        parts.add("image", part)
    assert coverage_of(graph, whole.found) == coverage_of(graph, parts.found)
