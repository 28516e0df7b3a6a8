"""TFLite Micro as an executor: the interpreter and kernels of microcontrollers, run on this machine by the package `tflite-micro`.

Every tensor is read from the file as it is, since that interpreter can keep them all. Where a check of its own fails it ends the process,
so it has one of its own (micro_process.py).
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.arrays import shares
from edgekit.children import Ended, TookTooLong, call, call_together
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.progress import Note
from edgekit.scratch import scratch_folder
from edgekit.tflite.executors import as_graph_values, as_stored
from edgekit.tflite.reader import parse
from edgekit.tflite.writer import write_tflite

PACKAGE = "tflite_micro"
PROGRAM = "edgekit.tflite.micro_process"
START_SECONDS_MAX, IMAGE_SECONDS_MAX = 120, 120
"""A process that takes longer than this is taken to hang."""
MODEL, INPUTS, OUTPUTS = "model.tflite", "inputs{}.npy", "outputs{}.npz"
ARENA_SLACK = 4 << 20
"""Bytes beside the tensors, for the interpreter's own records and what kernels need while they run."""


def _missing(artifact: Artifact) -> str | None:
    """The file is loaded to know: the interpreter has not every op, and not every type of each, and says which."""
    if importlib.util.find_spec(PACKAGE) is None:
        return "tflite-micro is not installed: pip install tflite-micro"
    if artifact.tflite is None and artifact.graph is None:
        return "there is no TFLite file"
    with scratch_folder("tflm") as folder:
        try:
            _check_ended(call(_command(folder, _put(artifact, folder), []), START_SECONDS_MAX))
        except EdgekitError as error:
            return str(error)
    return None


@contextmanager
def _open(artifact: Artifact, note: Note) -> Iterator[Run]:
    graph = artifact.graph
    with scratch_folder("tflm") as folder:
        note("loading the TFLite file")
        model = _put(artifact, folder)

        def run(inputs: npt.NDArray[Any]) -> Values:
            values = _run(folder, model, as_stored(graph, inputs))
            return values if graph is None else as_graph_values(graph, inputs, values)

        yield run


def _put(artifact: Artifact, folder: Path) -> Any:
    """The artifact's file, or that of its graph, in `folder`; and its content, parsed."""
    tflite = artifact.tflite
    if tflite is None:
        if artifact.graph is None:
            raise EdgekitError("there is no TFLite file to run")
        tflite = write_tflite(artifact.graph)
    (folder / MODEL).write_bytes(tflite)
    return parse(tflite)


def _run(folder: Path, model: Any, batch: npt.NDArray[Any]) -> Values:
    """Shares the batch out between the processors."""
    parts = shares(batch)
    files = [[folder / INPUTS.format(index), folder / OUTPUTS.format(index)] for index in range(len(parts))]
    for part, (given, _) in zip(parts, files, strict=True):
        np.save(given, part)
    limits = [START_SECONDS_MAX + IMAGE_SECONDS_MAX * len(part) for part in parts]
    try:
        call_together([_command(folder, model, both) for both in files], limits, _check_ended)
    except TookTooLong as error:
        raise EdgekitError(f"TFLite Micro did not end within {limits[0]} s for {len(parts[0])} images") from error
    return _joined(model, [taken for _, taken in files])


def _command(folder: Path, model: Any, files: list[Path]) -> list[str | Path]:
    """`files`: inputs and outputs; none to load the model only."""
    kept = ",".join(map(str, _computed(model)))
    return [sys.executable, "-m", PROGRAM, folder / MODEL, str(_arena_bytes(model)), kept, *files]


def _check_ended(ended: Ended) -> None:
    """Raises EdgekitError with the interpreter's last words."""
    if ended.code != 0:
        lines = [line.strip() for line in ended.messages_text.splitlines() if line.strip()]
        raise EdgekitError(f"TFLite Micro does not run the file: {'; '.join(lines[-3:]) or f'it ended with code {ended.code}'}")


def _computed(model: Any) -> list[int]:
    """Indices of the tensors that ops write."""
    return [int(index) for op in model.subgraphs[0].operators for index in op.outputs]


def _arena_bytes(model: Any) -> int:
    """Room for all tensors at once, twice: what is kept, and what a kernel may copy."""
    subgraph = model.subgraphs[0]
    shapes = [subgraph.tensors[index].shape for index in (*_computed(model), *map(int, subgraph.inputs))]
    return ARENA_SLACK + 2 * 8 * sum(int(np.prod(np.asarray(shape), dtype=np.int64)) for shape in shapes if shape is not None)


def _joined(model: Any, files: list[Path]) -> Values:
    """Tensor name -> (batch, *shape), without the file's own batch of 1."""
    tables = []
    for path in files:
        with np.load(path, allow_pickle=False) as table:
            tables.append(dict(table))
    tensors = model.subgraphs[0].tensors
    return {tensors[int(key)].name.decode(): np.concatenate([table[key] for table in tables]) for key in tables[0]}


EXECUTOR = Executor("tflm", _missing, _open)
