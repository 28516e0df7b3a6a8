"""From a source to its exact form: the integer graph, quantized by calibration where it is not quantized yet."""

from __future__ import annotations

from dataclasses import dataclass, replace

from edgekit.bundle import CLASSES, NUMBERS, SENSITIVITY
from edgekit.errors import UnknownName, UnsupportedLayer
from edgekit.graph import IntegerGraph
from edgekit.images.preprocessing import PIXELS
from edgekit.jobs.calibration import IMAGES_FULL, IMAGES_QUICK, SYNTHESIZED, calibration_images
from edgekit.jobs.source import FloatModel, GraphFile, ModelRequest, QuantizedModel, Source
from edgekit.keras_models import Effort
from edgekit.keras_models.qfx.sensitivity import LayerLoss, sensitivity_json
from edgekit.progress import Note

COMPARED, NEAR = 32, 0.25
"""So many crops of the sample photographs, and how far from the training images the batch norms may see them. EfficientNet-Lite0, trained
on ImageNet, sees 0.10, and 0.71 of noise."""


@dataclass(frozen=True)
class ExactForm:
    """`notes`: what the user should be told about how the graph was made. `losses`: what each layer loses, where that was measured."""

    graph: IntegerGraph
    notes: tuple[str, ...] = ()
    losses: tuple[LayerLoss, ...] = ()

    @property
    def files(self) -> dict[str, bytes]:
        """What a bundle holds beside the graph, by name."""
        return {SENSITIVITY: sensitivity_json(self.losses)} if self.losses else {}


def integer_graph(source: Source, request: ModelRequest, note: Note) -> ExactForm:
    """The exact form of a model.

    Raises:
        UnsupportedLayer: the model has a layer without an exact form.
        UnknownName: no such effort.
        EdgekitError: calibration images that cannot be read.
    """
    if isinstance(source, GraphFile):
        return ExactForm(source.graph)
    from edgekit.keras_models import freeze

    if isinstance(source, QuantizedModel):
        return ExactForm(freeze(source.keras, source.name))
    from edgekit.keras_models import quantize

    request, effort = settled(request, source)
    own = request.calibration is not None  # of two photographs more crops would show no more
    images = calibration_images(request, source, note, IMAGES_FULL if effort is Effort.FULL and own else IMAGES_QUICK)
    of_classes = source.answers == CLASSES
    quantized = quantize(source.keras, images, effort=effort, of_classes=of_classes, representative=own, note=note)
    if source.answers == NUMBERS and quantized.gain != 1.0:
        raise UnsupportedLayer(
            f"'{source.name}' ends with a mean over a number of cells that is no power of two, which leaves its exact outputs "
            f"{quantized.gain:.4g} times what they should be; put a layer with weights behind it, or use another precision"
        )
    notes = list(quantized.notes)
    how = ", every layer reconstructed" if effort is Effort.FULL else ""
    what = "images" if source.preprocessing.of == PIXELS else "inputs"
    notes.append(f"quantized after training, with {len(images)} calibration {what}{how}")
    if source.preprocessing.of == PIXELS and effort is Effort.QUICK:  # behind FULL it has nothing to get back
        notes[-1] += "; `edgekit train --qfx` gets accuracy back that this may cost"
    if request.calibration is None:
        notes.append("calibrated with crops of two sample photographs; --calibration DIR takes images like yours")
    note("freezing")
    return ExactForm(freeze(quantized.model, source.name), tuple(notes), quantized.losses)


def effort_for(request: ModelRequest, source: FloatModel) -> Effort:
    """What the request says; else FULL for a model that was trained, with images that are said to be like its own. Random weights have no
    accuracy to keep, and nothing says that two photographs or synthesized images are like the model's own. Raises UnknownName."""
    if request.effort is not None:
        return find_effort(request.effort)
    return Effort.FULL if source.weights.origin != "random" and request.calibration not in (None, SYNTHESIZED) else Effort.QUICK


def settled(request: ModelRequest, source: FloatModel) -> tuple[ModelRequest, Effort]:
    """What a trained model is calibrated with, and how much is done: by sample photographs as they are, and with full effort, where images
    were to be synthesized and its batch norms say that the photographs are like its training images. Images that are moved until batch
    norms see no difference mislead the reconstruction (docs/accuracy.md). Raises EdgekitError where there is no batch norm."""
    asked = None if request.effort is None else find_effort(request.effort)
    trained_on_images = source.weights.origin != "random" and source.preprocessing.of == PIXELS
    if request.calibration == SYNTHESIZED and asked is not Effort.QUICK and trained_on_images:
        from edgekit.keras_models.training.synthesize import distance

        photographs = replace(request, calibration=None)
        if distance(source.keras, calibration_images(photographs, source, lambda _: None, COMPARED)) <= NEAR:
            return photographs, Effort.FULL
    return request, effort_for(request, source)


def find_effort(name: str) -> Effort:
    """Raises UnknownName."""
    efforts = {effort.value: effort for effort in Effort}
    if name not in efforts:
        raise UnknownName("effort", name, efforts)
    return efforts[name]
