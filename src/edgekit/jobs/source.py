"""What the user named as MODEL: a network of the zoo, a float network in a file of any kind that is read, or an integer graph as ONNX."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from edgekit.bundle import CLASSES, Option, WeightsSource
from edgekit.digest import digest_of, digest_of_file
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.files import MODEL_BYTES_MAX, check_path, read_bounded
from edgekit.graph import Conv2D, IntegerGraph, Op, check, op_inputs
from edgekit.images.preprocessing import AS_THEY_ARE, BGR, MINUS_ONE_TO_ONE, RGB, Preprocessing, as_taken
from edgekit.jobs.answers import answers_of_graph, answers_of_model, require_one_output
from edgekit.jobs.model_files import FILE_SUFFIXES, digest_of_model, is_graph_file, is_model_file, read_model
from edgekit.jobs.samples import is_samples
from edgekit.keras_models import find_network, is_network
from edgekit.keras_models.reading.head import TURNED, take_off_head, turn_channels
from edgekit.plan import safe_name
from edgekit.progress import Note

STATISTICS_COUNT = 16
DEFAULT_SEED = 0
ASSUMED = (
    "the file does not say how images are normalized; assuming pixels / 127.5 - 1, that is -1..1. If it was trained on anything else, its "
    "answers are WRONG: say what with --preprocessing 0..1, 0..255, imagenet or numbers"
)


@dataclass(frozen=True)
class ModelRequest:
    """`model`: a zoo name, an architecture table (.json), which counts as one, or a model file. `weights`, `alpha`, `size` and `classes`
    belong to a zoo name; None is the network's default.

    `calibration`: a folder of images, "digits", "synthesized" for none (the crops, if the network's batch norms say that they are like its
    training images, else images made of those statistics), a .npy or .npz file of inputs, or None for crops of scikit-learn's two
    photographs. A file's network whose preprocessing nothing says takes what such arrays hold, and no images. `size`, of a file, is for one
    that leaves its rows and columns open. `effort`: "quick" or "full", how much is done for the accuracy of a float model that becomes
    exact; None is full where the model was trained and there are images or arrays for it, or its batch norms say that the crops are.
    `preprocessing`: what the model's input takes, in the order red, green, blue; None is what the network, the file, or layers at its head
    say. `channel_order`: "bgr" where the model's input takes blue first.
    """

    model: str
    alpha: float | None = None
    size: int | None = None
    classes: int | None = None
    weights: Path | None = None
    calibration: str | None = None
    seed: int = DEFAULT_SEED
    effort: str | None = None
    preprocessing: Preprocessing | None = None
    channel_order: str = RGB


@dataclass(frozen=True, kw_only=True)
class _Source:
    """What is known of a model of any kind. `options`: of a zoo network its width, size and classes, of a file its size.

    `assumed`: nothing said what the preprocessing is. `answers`: what outputs are, one of edgekit.bundle.ANSWERS. `warnings` are what the
    user must know, `notes` what is good to know.
    """

    name: str
    options: dict[str, Option]
    weights: WeightsSource
    preprocessing: Preprocessing
    assumed: bool = False
    answers: str = CLASSES
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
    check_path(path)
    if not is_network(request.model) and is_model_file(path):
        _refuse_zoo_options(request)
        if is_graph_file(path):
            return _read_graph(path, request)
        return read_keras(
            path, note, request.preprocessing, request.channel_order, size=request.size, values=is_samples(request.calibration)
        )
    if not is_network(request.model) and path.exists():
        kinds = f"a SavedModel folder, or a file that ends in {', '.join(FILE_SUFFIXES)}"
        raise EdgekitError(f"'{path}' is no model: name one that `edgekit models` lists, a table that `edgekit search` wrote, {kinds}")
    find_network(request.model)
    source = _build(request, note)
    return source if request.channel_order != BGR else _turned(source)


def _build(request: ModelRequest, note: Note) -> FloatModel:
    from edgekit.keras_models import build_model
    from edgekit.keras_models.zoo.network import make_request

    given: dict[str, Any] = {"alpha": request.alpha, "size": request.size, "classes": request.classes}
    wanted = make_request(find_network(request.model), **{name: value for name, value in given.items() if value is not None})
    options: dict[str, Option] = {"alpha": wanted.alpha, "size": wanted.size, "classes": wanted.classes}
    preprocessing = request.preprocessing or wanted.network.preprocessing
    note(f"building {wanted.model_name}")
    model = build_model(request.model, alpha=wanted.alpha, size=wanted.size, classes=wanted.classes)
    if request.weights is not None:
        from edgekit.keras_models import import_weights

        note(f"loading weights from {request.weights}")
        imported = import_weights(model, request.weights)
        weights = WeightsSource("file", file=request.weights.name, sha256=digest_of_file(request.weights))
        preprocessing = request.preprocessing or imported.preprocessing or preprocessing
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


def _turned(source: FloatModel) -> FloatModel:
    """A model of the zoo whose weights were trained on images with blue first, as one that takes red first."""
    turn_channels(source.keras)
    return replace(source, notes=(*source.notes, TURNED))


def read_keras(
    path: Path,
    note: Note,
    stated: Preprocessing | None = None,
    channel_order: str = RGB,
    *,
    size: int | None = None,
    values: bool = False,
) -> KerasSource:
    """A file with a network in Keras, or one that becomes a Keras model as it is read; layers at its head that only normalize become part
    of its preprocessing.

    `stated` and `channel_order`: what the user says of the file's input, which counts before what the file says. `size`: rows and columns
    of an input that leaves them open. `values`: the user's inputs are arrays of what the file takes, where nothing says otherwise.

    Raises EdgekitError where it cannot be read, or has not one input of a fixed size and one output.
    """
    note(f"reading {path}")
    read = read_model(path)
    model, preprocessing = read.model, stated or read.preprocessing
    from edgekit.keras_models import QFXModel  # TensorFlow comes with it: a file that cannot be read is refused before

    weights = WeightsSource("file", file=path.name, sha256=digest_of_model(path), accuracy=read.accuracy)
    require_one_output(model.output_names, f"'{path}'")
    if len(model.inputs) != 1:
        raise EdgekitError(
            f"'{path}' has {len(model.inputs)} inputs ({', '.join(model.input_names)}); one input of a fixed size is supported. Join them "
            "into one, and take it apart in the model"
        )
    model = _of_size(model, path, size)
    from edgekit.keras_models.layers.bounds import check_map_sizes

    check_map_sizes(f"'{path}'", model)
    options: dict[str, Option] = {"size": int(model.inputs[0].shape[1])}
    kind = QuantizedModel if isinstance(model, QFXModel) else FloatModel
    if values and stated is None and (preprocessing is None or not _is_image(tuple(model.inputs[0].shape[1:]))):
        preprocessing = AS_THEY_ARE  # the range of an 8-bit vector may look like that of pixels
    taken = take_off_head(model, preprocessing, channel_order)
    return kind(
        name=safe_name(model.name),
        options=options,
        weights=weights,
        preprocessing=taken.preprocessing,
        assumed=taken.assumed,
        answers=answers_of_model(taken.model, taken.preprocessing),
        keras=taken.model,
        warnings=(_assumed(tuple(taken.model.inputs[0].shape[1:])),) if taken.assumed else (),
        notes=taken.notes,
    )


def _of_size(model: Any, path: Path, size: int | None) -> Any:
    """The model, with rows and columns of `size` where it leaves them open. Raises EdgekitError where that is not all that is open."""
    shape = tuple(model.inputs[0].shape[1:])
    if None not in shape:
        if size is not None:
            raise EdgekitError(f"'{path}' is a file, which settles --size itself; leave it out")
        return model
    if len(shape) != 3 or shape[2] is None:
        raise EdgekitError(f"'{path}' takes inputs of shape {shape}; one input of a fixed size is supported")
    if size is None:
        raise EdgekitError(f"'{path}' takes images of any size, {shape}; one input of a fixed size is supported: say which with --size")
    from edgekit.keras_models.reading.nested import of_shape

    fixed = (shape[0] or size, shape[1] or size, shape[2])
    try:
        return of_shape(model, fixed)
    except UnsupportedLayer:
        raise
    except Exception as error:  # Keras raises errors of every type on sizes that its layers cannot take
        raise EdgekitError(f"'{path}' cannot take images of shape {fixed}: {(str(error).splitlines() or [''])[0]}") from error


def _is_image(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] in (1, 3)


def _assumed(shape: tuple[int, ...]) -> str:
    """What is said where nothing tells what an input of this shape takes."""
    return ASSUMED if _is_image(shape) else f"{ASSUMED}. If it takes no images at all, give its inputs with --calibration FILE.npy"


def _read_graph(path: Path, request: ModelRequest) -> GraphFile:
    from edgekit.graph import read_onnx

    content = read_bounded(path, MODEL_BYTES_MAX)
    graph = read_onnx(content)
    check(graph)
    graph = replace(graph, name=safe_name(graph.name))
    weights = WeightsSource("file", file=path.name, sha256=digest_of(content))
    options: dict[str, Option] = {"size": graph.tensors[graph.input].shape[0]}
    notes: tuple[str, ...] = ()
    if request.channel_order == BGR:
        graph, notes = _turned_graph(graph), (TURNED,)
    values = is_samples(request.calibration)
    preprocessing = request.preprocessing or (AS_THEY_ARE if values else MINUS_ONE_TO_ONE)
    assumed = request.preprocessing is None and not values
    return GraphFile(
        name=graph.name,
        options=options,
        weights=weights,
        preprocessing=preprocessing,
        assumed=assumed,
        answers=answers_of_graph(graph, preprocessing),
        graph=graph,
        warnings=(_assumed(graph.tensors[graph.input].shape),) if assumed else (),
        notes=notes,
    )


def _turned_graph(graph: IntegerGraph) -> IntegerGraph:
    """The graph whose input takes red first, of one that takes blue first. Raises EdgekitError where no convolution reads the image."""

    def turned(op: Op) -> Op:
        if graph.input not in op_inputs(op):
            return op
        if not isinstance(op, Conv2D):
            raise EdgekitError(f"'{op.name}' is a {type(op).__name__}; --channel-order {BGR} needs a Conv2D that reads the image")
        return replace(op, weights=np.ascontiguousarray(op.weights[:, :, ::-1]))

    return replace(graph, ops=tuple(turned(op) for op in graph.ops))


def _refuse_zoo_options(request: ModelRequest) -> None:
    given = [name for name in ("alpha", "size", "classes", "weights") if getattr(request, name) is not None]
    if given and (given != ["size"] or is_graph_file(Path(request.model))):  # a file may leave its size open
        raise EdgekitError(
            f"'{request.model}' is a file, which settles --{', --'.join(given)} itself; leave {'it' if len(given) == 1 else 'them'} out"
        )
