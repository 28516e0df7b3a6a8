"""The qkeras twins of the networks: a small one of each family, frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folded_twin import folded_twin
from small_sbcformer import with_weights

import edgekit
from edgekit import tolerances
from edgekit.executor import Artifact
from edgekit.graph import IntegerGraph, equal, quantize_input, run
from edgekit.graph.ir import Lookup, MatMul, Multiply
from edgekit.keras_models.files.model_files import load_model, save_model
from edgekit.keras_models.layers.backend import tf
from edgekit.keras_models.layers.bn_form import bn_form
from edgekit.keras_models.qfx.executors import EXECUTORS
from edgekit.keras_models.qfx.freeze import freeze
from edgekit.keras_models.qfx.model import unquantized
from edgekit.keras_models.qfx.quantize import build_qkeras_model, quantize
from edgekit.keras_models.qfx.thaw import thaw
from edgekit.keras_models.training.images import photographs
from edgekit.keras_models.weights.random import randomize
from edgekit.keras_models.zoo.vocabulary import Form

FAMILIES = [
    pytest.param("mnasnet_b1", 0.5, 32, (), marks=pytest.mark.slow),
    pytest.param("rapidnet_ti", 1.0, 32, (Lookup,), marks=pytest.mark.slow),
    ("mobilenet_v3_small", 0.75, 32, (Lookup, Multiply)),
    pytest.param("sbcformer_xs", 1.0, 64, (Lookup, Multiply, MatMul), marks=pytest.mark.slow),  # in small, below
]


def assert_computes_what_keras_does(graph: IntegerGraph, twin: Any, images: Any) -> None:
    output = graph.tensors[graph.outputs[0]]
    real = twin(images, training=False).numpy()
    integers = run(graph, quantize_input(graph.tensors[graph.input], images))[output.name]
    np.testing.assert_array_equal(np.ldexp(real.astype(np.float64), output.binary_point).reshape(integers.shape), integers)
    assert len(np.unique(integers)) > 4


def weights_of(model: Any) -> list[tuple[str, list[Any]]]:
    return [(layer.name, [tuple(weight.shape) for weight in layer.weights]) for layer in model.layers if layer.weights]


@pytest.mark.parametrize(("name", "alpha", "size", "kinds"), FAMILIES)
def test_the_frozen_twin_computes_what_qkeras_computes(name: str, alpha: float, size: int, kinds: tuple[type, ...]) -> None:
    model = edgekit.build_model(name, alpha=alpha, size=size, classes=10)
    images = photographs(size, 8, seed=2)
    randomize(model, images, seed=1)
    exact, _ = bn_form(model, images)
    quantized = quantize(exact, images)
    graph = freeze(quantized.model)
    assert {type(op) for op in graph.ops} & {Lookup, Multiply, MatMul} == set(kinds)
    assert_computes_what_keras_does(graph, quantized.model, images[:2])
    in_float = folded_twin(exact)
    with unquantized(in_float):
        floats, expected = in_float(images, training=False).numpy(), exact(images, training=False).numpy()
    assert np.abs(floats.reshape(expected.shape) - expected).max() <= tolerances.FLOAT32_FOLDED * np.abs(expected).max()
    if name == "mnasnet_b1":
        assert weights_of(build_qkeras_model(name, alpha=alpha, size=size, classes=10)) == weights_of(quantized.model)


def test_attention_upsampling_and_gate_go_all_the_way(tmp_path: Path, rng: np.random.Generator) -> None:
    """From the published form to integers, back to Keras, to a file, and through the executor: every tensor is equal."""
    model, images = with_weights()
    quantized = quantize(model, images)
    assert quantized.notes[0].startswith("exact form: layer norm became batch norm, softmax became ReLU attention")
    graph = freeze(quantized.model)
    assert equal(freeze(thaw(graph)[0], graph.name), graph)
    save_model(quantized.model, tmp_path / "small.keras")
    assert equal(freeze(load_model(tmp_path / "small.keras")), graph)

    noise = rng.uniform(-1, 1, images.shape).astype(np.float32)
    inputs = quantize_input(graph.tensors[graph.input], np.concatenate([images, noise]))
    artifact = Artifact(graph=graph)
    assert EXECUTORS[0].missing(artifact) is None
    with EXECUTORS[0].open(artifact, lambda _: None) as execute:
        found = execute(inputs)
    for name, values in run(graph, inputs).items():
        assert np.array_equal(found[name], values), name


@pytest.mark.slow
def test_quantized_attention_follows_the_float_network() -> None:
    model, images = with_weights()
    exact, _ = bn_form(model, images)
    twin = quantize(exact, images).model
    expected, found = (one(images, training=False).numpy().ravel().astype(np.float64) for one in (exact, twin))
    cosine = expected @ found / np.linalg.norm(expected) / np.linalg.norm(found)
    assert cosine > tolerances.QUANTIZED_COSINE
    in_float = folded_twin(exact)
    with unquantized(in_float):
        floats = in_float(images, training=False).numpy().ravel()
    assert np.abs(floats - expected).max() <= tolerances.FLOAT32_FOLDED * np.abs(expected).max()


def test_training_reaches_every_weight_and_binary_point_of_a_twin() -> None:
    model, images = with_weights(Form.BN)
    twin = quantize(model, images).model
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(twin(images, training=True) ** 2)
    variables = twin.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        assert gradient is not None and np.isfinite(gradient).all(), variable.name
    assert any("attention_biases" in variable.name for variable in variables)
