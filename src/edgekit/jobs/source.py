"""What the user named as MODEL: a network of the zoo, a Keras or QKeras file, or an integer graph as ONNX."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.bundle import Option, WeightsSource
from edgekit.digest import digest_of, digest_of_file
from edgekit.errors import EdgekitError
from edgekit.files import MODEL_BYTES_MAX, read_bounded
from edgekit.graph import IntegerGraph, check
from edgekit.images.pixels import fit, look_up, map_shape
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE, Preprocessing, float_table
from edgekit.keras_models.zoo.networks import NETWORKS, find_network
from edgekit.progress import Note

FILE_SUFFIXES = (".keras", ".h5", ".hdf5", ".onnx")
CALIBRATION_COUNT, CALIBRATION_SEED = 64, 1
STATISTICS_COUNT = 16
SYNTHESIZED = "synthesized"
DEFAULT_SEED = 0
ASSUMED = "the file does not say how images are normalized; assuming pixels / 127.5 - 1"


@dataclass(frozen=True)
class ModelRequest:
    """`model`: a zoo name or a file. `weights`, `alpha`, `size` and `classes` belong to a zoo name; None is the network's default.

    `calibration`: a folder of images, "digits", "synthesized" for images made of the network's batch-norm statistics, or None for
    crops of scikit-learn's two photographs.
    """

    model: str
    alpha: float | None = None
    size: int | None = None
    classes: int | None = None
    weights: Path | None = None
    calibration: str | None = None
    seed: int = DEFAULT_SEED


@dataclass(frozen=True)
class Source:
    """A model that is ready to export. Exactly one of `keras` (float, or other qkeras quantizers), `qfx` and `graph` is there.

    `warnings` are what the user must know, `notes` what is good to know.
    """

    name: str
    options: dict[str, Option]
    weights: WeightsSource
    preprocessing: Preprocessing
    keras: Any = None
    qfx: Any = None
    graph: IntegerGraph | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = field(default=())


def load_source(request: ModelRequest, note: Note = lambda _: None) -> Source:
    """Builds or reads what was asked for.

    Raises:
        UnknownName: neither a zoo name nor a file.
        EdgekitError: a file that cannot be read, weights that do not fit, options that do not belong to this kind of model.
    """
    path = Path(request.model)
    if request.model not in NETWORKS and path.suffix.lower() in FILE_SUFFIXES:
        _refuse_zoo_options(request)
        return _read_graph(path) if path.suffix.lower() == ".onnx" else _read_keras(path, note)
    if request.model not in NETWORKS and path.exists():
        raise EdgekitError(f"'{path}' is no model: name one that `edgekit models` lists, or a file that ends in {', '.join(FILE_SUFFIXES)}")
    find_network(request.model)
    return _build(request, note)


def calibration_images(request: ModelRequest, source: Source, note: Note) -> npt.NDArray[np.float32]:
    """Images (count, *input shape), normalized as the model takes them, to choose binary points and ranges with. Raises EdgekitError."""
    shape = tuple(source.keras.inputs[0].shape[1:])
    if request.calibration == SYNTHESIZED:
        from edgekit.keras_models.training.synthesize import synthesize

        table = float_table(source.preprocessing, shape[-1])
        return synthesize(source.keras, table[:, 0], table[:, -1], note=note)
    rows, columns, _ = map_shape(shape)
    side = max(rows, columns) if len(shape) == 3 else isqrt(columns) + 1
    images = _square_images(request, side, note)
    if shape == (side, side, 3):
        return as_taken(images, source.preprocessing)
    fitted = np.stack([fit(pixels, shape) for pixels in as_pixels(images)])
    return look_up(fitted, float_table(source.preprocessing, fitted.shape[-1])).reshape(-1, *shape)


def as_pixels(images: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Images in -1..1, in which all are read, as the pixels that they were."""
    return np.rint((images + 1) * 127.5).astype(np.uint8)


def as_taken(images: Any, preprocessing: Preprocessing) -> Any:
    """Images in -1..1 (edgekit.keras_models.training.images.Rows) as the network takes them."""
    from edgekit.keras_models.training.stored_images import StoredImages

    if isinstance(images, StoredImages):
        return replace(images, preprocessing=preprocessing)
    return images if preprocessing == MINUS_ONE_TO_ONE else look_up(as_pixels(images), float_table(preprocessing, images.shape[-1]))


