"""Sessions on this machine, in a temporary folder: `local`, and `emulated`, where QEMU stands before every command."""

from __future__ import annotations

import errno
import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgekit.children import TookTooLong, call
from edgekit.connections.emulator import missing_emulator, program_command, python_command
from edgekit.connections.session import PULL_BYTES_MAX, Finished, full_disk, is_program, too_slow
from edgekit.errors import EdgekitError
from edgekit.plan import check_name
from edgekit.scratch import scratch_folder
from edgekit.targets import Emulator


@dataclass(frozen=True)
class FolderSession:
    """`emulator`: what plays the device, or None for this machine itself."""

    folder: Path
    emulator: Emulator | None = None

    @property
    def title(self) -> str:
        return f"emulated {self.emulator.device} ({self.emulator.cpu})" if self.emulator else "this machine"

    @property
    def arch(self) -> str:
        return self.emulator.arch if self.emulator else platform.machine()

    @property
    def cpus(self) -> int:
        return os.cpu_count() or 1

    @property
    def emulated(self) -> bool:
        return self.emulator is not None

    def python(self, package: str) -> list[str]:
        return [*python_command(self.emulator, package), "-B"] if self.emulator else [sys.executable]

    def program(self, name: str) -> list[str]:
        return [*(program_command(self.emulator) if self.emulator else ()), f"./{name}"]

    def push(self, files: Mapping[str, bytes]) -> None:
        for name, content in files.items():
            check_name(name)
            path = self.folder / name
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                path.chmod(0o755 if is_program(content) else 0o644)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise full_disk(self.title, sum(map(len, files.values()))) from error
                raise EdgekitError(f"cannot write {path}: {error.strerror}") from error

    def run(self, words: Sequence[str], seconds: float) -> Finished:
        try:
            ended = call(words, seconds, folder=self.folder, variables={**os.environ, "LC_ALL": "C"})
        except TookTooLong as error:
            raise too_slow(words, seconds) from error
        return Finished(ended.code, ended.output_text, ended.messages_text)

    def pull(self, name: str) -> bytes:
        check_name(name)
        try:
            with (self.folder / name).open("rb") as file:
                content = file.read(PULL_BYTES_MAX + 1)
        except OSError as error:
            raise EdgekitError(f"the device gave no {name}: {error.strerror}") from error
        if len(content) > PULL_BYTES_MAX:
            raise EdgekitError(f"{name} of the device is larger than {PULL_BYTES_MAX} bytes")
        return content


@contextmanager
def local_session() -> Iterator[FolderSession]:
    with scratch_folder("local") as folder:
        yield FolderSession(folder)


@contextmanager
def emulated_session(emulator: Emulator) -> Iterator[FolderSession]:
    """Raises EdgekitError where the emulated device is not there."""
    missing = missing_emulator(emulator)
    if missing is not None:
        raise EdgekitError(f"the emulated {emulator.device} cannot be used: {missing}")
    with scratch_folder("emulated") as folder:
        yield FolderSession(folder, emulator)
