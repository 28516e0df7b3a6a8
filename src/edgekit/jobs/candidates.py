"""What `edgekit evaluate` can run: a name on the command line becomes candidates, each a model on an executor, from pixels to scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edgekit.arrays import Array
from edgekit.bundle import GRAPH, LABELS, TFLITE, Bundle, open_bundle
from edgekit.connections.address import session_on
from edgekit.digest import digest_of
from edgekit.errors import EdgekitError, UnknownName
from edgekit.executor import Artifact, Executor
from edgekit.files import MODEL_BYTES_MAX, check_path, check_regular, read_bounded
from edgekit.graph import IntegerGraph, check
from edgekit.images.pixels import look_up, map_shape
from edgekit.images.preprocessing import BGR, MINUS_ONE_TO_ONE, RGB, Preprocessing, float_table
from edgekit.jobs.labels import read_labels
from edgekit.jobs.model_files import KERAS_SUFFIXES, is_graph_file, is_saved_model
from edgekit.jobs.source import ASSUMED, QuantizedModel, read_keras
from edgekit.plan import MANIFEST
from edgekit.progress import Note
from edgekit.targets import LOCAL, find_device
from edgekit.tflite import KERNEL_SETS
from edgekit.tflite.kernel_sets import device_executor_name, executor_name

Score: TypeAlias = Callable[[Array], Array]
"""uint8 pixels (count, rows, columns, channels) -> float64 scores (count, classes)."""

FASTEST = ("tflite-xnnpack", "onnxruntime", "reference")
KERNELS = {executor_name(kernels): kernels for kernels in KERNEL_SETS}
"""The executors of TFLite files, with the kernel set of each."""
KERAS_GROWTH = 64
"""All tensors of a network in Keras hold about so many times the values of its input."""
TAKES = "a .keras, .h5, .tflite or .onnx file, or a folder that 'edgekit export' or 'edgekit hls' wrote"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """`model` as it was named. `shape` of the input without batch. `labels` of the outputs, where they are known.

    `graph`: SHA-256 of the integer graph that it computes, None where it is not exact. `values`: roughly how many an image takes in
    memory. `assumed`: nothing says what it takes of pixels.
    """

    model: str
    executor: str
    shape: tuple[int, ...]
    classes: int
    labels: tuple[str, ...]
    graph: str | None
    values: int
    open: Callable[[Note], AbstractContextManager[Score]]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    assumed: bool = False
    on: str = LOCAL


@dataclass(frozen=True)
class Taken:
    """What the user says that the input of a file takes, which is no part of a bundle: `preprocessing` in the order red, green, blue."""

    preprocessing: Preprocessing | None = None
    channel_order: str = RGB


@dataclass(frozen=True)
class _Model:
    """An artifact with what was recorded of it. `bundle`: where it lies in one. `assumed`: nothing says what it takes
    of pixels. `turned`: it takes blue first."""

    name: str
    artifact: Artifact
    preprocessing: Preprocessing
    labels: tuple[str, ...] = ()
    bundle: Bundle | None = None
    warnings: tuple[str, ...] = ()
    assumed: bool = False
    turned: bool = False


def candidates_of(
    name: str, executors: Sequence[str] | None = None, on: str = LOCAL, note: Note = lambda _: None, taken: Taken = Taken()
) -> list[Candidate]:
    """A model on each of these executors, by default on its fastest; a Keras file, and a float network as ONNX, always in Keras.

    Args:
        name: a file or a folder, as in TAKES.
        taken: of a file; a bundle says itself what it takes.
        on: as in edgekit.connections.address; what is no bundle for a device stays on this machine.

    Raises:
        EdgekitError: it cannot be read, or an executor cannot run it.
    """
    path = Path(name)
    check_path(path)
    if _runs_in_keras(path):
        return [_in_keras(name, taken, note)]
    note(f"reading {name}")
    model = _read(name, path, taken)
    if on != LOCAL and model.bundle is not None and model.bundle.manifest.kind == "tflite":
        return list(_on_device(model, model.bundle, executors, on))
    found = [_on_executor(model, executor) for executor in _executors(model, executors)]
    return [_turned(one) for one in found] if model.turned else found


def _runs_in_keras(path: Path) -> bool:
    suffix = path.suffix.lower()
    if path.is_dir():
        return is_saved_model(path)
    return suffix in KERAS_SUFFIXES or (suffix == ".onnx" and path.is_file() and not is_graph_file(path))


def _turned(one: Candidate) -> Candidate:
    """A candidate that is given blue first."""

    @contextmanager
    def open_(note: Note) -> Iterator[Score]:
        with one.open(note) as score:
            yield lambda pixels: score(pixels[..., ::-1])

    return replace(one, open=open_)


def _read(name: str, path: Path, taken: Taken) -> _Model:
    if path.is_dir():
        return _of_bundle(name, open_bundle(path))
    if not path.exists():
        raise EdgekitError(f"there is no '{name}'; evaluate takes {TAKES}")
    check_regular(path, MODEL_BYTES_MAX)
    if path.suffix.lower() not in (".tflite", ".onnx"):
        raise EdgekitError(f"'{name}' cannot be evaluated; name {TAKES}")
    if path.name in (TFLITE, GRAPH) and (path.parent / MANIFEST).is_file():
        found = _of_bundle(name, open_bundle(path.parent))
        artifact = found.artifact if path.name == TFLITE else Artifact(graph=found.artifact.graph)
        return replace(found, artifact=replace(artifact, hls_project=None))
    content = read_bounded(path, MODEL_BYTES_MAX)
    if path.suffix.lower() == ".tflite":
        artifact = Artifact(tflite=content)
    else:
        from edgekit.graph import read_onnx

        graph = read_onnx(content)
        check(graph)
        artifact = Artifact(graph)
    assumed = taken.preprocessing is None
    return _Model(
        name,
        artifact,
        taken.preprocessing or MINUS_ONE_TO_ONE,
        warnings=(f"{name}: {ASSUMED}",) if assumed else (),
        assumed=assumed,
        turned=taken.channel_order == BGR,
    )


def _of_bundle(name: str, bundle: Bundle) -> _Model:
    from edgekit.verify.remake import remade_artifact

    for file, problem in bundle.changed.items():
        raise EdgekitError(f"{bundle.folder}: {file} {problem}; export again, its accuracy would be that of something else")
    labels = read_labels(bundle.folder / LABELS) if LABELS in bundle.manifest.files else []
    artifact = remade_artifact(bundle)
    return _Model(name, artifact, bundle.manifest.preprocessing, tuple(labels), bundle, assumed=bundle.manifest.assumed)


def _executors(model: _Model, wanted: Sequence[str] | None) -> Iterator[Executor]:
    from edgekit.verify import executors_for

    fastest = ("hls-csim",) if model.artifact.hls_project is not None else FASTEST
    found = [executors_for(model.artifact, [name])[0] for name in (wanted or fastest)]
    lacking = "; ".join(f"executor '{one.name}' cannot run it here: {one.reason}" for one in found if one.executor is None)
    runs = [one.executor for one in found if one.executor is not None]
    if not runs or (wanted and lacking):
        raise EdgekitError(f"'{model.name}': {lacking}")
    yield from runs if wanted else runs[:1]


def _on_executor(model: _Model, executor: Executor) -> Candidate:
    if executor.name in KERNELS:
        return _on_kernels(model, executor.name, KERNELS[executor.name])
    graph = model.artifact.graph
    if graph is None:
        raise EdgekitError(f"'{model.name}' is not exact; {executor.name} takes exact networks. Use --on to run it on a device")
    from edgekit.verify.inputs import graph_input

    kind, output = graph_input(graph), graph.tensors[graph.outputs[0]]
    table = kind.table(model.preprocessing)

    @contextmanager
    def open_(note: Note) -> Iterator[Score]:
        with executor.open(model.artifact, note) as run:

            def score(pixels: Array) -> Array:
                values = run(look_up(pixels, table).reshape(-1, *kind.shape))[output.name]
                return np.ldexp(values.reshape(len(pixels), -1).astype(np.float64), -output.binary_point)

            yield score

    return Candidate(
        model=model.name,
        executor=executor.name,
        shape=kind.shape,
        classes=prod(output.shape),
        labels=model.labels,
        graph=graph_digest(graph),
        values=sum(prod(tensor.shape) for tensor in graph.tensors.values()),
        open=open_,
        warnings=model.warnings,
        assumed=model.assumed,
    )


def _on_kernels(model: _Model, executor: str, kernels: str) -> Candidate:
    from edgekit.tflite.executors import load_for_outputs

    tflite = _tflite(model)

    @contextmanager
    def open_(note: Note) -> Iterator[Callable[[Array], Array]]:
        note("loading the TFLite file")
        run = load_for_outputs(tflite, kernels)
        yield lambda inputs: run(inputs)[0]

    return _of_tflite(model, executor, tflite, open_)


def _on_device(model: _Model, bundle: Bundle, wanted: Sequence[str] | None, on: str) -> Iterator[Candidate]:
    """On the first of the device's runtimes; `wanted` names the kernel sets as on this machine."""
    from edgekit.tflite import parse
    from edgekit.tflite.device_executors import open_for_outputs
    from edgekit.verify.devices import runtimes_on

    for name in wanted or ():
        if name not in KERNELS:
            raise UnknownName("executor of a device", name, KERNELS)
    title, packages = runtimes_on(on, bundle)
    tflite, target = _tflite(model), find_device(bundle.manifest.target)
    subgraph = parse(tflite).subgraphs[0]
    output = subgraph.tensors[int(subgraph.outputs[0])].name.decode()
    for name in wanted or (FASTEST[0],):
        kernels = KERNELS[name]

        @contextmanager
        def open_(note: Note, kernels: str = kernels) -> Iterator[Callable[[Array], Array]]:
            with open_for_outputs(tflite, lambda: session_on(on, target), packages[0], kernels, note) as run:
                yield lambda inputs: run(inputs)[output]

        yield replace(_of_tflite(model, device_executor_name(title, packages[0], kernels), tflite, open_), on=on)


