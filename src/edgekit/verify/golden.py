"""Golden vectors: inputs for a TFLite model and the outputs that every device must compute of them. And the table that turns pixels
into inputs."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod

import numpy as np

from edgekit.arrays import Array
from edgekit.bundle import GOLDEN_INPUT, GOLDEN_OUTPUT, INPUT_TABLE, Golden
from edgekit.errors import EdgekitError, UnknownName
from edgekit.graph import IntegerGraph, run
from edgekit.images.preprocessing import PIXELS, Preprocessing
from edgekit.tolerances import DYNAMIC_KERNELS, FLOAT_KERNELS
from edgekit.verify.inputs import InputType, graph_input, make_inputs, reader

COUNT, SEED = 8, 0
TOLERANCES = {"float32": FLOAT_KERNELS, "float16": FLOAT_KERNELS, "dynamic": DYNAMIC_KERNELS}
"""How far outputs of a stock precision may be apart. A precision that is not here has integer outputs: differences are only reported."""


@dataclass(frozen=True)
class GoldenVectors:
    """`files` holds the input table as well, of a network that takes images. `inputs`, `classes`: numbers of values of the input and
    of the first output."""

    golden: Golden
    files: dict[str, bytes]
    inputs: int
    classes: int


def exact_golden(graph: IntegerGraph, preprocessing: Preprocessing, samples: Array | None = None) -> GoldenVectors:
    """The vectors of an integer graph, by the numpy reference: every executor gives these bytes. int8, as the TFLite file holds them.

    `samples`: numbers (count, *shape) as in the user's arrays, of a network that takes no images.
    """
    from edgekit.tflite.tensors import stored

    kind, source = graph_input(graph), graph.tensors[graph.input]
    recorded = None if samples is None else reader(kind, preprocessing)(samples)
    inputs = stored(source, make_inputs(kind, preprocessing, count=COUNT, seed=SEED, recorded=recorded).values)
    return _vectors("reference", 0.0, inputs, graph_golden(graph, inputs), input_table(graph, preprocessing))


def graph_golden(graph: IntegerGraph, inputs: Array) -> list[Array]:
    """The outputs of a graph, by the numpy reference. `inputs` (count, *shape) and outputs are int8, as the TFLite file holds them."""
    from edgekit.tflite.tensors import logical, stored

    values = run(graph, logical(graph.tensors[graph.input], inputs))
    return [stored(graph.tensors[name], values[name]) for name in graph.outputs]


def input_table(graph: IntegerGraph, preprocessing: Preprocessing) -> dict[str, bytes]:
    """The file INPUT_TABLE of an exact bundle; none of a network that takes no images."""
    from edgekit.tflite.tensors import stored

    if preprocessing.of != PIXELS:
        return {}
    return {INPUT_TABLE: _little_endian(stored(graph.tensors[graph.input], graph_input(graph).table(preprocessing)))}


def stock_golden(tflite: bytes, precision: str, preprocessing: Preprocessing, samples: Array | None = None) -> GoldenVectors:
    """The vectors of a stock file, by LiteRT's reference kernels here, or where those cannot run it by its optimized ones.

    `samples`: numbers (count, *shape) as in the user's arrays, of a network that takes no images.

    Raises EdgekitError where the file cannot be run.
    """
    from edgekit.executor import Artifact
    from edgekit.tflite.executors import missing_for_kernels, outputs_of
    from edgekit.tflite.kernel_sets import executor_name
    from edgekit.verify.recorded import stock_signature

    (kind, table), recorded = stock_table(tflite, preprocessing), None
    if samples is not None:
        recorded = reader(kind, preprocessing)(samples)
        kind = stock_signature(tflite, preprocessing, recorded).input
    inputs = make_inputs(kind, preprocessing, count=COUNT, seed=SEED, recorded=recorded).values
    kernels = "optimized" if missing_for_kernels("reference", Artifact(tflite=tflite)) else "reference"
    outputs = outputs_of(tflite, inputs, kernels)
    return _vectors(executor_name(kernels), TOLERANCES.get(precision), inputs, outputs, table)


def stock_table(tflite: bytes, preprocessing: Preprocessing) -> tuple[InputType, dict[str, bytes]]:
    """What a stock file takes, and the file INPUT_TABLE of its bundle, which a network that takes no images has not.

    Raises EdgekitError for a damaged file.
    """
    from edgekit.verify.recorded import stock_signature

    kind = stock_signature(tflite, preprocessing).input
    return kind, {INPUT_TABLE: _little_endian(kind.table(preprocessing))} if preprocessing.of == PIXELS else {}


def computed_again(tflite: bytes, inputs: Array, executor: str) -> list[Array]:
    """What the kernel set that computed a stock file's golden outputs gives here. Raises EdgekitError where it does not run the file."""
    from edgekit.tflite import KERNEL_SETS
    from edgekit.tflite.executors import outputs_of
    from edgekit.tflite.kernel_sets import executor_name

    by_name = {executor_name(kernels): kernels for kernels in KERNEL_SETS}
    if executor not in by_name:
        raise UnknownName("executor of golden outputs", executor, by_name)
    return outputs_of(tflite, inputs, by_name[executor])


def labels_text(labels: list[str] | None, classes: int) -> bytes:
    """labels.txt: a line for each class; its number where there are no labels. Raises EdgekitError where they do not fit."""
    if labels is None:
        labels = [str(number) for number in range(classes)]
    if len(labels) != classes:
        raise EdgekitError(f"there are {len(labels)} labels for {classes} classes; --labels takes a file with one line for each")
    if any(not label.isprintable() for label in labels):
        raise EdgekitError("a label has characters that cannot be printed; --labels takes a text file with one line for each class")
    return "".join(f"{label}\n" for label in labels).encode()


def _vectors(executor: str, tolerance: float | None, inputs: Array, outputs: list[Array], table: dict[str, bytes]) -> GoldenVectors:
    content = golden_bytes(outputs)
    golden = Golden(executor, len(inputs), tolerance, f"{zlib.crc32(content):08x}")
    files = {GOLDEN_INPUT: _little_endian(inputs), GOLDEN_OUTPUT: content, **table}
    return GoldenVectors(golden, files, prod(inputs.shape[1:]), prod(outputs[0].shape[1:]))


def golden_bytes(outputs: list[Array]) -> bytes:
    """Outputs, each (inputs, *shape), as the file GOLDEN_OUTPUT has them: all of an input, one after the other, then the next input's."""
    return b"".join(_little_endian(output[i]) for i in range(len(outputs[0])) for output in outputs)


def _little_endian(values: Array) -> bytes:
    return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
