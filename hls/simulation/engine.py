"""The C simulation of the shared engine as an executor, and what it counts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.children import TookTooLong, call
from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.graph import IntegerGraph, violations
from edgekit.hls.engine.board_program import ENGINE_FACTS, program_for
from edgekit.hls.engine.cost import design_for
from edgekit.hls.engine.descriptor import descriptors, reader_cpp, size_cpp
from edgekit.hls.engine.estimate import DdrRate, fifo_bytes
from edgekit.hls.engine.program import Kind, Program, Step, VectorJob
from edgekit.hls.engine.size import EngineSize
from edgekit.hls.simulation.csim import IMAGE_SECONDS_MAX, START_SECONDS_MAX, VECTORIZE, compile_program, known_flags
from edgekit.progress import Note
from edgekit.scratch import scratch_folder
from edgekit.targets import at_clock, find_board
from edgekit.tools import GXX, missing_reason, require

SIMULATED_BOARD = "ultra96"
"""Whose engine runs a graph that is in no project of an engine: the integers are the same on every board."""
KERNEL = tuple(f"edgekit_engine{part}.h" for part in ("", "_control", "_count", "_fetch", "_matrix", "_memory", "_vector"))
SIMULATION = "simulate_engine.cpp"
NATIVE = ("ap_int.h", "ap_fixed.h", "hls_stream.h")


@dataclass(frozen=True)
class Counts:
    """What a frame took in the C simulation: beats in which each array had a job, bytes of the weight stream, of the image, of results and
    of the program, and beats in which the engine waited for DDR.

    broken: promises of the compiler that were not kept: banks used twice in a beat, jobs that started late, weights that were not there, or
    were left over.
    """

    vector: int
    matrix: int
    weights: int
    image: int
    results: int
    broken: int
    program: int = 0
    waits: int = 0


@dataclass(frozen=True)
class Simulated:
    """Tensor name -> (batch, *shape), and the counts of each image."""

    values: Values
    counts: tuple[Counts, ...]


def kernel_sources(size: EngineSize) -> dict[str, bytes]:
    """The kernel and its constants, by file name: what is synthesized."""
    here = files("edgekit.hls.engine")
    found = {name: (here / name).read_bytes() for name in KERNEL}
    return found | {"edgekit_engine_job.h": reader_cpp().encode(), "edgekit_engine_size.h": size_cpp(size).encode()}


def native_types() -> dict[str, bytes]:
    """What stands in for the synthesis' types in a C simulation, by file name."""
    return {f"native/{name}": (files("edgekit.hls") / "native" / name).read_bytes() for name in NATIVE}


def engine_sources(size: EngineSize) -> dict[str, bytes]:
    """The kernel, its constants and its C simulation, by file name."""
    return kernel_sources(size) | native_types() | {SIMULATION: (files("edgekit.hls.engine") / SIMULATION).read_bytes()}


def compile_engine(size: EngineSize, folder: Path, *flags: str) -> Path:
    """The simulation program of an engine of this size, in `folder`. Raises EdgekitError: no compiler, or it does not compile."""
    for name, content in engine_sources(size).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    types = ["-O2", "-isystem", "native", *known_flags(require(GXX), VECTORIZE), *flags]
    return compile_program(folder, folder, types, (SIMULATION,))


def watched(program: Program) -> list[tuple[Step, str]]:
    """Steps whose rows the simulation writes and the tensors that these are, in the order in which it does."""
    steps = sorted((step for step in program.steps if step.tensor), key=lambda step: step.end)
    return [(step, name) for step in steps for name in (step.tensor, step.passed) if name]


def write_program(program: Program, folder: Path) -> None:
    """The files that the simulation reads."""
    records = []
    for step, name in watched(program):
        view, _ = program.views[name]
        records.append((step.end, view.base, view.row_words, view.ring, step.first_row, step.rows, name == step.passed))
    (folder / "matrix.jobs").write_bytes(descriptors(program, True).astype("<i2").tobytes())
    (folder / "vector.jobs").write_bytes(descriptors(program, False).astype("<i2").tobytes())
    (folder / "rows.bin").write_bytes(program.stream)
    (folder / "watch.bin").write_bytes(np.array(records, "<i4").tobytes())


def result_words(program: Program) -> int:
    """Words of all results in DDR."""
    stores = [job for step in program.steps for job in step.jobs if isinstance(job, VectorJob) and job.kind is Kind.STORE]
    return max((job.out.base + job.out.words for job in stores), default=0)