def _tflite(model: _Model) -> bytes:
    if model.artifact.tflite is not None:
        return model.artifact.tflite
    from edgekit.tflite import write_tflite

    assert model.artifact.graph is not None
    return write_tflite(model.artifact.graph)


def _of_tflite(model: _Model, executor: str, tflite: bytes, load: Callable[[Note], AbstractContextManager[Any]]) -> Candidate:
    """`load` gives a function from inputs to the first output, both as the file stores them."""
    from edgekit.verify.recorded import first_output, stock_signature

    kind, output = stock_signature(tflite, model.preprocessing).input, first_output(tflite)
    table = kind.table(model.preprocessing)

    @contextmanager
    def open_(note: Note) -> Iterator[Score]:
        with load(note) as run:

            def score(pixels: Array) -> Array:
                values = run(look_up(pixels, table).reshape(-1, *kind.shape)).reshape(len(pixels), -1)
                return (values.astype(np.float64) - output.zero_point) * output.scale

            yield score

    graph = model.artifact.graph
    return Candidate(
        model=model.name,
        executor=executor,
        shape=kind.shape,
        classes=output.values,
        labels=model.labels,
        graph=None if graph is None else graph_digest(graph),
        values=prod(kind.shape) + output.values,
        open=open_,
        warnings=model.warnings,
        assumed=model.assumed,
    )


