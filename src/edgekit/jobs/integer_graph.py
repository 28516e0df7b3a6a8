"""From a source to its exact form: the integer graph, quantized by calibration where it is not quantized yet."""

from __future__ import annotations

from edgekit.graph import IntegerGraph
from edgekit.jobs.calibration import calibration_images
from edgekit.jobs.source import GraphFile, ModelRequest, QuantizedModel, Source
from edgekit.progress import Note


def integer_graph(source: Source, request: ModelRequest, note: Note) -> tuple[IntegerGraph, tuple[str, ...]]:
    """The graph, and what the user should be told about how it was made.

    Raises:
        UnsupportedLayer: the model has a layer without an exact form.
        EdgekitError: calibration images that cannot be read.
    """
    if isinstance(source, GraphFile):
        return source.graph, ()
    from edgekit.keras_models import freeze

    if isinstance(source, QuantizedModel):
        return freeze(source.keras, source.name), ()
    from edgekit.keras_models import quantize

    images = calibration_images(request, source, note)
    quantized = quantize(source.keras, images, note=note)
    notes = list(quantized.notes)
    notes.append(
        f"quantized after training, with {len(images)} calibration images; `edgekit train --qfx` gets accuracy back that this may cost"
    )
    if request.calibration is None:
        notes.append("calibrated with crops of two sample photographs; --calibration DIR takes images like yours")
    note("freezing")
    return freeze(quantized.model, source.name), tuple(notes)
