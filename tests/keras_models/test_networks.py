"""The architecture tables: their counts, and that they are the networks of tf_keras.applications."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgekit
from edgekit import tolerances
from edgekit.errors import EdgekitError, UnknownName
from edgekit.keras_models import NETWORKS, count
from edgekit.keras_models.legacy_keras import import_keras

ALPHAS = [(network.name, alpha) for network in NETWORKS.values() for alpha in network.alphas]


def application(name: str, alpha: float, size: int, classes: int) -> Any:
    """The network of the same name that comes with Keras."""
    applications = import_keras().applications
    make = {"mobilenet_v1": applications.MobileNet, "mobilenet_v2": applications.MobileNetV2}[name]
    return make(input_shape=(size, size, 3), alpha=alpha, weights=None, classes=classes)


def lively_weights(model: Any, rng: np.random.Generator) -> list[Any]:
    """Random weights under which every layer matters: He for kernels, all batch-norm numbers away from 0 and 1."""

    def one(weight: Any) -> Any:
        kind = weight.name.split("/")[-1].split(":")[0]
        if kind in ("gamma", "moving_variance"):
            return rng.uniform(0.5, 1.5, weight.shape)
        taps = np.prod(weight.shape[:2]) if kind == "depthwise_kernel" else np.prod(weight.shape[:-1])
        return rng.normal(0, np.sqrt(2 / taps) if len(weight.shape) > 1 else 0.3, weight.shape)

    return [one(weight) for weight in model.weights]


def weight_names(model: Any) -> list[tuple[str, list[Any]]]:
    return [(layer.name, [tuple(w.shape) for w in layer.weights]) for layer in model.layers if layer.weights]


def softmax(logits: Any) -> Any:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


# An odd size meets the odd maps where V1 and V2 pad differently; 50 becomes odd after the stem; 32 ends with a 1x1 map.
@pytest.mark.parametrize(
    ("name", "alpha", "size"), [(name, alpha, (97, 64, 50, 32, 65, 96)[i % 6]) for i, (name, alpha) in enumerate(ALPHAS)]
)
def test_is_the_keras_application(name: str, alpha: float, size: int, rng: np.random.Generator, tmp_path: Path) -> None:
    reference = application(name, alpha, size, classes=10)
    reference.set_weights(lively_weights(reference, rng))
    reference.save_weights(tmp_path / "weights.h5")
    model = edgekit.build_model(name, alpha=alpha, size=size, classes=10)
    model.load_weights(tmp_path / "weights.h5")

    assert weight_names(model) == weight_names(reference)
    images = rng.uniform(-1, 1, (3, size, size, 3)).astype(np.float32)
    candidate, expected = softmax(model(images).numpy()), reference(images).numpy()
    np.testing.assert_allclose(candidate, expected, rtol=0, atol=tolerances.FLOAT32_PROBABILITY)
    assert np.ptp(expected, axis=0).max() > 1000 * tolerances.FLOAT32_PROBABILITY  # else the comparison shows nothing
    assert count(name, alpha=alpha, size=size, classes=10).params == sum(w.shape.num_elements() for w in reference.trainable_weights)


@pytest.mark.parametrize(
    ("name", "alpha", "params", "macs"),
    [
        ("mobilenet_v1", 1.0, 4_231_976, 568_740_352),
        ("mobilenet_v1", 0.25, 470_072, 41_030_272),
        ("mobilenet_v2", 1.0, 3_504_872, 300_774_272),
        ("mobilenet_v2", 1.4, 6_108_776, 582_195_824),
        ("mobilenet_v2", 0.35, 1_677_128, 59_285_808),
    ],
)
def test_counts(name: str, alpha: float, params: int, macs: int) -> None:
    # Published: V1 4.24 M, 569 M and 0.47 M, 41 M. V2 3.47 M, 300 M; 6.06 M, 582 M; 1.66 M, 59 M, where the papers leave batch norm's
    # scales and shifts out of the parameters.
    counts = count(name, alpha=alpha)
    assert (counts.params, counts.macs) == (params, macs)


def test_counting_imports_no_tensorflow() -> None:
    code = "import sys, edgekit.keras_models as k; k.count('mobilenet_v2'); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {"tensorflow", "tf_keras", "keras", "h5py"}.isdisjoint(shown.split())


def test_published_accuracies_are_of_networks_there_are() -> None:
    for network in NETWORKS.values():
        assert network.default_size in network.sizes
        for alpha, size in network.top1:
            assert alpha in network.alphas and size in network.sizes
        assert {alpha for alpha, size in network.top1 if size == 224} == set(network.alphas)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"alpha": 0.3}, "no alpha 0.3; it has 0.35, 0.5, 0.75, 1, 1.3, 1.4"),
        ({"alpha": float("nan")}, "no alpha nan"),
        ({"size": 31}, "sizes are 32 to 1024"),
        ({"size": 1025}, "published for 96, 128"),
        ({"classes": 0}, "at least 1 class"),
    ],
)
def test_refuses(request_: dict[str, Any], message: str) -> None:
    for function in (edgekit.build_model, count):
        with pytest.raises(EdgekitError, match=message):
            function("mobilenet_v2", **request_)


def test_unknown_network_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="mobilenet_v2"):
        edgekit.build_model("mobilenetv2")


def test_edgekit_has_what_it_says() -> None:
    assert all(hasattr(edgekit, name) for name in edgekit.__all__)
    assert not hasattr(edgekit, "no_such_thing")
