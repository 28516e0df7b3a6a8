"""The latency application of firmware/latency: built for an architecture, packed with all that it needs, called, and its answer read.

It is built once and kept in the cache, under a digest of its sources and the compiler. firmware/README.md has its options and fields.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edgekit.cache import cache_folder
from edgekit.children import TookTooLong, call
from edgekit.digest import digest_of_parts
from edgekit.errors import EdgekitError, UnknownName
from edgekit.plan import Plan, write_file
from edgekit.progress import Note
from edgekit.scratch import scratch_folder
from edgekit.tflite.kernel_sets import KERNEL_SETS
from edgekit.tools import CMAKE, GXX, GXX_AARCH64, MAKE, Tool, require, version

APPLICATION, LIBRARY = "edgekit-latency", "libLiteRt.so"
SCHEMA = "edgekit-latency/1"
BUILD_SECONDS_MAX, ASK_SECONDS_MAX = 900, 20
SHARED_LIBRARIES = ("libc.so.6", "libm.so.6", "libstdc++.so.6", "libgcc_s.so.1", "libdl.so.2", "libpthread.so.0", "librt.so.1")
"""What the application and LiteRT are linked with; the last three are empty since glibc 2.34, but still asked for."""
WRONG = 1
"""Exit code of the application where the model or its outputs are not what they must be. 2: it could not do what it was asked for."""


@dataclass(frozen=True)
class Architecture:
    """`compiler` builds for it elsewhere; on a machine of that kind g++ does. `loader`: the program that starts dynamic programs."""

    name: str
    compiler: Tool
    loader: str


ARCHITECTURES: Mapping[str, Architecture] = MappingProxyType(
    {
        "aarch64": Architecture("aarch64", GXX_AARCH64, "ld-linux-aarch64.so.1"),
        "x86_64": Architecture("x86_64", GXX, "ld-linux-x86-64.so.2"),
    }
)
"""By machine name. There is no 32-bit Arm: ai-edge-litert has no wheel for it."""


@dataclass(frozen=True)
class Settings:
    """How to measure; the options of the application by the same names. `seconds` takes the place of `iterations`.

    `kernels` is one of KERNEL_SETS. LiteRT has reference kernels up to 2.1.6; the application refuses them on a newer one.
    """

    kernels: str = "xnnpack"
    threads: int = 1
    warm_up: int = 10
    iterations: int = 100
    seconds: float | None = None
    cpus: tuple[int, ...] = ()
    tolerance: float = 0.0
    model_crc32: int | None = None
    runtime_version: str | None = None


def build_application(arch: str, note: Note = lambda _: None) -> bytes:
    """The program for an architecture, of ARCHITECTURES.

    Raises:
        UnknownName: no such architecture.
        EdgekitError: CMake, make or the compiler is missing (the message says how to get it), or the build fails.
    """
    target = _architecture(arch)
    compiler, cmake, make = _compiler(target), require(CMAKE), require(MAKE)
    sources = _sources()
    built = cache_folder() / "firmware" / f"{APPLICATION}-{arch}-{_digest(sources, version(GXX, compiler))}"
    try:
        return built.read_bytes()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise EdgekitError(f"cannot read {built}: {error.strerror}; remove it, or set EDGEKIT_CACHE to another folder") from error
    note(f"compiling the latency application for {arch}")
    with scratch_folder("firmware") as folder:
        tools = [f"-DCMAKE_MAKE_PROGRAM={make}", f"-DCMAKE_CXX_COMPILER={compiler}"]
        if arch != platform.machine():
            tools += ["-DCMAKE_SYSTEM_NAME=Linux", f"-DCMAKE_SYSTEM_PROCESSOR={arch}"]
        _run([cmake, "-S", sources, "-B", folder, "-G", "Unix Makefiles", "-DCMAKE_BUILD_TYPE=Release", *tools])
        _run([cmake, "--build", folder, "--target", APPLICATION, "--parallel", str(os.cpu_count() or 1)])
        program = (folder / "latency" / APPLICATION).read_bytes()
    write_file(built, program)
    return program


def application_folder(arch: str, library: bytes, note: Note = lambda _: None) -> Plan:
    """The application with LiteRT's library, the loader and every shared library that they need: a folder that runs on any Linux
    or Android of that architecture, whatever C library it has. `folder_command` starts it.

    Args:
        library: libLiteRt.so of the wheel of ai-edge-litert for that architecture, 2.1.5 or newer.

    Raises:
        UnknownName, EdgekitError: as build_application; or the compiler brings no such libraries.
    """
    target = _architecture(arch)
    compiler = _compiler(target)
    files = {APPLICATION: build_application(arch, note), LIBRARY: library}
    return Plan({**files, **{name: _compiler_file(compiler, name) for name in (target.loader, *SHARED_LIBRARIES)}})


def folder_command(arch: str) -> tuple[str, ...]:
    """The words that start the application inside the folder of `application_folder`; arguments(LIBRARY, ...) follow."""
    return (f"./{_architecture(arch).loader}", "--library-path", ".", f"./{APPLICATION}")


def arguments(library: str, model: str, golden: str, settings: Settings = Settings()) -> tuple[str, ...]:
    """The application's command line after its name. Paths are the device's; `golden` is a folder with input.bin and output.bin.

    Raises UnknownName for a kernel set that does not exist.
    """
    if settings.kernels not in KERNEL_SETS:
        raise UnknownName("kernel set", settings.kernels, KERNEL_SETS)
    length = ("--iterations", str(settings.iterations)) if settings.seconds is None else ("--seconds", str(settings.seconds))
    words = ["--library", library, "--model", model, "--golden", golden, "--kernels", settings.kernels, "--threads", str(settings.threads)]
    words += ["--warm-up", str(settings.warm_up), *length]
    if settings.cpus:
        words += ["--cpus", ",".join(map(str, settings.cpus))]
    if settings.tolerance:
        words += ["--tolerance", repr(settings.tolerance)]
    if settings.model_crc32 is not None:
        words += ["--model-crc32", f"{settings.model_crc32:08x}"]
    if settings.runtime_version:
        words += ["--runtime-version", settings.runtime_version]
    return tuple(words)


def parse_report(text: str) -> dict[str, Any]:
    """The object that the application prints; firmware/README.md has its fields. `problem` is None, or why nothing was measured.

    Raises EdgekitError where the text is something else, or an answer without a problem has no times.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise EdgekitError(f"the latency application answered with something that is not JSON: {error}") from error
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise EdgekitError(f"the latency application's answer is not of schema '{SCHEMA}'; build it anew with this version of edgekit")
    problem, golden, latency = found.get("problem", ""), found.get("golden"), found.get("latency_ms")
    if not (problem is None or (isinstance(problem, str) and problem)) or not isinstance(golden, dict):
        raise EdgekitError("the latency application's answer has no 'problem' or no 'golden'")
    if (problem is None) != isinstance(latency, dict):
        raise EdgekitError("the latency application's answer has times and a problem, or neither")
    return found


