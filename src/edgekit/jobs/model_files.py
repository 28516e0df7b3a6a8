"""Files that hold a network, told apart by their names and what is in them. All are read as data; nothing in them runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.accuracy import Accuracy
from edgekit.bundle import GRAPH, TFLITE
from edgekit.digest import digest_of, digest_of_file
from edgekit.errors import EdgekitError
from edgekit.files import MODEL_BYTES_MAX, read_bounded
from edgekit.images.preprocessing import Preprocessing
from edgekit.plan import MANIFEST

KERAS_SUFFIXES = (".keras", ".h5", ".hdf5")
FILE_SUFFIXES = (*KERAS_SUFFIXES, ".onnx", ".tflite")
SAVED_MODEL = "saved_model.pb"


@dataclass(frozen=True)
class Read:
    """`model`: a tf_keras.Model. `preprocessing` and `accuracy`: what the file says of them, if it does."""

    model: Any
    preprocessing: Preprocessing | None = None
    accuracy: Accuracy | None = None


def is_model_file(path: Path) -> bool:
    """Whether a path names a model: by its suffix, or as a SavedModel folder."""
    return is_saved_model(path) or path.suffix.lower() in FILE_SUFFIXES


def is_saved_model(path: Path) -> bool:
    return path.is_dir() and (path / SAVED_MODEL).is_file()


def digest_of_model(path: Path) -> str:
    """SHA-256, in hex, of a file, or of the names and digests of a folder's files."""
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        return digest_of("".join(f"{file.relative_to(path).as_posix()} {digest_of_file(file)}\n" for file in files).encode())
    return digest_of_file(path)


def is_graph_file(path: Path) -> bool:
    """Whether a file is an integer graph of edgekit's as ONNX. Raises EdgekitError where an .onnx file cannot be read."""
    from edgekit.graph import is_integer_graph

    return path.suffix.lower() == ".onnx" and is_integer_graph(read_bounded(path, MODEL_BYTES_MAX))


def read_model(path: Path) -> Read:
    """The model in a file with one of FILE_SUFFIXES that is no integer graph, or in a SavedModel folder.

    A TFLite file that is quantized becomes a float network; it is quantized anew where that is asked for.

    Raises:
        UnsupportedLayer: names the layer, op or node that is not read, and where it is.
        EdgekitError: the file is damaged, of another kind than its name says, or the exact file of a bundle.
    """
    if is_saved_model(path):
        return Read(_read_saved_model(path))
    if path.suffix.lower() == ".onnx":
        from edgekit.keras_models.files.onnx_model import read_onnx_model

        return Read(read_onnx_model(path))
    if path.suffix.lower() == ".tflite":
        return _read_tflite(path)
    from edgekit.keras_models import load_model
    from edgekit.keras_models.files.model_files import read_notes

    return Read(load_model(path), *read_notes(path))


def _read_saved_model(folder: Path) -> Any:
    """By the configuration that Keras 2 keeps beside the graph; where there is only a graph, by way of TFLite."""
    from edgekit.keras_models.files.saved_model import has_keras_model, load_saved_model

    if has_keras_model(folder):
        return load_saved_model(folder)
    from edgekit.keras_models.layers.legacy_keras import import_keras

    import_keras()  # before TensorFlow is
    from edgekit.keras_models.files.float_model import float_model
    from edgekit.tflite import convert_saved_model, read_float_network

    return float_model(read_float_network(convert_saved_model(folder)))


def _read_tflite(path: Path) -> Read:
    if path.name == TFLITE and (path.parent / MANIFEST).is_file() and (path.parent / GRAPH).is_file():
        raise EdgekitError(f"'{path}' belongs to an exact bundle; its network is the integer graph beside it: give '{path.parent / GRAPH}'")
    from edgekit.tflite import read_float_network

    network = read_float_network(read_bounded(path, MODEL_BYTES_MAX))
    from edgekit.keras_models.files.float_model import float_model  # TensorFlow comes with it: a damaged file is refused before

    pixels = network.pixels
    return Read(float_model(network), None if pixels is None else Preprocessing((pixels[0],), (pixels[1],)))
