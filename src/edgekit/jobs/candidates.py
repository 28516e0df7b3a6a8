"""What `edgekit evaluate` can run: a name on the command line becomes candidates, each a model on an executor, from pixels, or the numbers
of arrays, to scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edgekit.arrays import Array
from edgekit.bundle import GRAPH, LABELS, TFLITE, Bundle, class_count, open_bundle
from edgekit.connections.address import session_on
from edgekit.digest import digest_of
from edgekit.errors import EdgekitError, UnknownName
from edgekit.executor import Artifact, Executor
from edgekit.files import MODEL_BYTES_MAX, check_path, check_regular, read_bounded
from edgekit.graph import IntegerGraph, check
from edgekit.images.preprocessing import AS_THEY_ARE, BGR, MINUS_ONE_TO_ONE, RGB, Preprocessing
from edgekit.jobs.answers import answers_of_ending, answers_of_graph, named, require_one_output, scores_of
from edgekit.jobs.labels import are_numbers, read_labels
from edgekit.jobs.model_files import KERAS_SUFFIXES, is_graph_file, is_saved_model
from edgekit.jobs.source import ASSUMED, QuantizedModel, read_keras
from edgekit.keras_models.reading.ending import SIGMOIDS, SOFTMAX
from edgekit.plan import MANIFEST
from edgekit.progress import Note
from edgekit.targets import LOCAL, find_device
from edgekit.tflite import KERNEL_SETS
from edgekit.tflite.kernel_sets import device_executor_name, executor_name

Score: TypeAlias = Callable[[Array], Array]
"""uint8 pixels (count, rows, columns, channels), or numbers (count, *shape) of a network that takes no images -> float64 scores
(count, classes), or numbers (count, values) where outputs are no classes."""

FASTEST = ("tflite-xnnpack", "onnxruntime", "reference")
KERNELS = {executor_name(kernels): kernels for kernels in KERNEL_SETS}
"""The executors of TFLite files, with the kernel set of each."""
SHAPED = ("RESHAPE", "QUANTIZE", "DEQUANTIZE")
"""Ops of TFLite behind which a network's end may be."""
ENDINGS = {"SOFTMAX": SOFTMAX, "LOGISTIC": SIGMOIDS[0]}
KERAS_GROWTH = 64
"""All tensors of a network in Keras hold about so many times the values of its input."""
TAKES = "a .keras, .h5, .tflite or .onnx file, or a folder that 'edgekit export' or 'edgekit hls' wrote"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """`model` as it was named. `shape` of the input without batch. `labels` of the outputs, where they are known. `answers`: what outputs
    are, one of edgekit.bundle.ANSWERS; `classes` is their number, or 0, and `outputs` that of values. `of`: as in Preprocessing.

    `graph`: SHA-256 of the integer graph that it computes, None where it is not exact. `values`: roughly how many an image takes in
    memory. `assumed`: nothing says what it takes of pixels.
    """

    model: str
    executor: str
    shape: tuple[int, ...]
    outputs: int
    answers: str
    of: str
    labels: tuple[str, ...]
    graph: str | None
    values: int
    open: Callable[[Note], AbstractContextManager[Score]]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    assumed: bool = False
    on: str = LOCAL

    @property
    def classes(self) -> int:
        return class_count(self.answers, self.outputs)


@dataclass(frozen=True)
class Taken:
    """What the user says that the input of a file takes, which is no part of a bundle: `preprocessing` in the order red, green, blue.

    `values`: the data are arrays of what it takes, where nothing says otherwise. `labels`: names of its classes. `size`: rows and columns,
    of one that leaves them open.
    """

    preprocessing: Preprocessing | None = None
    channel_order: str = RGB
    values: bool = False
    labels: tuple[str, ...] = ()
    size: int | None = None

    @property
    def assumed(self) -> bool:
        return self.preprocessing is None and not self.values


@dataclass(frozen=True)
class _Model:
    """An artifact with what was recorded of it. `bundle`: where it lies in one. `assumed`: nothing says what it takes
    of pixels. `turned`: it takes blue first. `answers`: what its outputs are, where it was said."""

    name: str
    artifact: Artifact
    preprocessing: Preprocessing
    labels: tuple[str, ...] = ()
    bundle: Bundle | None = None
    warnings: tuple[str, ...] = ()
    assumed: bool = False
    turned: bool = False
    answers: str | None = None


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
    if runs_in_keras(path):
        return [_named(_in_keras(name, taken, note), taken.labels)]
    note(f"reading {name}")
    model = _read(name, path, taken)
    if on != LOCAL and model.bundle is not None and model.bundle.manifest.kind == "tflite":
        return [_named(one, taken.labels) for one in _on_device(model, model.bundle, executors, on)]
    found = [_named(_on_executor(model, executor), taken.labels) for executor in _executors(model, executors)]
    return [_turned(one) for one in found] if model.turned else found


