"""Which executors there are, in the order in which reports list them. Each is loaded when it is asked for, and no sooner."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from edgekit.errors import UnknownName
from edgekit.executor import Artifact, Executor
from edgekit.targets import EMULATORS
from edgekit.tflite import KERNEL_SETS
from edgekit.tflite.kernel_sets import device_executor_name, executor_name


@dataclass(frozen=True)
class Entry:
    """Where an executor is found: `attribute` of `module` is an Executor, or a sequence of them that has one of this name.

    `emulates` names the emulated device that it runs on. Such ones are slow; they, and others that are not `usual`, run only where
    they are asked for, and `projects_only` ones by themselves only of an HLS project, one whose tensors hold no more than `values_max`,
    and that has a file of the name `marked`.
    """

    name: str
    module: str
    attribute: str
    emulates: str | None = None
    usual: bool = True
    projects_only: bool = False
    values_max: int | None = None
    marked: str | None = None

    def runs_unasked(self, artifact: Artifact) -> bool:
        if not self.projects_only or artifact.graph is None:
            return self.usual and not self.projects_only
        values = sum(prod(one.shape) for one in artifact.graph.tensors.values())
        project = artifact.hls_project
        if project is None or (self.marked is not None and self.marked not in project):
            return False
        return self.usual and (self.values_max is None or values <= self.values_max)


ENGINE_FACTS = "engine.json"
"""The file that marks an HLS project as one of an engine."""
RTL_VALUES = 2_000
"""Verilator takes seconds for a network of so few, and minutes for large ones."""
ENTRIES = (
    Entry("reference", "edgekit.verify.reference", "EXECUTOR"),
    Entry("keras", "edgekit.keras_models.qfx.executors", "EXECUTORS"),
    Entry("onnxruntime", "edgekit.verify.onnxruntime", "EXECUTOR"),
    *(Entry(executor_name(kernels), "edgekit.tflite.executors", "EXECUTORS") for kernels in KERNEL_SETS),
    Entry("tflm", "edgekit.tflite.micro", "EXECUTOR", usual=False),
    Entry("hls-csim", "edgekit.hls.simulation.executors", "EXECUTORS"),
    Entry("hls-csim-exact", "edgekit.hls.simulation.executors", "EXECUTORS", projects_only=True),
    Entry("hls-rtl", "edgekit.hls.rtl.executor", "EXECUTORS", projects_only=True, values_max=RTL_VALUES),
    Entry("hls-rtl-memory", "edgekit.hls.rtl.executor", "EXECUTORS", projects_only=True, usual=False),
    Entry("hls-engine-csim", "edgekit.hls.simulation.engine", "EXECUTOR", projects_only=True, marked=ENGINE_FACTS),
    Entry("hls4ml-csim", "edgekit.hls.simulation.executors", "EXECUTORS", usual=False),
    *(
        Entry(
            device_executor_name(emulator.device, wheel.runtime.package, kernels),
            "edgekit.tflite.device_executors",
            "EXECUTORS",
            emulates=emulator.device,
            usual=False,
        )
        for emulator in EMULATORS.values()
        for wheel in emulator.wheels
        for kernels in KERNEL_SETS
    ),
)
NAMES = tuple(entry.name for entry in ENTRIES)


@dataclass(frozen=True)
class Available:
    """An executor's name, and either the executor or the reason why it cannot run here."""

    name: str
    executor: Executor | None
    reason: str = ""


def executors_for(artifact: Artifact, names: Sequence[str] | None = None) -> tuple[Available, ...]:
    """The executors of these names (default: the usual ones), in the fixed order. Raises UnknownName."""
    wanted = [entry.name for entry in ENTRIES if entry.runs_unasked(artifact)] if names is None else names
    for name in wanted:
        if name not in NAMES:
            raise UnknownName("executor", name, NAMES)
    return tuple(_look(entry, artifact) for entry in ENTRIES if entry.name in wanted)


def emulated_names(device: str) -> tuple[str, ...]:
    """Names of the executors on this emulated device."""
    return tuple(entry.name for entry in ENTRIES if entry.emulates == device)


def look(executor: Executor, artifact: Artifact) -> Available:
    """Whether this executor can run the artifact."""
    try:
        reason = executor.missing(artifact)
    except Exception as error:  # it is the reason, and it is shown
        return Available(executor.name, None, describe(error))
    return Available(executor.name, None, reason) if reason is not None else Available(executor.name, executor)


def load(entry: Entry) -> Executor:
    """Imports the module. Raises ImportError, also where the module does not have the executor."""
    found = getattr(importlib.import_module(entry.module), entry.attribute, ())
    for executor in (found,) if isinstance(found, Executor) else tuple(found):
        if executor.name == entry.name:
            return executor
    raise ImportError(f"{entry.module}.{entry.attribute} has no executor '{entry.name}'")


def _look(entry: Entry, artifact: Artifact) -> Available:
    try:
        return look(load(entry), artifact)
    except Exception as error:  # whatever an optional package throws on import: it is the reason, and it is shown
        return Available(entry.name, None, describe(error))


def describe(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__
