"""A small exact network, and the register of executors with others in it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from edgekit.executor import Executor
from edgekit.graph import Activation, Conv2D, Dense, IntegerGraph, Padding, Tensor, check
from edgekit.verify import executors as registry


@pytest.fixture
def graph() -> IntegerGraph:
    rng = np.random.default_rng(1)
    tensors = (
        Tensor("image", (8, 8, 3), signed=True, binary_point=7),
        Tensor("map", (8, 8, 4), signed=False, binary_point=4),
        Tensor("logits", (10,), signed=True, binary_point=2),
    )
    conv = Conv2D(
        "conv",
        "image",
        "map",
        weights=(4 * rng.integers(-31, 32, (3, 3, 3, 4))).astype(np.int8),
        bias=(4 * rng.integers(-9, 9, 4) + 2).astype(np.int32),
        weight_binary_points=(7,) * 4,
        padding=Padding(1, 1, 1, 1),
        activation=Activation.RELU6,
    )
    dense = Dense(
        "dense",
        "map",
        "logits",
        weights=(4 * rng.integers(-31, 32, (256, 10))).astype(np.int8),
        bias=(4 * rng.integers(-9, 9, 10) + 2).astype(np.int32),
        weight_binary_points=(8,) * 10,
    )
    made = IntegerGraph("small", {tensor.name: tensor for tensor in tensors}, (conv, dense), "image", ("logits",))
    check(made)
    return made


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes these executors the only ones there are."""

    def replace(*executors: Executor) -> None:
        module = ModuleType("fake_executors")
        module.EXECUTORS = executors  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "fake_executors", module)
        entries = tuple(registry.Entry(executor.name, "fake_executors", "EXECUTORS") for executor in executors)
        monkeypatch.setattr(registry, "ENTRIES", entries)
        monkeypatch.setattr(registry, "NAMES", tuple(executor.name for executor in executors))

    return replace
