"""Executors made of the numpy reference, with a fault of choice, and bundles that lie on no disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from edgekit.bundle import Bundle, Manifest, WeightsSource
from edgekit.executor import Artifact, Executor, Run, Values
from edgekit.graph import run
from edgekit.images.preprocessing import Preprocessing
from edgekit.progress import Note

Change = Callable[[dict[str, Any]], Values]


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


def fake_executor(name: str, change: Change = lambda values: values, missing: str | None = None) -> Executor:
    """The reference, with `change` applied to what it gives for each chunk."""

    @contextmanager
    def open_(artifact: Artifact, note: Note) -> Iterator[Run]:
        note("compiling")
        found = artifact.graph
        assert found is not None
        yield lambda inputs: change(dict(run(found, inputs)))

    return Executor(name, lambda artifact: missing, open_)
