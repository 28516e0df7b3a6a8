"""export: a model becomes a device bundle: the .tflite file, the integer graph where it is exact, and a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from edgekit.bundle import GRAPH, LABELS, NUMBERS, TFLITE, Manifest, bundle_plan, class_count
from edgekit.errors import EdgekitError, UnknownName, UnsupportedLayer
from edgekit.images.preprocessing import VALUES
from edgekit.jobs.answers import AS_NUMBERS, named
from edgekit.jobs.calibration import calibration_images, samples_of
from edgekit.jobs.integer_graph import ExactForm, integer_graph
from edgekit.jobs.labels import read_labels
from edgekit.jobs.source import FloatModel, ModelRequest, Source, load_source
from edgekit.keras_models.qfx.sensitivity import LayerLoss, worst_first
from edgekit.plan import Plan, check_destination, check_here, write
from edgekit.progress import Note
from edgekit.targets import Device, find_device, runtimes_for
from edgekit.verify.golden import GoldenVectors, exact_golden, labels_text, stock_golden

QFX = "qfx"


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written. `sizes`: bytes of each file, by name. `sensitivity`: what each layer loses, the worst first, where it was
    measured."""

    folder: Path
    name: str
    precision: str
    target: str
    sizes: dict[str, int]
    digest: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    sensitivity: tuple[LayerLoss, ...] = ()


def precisions() -> tuple[str, ...]:
    """Every precision that `export` takes."""
    from edgekit.tflite import Precision

    return (QFX, *(precision.value for precision in Precision))


def export_model(
    request: ModelRequest,
    *,
    target: str,
    precision: str = QFX,
    runtime: str | None = None,
    labels: Path | None = None,
    output: Path | None = None,
    command: tuple[str, ...] = (),
    note: Note = lambda _: None,
) -> Exported:
    """Writes a bundle for a device, whole or not at all.

    Args:
        target: a name of edgekit.targets.devices.DEVICES.
        precision: "qfx" is exact on every executor; the others are TensorFlow's own.
        runtime: the only runtime of the device that the file has to run on; by default it has to run on all of them.
        labels: a text file with a line for each class; by default classes are numbered, and outputs that are none have no names.
        output: the folder; by default named after the network, the target and the precision, in the current folder.

    Raises:
        UnknownName, UnsupportedLayer, EdgekitError: the request cannot be carried out; nothing was written.
    """
    from edgekit.tflite import check_runs, device_scripts

    device = find_device(target)
    runtimes = tuple(one.title for one in runtimes_for(device, runtime))
    if precision not in precisions():
        raise UnknownName("precision", precision, precisions())
    class_names = None if labels is None else read_labels(labels)
    if output is not None:
        check_destination(output)
    else:
        check_here()
    source = load_source(request, note)
    folder = output or Path(f"{source.name}-{target}-{precision}")
    check_destination(folder)
    losses: tuple[LayerLoss, ...] = ()
    if precision == QFX:
        exact = integer_graph(source, request, note)
        files, vectors, notes = _exact_files(exact, source, request, note)
        losses = exact.losses
        check_runs(files[TFLITE], device, runtime)
    else:
        files, vectors, notes = _stock_files(source, request, precision, device, runtime, note)
    answers = named(source.answers, class_names, vectors.classes)
    if answers != NUMBERS:
        files[LABELS] = labels_text(class_names, class_count(answers, vectors.classes))
    elif source.preprocessing.of == VALUES and vectors.classes not in (1, vectors.inputs):
        notes = (*notes, AS_NUMBERS)
    manifest = Manifest(
        kind="tflite",
        network=source.name,
        options=source.options,
        precision=precision,
        target=target,
        weights=source.weights,
        preprocessing=source.preprocessing,
        assumed=source.assumed,
        answers=answers,
        command=command,
        runtimes=runtimes,
        golden=vectors.golden,
    )
    plan = bundle_plan({**files, **vectors.files, **device_scripts(source.preprocessing.of)}, manifest)
    note("writing")
    write(plan, folder)
    return Exported(
        folder=folder,
        name=source.name,
        precision=precision,
        target=target,
        sizes=sizes_of(plan),
        digest=plan.digest(),
        warnings=source.warnings,
        notes=(*source.notes, *notes),
        sensitivity=tuple(worst_first(losses)),
    )


def sizes_of(plan: Plan) -> dict[str, int]:
    return {name: len(content) for name, content in plan.files.items()}


Files: TypeAlias = tuple[dict[str, bytes], GoldenVectors, tuple[str, ...]]
"""Files by name, the golden vectors, and notes."""


def _exact_files(exact: ExactForm, source: Source, request: ModelRequest, note: Note) -> Files:
    from edgekit.graph import write_onnx
    from edgekit.tflite import write_tflite

    note("writing the TFLite file")
    files = {TFLITE: write_tflite(exact.graph), GRAPH: write_onnx(exact.graph), **exact.files}
    note("computing golden outputs")
    samples = samples_of(request, source, exact.graph.tensors[exact.graph.input].shape)
    return files, exact_golden(exact.graph, source.preprocessing, samples), exact.notes


def _stock_files(source: Source, request: ModelRequest, precision: str, target: Device, runtime: str | None, note: Note) -> Files:
    from edgekit.tflite import CALIBRATED, Precision, check_runs, convert, lacking, prove_runs

    if not isinstance(source, FloatModel):
        raise EdgekitError(
            f"'{request.model}' is quantized already; the precision '{precision}' needs a float model. Use --precision {QFX}"
        )
    kind = Precision(precision)
    images = None
    if kind in CALIBRATED:
        images = calibration_images(request, source, note)
    model, notes = _as_exported(source.keras)
    note(f"converting to {precision}")
    tflite = convert(model, kind, images)
    older = [one.title for one in runtimes_for(target, runtime) if lacking(tflite, one)]
    if older and kind is Precision.DYNAMIC:
        note("converting again, for older runtimes")
        tflite = convert(model, kind, images, dense_per_channel=False)
        notes = (*notes, f"dense layers have one scale for all outputs, not one for each: {', '.join(older)} does not run the latter")
    check_runs(tflite, target, runtime)
    note("computing golden outputs")
    samples = samples_of(request, source, tuple(model.inputs[0].shape[1:]))
    vectors = stock_golden(tflite, precision, source.preprocessing, samples)
    return {TFLITE: tflite}, vectors, (*notes, *prove_runs(tflite, target, runtime, note))


def _as_exported(model: Any) -> tuple[Any, tuple[str, ...]]:
    """The inference form, or the model itself where a layer cannot be read; TensorFlow's converter folds what it can."""
    from edgekit.keras_models import inference_form
    from edgekit.keras_models.reading.nested import in_float32

    try:
        return inference_form(model), ()
    except UnsupportedLayer as error:
        return in_float32(model), (f"converted as it is, without edgekit's inference form: {error}",)
