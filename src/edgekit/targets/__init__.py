"""Boards, devices and emulated devices, as data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgekit.faces import lazy

if TYPE_CHECKING:
    from edgekit.targets.boards import (
        AXI_MASTER,
        BOARDS,
        WEIGHT_READERS_MAX,
        ZYNQ_7000,
        ZYNQ_ULTRASCALE,
        Board,
        Part,
        ProcessingSystem,
        Resources,
        at_clock,
        check_interface,
        find_board,
    )
    from edgekit.targets.devices import AI_EDGE_LITERT, DEVICES, EMULATED, LOCAL, TFLITE_RUNTIME, Device, Runtime, find_device, runtimes_for
    from edgekit.targets.emulators import EMULATORS, Emulator, emulator_for
else:
    __getattr__ = lazy(
        __name__,
        {
            "boards": (
                "AXI_MASTER",
                "BOARDS",
                "Board",
                "Part",
                "ProcessingSystem",
                "Resources",
                "WEIGHT_READERS_MAX",
                "ZYNQ_7000",
                "ZYNQ_ULTRASCALE",
                "at_clock",
                "check_interface",
                "find_board",
            ),
            "devices": (
                "AI_EDGE_LITERT",
                "DEVICES",
                "Device",
                "EMULATED",
                "LOCAL",
                "Runtime",
                "TFLITE_RUNTIME",
                "find_device",
                "runtimes_for",
            ),
            "emulators": ("EMULATORS", "Emulator", "emulator_for"),
        },
    )

__all__ = [
    "AI_EDGE_LITERT",
    "AXI_MASTER",
    "BOARDS",
    "DEVICES",
    "EMULATED",
    "EMULATORS",
    "LOCAL",
    "TFLITE_RUNTIME",
    "WEIGHT_READERS_MAX",
    "ZYNQ_7000",
    "ZYNQ_ULTRASCALE",
    "Board",
    "Device",
    "Emulator",
    "Part",
    "ProcessingSystem",
    "Resources",
    "Runtime",
    "at_clock",
    "check_interface",
    "emulator_for",
    "find_board",
    "find_device",
    "runtimes_for",
]
