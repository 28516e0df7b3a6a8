"""train: a network, or a model file, becomes a trained .keras file; in float, or quantization-aware with QFX."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.accuracy import Accuracy
from edgekit.bundle import NUMBERS
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.files import check_path
from edgekit.images.preprocessing import Preprocessing
from edgekit.jobs.calibration import IMAGES_QUICK
from edgekit.jobs.dataset import DIGITS, load_dataset, load_unlabelled
from edgekit.jobs.model_files import is_graph_file, is_model_file
from edgekit.jobs.samples import is_samples
from edgekit.jobs.source import GraphFile, KerasSource, ModelRequest, load_source, read_keras
from edgekit.keras_models import Precisions, find_network, is_network
from edgekit.keras_models.training.images import SUFFIXES, Split
from edgekit.keras_models.training.stored_images import split_as_taken
from edgekit.plan import check_file_destination, check_here
from edgekit.progress import Note

if TYPE_CHECKING:
    from edgekit.keras_models.training.distillation import Teacher
    from edgekit.keras_models.training.options import Step

EPOCHS, LEARNING_RATE = 20, 0.02
ATTENTION_LEARNING_RATE = 0.002
"""The highest learning rate of a network with attention. At 0.02 SBCFormer-XS had 94.7 % of the held-out digits right after 12 epochs, at
0.002 99.6 %, while MobileNetV1 and V2 had 4 to 6 points less at 0.002 than at 0.02."""
QFX_EPOCHS, QFX_LEARNING_RATE = 8, 0.0005
CHECKPOINT_SUFFIX = ".checkpoint"


@dataclass(frozen=True, kw_only=True)
class Trained:
    """Accuracies, 0..1, are of the held-out images; `accuracy_before` is that of the model as it came. Without labels (`labelled` is
    False) they are agreement with the teacher. `epochs` were run; `kept` is the one whose weights were saved, `resumed_after` the last
    one of an earlier run, or 0."""

    path: Path
    name: str
    qfx: bool
    exact_form: bool
    labelled: bool
    epochs: int
    kept: int
    resumed_after: int
    train_images: int
    held_out_images: int
    accuracy_before: float
    accuracy: float
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Start:
    """The model to start from and the images as it takes them."""

    model: Any
    split: Split
    name: str
    preprocessing: Preprocessing
    notes: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    exact_form: bool = True

    @property
    def quantized(self) -> bool:
        return _is_qfx(self.model)


def train_model(
    request: ModelRequest,
    *,
    data: str,
    exact: bool = False,
    qfx: bool = False,
    precisions: Precisions | None = None,
    teacher: Path | None = None,
    epochs: int | None = None,
    learning_rate: float | None = None,
    patience: int | None = None,
    restart: bool = False,
    output: Path | None = None,
    note: Note = lambda _: None,
    progress: Callable[[Step], None] | None = None,
) -> Trained:
    """Trains and saves, whole or not at all. One seed gives one result on one machine.

    After every epoch a checkpoint is written beside the output, with the suffix .checkpoint. The same call goes on from there after it
    was killed, and gives the file that it would have given. The checkpoint is removed once the model is saved.

    Args:
        request: its `calibration` is not used: a QFX model is calibrated with images of the training part.
        data: "digits", or a folder with a sub-folder for each class; with a teacher also a folder of images without classes. A quarter
            is held out.
        exact: train the float network in its exact form; what its authors have a layer norm for starts as one and becomes a batch norm.
        qfx: quantize the float model first and train the quantized one; a QFX model goes on as one anyway.
        precisions: of the weights, with `qfx`.
        teacher: a model file of the same size and classes, whose outputs are learned. Without one, a trained float model teaches the
            quantized one that is made of it.
        patience: stop after so many epochs without a better accuracy on the held-out images, and save the best epoch's weights.
        restart: start afresh even if there is a checkpoint.
        progress: told of each step.
        output: a .keras file; by default named after the model and the data.

    Raises:
        EdgekitError: the request cannot be carried out; nothing was written.
    """
    from edgekit.keras_models import save_model
    from edgekit.keras_models.training.checkpoint import remove_checkpoint
    from edgekit.keras_models.training.fit import accuracy, fit
    from edgekit.keras_models.training.options import Options

    _refuse(data, exact=exact, qfx=qfx, precisions=precisions, teacher=teacher, output=output)
    master = None if teacher is None else _teacher(teacher, request, note)
    if output is None:
        check_here()
    else:
        _check_destinations(output)
    start = _prepare(request, data, master, exact, note)
    if not qfx and not is_network(request.model):  # otherwise quantizing says so, or there is one
        start = _judged(start, exact)
    if precisions is not None and start.quantized:
        raise EdgekitError(f"'{request.model}' is quantized already; the bits of its weights are chosen from the float model")
    lesson = None if master is None else _lesson(master, start)
    labelled = bool(start.split.train.classes)
    split = start.split if lesson is None else _taught(start.split, lesson)
    if qfx and not start.quantized:
        if lesson is None and not _is_untrained(request):
            lesson = _float_teacher(start)
        start = _quantized(start, split, precisions, note, taught=master is None and lesson is not None)
    model = start.model
    path = output or Path(f"{start.name}-{Path(data).name}{'-qfx' if start.quantized else ''}.keras")
    options = Options(
        epochs=epochs or (QFX_EPOCHS if start.quantized else EPOCHS),
        learning_rate=learning_rate or default_learning_rate(model),
        seed=request.seed,
        patience=patience,
    )
    checkpoint = _check_destinations(path)
    note("measuring accuracy")
    before = accuracy(model, split.held_out.images, split.held_out.labels)
    note("training")
    if restart:
        remove_checkpoint(checkpoint)
    fitted = fit(model, split.train, options, held_out=split.held_out, teacher=lesson, checkpoint=checkpoint, on_step=progress)
    after = accuracy(model, split.held_out.images, split.held_out.labels)
    save_model(model, path, start.preprocessing, Accuracy(after, len(split.held_out), data) if labelled else None)
    remove_checkpoint(checkpoint)
    resumed = (f"went on after epoch {fitted.resumed_after}, from {checkpoint}",) if fitted.resumed_after else ()
    return Trained(
        path=path,
        name=start.name,
        qfx=start.quantized,
        exact_form=start.exact_form,
        labelled=labelled,
        epochs=len(fitted.history),
        kept=fitted.kept,
        resumed_after=fitted.resumed_after,
        train_images=len(split.train),
        held_out_images=len(split.held_out),
        accuracy_before=before,
        accuracy=after,
        warnings=start.warnings,
        notes=(*start.notes, *resumed),
    )


def _check_destinations(path: Path) -> Path:
    """The checkpoint's path. Raises EdgekitError where it, or the model, cannot be written."""
    checkpoint = path.with_suffix(CHECKPOINT_SUFFIX)
    for one in (path, checkpoint):
        check_file_destination(one)
    return checkpoint


