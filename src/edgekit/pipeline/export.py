"""export: a model becomes a device bundle: the .tflite file, the integer graph where it is exact, and a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekit.bundle import GRAPH, TFLITE, bundle_plan
from edgekit.errors import EdgekitError, UnknownName, UnsupportedLayer
from edgekit.pipeline.exact import integer_graph
from edgekit.pipeline.source import ModelRequest, Note, Source, calibration_images, load_source
from edgekit.plan import Plan, check_destination, write
from edgekit.targets.devices import device

QFX = "qfx"


@dataclass(frozen=True)
class Exported:
    """What was written. `sizes`: bytes of each file, by name."""

    folder: Path
    name: str
    precision: str
    target: str
    sizes: dict[str, int]
    digest: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def precisions() -> tuple[str, ...]:
    """Every precision that `export` takes."""
    from edgekit.tflite.stock import Precision

    return (QFX, *(precision.value for precision in Precision))


def export_model(
    request: ModelRequest,
    *,
    target: str,
    precision: str = QFX,
    output: Path | None = None,
    command: tuple[str, ...] = (),
    note: Note = lambda _: None,
) -> Exported:
    """Writes a bundle for a device, whole or not at all.

    Args:
        target: a name of edgekit.targets.devices.DEVICES.
        precision: "qfx" is exact on every executor; the others are TensorFlow's own.
        output: the folder; by default named after the network, the target and the precision, in the current folder.

    Raises:
        UnknownName, UnsupportedLayer, EdgekitError: the request cannot be carried out; nothing was written.
    """
    device(target)
    if precision not in precisions():
        raise UnknownName("precision", precision, precisions())
    if output is not None:
        check_destination(output)
    source = load_source(request, note)
    folder = output or Path(f"{source.name}-{target}-{precision}")
    check_destination(folder)
    files, notes = _exact_files(source, request, note) if precision == QFX else _stock_files(source, request, precision, note)
    plan = bundle_plan(
        files,
        kind="tflite",
        network=source.name,
        options=source.options,
        precision=precision,
        target=target,
        weights=source.weights,
        preprocessing=source.preprocessing,
        command=command,
    )
    note("writing")
    write(plan, folder)
    return Exported(folder, source.name, precision, target, sizes_of(plan), plan.digest(), source.warnings, (*source.notes, *notes))


def sizes_of(plan: Plan) -> dict[str, int]:
    return {name: len(content) for name, content in plan.files.items()}


def _exact_files(source: Source, request: ModelRequest, note: Note) -> tuple[dict[str, bytes], tuple[str, ...]]:
    from edgekit.graph.onnx_write import write_onnx
    from edgekit.tflite.writer import write_tflite

    graph, notes = integer_graph(source, request, note)
    note("writing the TFLite file")
    return {TFLITE: write_tflite(graph), GRAPH: write_onnx(graph)}, notes


def _stock_files(source: Source, request: ModelRequest, precision: str, note: Note) -> tuple[dict[str, bytes], tuple[str, ...]]:
    from edgekit.tflite.stock import CALIBRATED, Precision, convert

    if source.keras is None:
        raise EdgekitError(
            f"'{request.model}' is quantized already; the precision '{precision}' needs a float model. Use --precision {QFX}"
        )
    kind = Precision(precision)
    images = None
    if kind in CALIBRATED:
        images = calibration_images(request, source, note)
    model, notes = _as_exported(source.keras)
    note(f"converting to {precision}")
    return {TFLITE: convert(model, kind, images)}, notes


def _as_exported(model: Any) -> tuple[Any, tuple[str, ...]]:
    """The inference form, or the model itself where a layer cannot be read; TensorFlow's converter folds what it can."""
    from edgekit.keras_models.inference import inference_form

    try:
        return inference_form(model), ()
    except UnsupportedLayer as error:
        return model, (f"converted as it is, without edgekit's inference form: {error}",)
