"""The qkeras twins of the networks that need no product of activations, and what the others are refused with."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import tolerances
from edgekit.errors import UnsupportedLayer
from edgekit.graph import Lookup, quantize_input, run
from edgekit.keras_models import count
from edgekit.keras_models.freeze import freeze
from edgekit.keras_models.qfx_model import unquantized
from edgekit.keras_models.quantize import build_qkeras_model, quantize
from edgekit.keras_models.random_weights import randomize


@pytest.mark.parametrize("name", ["mnasnet_b1", "rapidnet_ti"])
def test_the_frozen_twin_computes_what_qkeras_computes(name: str, rng: np.random.Generator) -> None:
    size, alpha = 32, 0.5 if name == "mnasnet_b1" else 1.0
    model = edgekit.build_model(name, alpha=alpha, size=size, classes=10)
    images = rng.standard_normal((4, size, size, 3)).astype(np.float32)
    randomize(model, images, seed=1)
    twin = quantize(model, images).model
    graph = freeze(twin)
    assert any(isinstance(op, Lookup) for op in graph.ops) == (name == "rapidnet_ti")  # its GELU is a table

    output = graph.tensors[graph.outputs[0]]
    real = twin(images, training=False).numpy()
    integers = run(graph, quantize_input(graph.tensors[graph.input], images))[output.name]
    np.testing.assert_array_equal(np.ldexp(real.astype(np.float64), output.binary_point), integers)
    with unquantized(twin):
        floats, expected = twin(images, training=False).numpy(), model(images).numpy()
    assert np.abs(floats - expected).max() <= tolerances.FLOAT32_LOGITS * np.abs(expected).max()

    assert count(name, alpha=alpha).exact
    from_table = build_qkeras_model(name, alpha=alpha, size=size, classes=10)
    assert weights_of(from_table) == weights_of(twin)


def weights_of(model: Any) -> list[tuple[str, list[Any]]]:
    return [(layer.name, [tuple(weight.shape) for weight in layer.weights]) for layer in model.layers if layer.weights]


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("sbcformer_xs", "sbcformer_blocks.0.trans_blocks.MAttn_0.norm1' is a layer norm"),
    ],
)
def test_what_has_no_exact_form_is_refused_by_name(name: str, layer: str) -> None:
    model = edgekit.build_model(name, size=32, classes=4)
    assert not count(name).exact
    with pytest.raises(UnsupportedLayer, match=layer):
        build_qkeras_model(name, size=32, classes=4)
    with pytest.raises(UnsupportedLayer, match=layer):
        quantize(model, np.zeros((1, 32, 32, 3), np.float32))
