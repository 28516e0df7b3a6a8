"""The executors of TFLite files on this machine: one for each of LiteRT's kernel sets.

Outputs come from the file as it is. What is between comes from its probe copy, in which every tensor is an output.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.graph import IntegerGraph
from edgekit.progress import Note
from edgekit.tflite.kernel_sets import KERNEL_SETS, executor_name
from edgekit.tflite.reader import parse, probe, smallest_softmax_scale
from edgekit.tflite.tensors import logical, stored
from edgekit.tflite.writer import write_tflite

NO_KERNEL = re.compile(r"Didn't find op for builtin opcode '(\w+)'")
"""What LiteRT says of a file with an op that none of its kernels computes."""
RunOne = Callable[[npt.NDArray[Any]], Values]


def _missing() -> str | None:
    if importlib.util.find_spec("ai_edge_litert") is None:
        return "ai-edge-litert is not installed: pip install ai-edge-litert"
    return None


def missing_for_kernels(kernels: str, artifact: Artifact) -> str | None:
    """Why a kernel set cannot run an artifact, whatever the device, or None.

    The reference SOFTMAX ends the process, by a CHECK, where beta * scale * 2**26 is not above 1: logits that hardly vary.
    """
    if artifact.tflite is None and artifact.graph is None:
        return "there is no TFLite file"
    if artifact.tflite is None or artifact.graph is not None:
        return None
    scale = smallest_softmax_scale(artifact.tflite) if kernels == "reference" else None
    if scale is not None and scale * 2**26 <= 1:
        return (
            f"its SOFTMAX would abort: beta times the input scale is {scale:.1e}, it needs more than 2**-26 (does the model vary at all?)"
        )
    return _without_kernel(artifact.tflite, kernels)


@lru_cache(maxsize=8)
def _without_kernel(tflite: bytes, kernels: str) -> str | None:
    """The op of a file that a kernel set has no kernel for (the reference kernels have none for ELU and ROUND), as a sentence, or None.
    LiteRT here is asked; those of devices are as old or older."""
    if _missing() is not None:
        return None
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        Interpreter(model_content=tflite, experimental_op_resolver_type=OpResolverType[KERNEL_SETS[kernels]])
    except (RuntimeError, ValueError) as error:
        found = NO_KERNEL.search(str(error))
        return f"the {kernels} kernels have none for {found[1]}" if found else None  # what else is wrong, loading it says
    return None


def file_and_probe(artifact: Artifact, note: Note) -> tuple[bytes, bytes]:
    """The artifact's TFLite file, written where there is only a graph, and its probe copy.

    Raises EdgekitError where there is neither file nor graph, or the file is damaged.
    """
    graph, tflite = artifact.graph, artifact.tflite
    if tflite is None:
        if graph is None:
            raise EdgekitError("there is no TFLite file to run")
        note("writing the TFLite file")
        tflite = write_tflite(graph)
    return tflite, probe(tflite, None if graph is None else graph.tensors)


def _executor(kernels: str) -> Executor:
    def missing(artifact: Artifact) -> str | None:
        return _missing() or missing_for_kernels(kernels, artifact)

    def open_(artifact: Artifact, note: Note) -> AbstractContextManager[Run]:
        return _open(artifact, note, KERNEL_SETS[kernels])

    return Executor(executor_name(kernels), missing, open_)


@contextmanager
def _open(artifact: Artifact, note: Note, resolver: str) -> Iterator[Run]:
    graph = artifact.graph
    tflite, probing = file_and_probe(artifact, note)
    note("loading the TFLite file")
    outputs, between = _load(tflite, resolver), _load(probing, resolver)

    def run(inputs: npt.NDArray[Any]) -> Values:
        batch = as_stored(graph, inputs)
        images = [{**between(image), **outputs(image)} for image in batch]
        values = {name: np.stack([image[name] for image in images]) for name in (images[0] if images else {})}
        return values if graph is None else as_graph_values(graph, inputs, values)

    yield run


def _load(tflite: bytes, resolver: str) -> RunOne:
    """A function from one input without batch to the file's outputs without batch, as stored."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(model_content=tflite, experimental_op_resolver_type=OpResolverType[resolver])
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise EdgekitError(f"LiteRT does not load the TFLite file: {error}") from error
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    if len(inputs) != 1 or not len(inputs[0]["shape"]) or inputs[0]["shape"][0] != 1:
        raise EdgekitError(f"the TFLite file has {len(inputs)} inputs; one with batch 1 is expected")
    source = inputs[0]

    def run(image: npt.NDArray[Any]) -> Values:
        if image.dtype != source["dtype"] or image.shape != tuple(source["shape"][1:]):
            wanted = f"{np.dtype(source['dtype'])} {tuple(source['shape'][1:])}"
            raise EdgekitError(f"the TFLite file takes {wanted} inputs, not {image.dtype} {image.shape}")
        interpreter.set_tensor(source["index"], image[np.newaxis])
        interpreter.invoke()
        values = {details["name"]: interpreter.get_tensor(details["index"]) for details in outputs}
        return {name: value[0] if value.shape[:1] == (1,) else value for name, value in values.items()}

    return run


def outputs_of(tflite: bytes, inputs: npt.NDArray[Any], kernels: str) -> list[npt.NDArray[Any]]:
    """The file's outputs, in its order, as stored, each (inputs, *shape): computed here with one of KERNEL_SETS.

    Raises EdgekitError where LiteRT does not load the file.
    """
    return load_for_outputs(tflite, kernels)(inputs)


def load_for_outputs(tflite: bytes, kernels: str) -> Callable[[npt.NDArray[Any]], list[npt.NDArray[Any]]]:
    """A function from inputs to what `outputs_of` gives for them; the file is loaded once. Raises EdgekitError as it does."""
    subgraph = parse(tflite).subgraphs[0]
    names = [subgraph.tensors[int(index)].name.decode() for index in subgraph.outputs]
    run = _load(tflite, KERNEL_SETS[kernels])

    def outputs(inputs: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        rows = [run(image) for image in inputs]
        return [np.stack([row[name] for row in rows]) for name in names]

    return outputs


def as_stored(graph: IntegerGraph | None, inputs: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Inputs as the file holds them. Raises EdgekitError where they leave the range of the graph's input."""
    if graph is None:
        return inputs
    tensor = graph.tensors[graph.input]
    if inputs.size and not (tensor.low <= inputs.min() and inputs.max() <= tensor.high):
        raise EdgekitError(f"inputs leave {tensor.low}..{tensor.high} of tensor '{tensor.name}'")
    return stored(tensor, inputs)


def as_graph_values(graph: IntegerGraph, inputs: npt.NDArray[Any], values: Values) -> Values:
    """What the file gave, as the graph's integers; of its own tensors only."""
    found = {name: logical(tensor, values[name]) for name, tensor in graph.tensors.items() if name in values}
    return {graph.input: inputs.astype(graph.tensors[graph.input].dtype), **found}


EXECUTORS: tuple[Executor, ...] = tuple(_executor(kernels) for kernels in KERNEL_SETS)