def default_learning_rate(model: Any) -> float:
    """The highest learning rate of a training, as it suits a float model or a QFX model."""
    from edgekit.keras_models.layers.custom_layers import OffsetAttention

    if _is_qfx(model):
        return QFX_LEARNING_RATE
    return ATTENTION_LEARNING_RATE if any(isinstance(layer, OffsetAttention) for layer in model.layers) else LEARNING_RATE


def _refuse(data: str, *, exact: bool, qfx: bool, precisions: Precisions | None, teacher: Path | None, output: Path | None) -> None:
    """Raises EdgekitError for options that contradict each other, before anything is read."""
    if is_samples(data):
        raise EdgekitError(f"'{data}' holds arrays; training takes images, in a sub-folder for each class. Train on arrays with Keras")
    if output is not None and output.suffix != ".keras":
        raise EdgekitError(f"'{output}' should end in .keras, the file form of a Keras model")
    check_path(Path(data))
    if precisions is not None and not qfx:
        raise EdgekitError("the bits of weights are chosen when a model is quantized; add --qfx")
    if teacher is None and _is_unlabelled(data):
        raise EdgekitError(
            f"'{data}' has images without classes; put them into a sub-folder for each class, or give --teacher FILE to learn its outputs"
        )
    if teacher is not None and (not is_model_file(teacher) or is_graph_file(teacher)):
        raise EdgekitError(f"'{teacher}' cannot teach; give a trained float model, as a .keras or .h5 file for one")
    if exact and qfx:
        raise EdgekitError("the exact form is trained in float first, and then with --qfx, which takes it by itself; give one of them")


def _prepare(request: ModelRequest, data: str, master: KerasSource | None, exact: bool, note: Note) -> _Start:
    if _is_untrained(request):
        return _fresh(request, data, master, exact, note)
    if is_network(request.model) and request.classes is None:
        split = _load(data, request.size or find_network(request.model).default_size, note)
        request = replace(request, classes=_class_count(split, master))
    source = load_source(request, note)
    if isinstance(source, GraphFile):
        raise EdgekitError(f"'{request.model}' is an integer graph; training goes on from a .keras file")
    model = source.keras
    if source.answers == NUMBERS:
        raise EdgekitError(
            f"'{request.model}' gives numbers, {tuple(model.output_shape[1:])} of an image; only scores of classes are trained. Train it "
            "with Keras"
        )
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] != 3:
        raise EdgekitError(f"training images are square with 3 channels; this model takes {shape}")
    split, notes = split_as_taken(_load(data, shape[0], note), source.preprocessing), source.notes
    if exact:
        from edgekit.keras_models import bn_form, set_norm_mix

        model, changes = bn_form(model, split.train.images[:IMAGES_QUICK])
        set_norm_mix(model, 1)
        notes = (*notes, *changes)
    return _Start(model=model, split=split, name=source.name, preprocessing=source.preprocessing, notes=notes, warnings=source.warnings)


