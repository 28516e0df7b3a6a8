"""The networks against outputs that the authors' own code computed."""

from __future__ import annotations

from typing import Any

import golden
import numpy as np
import pytest

import edgekit
from edgekit import tolerances
from edgekit.keras_models.zoo.vocabulary import TORCH


def authors_model(name: str) -> Any:
    if name == "mnasnet_b1_torchvision":
        model = edgekit.build_model("mnasnet_b1", convention=TORCH)
        golden.load_by_order(model, golden.checkpoint(name))
    else:
        model = edgekit.build_model(name)
        golden.load_by_path(model, golden.checkpoint(name))
    return model


@pytest.mark.parametrize("name", ["sbcformer_xs", "rapidnet_ti", "mnasnet_b1_torchvision"])
def test_gives_the_authors_logits(name: str) -> None:
    expected = golden.logits(name)
    candidate = authors_model(name)(golden.images()).numpy()
    assert np.abs(candidate - expected).max() <= tolerances.FLOAT32_LOGITS * np.abs(expected).max()
