"""Bundles of an exact network as `edgekit export` writes them, without a Keras model before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekit.bundle import GRAPH, LABELS, TFLITE, Manifest, WeightsSource, bundle_plan
from edgekit.graph import IntegerGraph, write_onnx
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, Preprocessing
from edgekit.plan import Plan
from edgekit.tflite import device_scripts
from edgekit.tflite.writer import write_tflite
from edgekit.verify.golden import exact_golden, labels_text


def exact_plan(
    graph: IntegerGraph, *, labels: Sequence[str] | None = None, preprocessing: Preprocessing = MINUS_ONE_TO_ONE, **fields: Any
) -> Plan:
    """`fields` of the manifest."""
    vectors = exact_golden(graph, preprocessing)
    names = None if labels is None else list(labels)
    files = {TFLITE: write_tflite(graph), GRAPH: write_onnx(graph), **vectors.files, LABELS: labels_text(names, vectors.classes)}
    manifest: dict[str, Any] = {
        "kind": "tflite",
        "network": graph.name,
        "options": {"size": graph.tensors[graph.input].shape[0]},
        "precision": "qfx",
        "target": "rpi4",
        "weights": WeightsSource("random", seed=1),
        "preprocessing": preprocessing,
        "command": ("edgekit", "export"),
        "golden": vectors.golden,
    }
    return bundle_plan({**files, **device_scripts()}, Manifest(**{**manifest, **fields}))