def _judged(start: _Start, exact: bool) -> _Start:
    """The start, with what is to be told where its model has no exact form. Raises UnsupportedLayer if it was to be `exact`."""
    reason = _no_exact_form(start.model, start.split)
    if reason is None:
        return start
    if exact:
        raise UnsupportedLayer(f"{reason} Without --exact it is trained as it is")
    return replace(start, warnings=(*start.warnings, f"there is no exact form of this model: {reason}"), exact_form=False)


def _no_exact_form(model: Any, split: Split) -> str | None:
    """Why the model cannot become exact, or None: found before it is trained for that."""
    from edgekit.keras_models import require_exact_form

    if _is_qfx(model):
        return None
    try:
        require_exact_form(model, split.train.images[:1])
    except UnsupportedLayer as error:
        return str(error)
    return None


def _quantized(start: _Start, split: Split, precisions: Precisions | None, note: Note, *, taught: bool) -> _Start:
    """The QFX model of a float one, calibrated with images of the training part. `taught`: the float model will teach it."""
    from edgekit.keras_models import quantize

    made = quantize(start.model, split.train.images[:IMAGES_QUICK], precisions=precisions, note=note)
    lesson = ("the float model that it came from teaches it",) if taught else ()
    return replace(start, model=made.model, notes=(*start.notes, *made.notes, *lesson))


def _fresh(request: ModelRequest, data: str, master: KerasSource | None, exact: bool, note: Note) -> _Start:
    """A zoo network with Keras' own initial weights, seeded."""
    from edgekit.keras_models import build_model, set_norm_mix
    from edgekit.keras_models.layers.legacy_keras import import_keras

    size = request.size or find_network(request.model).default_size
    note(f"reading {data}")
    split = _load(data, size, note)
    classes = request.classes or _class_count(split, master)
    import_keras().utils.set_random_seed(request.seed)
    options: dict[str, Any] = {} if request.alpha is None else {"alpha": request.alpha}
    model = build_model(request.model, size=size, classes=classes, form="bn" if exact else "published", **options)
    set_norm_mix(model, 1)
    preprocessing = request.preprocessing or find_network(request.model).preprocessing
    return _Start(model=model, split=split_as_taken(split, preprocessing), name=model.name, preprocessing=preprocessing, notes=())


def _load(data: str, size: int, note: Note) -> Split:
    """The images of `data`, with classes or without, split as load_dataset splits them."""
    return load_unlabelled(Path(data), size, note) if _is_unlabelled(data) else load_dataset(data, size, note)


def _is_unlabelled(data: str) -> bool:
    """A folder with images of its own, beside no sub-folders of classes."""
    folder = Path(data)
    return data != DIGITS and folder.is_dir() and any(file.suffix.lower() in SUFFIXES and file.is_file() for file in folder.iterdir())


def _teacher(path: Path, request: ModelRequest, note: Note) -> KerasSource:
    """What was said of the model's input also holds for the teacher's, where its file says nothing."""
    master = read_keras(path, note)
    return replace(master, preprocessing=request.preprocessing or master.preprocessing) if master.assumed else master


def _class_count(split: Split, master: KerasSource | None) -> int:
    if split.train.classes:
        return len(split.train.classes)
    assert master is not None  # without a teacher, images have classes
    return int(master.keras.output_shape[-1])


def _lesson(master: KerasSource, start: _Start) -> Teacher:
    from edgekit.keras_models.training.distillation import Teacher

    if master.preprocessing != start.preprocessing:
        raise EdgekitError(
            f"the teacher takes images normalized with {master.preprocessing}, the model with {start.preprocessing}; one must suit both"
        )
    model = master.keras
    return Teacher(model) if start.split.train.classes else Teacher(model, weight=1.0)


def _float_teacher(start: _Start) -> Teacher:
    from edgekit.keras_models.training.distillation import Teacher

    return Teacher(start.model)


def _is_untrained(request: ModelRequest) -> bool:
    return is_network(request.model) and request.weights is None


def _taught(split: Split, lesson: Teacher) -> Split:
    """The images with the teacher's answers as labels, where they have none."""
    from edgekit.keras_models.training.distillation import taught

    return Split(taught(split.train, lesson), taught(split.held_out, lesson)) if lesson.replaces_labels else split


def _is_qfx(model: Any) -> bool:
    from edgekit.keras_models import QFXModel

    return isinstance(model, QFXModel)