def _square_images(request: ModelRequest, size: int, note: Note) -> npt.NDArray[np.float32]:
    """(count, size, size, 3) in -1..1."""
    from edgekit.keras_models.training import images as data

    if request.calibration is None:
        note(f"calibrating with {CALIBRATION_COUNT} crops of two sample photographs")
        return data.photographs(size, CALIBRATION_COUNT, CALIBRATION_SEED)
    if request.calibration == "digits":
        return data.digits(size).train.images[:CALIBRATION_COUNT]
    return data.image_folder(Path(request.calibration), size, limit=CALIBRATION_COUNT).images


def _build(request: ModelRequest, note: Note) -> Source:
    from edgekit.keras_models.zoo.build import build_model
    from edgekit.keras_models.zoo.networks import request as check_request

    defaults: dict[str, Any] = {"alpha": request.alpha, "size": request.size, "classes": request.classes}
    wanted = check_request(request.model, **{name: value for name, value in defaults.items() if value is not None})
    options: dict[str, Option] = {"alpha": wanted.alpha, "size": wanted.size, "classes": wanted.classes}
    preprocessing = NETWORKS[request.model].preprocessing
    note(f"building {wanted.model_name}")
    model = build_model(request.model, alpha=wanted.alpha, size=wanted.size, classes=wanted.classes)
    if request.weights is not None:
        from edgekit.keras_models.weights.load import import_weights

        note(f"loading weights from {request.weights}")
        imported = import_weights(model, request.weights)
        weights = WeightsSource("file", file=request.weights.name, sha256=digest_of_file(request.weights))
        preprocessing = imported.preprocessing or preprocessing
        return Source(wanted.model_name, options, weights, preprocessing, keras=model, notes=(imported.note,))
    from edgekit.keras_models.training.images import photographs
    from edgekit.keras_models.weights.random import randomize

    note("drawing random weights")
    randomize(model, as_taken(photographs(wanted.size, STATISTICS_COUNT, request.seed), preprocessing), request.seed)
    warning = (
        f"no --weights given: {request.model} gets RANDOM weights (seed {request.seed}). Its outputs mean nothing; "
        "sizes, latency and bit-exactness can be judged, accuracy cannot."
    )
    weights = WeightsSource("random", seed=request.seed)
    return Source(wanted.model_name, options, weights, preprocessing, keras=model, warnings=(warning,))


def _read_keras(path: Path, note: Note) -> Source:
    from edgekit.keras_models.files.model_files import load_model, read_notes

    note(f"reading {path}")
    model, (preprocessing, accuracy) = load_model(path), read_notes(path)
    from edgekit.keras_models.qfx.model import QFXModel

    weights = WeightsSource("file", file=path.name, sha256=digest_of_file(path), accuracy=accuracy)
    if len(model.inputs) != 1 or any(size is None for size in model.inputs[0].shape[1:]):
        raise EdgekitError(
            f"'{path}' takes inputs of shape {[tuple(i.shape[1:]) for i in model.inputs]}; one input of a fixed size is supported"
        )
    options: dict[str, Option] = {"size": int(model.inputs[0].shape[1])}
    kind = {"qfx": model} if isinstance(model, QFXModel) else {"keras": model}
    notes = () if preprocessing else (ASSUMED,)
    return Source(model.name, options, weights, preprocessing or MINUS_ONE_TO_ONE, **kind, notes=notes)


def _read_graph(path: Path) -> Source:
    from edgekit.graph.onnx_read import read_onnx

    content = read_bounded(path, MODEL_BYTES_MAX)
    graph = read_onnx(content)
    check(graph)
    weights = WeightsSource("file", file=path.name, sha256=digest_of(content))
    options: dict[str, Option] = {"size": graph.tensors[graph.input].shape[0]}
    return Source(graph.name, options, weights, MINUS_ONE_TO_ONE, graph=graph, notes=(ASSUMED,))


def _refuse_zoo_options(request: ModelRequest) -> None:
    given = [name for name in ("alpha", "size", "classes", "weights") if getattr(request, name) is not None]
    if given:
        raise EdgekitError(
            f"'{request.model}' is a file, which settles --{', --'.join(given)} itself; leave {'it' if len(given) == 1 else 'them'} out"
        )
