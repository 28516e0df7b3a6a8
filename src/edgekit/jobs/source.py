"""What the user named as MODEL: a network of the zoo, a float network in a file of any kind that is read, or an integer graph as ONNX."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from edgekit.bundle import Option, WeightsSource
from edgekit.digest import digest_of, digest_of_file
from edgekit.errors import EdgekitError
from edgekit.files import MODEL_BYTES_MAX, read_bounded
from edgekit.graph import IntegerGraph, check
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, Preprocessing, as_taken
from edgekit.jobs.model_files import FILE_SUFFIXES, digest_of_model, is_graph_file, is_model_file, read_model
from edgekit.keras_models import NETWORKS, find_network
from edgekit.progress import Note

STATISTICS_COUNT = 16
DEFAULT_SEED = 0
ASSUMED = "the file does not say how images are normalized; assuming pixels / 127.5 - 1"


@dataclass(frozen=True)
class ModelRequest:
    """`model`: a zoo name or a file. `weights`, `alpha`, `size` and `classes` belong to a zoo name; None is the network's default.

    `calibration`: a folder of images, "digits", "synthesized" for images made of the network's batch-norm statistics, or None for
    crops of scikit-learn's two photographs. `effort`: "quick" or "full", how much is done for the accuracy of a float model that becomes
    exact.
    """

    model: str
    alpha: float | None = None
    size: int | None = None
    classes: int | None = None
    weights: Path | None = None
    calibration: str | None = None
    seed: int = DEFAULT_SEED
    effort: str = "quick"


@dataclass(frozen=True, kw_only=True)
class _Source:
    """What is known of a model of any kind. `options`: of a zoo network its width, size and classes, of a file its size.

    `warnings` are what the user must know, `notes` what is good to know.
    """

    name: str
    options: dict[str, Option]
    weights: WeightsSource
    preprocessing: Preprocessing
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FloatModel(_Source):
    """A tf_keras model in floating point, or with other quantizers of qkeras than QFX."""

    keras: Any


@dataclass(frozen=True, kw_only=True)
class QuantizedModel(_Source):
    """A Keras model whose layers are quantized with QFX, an edgekit.keras_models.qfx.model.QFXModel: its integer graph is settled."""

    keras: Any


@dataclass(frozen=True, kw_only=True)
class GraphFile(_Source):
    """An integer graph that was read from an ONNX file. There is no Keras model of it."""

    graph: IntegerGraph


KerasSource: TypeAlias = FloatModel | QuantizedModel
Source: TypeAlias = FloatModel | QuantizedModel | GraphFile
"""A model that is ready to export; its type says what it is."""


def load_source(request: ModelRequest, note: Note = lambda _: None) -> Source:
    """Builds or reads what was asked for.

    Raises:
        UnknownName: neither a zoo name nor a file.
        EdgekitError: a file that cannot be read, weights that do not fit, options that do not belong to this kind of model.
    """
    path = Path(request.model)
    if request.model not in NETWORKS and is_model_file(path):
        _refuse_zoo_options(request)
        return _read_graph(path) if is_graph_file(path) else read_keras(path, note)
    if request.model not in NETWORKS and path.exists():
        kinds = f"a SavedModel folder, or a file that ends in {', '.join(FILE_SUFFIXES)}"
        raise EdgekitError(f"'{path}' is no model: name one that `edgekit models` lists, {kinds}")
    find_network(request.model)
    return _build(request, note)


def _build(request: ModelRequest, note: Note) -> FloatModel:
    from edgekit.keras_models import build_model
    from edgekit.keras_models.zoo.network import make_request

    given: dict[str, Any] = {"alpha": request.alpha, "size": request.size, "classes": request.classes}
    wanted = make_request(find_network(request.model), **{name: value for name, value in given.items() if value is not None})
    options: dict[str, Option] = {"alpha": wanted.alpha, "size": wanted.size, "classes": wanted.classes}
    preprocessing = NETWORKS[request.model].preprocessing
    note(f"building {wanted.model_name}")
    model = build_model(request.model, alpha=wanted.alpha, size=wanted.size, classes=wanted.classes)
    if request.weights is not None:
        from edgekit.keras_models import import_weights

        note(f"loading weights from {request.weights}")
        imported = import_weights(model, request.weights)
        weights = WeightsSource("file", file=request.weights.name, sha256=digest_of_file(request.weights))
        preprocessing = imported.preprocessing or preprocessing
        return FloatModel(
            name=wanted.model_name, options=options, weights=weights, preprocessing=preprocessing, keras=model, notes=(imported.note,)
        )
    from edgekit.keras_models.training.images import photographs
    from edgekit.keras_models.weights.random import randomize

    note("drawing random weights")
    randomize(model, as_taken(photographs(wanted.size, STATISTICS_COUNT, request.seed), preprocessing), request.seed)
    warning = (
        f"no --weights given: {request.model} gets RANDOM weights (seed {request.seed}). Its outputs mean nothing; "
        "sizes, latency and bit-exactness can be judged, accuracy cannot."
    )
    weights = WeightsSource("random", seed=request.seed)
    return FloatModel(
        name=wanted.model_name, options=options, weights=weights, preprocessing=preprocessing, keras=model, warnings=(warning,)
    )


def read_keras(path: Path, note: Note) -> KerasSource:
    """A file with a network in Keras, or one that becomes a Keras model as it is read.

    Raises EdgekitError where it cannot be read, or has not one input of a fixed size.
    """
    note(f"reading {path}")
    read = read_model(path)
    model, preprocessing = read.model, read.preprocessing
    from edgekit.keras_models import QFXModel  # TensorFlow comes with it: a file that cannot be read is refused before

    weights = WeightsSource("file", file=path.name, sha256=digest_of_model(path), accuracy=read.accuracy)
    if len(model.inputs) != 1 or any(size is None for size in model.inputs[0].shape[1:]):
        raise EdgekitError(
            f"'{path}' takes inputs of shape {[tuple(i.shape[1:]) for i in model.inputs]}; one input of a fixed size is supported"
        )
    options: dict[str, Option] = {"size": int(model.inputs[0].shape[1])}
    kind = QuantizedModel if isinstance(model, QFXModel) else FloatModel
    return kind(
        name=model.name,
        options=options,
        weights=weights,
        preprocessing=preprocessing or MINUS_ONE_TO_ONE,
        keras=model,
        notes=() if preprocessing else (ASSUMED,),
    )


def _read_graph(path: Path) -> GraphFile:
    from edgekit.graph import read_onnx

    content = read_bounded(path, MODEL_BYTES_MAX)
    graph = read_onnx(content)
    check(graph)
    weights = WeightsSource("file", file=path.name, sha256=digest_of(content))
    options: dict[str, Option] = {"size": graph.tensors[graph.input].shape[0]}
    return GraphFile(name=graph.name, options=options, weights=weights, preprocessing=MINUS_ONE_TO_ONE, graph=graph, notes=(ASSUMED,))


def _refuse_zoo_options(request: ModelRequest) -> None:
    given = [name for name in ("alpha", "size", "classes", "weights") if getattr(request, name) is not None]
    if given:
        raise EdgekitError(
            f"'{request.model}' is a file, which settles --{', --'.join(given)} itself; leave {'it' if len(given) == 1 else 'them'} out"
        )
