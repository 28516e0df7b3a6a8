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
    assert (features.name, features.channels, features.constant, features.fixed, features.values) == ("map", 4, 2, 2, 256)
    assert features.unvaried == 128 and features.lower is not None and 1 <= features.lower <= 3
    assert (image.lower, image.upper, image.unvaried) == (None, None, 0)
    assert (logits.channels, logits.values) == (10, 10)
    assert (features.lower_open, features.upper_open) == (0, 0)
    words = "2 of 17 channels inside are the same whatever the input"
    assert words in " ".join(report_text(report, 120).split())
    assert words in render_page(report, None)
    assert "never varied" not in report_text(report, 120)
    assert as_json(report)["coverage"][1] == dataclasses.asdict(features)


def with_a_hidden_channel(graph: IntegerGraph) -> IntegerGraph:
    """Its first channel rises above zero for the one picture only that has each sign of its weights."""
    conv = graph.ops[0]
    assert isinstance(conv, Conv2D)
    weights, bias = conv.weights.copy(), conv.bias.copy()
    weights[..., 0] = np.where(np.indices(weights.shape[:3]).sum(axis=0) % 3, 124, -124)
    bias[0] = -(np.abs(weights[..., 0].astype(np.int64)).sum() * 120 // 4 * 4) + 2
    shifts = conv.weight_binary_points[0] + graph.tensors[conv.input].binary_point - graph.tensors[conv.output].binary_point
    assert shifts > 0
    changed = dataclasses.replace(conv, weights=weights, bias=bias, activation=Activation.RELU)
    return dataclasses.replace(graph, ops=(changed, *graph.ops[1:]))


def test_channels_that_might_vary_are_a_warning(graph: IntegerGraph, register: Register) -> None:
    """So few inputs have no climbs among them."""
    register(fake_executor("reference"), fake_executor("one"))
    report = compare_executors(bundle_of(Artifact(with_a_hidden_channel(graph))), count=3)
    features = report.coverage[1]
    assert (features.constant, features.fixed) == (1, 0)
    words = "channels that never varied, though they might, so that agreement proves little there: map 1 of 4"
    assert words in " ".join(report_text(report, 140).split())
    assert words in render_page(report, None)


def test_chunks_add_up(graph: IntegerGraph) -> None:
    values = np.random.default_rng(0).integers(-128, 128, (9, *graph.tensors["image"].shape)).astype(np.int8)
    whole, parts = Extremes(), Extremes()
    whole.add("image", values)
    for part in np.array_split(values, 4):
        parts.add("image", part)
    assert coverage_of(graph, whole.found) == coverage_of(graph, parts.found)
