"""Devices that run TFLite, as data: CPU, system, which runtimes it can install, and how it is reached."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.errors import EdgekitError, UnknownName


@dataclass(frozen=True)
class Runtime:
    """A TFLite runtime: a Python package or, on Android, a library. `tensorflow` is the release whose kernels it has."""

    package: str
    version: str
    tensorflow: tuple[int, int]

    @property
    def title(self) -> str:
        return f"{self.package} {self.version}"


@dataclass(frozen=True)
class System:
    """The operating system: Python and the C library are None where there is none to speak of."""

    name: str
    python: str | None
    libc: str | None


@dataclass(frozen=True)
class Device:
    """`arch` is the machine name as `uname -m` and wheel tags give it; `reached`: what `--on` takes for it."""

    name: str
    title: str
    cpu: str
    arch: str
    system: System
    runtimes: tuple[Runtime, ...]
    reached: tuple[str, ...]


TFLITE_RUNTIME = Runtime("tflite-runtime", "2.14.0", (2, 14))
"""The last release of that package; it needs numpy < 2."""
AI_EDGE_LITERT = Runtime("ai-edge-litert", "2.1.6", (2, 23))
"""Newer ones run what this one runs; this one is the newest that runs under emulation, so it is the one that is proven."""
ANDROID_TFLITE = Runtime("org.tensorflow:tensorflow-lite", "2.16.1", (2, 16))
"""The last release that is not moved to Google's own repository."""

BOOKWORM = System("Raspberry Pi OS Bookworm, 64-bit", python="3.11", libc="glibc 2.36")
BOOKWORM_32 = System("Raspberry Pi OS Bookworm, 32-bit", python="3.11", libc="glibc 2.36")
ANDROID = System("Android", python=None, libc=None)
LINUX = System("Linux", python="3.10 to 3.13", libc="glibc 2.27 or newer")
PI_RUNTIMES = (AI_EDGE_LITERT, TFLITE_RUNTIME)
SSH, EMULATED, LOCAL, ADB = "ssh", "emulated", "local", "adb"

DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device("rpi3", "Raspberry Pi 3, 32-bit", "cortex-a53", "armv7l", BOOKWORM_32, (TFLITE_RUNTIME,), (SSH, EMULATED)),
        Device("rpi4", "Raspberry Pi 4", "cortex-a72", "aarch64", BOOKWORM, PI_RUNTIMES, (SSH, EMULATED)),
        Device("rpi5", "Raspberry Pi 5", "cortex-a76", "aarch64", BOOKWORM, PI_RUNTIMES, (SSH, EMULATED)),
        Device("android", "Android phone", "any 64-bit Arm", "aarch64", ANDROID, (ANDROID_TFLITE, AI_EDGE_LITERT), (ADB, EMULATED)),
        Device("linux-x86_64", "Linux PC", "any x86-64", "x86_64", LINUX, (AI_EDGE_LITERT,), (SSH, LOCAL)),
    )
}


def find_device(name: str) -> Device:
    """The device of that name. Raises UnknownName."""
    if name not in DEVICES:
        raise UnknownName("device", name, DEVICES)
    return DEVICES[name]


def runtimes_for(target: Device, wanted: str | None = None) -> tuple[Runtime, ...]:
    """What a file for this device must run on: every runtime that the device can install, or the one that the user names.

    Raises EdgekitError: the device cannot install that runtime.
    """
    if wanted is None:
        return target.runtimes
    found = tuple(runtime for runtime in target.runtimes if runtime.package == wanted)
    if not found:
        known = ", ".join(runtime.package for runtime in target.runtimes)
        raise EdgekitError(f"{target.title} has no runtime '{wanted}'; it can have {known}")
    return found