def _named(one: Candidate, class_names: tuple[str, ...]) -> Candidate:
    """With these names of its classes where it has none, and with scores of both where one number stands for two of them.

    Raises EdgekitError where they are not as many as its classes.
    """
    if class_names and are_numbers(one.labels):
        one = replace(one, labels=class_names, answers=named(one.answers, class_names, one.outputs))
        if len(class_names) != one.classes:
            raise EdgekitError(f"--labels names {len(class_names)} classes, '{one.model}' has {one.classes}; a line for each is needed")

    @contextmanager
    def open_(note: Note) -> Iterator[Score]:
        with plain(note) as score:
            yield lambda pixels: scores_of(answers, score(pixels))

    plain, answers = one.open, one.answers
    return replace(one, open=open_)


def runs_in_keras(path: Path) -> bool:
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
    return _Model(
        name,
        artifact,
        taken.preprocessing or (AS_THEY_ARE if taken.values else MINUS_ONE_TO_ONE),
        warnings=(f"{name}: {ASSUMED}",) if taken.assumed else (),
        assumed=taken.assumed,
        turned=taken.channel_order == BGR,
    )


def _of_bundle(name: str, bundle: Bundle) -> _Model:
    from edgekit.verify.remake import remade_artifact

    for file, problem in bundle.changed.items():
        raise EdgekitError(f"{bundle.folder}: {file} {problem}; export again, its accuracy would be that of something else")
    labels = read_labels(bundle.folder / LABELS) if LABELS in bundle.manifest.files else []
    artifact, manifest = remade_artifact(bundle), bundle.manifest
    return _Model(name, artifact, manifest.preprocessing, tuple(labels), bundle, assumed=manifest.assumed, answers=manifest.answers)


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
    from edgekit.verify.inputs import graph_input, reader

    require_one_output(graph.outputs, f"'{model.name}'")
    kind, output = graph_input(graph), graph.tensors[graph.outputs[0]]
    read = reader(kind, model.preprocessing)

    @contextmanager
    def open_(note: Note) -> Iterator[Score]:
        with executor.open(model.artifact, note) as run:

            def score(pixels: Array) -> Array:
                values = run(read(pixels))[output.name]
                return np.ldexp(values.reshape(len(pixels), -1).astype(np.float64), -output.binary_point)

            yield score

    return Candidate(
        model=model.name,
        executor=executor.name,
        shape=kind.shape,
        outputs=prod(output.shape),
        answers=model.answers or answers_of_graph(graph, model.preprocessing),
        of=model.preprocessing.of,
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
    from edgekit.verify.inputs import reader
    from edgekit.verify.recorded import first_output, stock_signature

    signature, output = stock_signature(tflite, model.preprocessing), first_output(tflite)
    require_one_output(tuple(signature.outputs), f"'{model.name}'")
    kind, read = signature.input, reader(signature.input, model.preprocessing)

    @contextmanager
    def open_(note: Note) -> Iterator[Score]:
        with load(note) as run:

            def score(pixels: Array) -> Array:
                values = run(read(pixels)).reshape(len(pixels), -1)
                return (values.astype(np.float64) - output.zero_point) * output.scale

            yield score

    graph = model.artifact.graph
    return Candidate(
        model=model.name,
        executor=executor,
        shape=kind.shape,
        outputs=output.values,
        answers=model.answers or _answers_of_file(model, tflite, kind.shape, output.shape),
        of=model.preprocessing.of,
        labels=model.labels,
        graph=None if graph is None else graph_digest(graph),
        values=prod(kind.shape) + output.values,
        open=open_,
        warnings=model.warnings,
        assumed=model.assumed,
    )


def _answers_of_file(model: _Model, tflite: bytes, source: tuple[int, ...], output: tuple[int, ...]) -> str:
    """What the outputs of a TFLite file are that lies in no bundle."""
    if model.artifact.graph is not None:
        return answers_of_graph(model.artifact.graph, model.preprocessing)
    from edgekit.tflite import describe

    names = [op.name for op in describe(tflite) if op.name not in SHAPED]
    return answers_of_ending(ENDINGS.get(names[-1] if names else "", ""), source, output, model.preprocessing)


def _in_keras(name: str, taken: Taken, note: Note) -> Candidate:
    from edgekit.verify.inputs import float_input, reader

    source = read_keras(Path(name), note, taken.preprocessing, taken.channel_order, size=taken.size, values=taken.values)
    model = source.keras
    shape = tuple(int(size) for size in model.inputs[0].shape[1:])
    read = reader(float_input(shape, source.preprocessing), source.preprocessing)
    graph = None
    if isinstance(source, QuantizedModel):
        from edgekit.keras_models import freeze

        graph = graph_digest(freeze(model, source.name))

    @contextmanager
    def open_(note: Note) -> Iterator[Score]:
        def score(pixels: Array) -> Array:
            return np.asarray(model.predict_on_batch(read(pixels)), np.float64).reshape(len(pixels), -1)

        yield score

    return Candidate(
        model=name,
        executor="keras",
        shape=shape,
        outputs=prod(int(size) for size in model.outputs[0].shape[1:]),
        answers=source.answers,
        of=source.preprocessing.of,
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
