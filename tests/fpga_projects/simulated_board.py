"""A board without hardware: PYNQ's module and Linux's files, with an accelerator behind them that the memory is shared with."""

from __future__ import annotations

import importlib.util
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol, TypeAlias

import numpy as np


class Port(Protocol):
    """What a control port's registers hold, by byte address; `start` runs the accelerator on the memory."""

    words: dict[int, int]

    def start(self) -> None: ...


Hardware: TypeAlias = Callable[[np.ndarray[Any, Any], int], Port]
"""The accelerator's control port, of memory that lies at an address."""


def fake_pynq(hardware: Hardware, size: int = 1 << 20) -> ModuleType:
    """The part of PYNQ that the driver uses. Memory is cached: the fabric sees what was flushed, the driver what was invalidated."""
    base, memory = 0x7_0000_0000, np.zeros(size, np.uint8)
    registers, taken = hardware(memory, base), [0]

    class Buffer(np.ndarray[Any, Any]):
        def flush(self) -> None:
            memory[self.first : self.first + self.nbytes] = self.ravel()

        def invalidate(self) -> None:
            self.ravel()[:] = memory[self.first : self.first + self.nbytes]

        def freebuffer(self) -> None:
            memory[self.first : self.first + self.nbytes] = 0xDD

    def allocate(shape: tuple[int, ...], dtype: type) -> Buffer:
        buffer = np.full(shape, 0xEE, dtype).view(Buffer)
        buffer.first, taken[0] = taken[0], taken[0] + -(-buffer.nbytes // 4096) * 4096
        buffer.device_address = base + buffer.first
        return buffer

    class Ip:
        def write(self, offset: int, value: int) -> None:
            assert 0 <= value < 1 << 32 and offset % 4 == 0
            registers.words[offset] = value
            if offset == 0 and value & 1:
                registers.start()

        def read(self, offset: int) -> int:
            return 0b1110 if offset == 0 else registers.words[offset]

    pynq = ModuleType("pynq")
    pynq.loaded = []  # type: ignore[attr-defined]

    def overlay(path: str) -> SimpleNamespace:
        pynq.loaded.append(path)  # type: ignore[attr-defined]
        return SimpleNamespace(accelerator=Ip())

    pynq.Overlay = overlay  # type: ignore[attr-defined]
    pynq.allocate = allocate  # type: ignore[attr-defined]
    return pynq


def load_driver(project: Path) -> Any:
    """A project's driver.py, with the modules that lie beside it there."""
    for name in ("board", "program_file"):
        sys.modules.pop(name, None)
    spec = importlib.util.spec_from_file_location("edgekit_board_driver", project / "driver.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(project))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(project))
    return module


@contextmanager
def fake_system(hardware: Hardware, root: Path, size: int = 1 << 20) -> Iterator[None]:
    """Files in the places of uio and u-dma-buf, and a thread that is the hardware behind them."""
    base = 0x7000_0000
    for folder in ("sys/class/uio/uio3", "sys/class/u-dma-buf/edgekit-buffer", "dev", "lib/firmware"):
        (root / folder).mkdir(parents=True)
    (root / "sys/kernel/config/device-tree/overlays").mkdir(parents=True)
    (root / "sys/class/uio/uio3/name").write_text("edgekit-accelerator\n")
    (root / "sys/class/u-dma-buf/edgekit-buffer/phys_addr").write_text(f"{base:#x}\n")
    (root / "sys/class/u-dma-buf/edgekit-buffer/size").write_text(f"{size}\n")
    (root / "dev/uio3").write_bytes(bytes(0x10000))
    (root / "dev/edgekit-buffer").write_bytes(bytes(size))
    control = np.memmap(root / "dev/uio3", np.uint32, "r+", shape=(0x4000,))
    registers = hardware(np.memmap(root / "dev/edgekit-buffer", np.uint8, "r+"), base)
    ended = threading.Event()

    def work() -> None:
        while not ended.wait(0.002):
            if control[0] & 1:
                registers.words = {4 * i: int(word) for i, word in enumerate(control[:64])}
                registers.start()
                control[4] = registers.words.get(0x10, 0)
                control[0] = 0b1110

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def bitstream(data: bytes) -> bytes:
    """A .bit file as Vivado writes it."""
    fields = b"".join(
        letter + struct.pack(">H", len(text)) + text for letter, text in zip((b"a", b"b", b"c", b"d"), (b"x\0",) * 4, strict=True)
    )
    return struct.pack(">H", 9) + bytes(9) + struct.pack(">H", 1) + fields + b"e" + struct.pack(">I", len(data)) + data
