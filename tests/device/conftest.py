"""Bundles of a small network, and what a test of a device needs of this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import exact_plan

from edgekit.bundle import Bundle, Preprocessing, WeightsSource, open_bundle
from edgekit.graph import Activation, Conv2D, Dense, DepthwiseConv2D, IntegerGraph, Padding, Tensor, check
from edgekit.plan import write

PIXELS = Preprocessing((127.5,), (127.5,))


def small_graph() -> IntegerGraph:
    """A convolution, a depthwise one and a dense layer: what XNNPACK and the other kernel sets round differently without the contract."""
    rng = np.random.default_rng(3)
    tensors = (
        Tensor("image", (8, 8, 3), signed=True, binary_point=7),
        Tensor("map", (8, 8, 8), signed=False, binary_point=4),
        Tensor("depth", (8, 8, 8), signed=False, binary_point=3),
        Tensor("logits", (10,), signed=True, binary_point=2),
    )

    def weights(*shape: int) -> Any:
        return (4 * rng.integers(-31, 32, shape)).astype(np.int8)

    def bias(count: int) -> Any:
        return (4 * rng.integers(-9, 9, count) + 2).astype(np.int32)

    same = Padding(1, 1, 1, 1)
    relu6, relu = Activation.RELU6, Activation.RELU
    ops = (
        Conv2D("conv", "image", "map", weights(3, 3, 3, 8), bias(8), (7,) * 8, padding=same, activation=relu6),
        DepthwiseConv2D("depthwise", "map", "depth", weights(3, 3, 8), bias(8), (7,) * 8, padding=same, activation=relu),
        Dense("dense", "depth", "logits", weights(512, 10), bias(10), (8,) * 10),
    )
    graph = IntegerGraph("small", {tensor.name: tensor for tensor in tensors}, ops, "image", ("logits",))
    check(graph)
    return graph


@pytest.fixture
def graph() -> IntegerGraph:
    return small_graph()


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., Bundle]:
    """A bundle of the small graph for a target, as `edgekit export` writes them."""

    def make(target: str = "rpi4", runtimes: tuple[str, ...] = ("ai-edge-litert 2.1.6", "tflite-runtime 2.14.0")) -> Bundle:

        plan = exact_plan(
            small_graph(),
            labels=[f"class {i}" for i in range(10)],
            preprocessing=PIXELS,
            network="small",
            options={},
            target=target,
            weights=WeightsSource("random", seed=3),
            runtimes=runtimes,
        )
        folder = tmp_path / f"bundle-{target}"
        write(plan, folder)
        return open_bundle(folder)

    return make
