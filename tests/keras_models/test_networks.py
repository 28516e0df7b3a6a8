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
from edgekit.keras_models.layers.legacy_keras import import_keras

ALPHAS = [(network.name, alpha) for network in NETWORKS.values() for alpha in network.alphas if network.family == "MobileNet"]


def application(name: str, alpha: float, size: int, classes: int) -> Any:
    """The network of the same name that comes with Keras."""
    applications = import_keras().applications
    options: dict[str, Any] = {
        "input_shape": (size, size, 3),
        "alpha": alpha,
        "weights": None,
        "classes": classes,
        "classifier_activation": None,
    }
    if name.startswith("mobilenet_v3"):
        make = applications.MobileNetV3Small if "small" in name else applications.MobileNetV3Large
        return make(**options, minimalistic=name.endswith("minimalistic"), include_preprocessing=False)
    return {"mobilenet_v1": applications.MobileNet, "mobilenet_v2": applications.MobileNetV2}[name](**options)


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
    candidate, expected = model(images).numpy(), reference(images).numpy()
    largest = np.abs(expected).max()
    np.testing.assert_allclose(candidate, expected, rtol=0, atol=tolerances.FLOAT32_LOGITS * largest)
    assert np.ptp(expected, axis=0).max() > 100 * tolerances.FLOAT32_LOGITS * largest  # else the comparison shows nothing
    assert count(name, alpha=alpha, size=size, classes=10).params == sum(w.shape.num_elements() for w in reference.trainable_weights)


@pytest.mark.parametrize(
    ("name", "alpha", "params", "macs"),
    [
        ("mobilenet_v1", 1.0, 4_231_976, 568_740_352),
        ("mobilenet_v1", 0.25, 470_072, 41_030_272),
        ("mobilenet_v2", 1.0, 3_504_872, 300_774_272),
        ("mobilenet_v2", 1.4, 6_108_776, 582_195_824),
        ("mobilenet_v2", 0.35, 1_677_128, 59_285_808),
        ("mobilenet_v3_large", 1.0, 5_483_032, 216_589_760),
        ("mobilenet_v3_small", 1.0, 2_542_856, 56_510_400),
        ("mobilenet_v3_large", 0.75, 3_993_528, 154_560_624),
        ("mobilenet_v3_small", 0.75, 2_041_872, 43_399_344),
        ("mobilenet_v3_large_minimalistic", 1.0, 3_924_288, 209_136_704),
        ("mobilenet_v3_small_minimalistic", 1.0, 2_044_736, 52_288_448),
        ("mnasnet_a1", 1.4, 6_105_992, 586_317_952),
        ("mnasnet_a1", 1.0, 3_887_038, 311_579_072),
        ("mnasnet_a1", 0.75, 2_912_278, 223_448_480),
        ("mnasnet_a1", 0.5, 2_082_006, 103_162_992),
        ("mnasnet_a1", 0.35, 1_747_018, 61_681_920),
        ("mnasnet_b1", 1.3, 6_282_256, 526_362_432),
        ("mnasnet_b1", 1.0, 4_383_312, 314_415_872),
        ("mnasnet_b1", 0.75, 3_170_208, 215_493_104),
        ("mnasnet_b1", 0.5, 2_218_512, 104_455_968),
        ("mnasnet_small", 1.0, 2_030_264, 68_339_184),
        ("efficientnet_lite0", 1.0, 4_652_008, 385_187_552),
        ("efficientnet_lite1", 1.0, 5_416_680, 600_185_232),
        ("efficientnet_lite2", 1.0, 6_092_072, 859_736_272),
        ("efficientnet_lite3", 1.0, 8_197_096, 1_383_321_872),
        ("efficientnet_lite4", 1.0, 13_006_568, 2_553_034_336),
        ("sbcformer_xs", 1.0, 5_594_161, 468_384_608),
        ("sbcformer_s", 1.0, 8_465_407, 629_400_032),
        ("sbcformer_b", 1.0, 13_830_592, 1_064_134_016),
        ("sbcformer_l", 1.0, 18_506_672, 1_982_762_496),
        ("rapidnet_ti", 1.0, 6_627_840, 617_469_312),
        ("rapidnet_s", 1.0, 9_213_088, 896_620_352),
        ("rapidnet_m", 1.0, 17_304_496, 1_596_878_720),
        ("rapidnet_b", 1.0, 30_556_496, 3_354_368_064),
    ],
)
def test_counts(name: str, alpha: float, params: int, macs: int) -> None:
    # Published: V1 4.24 M, 569 M and 0.47 M, 41 M. V2 3.47 M, 300 M; 6.06 M, 582 M; 1.66 M, 59 M, where the papers leave batch norm's
    # scales and shifts out of the parameters. The others are the parameters of the authors' code, timm's or torchvision's, and their
    # MACs to the digits that were printed. EfficientNet-Lite: the parameters of the authors' own test, and the MACs of
    # d-li14/efficientnet-lite.pytorch (the authors' table has up to 6 % more, 407 M for Lite0, and does not say of what).
    counts = count(name, alpha=alpha)
    assert (counts.params, counts.macs) == (params, macs)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_keras_model_is_what_was_counted(name: str) -> None:
    model, counts = edgekit.build_model(name, size=64, classes=10), count(name, size=64, classes=10)
    assert sum(w.shape.num_elements() for w in model.trainable_weights) == counts.params
    assert (counts.params, counts.macs) == tuple(sum(getattr(layer, field) for layer in counts.layers) for field in ("params", "macs"))
    of_layers = {layer.name: layer.shape for layer in counts.layers}
    built = {layer.name: tuple(layer.output_shape[1:]) for layer in model.layers if layer.name in of_layers}
    assert {name: shape[-1] for name, shape in built.items()} == {name: of_layers[name][-1] for name in built}


def test_counting_imports_no_tensorflow() -> None:
    code = "import sys, edgekit.keras_models as k; k.count('mobilenet_v2'); print(*sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert {"tensorflow", "tf_keras", "keras", "h5py"}.isdisjoint(shown.split())


def test_published_accuracies_are_of_networks_there_are() -> None:
    for network in NETWORKS.values():
        assert network.default_size in network.sizes
        for alpha, size in network.top1:
            assert alpha in network.alphas and size in network.sizes
        published = {alpha for alpha, size in network.top1 if size == network.default_size}
        assert published == set(network.alphas) or network.name in ("rapidnet_s", "rapidnet_m", "rapidnet_b")


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


def test_sbcformer_takes_the_sizes_that_its_pools_divide() -> None:
    # 32 rounds down to a 4x4 map, pooled to 1x1; 220 gives 28x28 as 224 does. 48 gives 6x6, which 4 does not divide.
    for size in (32, 96, 220):
        assert count("sbcformer_xs", size=size).macs > 0
    for function in (edgekit.build_model, count):
        with pytest.raises(EdgekitError, match=r"map is 6x6\. Multiples of 32 fit"):
            function("sbcformer_xs", size=48)


def test_unknown_network_names_the_nearest() -> None:
    with pytest.raises(UnknownName, match="mobilenet_v2"):
        edgekit.build_model("mobilenetv2")


def test_edgekit_has_what_it_says() -> None:
    assert all(hasattr(edgekit, name) for name in edgekit.__all__)
    assert not hasattr(edgekit, "no_such_thing")
