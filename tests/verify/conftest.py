"""A small exact network, and executors made of the numpy reference with a fault of choice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from edgekit.bundle import Bundle, Manifest, WeightsSource
from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.graph import Activation, Conv2D, Dense, IntegerGraph, Padding, Tensor, check, run
from edgekit.images.preprocessing import Preprocessing
from edgekit.progress import Note
from edgekit.verify import executors as registry

Change = Callable[[dict[str, Any]], Values]


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


def bundle_of(artifact: Artifact, changed: Mapping[str, str] | None = None) -> Bundle:
    manifest = Manifest(
        kind="tflite",
        network="small",
        options={},
        precision="qfx",
        target="rpi4",
        weights=WeightsSource("random", seed=1),
        preprocessing=Preprocessing((127.5,), (127.5,)),
        versions={},
        command=(),
        files={},
    )
    return Bundle(Path("small"), manifest, artifact, changed or {})


def fake(name: str, change: Change = lambda values: values, missing: str | None = None) -> Executor:
    """The reference, with `change` applied to what it gives for each chunk."""

    @contextmanager
    def open_(artifact: Artifact, note: Note) -> Iterator[Run]:
        note("compiling")
        found = artifact.graph
        assert found is not None
        yield lambda inputs: change(dict(run(found, inputs)))

    return Executor(name, lambda artifact: missing, open_)


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


@pytest.fixture
def make() -> Any:
    """`fake` and `bundle_of`, for tests: test files cannot import each other."""

    class Make:
        executor = staticmethod(fake)
        bundle = staticmethod(bundle_of)

    return Make
