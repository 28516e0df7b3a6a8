"""train: a network, or a model file, becomes a trained .keras file; in float, or quantization-aware with QFX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from edgekit.accuracy import Accuracy
from edgekit.errors import EdgekitError
from edgekit.keras_models.data import Split
from edgekit.keras_models.networks import NETWORKS
from edgekit.pipeline.dataset import load_dataset
from edgekit.pipeline.source import CALIBRATION_COUNT, ModelRequest, Note, as_taken, load_source
from edgekit.preprocessing import Preprocessing

Progress: TypeAlias = Callable[[Any], None]
"""Told each edgekit.keras_models.training.Step."""

EPOCHS, LEARNING_RATE = 20, 0.02
QFX_EPOCHS, QFX_LEARNING_RATE = 8, 0.0005


@dataclass(frozen=True)
class Trained:
    """Accuracies, 0..1, are of the held-out images; `accuracy_before` is that of the model as it came."""

    path: Path
    name: str
    qfx: bool
    epochs: int
    train_images: int
    held_out_images: int
    accuracy_before: float
    accuracy: float
    notes: tuple[str, ...]


def train_model(
    request: ModelRequest,
    *,
    data: str,
    qfx: bool = False,
    epochs: int | None = None,
    learning_rate: float | None = None,
    output: Path | None = None,
    note: Note = lambda _: None,
    progress: Progress | None = None,
) -> Trained:
    """Trains and saves, whole or not at all. One seed gives one result on one machine.

    Args:
        request: its `calibration` is not used: a QFX model is calibrated with images of the training part.
        data: "digits", or a folder with a sub-folder for each class. A quarter is held out.
        qfx: quantize the float model first and train the quantized one; a QFX model goes on as one anyway.
        output: a .keras file; by default named after the model and the data.

    Raises:
        EdgekitError: the request cannot be carried out; nothing was written.
    """
    from edgekit.keras_models.model_files import save_model
    from edgekit.keras_models.training import accuracy, fit

    if output is not None and output.suffix != ".keras":
        raise EdgekitError(f"'{output}' should end in .keras, the file form of a Keras model")
    model, split, name, preprocessing, notes = _prepare(request, data, note)
    split = _as_taken(split, preprocessing)
    qfx_model = _is_qfx(model)
    if qfx and not qfx_model:
        from edgekit.keras_models.quantize import quantize

        quantized = quantize(model, split.train.images[:CALIBRATION_COUNT], note=note)
        model, qfx_model, notes = quantized.model, True, (*notes, *quantized.notes)
    path = output or Path(f"{name}-{Path(data).name}{'-qfx' if qfx_model else ''}.keras")
    epochs = epochs or (QFX_EPOCHS if qfx_model else EPOCHS)
    rate = learning_rate or (QFX_LEARNING_RATE if qfx_model else LEARNING_RATE)
    note("measuring accuracy")
    before = accuracy(model, split.held_out.images, split.held_out.labels)
    note("training")
    fit(model, split.train, epochs=epochs, learning_rate=rate, seed=request.seed, on_step=progress)
    after = accuracy(model, split.held_out.images, split.held_out.labels)
    save_model(model, path, preprocessing, Accuracy(after, len(split.held_out), data))
    return Trained(path, name, qfx_model, epochs, len(split.train), len(split.held_out), before, after, notes)


def _prepare(request: ModelRequest, data: str, note: Note) -> tuple[Any, Split, str, Preprocessing, tuple[str, ...]]:
    """The model to start from and the images in its size."""
    if request.model in NETWORKS and request.weights is None:
        return _fresh(request, data, note)
    classes = request.classes
    if request.model in NETWORKS and classes is None:
        size = request.size or NETWORKS[request.model].default_size
        split = load_dataset(data, size)
        request = replace(request, classes=len(split.train.classes))
    source = load_source(request, note)
    model = source.keras if source.keras is not None else source.qfx
    if model is None:
        raise EdgekitError(f"'{request.model}' is an integer graph; training goes on from a .keras file")
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] != 3:
        raise EdgekitError(f"training images are square with 3 channels; this model takes {shape}")
    return model, load_dataset(data, shape[0]), source.name, source.preprocessing, source.notes


def _fresh(request: ModelRequest, data: str, note: Note) -> tuple[Any, Split, str, Preprocessing, tuple[str, ...]]:
    """A zoo network with Keras' own initial weights, seeded."""
    from edgekit.keras_models.build import build_model
    from edgekit.keras_models.legacy_keras import import_keras

    size = request.size or NETWORKS[request.model].default_size
    note(f"reading {data}")
    split = load_dataset(data, size)
    classes = request.classes or len(split.train.classes)
    import_keras().utils.set_random_seed(request.seed)
    options: dict[str, Any] = {} if request.alpha is None else {"alpha": request.alpha}
    model = build_model(request.model, size=size, classes=classes, **options)
    return model, split, model.name, NETWORKS[request.model].preprocessing, ()


def _as_taken(split: Split, preprocessing: Preprocessing) -> Split:
    """The images as the model takes them."""
    parts = (replace(part, images=as_taken(part.images, preprocessing)) for part in (split.train, split.held_out))
    return Split(*parts)


def _is_qfx(model: Any) -> bool:
    from edgekit.keras_models.qfx_model import QFXModel

    return isinstance(model, QFXModel)
