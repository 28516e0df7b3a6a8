"""The executor that runs the graph's ONNX form in onnxruntime, an engine that is no relative of TFLite."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.graph.onnx_form import to_channels_first, to_channels_last
from edgekit.progress import Note


def _missing(artifact: Artifact) -> str | None:
    if importlib.util.find_spec("onnxruntime") is None:
        return "onnxruntime is not installed: pip install onnxruntime"
    if artifact.graph is None:
        return "there is no integer graph, which is what onnxruntime runs"
    return None


@contextmanager
def open_onnxruntime(artifact: Artifact, note: Note, optimize: bool = True) -> Iterator[Run]:
    """`optimize` False runs the QDQ form as it stands, in float32."""
    import onnxruntime

    from edgekit.graph.onnx_write import onnx_model

    graph = artifact.graph
    if graph is None:
        raise EdgekitError("onnxruntime runs an integer graph, and there is none")
    note("loading the ONNX form")
    names = [name for name in graph.tensors if name != graph.input]
    levels = onnxruntime.GraphOptimizationLevel
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    # Without VNNI, x86 multiplies uint8 by int8 in pairs that saturate at 16 bits; this asks for the kernels that do not.
    options.add_session_config_entry("session.x64quantprecision", "1")
    options.log_severity_level = 3
    model = onnx_model(graph, names).SerializeToString(deterministic=True)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    source = graph.tensors[graph.input]

    def run(inputs: npt.NDArray[Any]) -> Values:
        stored = inputs.astype(source.dtype)
        outputs = session.run(names, {graph.input: to_channels_first(stored)}) if names else []
        return {graph.input: stored, **{name: to_channels_last(value) for name, value in zip(names, outputs, strict=True)}}

    yield run


EXECUTOR = Executor("onnxruntime", _missing, open_onnxruntime)
