"""Names that files give their networks choose no folder outside of the current one, and bring nothing into what is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from processes import listing
from random_graphs import random_graph

from edgekit.cli.main import main
from edgekit.graph.onnx_write import write_onnx

NAMES = {
    "../escaped": "escaped",
    "/tmp/absolute": "tmp_absolute",
    "net\nexec touch owned": "net_exec_touch_owned",
    "n" * 300: "n" * 100,
}


@pytest.mark.parametrize("name", NAMES)
def test_the_output_is_named_after_the_network_and_stays_here(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "here"
    here.mkdir()
    (here / "model.onnx").write_bytes(write_onnx(replace(random_graph(np.random.default_rng(3)), name=name)))
    monkeypatch.chdir(here)
    with pytest.raises(SystemExit) as stop:
        main(["export", "model.onnx", "--target", "rpi4"])
    assert not stop.value.code
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
    assert {found.split("/")[0] for found in listing(here)} == {"model.onnx", f"{NAMES[name]}-rpi4-qfx"}


def test_a_keras_models_name_too(tmp_path: Path) -> None:
    from edgekit.jobs.source import read_keras
    from edgekit.keras_models.layers.legacy_keras import import_keras

    keras = import_keras()
    image = keras.Input((8, 8, 3))
    keras.Model(image, keras.layers.Conv2D(2, 3)(image), name="../escaped").save(tmp_path / "a.keras")
    assert read_keras(tmp_path / "a.keras", lambda _: None).name == "escaped"
