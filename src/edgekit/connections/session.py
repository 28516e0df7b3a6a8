"""What every way of reaching a device gives: a Session, a work folder on it that is empty at the start and removed at the end."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgekit import children
from edgekit.errors import EdgekitError

FOLDER = ".edgekit-work"
"""The work folder's name on a device. What a broken connection leaves there, the next session removes."""
PULL_BYTES_MAX = 1 << 30


class DeviceLost(EdgekitError):
    """The device did not answer any more."""


@dataclass(frozen=True)
class Finished:
    """`code` is the exit code; of a program that a signal ended, minus the signal's number."""

    code: int
    stdout: str
    stderr: str

    def last_words(self) -> str:
        """The end of what the program said, in one line."""
        lines = [line.strip() for line in (self.stderr + "\n" + self.stdout).splitlines() if line.strip()]
        return " | ".join(lines[-3:])[:600]


class Session(Protocol):
    """`title` names the device in reports; `arch` is what `uname -m` says there, `cpus` how many processors it has.

    `emulated`: its times are no speed.

    Every method raises EdgekitError that says what is wrong and what to do, DeviceLost where the device is gone.
    """

    @property
    def title(self) -> str: ...

    @property
    def arch(self) -> str: ...

    @property
    def cpus(self) -> int: ...

    @property
    def emulated(self) -> bool: ...

    def python(self, package: str) -> list[str]:
        """The words that start the Python which can import this runtime."""

    def program(self, name: str) -> list[str]:
        """The words that start a program that was pushed."""

    def push(self, files: Mapping[str, bytes]) -> None:
        """Puts files, by name, into the work folder; those that start with '#!' or ELF's magic can be executed."""

    def run(self, words: Sequence[str], seconds: float) -> Finished:
        """Runs a command in the work folder, and ends it after so many seconds. A program that fails is no error here."""

    def pull(self, name: str) -> bytes:
        """The content of a file of the work folder."""


def is_program(content: bytes) -> bool:
    return content.startswith((b"#!", b"\x7fELF"))


def too_slow(words: Sequence[str], seconds: float) -> EdgekitError:
    return EdgekitError(f"'{words[-1] if words else ''}' did not end within {seconds:.0f} s on the device; it was stopped")


def full_disk(title: str, size: int) -> EdgekitError:
    return EdgekitError(f"the disk of {title} is full: {size / 1e6:.1f} MB are needed; make room and try again")


def check_ran(finished: Finished, what: str) -> None:
    """Raises EdgekitError where the program did not end with 0: crashed, could not be started, or said why it failed."""
    if finished.code:
        raise EdgekitError(f"{what}: {ended(finished)}")


def ended(finished: Finished) -> str:
    """How a program ended that did not end with 0."""
    if finished.code < 0:
        return f"it crashed ({_signal_name(-finished.code)})"
    if finished.code in (126, 127) or "Exec format error" in finished.stderr:
        return f"it cannot be started on the device: {finished.last_words()}"
    return f"exit code {finished.code}: {finished.last_words()}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def call(command: Sequence[str | Path], seconds: float, stdin: bytes = b"") -> children.Ended:
    """Runs one of this machine's programs. Raises DeviceLost where it does not end in time, EdgekitError where it cannot be started."""
    try:
        return children.call(command, seconds, given=stdin)
    except children.TookTooLong as error:
        raise DeviceLost(f"the device did not answer within {seconds:.0f} s; is it still there?") from error


def device_exit(code: int) -> int:
    """What a shell on the device reports, as Finished.code: it adds 128 to a signal's number."""
    return 128 - code if 128 < code < 128 + 65 else code


def write_error(title: str, said: str, size: int) -> EdgekitError:
    """What went wrong where a device did not take files of `size` bytes: its disk is full, it forbids writing, or what it `said`."""
    if "No space left" in said or "disk full" in said.lower():
        return full_disk(title, size)
    if "Permission denied" in said or "Read-only" in said:
        return EdgekitError(f"{title} does not let this user write: {said}")
    return EdgekitError(f"{title} did not take the files: {said}")
