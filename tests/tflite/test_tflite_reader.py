"""Hostile TFLite files are refused before a runtime sees them."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from random_graphs import random_graph, random_inputs

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact
from edgekit.tflite.executors import EXECUTORS
from edgekit.tflite.flatbuffer import pack
from edgekit.tflite.reader import describe, parse, probe
from edgekit.tflite.writer import write_tflite


def first_tensor_with_data(model):
    return next(t for t in model.subgraphs[0].tensors if t.buffer and model.buffers[t.buffer].data is not None)


def set_array(owner, field, values):
    setattr(owner, field, np.array(values, np.int32))


DAMAGE = {
    "op input out of range": (lambda m: set_array(m.subgraphs[0].operators[0], "inputs", [9999]), "reads or writes a tensor"),
    "negative op output": (lambda m: set_array(m.subgraphs[0].operators[0], "outputs", [-1]), "reads or writes a tensor"),
    "op code out of range": (lambda m: setattr(m.subgraphs[0].operators[0], "opcodeIndex", 99), "has no op code"),
    "output out of range": (lambda m: set_array(m.subgraphs[0], "outputs", [9999]), "an input or output of subgraph 0"),
    "buffer out of range": (lambda m: setattr(m.subgraphs[0].tensors[0], "buffer", 9999), "has no buffer"),
    "buffer too short": (
        lambda m: setattr(m.buffers[first_tensor_with_data(m).buffer], "data", np.zeros(1, np.uint8)),
        "bytes of data where",
    ),
    "negative shape": (lambda m: set_array(m.subgraphs[0].tensors[0], "shape", [1, -5]), r"has shape \[1, -5\]"),
    "signature of another subgraph": (lambda m: setattr(m.signatureDefs[0], "subgraphIndex", 5), "has no subgraph"),
    "signature of another tensor": (lambda m: setattr(m.signatureDefs[0].inputs[0], "tensorIndex", 9999), "names a tensor"),
    "metadata without buffer": (lambda m: setattr(m.metadata[0], "buffer", 9999), "metadata 'min_runtime_version' has no buffer"),
    "another version": (lambda m: setattr(m, "version", 2), "version 2"),
    "name that is no text": (lambda m: setattr(m.subgraphs[0].tensors[0], "name", b"\xff\xfe"), "UnicodeDecodeError"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused(damage, rng):
    change, message = DAMAGE[damage]
    model = parse(write_tflite(random_graph(rng)))
    change(model)
    with pytest.raises(EdgekitError, match=message):
        parse(pack(model))


def test_every_prefix_is_refused(rng):
    graph = random_graph(rng)
    data = write_tflite(graph)
    for length in (0, 7, 8, *rng.integers(9, len(data), 40)):
        with pytest.raises(EdgekitError), EXECUTORS[0].open(Artifact(graph=graph, tflite=data[:length]), lambda text: None):
            pass


def test_changed_bytes_are_refused_or_run(rng):
    """EdgekitError or integers: no other exception, and the process lives."""
    for _ in range(60):
        graph = random_graph(rng, length=3)
        data = bytearray(write_tflite(graph))
        data[int(rng.integers(8, len(data)))] ^= int(rng.integers(1, 256))
        with (
            contextlib.suppress(EdgekitError),
            EXECUTORS[1].open(Artifact(graph=graph, tflite=bytes(data)), lambda text: None) as run_batch,
        ):
            run_batch(random_inputs(rng, graph)[:1])


def test_other_files_are_no_tflite():
    with pytest.raises(EdgekitError, match="identifier TFL3"):
        describe(b"PK\3\4 this is a zip archive")


def test_the_probe_shows_every_named_tensor(rng):
    graph = random_graph(rng, length=8)
    model = parse(probe(write_tflite(graph), graph.tensors))
    names = [model.subgraphs[0].tensors[i].name.decode() for i in model.subgraphs[0].outputs]
    assert sorted(names) == sorted(name for name in graph.tensors if name != graph.input)
    assert names[: len(graph.outputs)] == list(graph.outputs), "the file's own outputs come first"


def test_inputs_of_another_range_or_shape_are_refused(rng):
    graph = random_graph(rng, length=1)
    tensor = graph.tensors[graph.input]
    for inputs in (np.full((1, *tensor.shape), tensor.high + 1, np.int16), np.zeros((1, 99), np.int16)):
        with EXECUTORS[0].open(Artifact(graph=graph), lambda text: None) as run_batch, pytest.raises(EdgekitError):
            run_batch(inputs)


def test_nothing_to_run_is_named():
    assert all(executor.missing(Artifact()) == "there is no TFLite file" for executor in EXECUTORS)


def test_what_is_computed_of_constants_is_no_output_of_the_probe():
    """A delegate that has taken in the float32 form of float16 weights leaves whatever was in memory where they would be."""
    import edgekit
    from edgekit.tflite.tensorflow import Precision, convert

    tflite = convert(edgekit.build_model("mobilenet_v1", alpha=0.25, size=32, classes=3), Precision.FLOAT16)
    names = [op.name for op in describe(tflite)]
    outputs = parse(probe(tflite)).subgraphs[0].outputs
    assert names.count("DEQUANTIZE") > 0
    assert len(outputs) == len(names) - names.count("DEQUANTIZE")
