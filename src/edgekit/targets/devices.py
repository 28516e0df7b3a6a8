"""Devices that run TFLite, as data: CPU, system, which runtimes it can install, and how it is reached.

Sources: the makers' product briefs and the wheels of the runtimes. Raspberry Pi 5: BCM2712, four Cortex-A76 (Armv8.2 with int8 dot
products) at 2.4 GHz with 512 KiB of L2 each and 2 MiB of L3, LPDDR4X-4267 (its product brief, and Linux'
arch/arm64/boot/dts/broadcom/bcm2712.dtsi).
"""

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


@dataclass(frozen=True, kw_only=True)
class Device:
    """`arch` is the machine name as `uname -m` and wheel tags give it; `reached`: the ways to it, of LOCAL, EMULATED, SSH and ADB."""

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
LOCAL, EMULATED, SSH, ADB = "local", "emulated", "ssh", "adb"
"""The ways to a device, by the words that `--on` takes or that its addresses begin with: edgekit.connections.address."""

DEVICES: dict[str, Device] = {
    device.name: device
    for device in (
        Device(
            name="rpi3",
            title="Raspberry Pi 3, 32-bit",
            cpu="cortex-a53",
            arch="armv7l",
            system=BOOKWORM_32,
            runtimes=(TFLITE_RUNTIME,),
            reached=(SSH, EMULATED),
        ),
        Device(
            name="rpi4",
            title="Raspberry Pi 4",
            cpu="cortex-a72",
            arch="aarch64",
            system=BOOKWORM,
            runtimes=PI_RUNTIMES,
            reached=(SSH, EMULATED),
        ),
        Device(
            name="rpi5",
            title="Raspberry Pi 5",
            cpu="cortex-a76",
            arch="aarch64",
            system=BOOKWORM,
            runtimes=PI_RUNTIMES,
            reached=(SSH, EMULATED),
        ),
        Device(
            name="android",
            title="Android phone",
            cpu="any 64-bit Arm",
            arch="aarch64",
            system=ANDROID,
            runtimes=(ANDROID_TFLITE, AI_EDGE_LITERT),
            reached=(ADB, EMULATED),
        ),
        Device(
            name="linux-x86_64",
            title="Linux PC",
            cpu="any x86-64",
            arch="x86_64",
            system=LINUX,
            runtimes=(AI_EDGE_LITERT,),
            reached=(SSH, LOCAL),
        ),
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
