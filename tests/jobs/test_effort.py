"""How much is done for the accuracy of an exact network: what is chosen, what is written, what is shown."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.bundle import CLASSES, NUMBERS, SENSITIVITY, WeightsSource, open_bundle
from edgekit.cli.sensitivity import NOT_MEASURED, print_sensitivity
from edgekit.errors import UnknownName
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE
from edgekit.jobs import ModelRequest, export_model
from edgekit.jobs.integer_graph import effort_for, find_effort, integer_graph, settled
from edgekit.jobs.source import FloatModel
from edgekit.keras_models import Effort
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.qfx.sensitivity import read_sensitivity
from edgekit.keras_models.training.images import photographs
from edgekit.report import render_page
from edgekit.verify import verify


def test_efforts_have_names() -> None:
    assert [find_effort(effort.value) for effort in Effort] == list(Effort)
    with pytest.raises(UnknownName, match="full"):
        find_effort("ful")


@pytest.mark.parametrize(
    ("origin", "calibration", "said", "effort"),
    [
        ("file", "digits", None, Effort.FULL),
        ("file", "synthesized", None, Effort.QUICK),
        ("file", None, None, Effort.QUICK),
        ("random", "digits", None, Effort.QUICK),
        ("file", "digits", "quick", Effort.QUICK),
        ("random", None, "full", Effort.FULL),
    ],
)
def test_a_trained_model_with_images_is_worth_minutes(origin: str, calibration: str | None, said: str | None, effort: Effort) -> None:
    source = FloatModel(name="net", options={}, weights=WeightsSource(origin), preprocessing=MINUS_ONE_TO_ONE, keras=None)
    assert effort_for(ModelRequest("net", calibration=calibration, effort=said), source) is effort


@pytest.mark.parametrize(("near", "said", "effort"), [(True, None, "full"), (False, None, "quick"), (True, "quick", "quick")])
def test_photographs_that_the_batch_norms_know_are_taken_as_they_are(near: bool, said: str | None, effort: str) -> None:
    keras = import_keras()
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, use_bias=False, name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(x))
    seen = keras.Model(inputs, x)(photographs(32, 64, 7)).numpy()
    mean, variance = seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2))
    model.get_layer("norm").set_weights([np.ones(4), np.zeros(4), mean if near else mean + 2, variance])
    source = FloatModel(name="net", options={}, weights=WeightsSource("file"), preprocessing=MINUS_ONE_TO_ONE, keras=model)
    request = ModelRequest("net", calibration="synthesized", effort=said)
    taken = replace(request, calibration=None) if effort == "full" else request
    assert settled(request, source) == (taken, find_effort(effort))


def test_the_table_is_in_the_bundle_in_the_answer_and_on_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = ModelRequest("mobilenet_v1", alpha=0.25, size=32, classes=10, effort="full")
    said: list[str] = []
    done = export_model(request, target="rpi4", output=tmp_path / "out", note=said.append)
    losses = read_sensitivity((tmp_path / "out" / SENSITIVITY).read_bytes())
    assert losses == done.sensitivity
    assert len(losses) == 28  # 27 convolutions and the classifier
    assert "reconstructing, layer 2 of" in "\n".join(said)
    print_sensitivity(done.sensitivity)
    shown = capsys.readouterr().out
    assert all(loss.name in shown for loss in losses)
    page = render_page(verify(open_bundle(tmp_path / "out"), count=2, executors=["tflite-reference"]), None)
    assert "What each layer loses" in page and f"<td>{losses[0].name}</td>" in page


def test_without_it_the_page_and_the_terminal_say_nothing_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = export_model(ModelRequest("mobilenet_v1", alpha=0.25, size=32, classes=10), target="rpi4", output=tmp_path / "out")
    assert done.sensitivity == () and SENSITIVITY not in done.sizes
    print_sensitivity(done.sensitivity)
    assert capsys.readouterr().out.strip() == NOT_MEASURED


@pytest.mark.parametrize(
    ("answers", "calibration", "said"),
    [(CLASSES, "digits", (True, True)), (CLASSES, None, (True, False)), (NUMBERS, "digits", (False, True))],
)
def test_scores_of_classes_may_move_where_images_are_like_those_to_come(
    answers: str, calibration: str | None, said: tuple[bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Asked(Exception):
        pass

    def quantize(*_: Any, of_classes: bool, representative: bool, **__: Any) -> None:
        raise Asked(of_classes, representative)

    monkeypatch.setattr("edgekit.keras_models.quantize", quantize)
    keras = import_keras()
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(10)])
    source = FloatModel(name="net", options={}, weights=WeightsSource("file"), preprocessing=MINUS_ONE_TO_ONE, keras=model, answers=answers)
    with pytest.raises(Asked) as found:
        integer_graph(source, ModelRequest("net", calibration=calibration), lambda _: None)
    assert found.value.args == said


def test_training_on_is_advised_only_where_it_gets_something_back() -> None:
    """Behind full effort it costs accuracy on photographs (docs/accuracy.md)."""
    keras = import_keras()
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3), keras.layers.GlobalMaxPooling2D(), keras.layers.Dense(10)]
    )
    source = FloatModel(name="net", options={}, weights=WeightsSource("file"), preprocessing=MINUS_ONE_TO_ONE, keras=model, answers=CLASSES)
    quick, full = (
        " ".join(integer_graph(source, ModelRequest("net", calibration="digits", effort=effort), lambda _: None).notes)
        for effort in ("quick", "full")
    )
    assert "train --qfx" in quick
    assert "train --qfx" not in full and "every layer reconstructed" in full
