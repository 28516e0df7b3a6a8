"""VGG16 as a user's own Keras file, at 224, for an Ultra96: its 138 million weights pass by at 6 bits a frame."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgekit.jobs import ModelRequest, write_hls_project


@pytest.mark.slow
def test_a_frame_takes_less_than_a_quarter_of_a_second(tmp_path: Path) -> None:
    """CNNA (arXiv 2004.13075) takes 2.0 s on that board."""
    from own_models import keras, vgg16

    keras.utils.set_random_seed(0)
    vgg16(224).save(tmp_path / "vgg16.keras")
    write_hls_project(ModelRequest(str(tmp_path / "vgg16.keras")), board="ultra96", output=tmp_path / "project")
    found = json.loads((tmp_path / "project" / "estimates.json").read_text())
    assert found["form"] == "engine" and found["latency_ms"] < 250
    assert found["ddr_bytes"] > 138e6 * 6 / 8 and found["ddr_share"] < 0.8
