"""One measurement: the bundle and the latency application go to the device, its answer comes back.

Where the application cannot run (32-bit Arm, no compiler, no library of LiteRT for the device) the bundle's run.py measures.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeAlias

from edgekit.bundle import GOLDEN_INPUT, GOLDEN_OUTPUT, LABELS, RUN, TFLITE, Bundle
from edgekit.connections.address import session_on
from edgekit.connections.emulator import emulator_folder, missing_emulator
from edgekit.connections.session import Session, ended
from edgekit.errors import EdgekitError
from edgekit.files import MODEL_BYTES_MAX, read_bounded
from edgekit.plan import MANIFEST, MANIFEST_BYTES_MAX
from edgekit.progress import Note
from edgekit.targets import AI_EDGE_LITERT, EMULATED, LOCAL, emulator_for, find_device
from edgekit.tflite.application import (
    APPLICATION,
    ARCHITECTURES,
    LIBRARY,
    WRONG,
    Settings,
    application_folder,
    arguments,
    folder_command,
    parse_report,
)

Report: TypeAlias = Mapping[str, Any]
LONG_SECONDS = 1800
NO_REFERENCE = (2, 2)
LIBRARY_BYTES_MAX = 1 << 28
STOCK_STEPS = 255.0
"""Tolerance, in steps, of a stock integer file: its kernel sets round in different ways, so golden outputs only inform."""


@dataclass(frozen=True)
class Measured:
    """`problem`: why there are no times: the file, or what the device computed of it, is not what was exported.

    `program` measured, edgekit-latency or run.py; `note` says why not the former. None: nothing was run. `report` is what it answered:
    firmware/README.md has the fields `golden`, `runtime`, `load_ms`, `first_run_ms` and `latency_ms`, which both programs give.
    """

    network: str
    precision: str
    target: str
    model_sha256: str
    on: str
    device: str
    arch: str
    emulated: bool
    program: str | None
    kernels: str
    threads: int | None
    time: str
    problem: str | None
    note: str | None
    report: Report


def bench(
    bundle: Bundle,
    on: str,
    *,
    kernels: str = "xnnpack",
    threads: int | None = None,
    warm_up: int = 10,
    iterations: int = 100,
    note: Note = lambda _: None,
) -> Measured:
    """Measures the latency of a bundle on the device that `on` names.

    Args:
        on: local, emulated, ssh://user@host[:port], adb or adb:serial.
        threads: by default one for each processor of the device.

    Raises:
        EdgekitError: no bundle for a device, or the device cannot be reached, fails, or is of another architecture.
    """
    manifest = bundle.manifest
    if manifest.kind != "tflite" or manifest.golden is None:
        raise EdgekitError(f"{bundle.folder} has no golden vectors and no model for a device; export it again, with edgekit export")
    target = find_device(manifest.target)
    measured = Measured(
        network=manifest.network,
        precision=manifest.precision,
        target=manifest.target,
        model_sha256=manifest.files[TFLITE],
        on=on,
        device=on,
        arch=target.arch,
        emulated=on == EMULATED,
        program=None,
        kernels=kernels,
        threads=threads,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        problem=None,
        note=None,
        report={},
    )
    if bundle.changed:  # then no device is needed to know that a time would be worth nothing
        return replace(measured, problem="; ".join(f"{name} {how}" for name, how in bundle.changed.items()))
    note("connecting")
    with session_on(on, target) as session:
        if on not in (LOCAL, EMULATED) and session.arch != target.arch:
            raise EdgekitError(f"{session.title} is {session.arch}; the bundle is for {target.title}, {target.arch}: export it for that")
        measured = replace(measured, device=session.title, arch=session.arch, threads=threads or session.cpus)
        settings = Settings(kernels, threads or session.cpus, warm_up, iterations, tolerance=_tolerance(bundle))
        application = application_for(session.arch, kernels, note)
        if isinstance(application, str):
            measured = replace(measured, program=RUN, note=application)
            report = _with_script(bundle, session, settings, note)
        else:
            measured = replace(measured, program=APPLICATION)
            report = _with_application(bundle, session, application, settings, note)
        return replace(measured, problem=report.get("problem"), report=report)


def application_for(arch: str, kernels: str, note: Note) -> Mapping[str, bytes] | str:
    """The files of the latency application for an architecture, or why it cannot be had or cannot measure this."""
    if arch not in ARCHITECTURES:
        return f"there is no ai-edge-litert for {arch}"
    if kernels == "reference" and tuple(map(int, library_version(arch).split(".")[:2])) >= NO_REFERENCE:
        return "LiteRT's library has no reference kernels from 2.2 on"
    note(f"building the latency application for {arch}")
    try:
        return application_folder(arch, _library(arch), note).files
    except EdgekitError as error:
        return str(error)


def _with_application(bundle: Bundle, session: Session, application: Mapping[str, bytes], settings: Settings, note: Note) -> Report:
    model = _file(bundle, TFLITE)
    note(f"copying to {session.title}")
    session.push({**application, TFLITE: model, **{name: _file(bundle, name) for name in (GOLDEN_INPUT, GOLDEN_OUTPUT)}})
    loader, *rest = folder_command(session.arch)
    wanted = replace(settings, model_crc32=zlib.crc32(model), runtime_version=library_version(session.arch))
    words = [*session.program(loader.removeprefix("./")), *rest, *arguments(f"./{LIBRARY}", TFLITE, "golden", wanted)]
    note(f"measuring on {session.title}")
    finished = session.run(words, LONG_SECONDS)
    if finished.code not in (0, WRONG):
        raise EdgekitError(f"the latency application on {session.title}: {ended(finished)}")
    return parse_report(finished.stdout)


def _with_script(bundle: Bundle, session: Session, settings: Settings, note: Note) -> Report:
    names = (TFLITE, GOLDEN_INPUT, GOLDEN_OUTPUT, *({LABELS} & set(bundle.manifest.files)), RUN)
    manifest = bundle.manifest
    package = manifest.runtimes[0].split()[0] if manifest.runtimes else AI_EDGE_LITERT.package
    python = session.python(package)
    note(f"copying to {session.title}")
    session.push({MANIFEST: read_bounded(bundle.folder / MANIFEST, MANIFEST_BYTES_MAX), **{name: _file(bundle, name) for name in names}})
    options = ["--kernels", settings.kernels, "--threads", str(settings.threads)]
    words = ["--warmup", str(settings.warm_up), "--iterations", str(settings.iterations), "--json"]
    note(f"measuring on {session.title}")
    finished = session.run([*python, RUN, "time", *options, *words], LONG_SECONDS)
    try:
        report = json.loads(finished.stdout)
    except ValueError:
        report = None
    if not isinstance(report, dict) or (finished.code == 0) != isinstance(report.get("latency_ms"), dict):
        raise EdgekitError(f"run.py on {session.title}: {ended(finished)}")
    if finished.code not in (0, WRONG):
        raise EdgekitError(f"run.py on {session.title}: {report.get('error')}")
    return {"problem": str(report.get("error"))} if finished.code else report


def _library(arch: str) -> bytes:
    """LiteRT's library: of the package that is installed here, or of the emulated device. Raises EdgekitError where there is none."""
    if arch == platform.machine():
        found = importlib.util.find_spec("ai_edge_litert")
        if found is None or not found.submodule_search_locations:
            raise EdgekitError("ai-edge-litert is not installed: pip install ai-edge-litert")
        folder = Path(found.submodule_search_locations[0])
    else:
        emulator = emulator_for(arch)
        reason = missing_emulator(emulator) if emulator else f"there is no library of ai-edge-litert for {arch}"
        if emulator is None or reason is not None:
            raise EdgekitError(f"its library is that of the emulated device: {reason}")
        folder = emulator_folder(emulator) / AI_EDGE_LITERT.package / "ai_edge_litert"
    return read_bounded(folder / LIBRARY, LIBRARY_BYTES_MAX)


def library_version(arch: str) -> str:
    try:
        return version("ai-edge-litert") if arch == platform.machine() else AI_EDGE_LITERT.version
    except PackageNotFoundError:
        return "0.0"


def _tolerance(bundle: Bundle) -> float:
    golden = bundle.manifest.golden
    assert golden is not None
    return STOCK_STEPS if golden.tolerance is None else golden.tolerance


def _file(bundle: Bundle, name: str) -> bytes:
    if name not in bundle.manifest.files:
        raise EdgekitError(f"{bundle.folder} has no {name}; export it again")
    return read_bounded(bundle.folder / name, MODEL_BYTES_MAX)