def _architecture(name: str) -> Architecture:
    if name not in ARCHITECTURES:
        raise UnknownName("architecture", name, ARCHITECTURES)
    return ARCHITECTURES[name]


def _compiler(target: Architecture) -> Path:
    tool = GXX if target.name == platform.machine() else target.compiler
    path = require(tool)
    machine = _ask(path, "-dumpmachine")
    if machine.split("-")[0] != target.name:
        raise EdgekitError(f"{path} builds for '{machine}', not for {target.name}; set {tool.variable} to a compiler that does")
    return path


def _ask(compiler: Path, question: str) -> str:
    """One line that GCC answers, or nothing."""
    try:
        return call([compiler, question], ASK_SECONDS_MAX).output_text.strip()
    except EdgekitError:
        return ""


def _sources() -> Path:
    from edgekit import firmware

    return Path(firmware.__file__).resolve().parent


def _digest(sources: Path, compiler: str) -> str:
    """The first 16 hexadecimal digits of the SHA-256 of all that the program depends on."""
    parts = [compiler.encode()]
    suffixes = (".cc", ".h", ".txt")
    for path in sorted(path for path in sources.rglob("*") if path.suffix in suffixes and "build" not in path.relative_to(sources).parts):
        content = path.read_bytes()
        parts.append(f"{path.relative_to(sources).as_posix()} {len(content)} ".encode() + content)
    return digest_of_parts(parts)[:16]


def _compiler_file(compiler: Path, name: str) -> bytes:
    """A file that the compiler links programs with."""
    path = Path(_ask(compiler, f"-print-file-name={name}"))  # only the name again where it knows none
    if not path.is_absolute():
        raise EdgekitError(f"{compiler} brings no {name}; a compiler of Debian or Ubuntu does (apt install g++-aarch64-linux-gnu)")
    try:
        return path.read_bytes()
    except OSError as error:
        raise EdgekitError(f"cannot read {path}: {error.strerror}") from error


def _run(command: list[Any]) -> None:
    try:
        done = call(command, BUILD_SECONDS_MAX)
    except TookTooLong:
        raise EdgekitError(f"the latency application was not built within {BUILD_SECONDS_MAX} s") from None
    if done.code:
        said = "\n".join((done.output_text + done.messages_text).strip().splitlines()[-20:])
        raise EdgekitError(f"the latency application does not build:\n{said}")
