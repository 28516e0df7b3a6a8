"""Devices that run TFLite, as data: what CPU they have, which Python their system brings and which runtimes that Python can install."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.errors import UnknownName


@dataclass(frozen=True)
class Runtime:
    """A TFLite runtime: a Python package, or, on Android, a library. `version` is the newest that the device can take; None: any."""

    package: str
    version: str | None = None


@dataclass(frozen=True)
class System:
    """The operating system: Python and the C library are None where there is none to speak of."""

    name: str
    python: str | None
    libc: str | None


@dataclass(frozen=True)
class Device:
    """`arch` is the machine name as `uname -m` and wheel tags give it; `runtimes` come in order of preference."""

    name: str
    title: str
    cpu: str
    arch: str
    system: System
    runtimes: tuple[Runtime, ...]


BOOKWORM = System("Raspberry Pi OS Bookworm, 64-bit", python="3.11", libc="glibc 2.36")
TFLITE_RUNTIME = Runtime("tflite-runtime", "2.14.0")
"""The last release of that package; it needs numpy < 2."""
LITERT = Runtime("ai-edge-litert")
BOOKWORM_RUNTIMES = (TFLITE_RUNTIME, LITERT)

DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device("rpi3", "Raspberry Pi 3", "cortex-a53", "aarch64", BOOKWORM, BOOKWORM_RUNTIMES),
        Device("rpi4", "Raspberry Pi 4", "cortex-a72", "aarch64", BOOKWORM, BOOKWORM_RUNTIMES),
        Device("rpi5", "Raspberry Pi 5", "cortex-a76", "aarch64", BOOKWORM, BOOKWORM_RUNTIMES),
        Device(
            "android",
            "Android phone",
            "any 64-bit Arm",
            "aarch64",
            System("Android", python=None, libc=None),
            (Runtime("org.tensorflow:tensorflow-lite", "2.16.1"), Runtime("com.google.ai.edge.litert:litert")),
        ),
        Device("linux-x86_64", "Linux PC", "any x86-64", "x86_64", System("Linux", python="3.11", libc="glibc 2.36"), (LITERT,)),
    )
}


def device(name: str) -> Device:
    """The device of that name. Raises UnknownName."""
    if name not in DEVICES:
        raise UnknownName("device", name, DEVICES)
    return DEVICES[name]
