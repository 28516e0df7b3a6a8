"""Emulated devices, as data: which Debian packages and wheels make one, and which CPU QEMU plays."""

from __future__ import annotations

from dataclasses import dataclass

from edgekit.digest import digest_of
from edgekit.targets.devices import AI_EDGE_LITERT, TFLITE_RUNTIME, Runtime
from edgekit.tools import QEMU, QEMU_ARM, Tool

SUITE = "bookworm"
"""Raspberry Pi OS Bookworm is this Debian, with the same Python, C library and numpy."""
PACKAGES = ("python3.11-minimal", "libpython3.11-stdlib", "libstdc++6", "python3-numpy")


@dataclass(frozen=True)
class Wheel:
    """A runtime's wheel: `platform` is its tag, `sha256` the only content that is taken."""

    runtime: Runtime
    platform: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """`device` is what it stands for; `debian_arch` and `triplet` are Debian's names of the architecture, `arch` is `uname -m`'s."""

    device: str
    cpu: str
    arch: str
    debian_arch: str
    triplet: str
    qemu: Tool
    wheels: tuple[Wheel, ...]

    def recipe(self) -> str:
        """SHA-256, in hex, of everything here that decides what is made."""
        parts = (SUITE, *PACKAGES, self.debian_arch, *(f"{w.runtime.package}=={w.runtime.version} {w.sha256}" for w in self.wheels))
        return digest_of("\n".join(parts).encode())


EMULATORS: dict[str, Emulator] = {
    emulator.device: emulator
    for emulator in (
        Emulator(
            device="rpi4",
            cpu="cortex-a72",
            arch="aarch64",
            debian_arch="arm64",
            triplet="aarch64-linux-gnu",
            qemu=QEMU,
            wheels=(
                Wheel(TFLITE_RUNTIME, "manylinux_2_34_aarch64", "ce9fa5d770a9725c746dcbf6f59f3178233b3759f09982e8b2db8d2234c333b0"),
                Wheel(AI_EDGE_LITERT, "manylinux_2_27_aarch64", "8475d18c73698d9244380ad72f67caf540e5c72d9a80c66d17c4b81ca81a21c8"),
            ),
        ),
        Emulator(
            device="rpi3",
            cpu="cortex-a7",  # 32-bit QEMU has no cortex-a53; this is its 32-bit forerunner, with the same instructions
            arch="armv7l",
            debian_arch="armhf",
            triplet="arm-linux-gnueabihf",
            qemu=QEMU_ARM,
            wheels=(Wheel(TFLITE_RUNTIME, "manylinux_2_34_armv7l", "c4e66a74165b18089c86788400af19fa551768ac782d231a9beae2f6434f7949"),),
        ),
    )
}


def emulator_for(arch: str) -> Emulator | None:
    """The emulated device whose processor runs programs of this architecture, or None."""
    return next((found for found in EMULATORS.values() if found.arch == arch), None)