def _in_keras(name: str, taken: Taken, note: Note) -> Candidate:
    source = read_keras(Path(name), note, taken.preprocessing, taken.channel_order)
    model = source.keras
    shape = tuple(int(size) for size in model.inputs[0].shape[1:])
    table = float_table(source.preprocessing, map_shape(shape)[2])
    graph = None
    if isinstance(source, QuantizedModel):
        from edgekit.keras_models import freeze

        graph = graph_digest(freeze(model, source.name))

    @contextmanager
    def open_(note: Note) -> Iterator[Score]:
        def score(pixels: Array) -> Array:
            outputs = model.predict_on_batch(look_up(pixels, table).reshape(-1, *shape))
            first = outputs[0] if isinstance(outputs, list) else outputs
            return np.asarray(first, np.float64).reshape(len(pixels), -1)

        yield score

    return Candidate(
        model=name,
        executor="keras",
        shape=shape,
        classes=prod(int(size) for size in model.outputs[0].shape[1:]),
        labels=(),
        graph=graph,
        values=prod(shape) * KERAS_GROWTH,
        open=open_,
        notes=tuple(f"{name}: {text}" for text in source.notes),
        warnings=tuple(f"{name}: {text}" for text in source.warnings),
        assumed=source.assumed,
    )


def graph_digest(graph: IntegerGraph) -> str:
    """SHA-256, in hex, of what a graph computes, whatever it is called."""
    from edgekit.graph import write_onnx

    return digest_of(write_onnx(replace(graph, name="network")))