def simulate(
    program: Program, graph: IntegerGraph, executable: Path, folder: Path, inputs: npt.NDArray[Any], rate: DdrRate | None = None
) -> Simulated:
    """Runs a batch; `folder` has the program's files. Waits for memory are counted where its `rate` is given.

    Raises:
        EdgekitError: the simulation failed.
    """
    tensor, size = graph.tensors[graph.input], program.size
    if inputs.shape[1:] != tensor.shape:
        raise ValueError(f"inputs have shape {inputs.shape[1:]}, tensor '{tensor.name}' has {tensor.shape}")
    batch = inputs.astype(tensor.dtype)
    (folder / "images.bin").write_bytes(batch.tobytes())
    numbers = [program.beats, batch[0].nbytes if len(batch) else 1, result_words(program)]
    memory = [round(1000 * rate.port), round(1000 * rate.both)] if rate else [0, 0]
    files = [str(folder / name) for name in ("images.bin", "outputs.bin")]
    command = [str(executable), str(folder), *map(str, numbers), *files, *map(str, (*memory, *fifo_bytes(size)))]
    limit = START_SECONDS_MAX + IMAGE_SECONDS_MAX * len(batch)
    try:
        done = call(command, limit)
    except TookTooLong:
        raise EdgekitError(f"the engine's C simulation did not end within {limit} s for {len(batch)} images") from None
    if done.code != 0:
        raise EdgekitError(f"the engine's C simulation ended with code {done.code}: {done.messages_text[-500:] or 'it said nothing'}")
    counts = []
    for line in done.output_text.splitlines():
        vector, matrix, vector_rows, matrix_rows, image, results, jobs, waits, *broken = (int(number) for number in line.split())
        counts.append(Counts(vector, matrix, (vector_rows + matrix_rows) * size.row_bytes, image, results, sum(broken), jobs, waits))
    written = np.fromfile(folder / "outputs.bin", np.uint8).reshape(len(batch), -1)
    values = {graph.input: batch, **_unpacked(program, graph, written)}
    for name, source in program.same.items():
        values.setdefault(name, values[source].reshape(-1, *graph.tensors[name].shape))
    return Simulated(values, tuple(counts))


def _unpacked(program: Program, graph: IntegerGraph, written: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[Any]]:
    """Tensors from the rows that were written; the results, which follow, are those of tensors that are among them."""
    size, place = program.size, 0
    taken = {name: np.zeros((len(written), view.rows, view.cols, len(places)), np.uint8) for name, (view, places) in program.views.items()}
    for step, name in watched(program):
        view, places = program.views[name]
        count = step.rows * view.row_words * size.simd
        pixels = written[:, place : place + count].reshape(len(written), step.rows, view.cols, -1)
        taken[name][:, step.first_row : step.first_row + step.rows] = pixels[:, :, :, np.array(places)]
        place += count
    _check_results(program, taken, written[:, place:])
    return {name: values.view(graph.tensors[name].dtype).reshape(-1, *graph.tensors[name].shape) for name, values in taken.items()}


def _check_results(program: Program, taken: dict[str, npt.NDArray[np.uint8]], results: npt.NDArray[np.uint8]) -> None:
    """What came to DDR has to be what was in the map memory; it takes the tensor's place where it is not, so that a comparison finds it."""
    place = 0
    for name in dict.fromkeys(program.outputs):
        view, places = program.views[name]
        count = view.rows * view.row_words * program.size.simd
        taken[name] = results[:, place : place + count].reshape(len(results), view.rows, view.cols, -1)[:, :, :, np.array(places)]
        place += count


def _program(artifact: Artifact, graph: IntegerGraph) -> Program:
    """For the engine of the artifact's project, where it is one of an engine."""
    project = artifact.hls_project or {}
    if ENGINE_FACTS in project:
        facts = json.loads(project[ENGINE_FACTS])
        board = at_clock(find_board(facts["board"]), facts["clock_mhz"])
        return program_for(graph, replace(design_for(board), clock_mhz=board.clock_mhz), board)
    board = find_board(SIMULATED_BOARD)
    return program_for(graph, design_for(board), board)


def _missing(artifact: Artifact) -> str | None:
    if artifact.graph is None:
        return "it needs an integer graph"
    violation = next(violations(artifact.graph), None)
    if violation is not None:
        return f"the graph breaks the contract, on which the hardware's shifts rely: {violation}"
    if (reason := missing_reason(GXX)) is not None:
        return reason
    try:
        _program(artifact, artifact.graph)
    except EdgekitError as error:
        return str(error)
    return None


@contextmanager
def _open(artifact: Artifact, note: Note) -> Iterator[Run]:
    if artifact.graph is None:
        raise EdgekitError("the engine's C simulation needs an integer graph")
    graph = artifact.graph
    note("compiling the program of the engine")
    program = _program(artifact, graph)
    with scratch_folder("engine") as folder:
        note("compiling the engine's C simulation")
        executable = compile_engine(program.size, folder)
        write_program(program, folder)

        def run(inputs: npt.NDArray[Any]) -> Values:
            return simulate(program, graph, executable, folder, inputs).values

        yield run


EXECUTOR = Executor("hls-engine-csim", _missing, _open)
