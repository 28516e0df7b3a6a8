"""Programs that edgekit starts. Each has a process group of its own, with all that it starts, and the group ends with edgekit.

Where edgekit ends of itself, or by a signal that it handles, a group is killed on the way out. Where it is killed, it can do nothing: so
a watcher, a shell that was started with the first child, reads from a pipe which groups there are, and kills them once the pipe closes,
which it does with the last process that could write into it. Where edgekit is killed after a child's start and before it could say which
group that is, the watcher finds the child by a variable of its environment, of which it heard before.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeAlias

from edgekit.errors import EdgekitError

Command: TypeAlias = Sequence[str | Path]

SHELL, VARIABLE = "/bin/sh", "EDGEKIT_CHILD"
WATCH = f"""
trap '' HUP INT TERM
groups=' ' announced=
while read -r sign group; do
    case $sign in
        '?') announced=$group ;;
        +) groups="$groups$group " announced= ;;
        -) before=${{groups%%" $group "*}}; groups="$before ${{groups#*" $group "}}" announced= ;;
    esac
done
for group in $groups; do kill -s KILL -- "-$group"; done
[ "$announced" ] || exit
for _ in 1 2 3 4 5 6 7 8 9 10; do
    for process in /proc/[0-9]*; do
        if tr '\\0' '\\n' <"$process/environ" | grep -qx "{VARIABLE}=$announced"; then kill -s KILL -- "-${{process#/proc/}}"; fi
    done
    sleep 0.1
done
"""
"""Takes lines "? MARK", of a child that is about to be started with that mark, "+ GROUP" once it is and "- GROUP" once it is no more; at
the end of them, kills what is left."""


class TookTooLong(EdgekitError):
    """A program did not end within its time, and was killed with all that it had started."""


class CannotStart(EdgekitError):
    """There is no such program, or it cannot be run."""


@dataclass(frozen=True)
class Ended:
    """`code`: the exit code; of a program that a signal ended, minus the signal's number. `output` and `messages`: stdout and stderr."""

    code: int
    output: bytes
    messages: bytes

    @property
    def output_text(self) -> str:
        return self.output.decode(errors="replace")

    @property
    def messages_text(self) -> str:
        return self.messages.decode(errors="replace")


def call(
    command: Command, seconds: float, *, folder: Path | None = None, variables: Mapping[str, str] | None = None, given: bytes = b""
) -> Ended:
    """Runs a program to its end.

    Args:
        folder: where it runs; None is the current folder.
        variables: its whole environment; None is this process's.
        given: what it reads from stdin.

    Raises:
        CannotStart, TookTooLong: as they say.
    """
    with started(command, folder=folder, variables=variables, reads=bool(given)) as child:
        return _end_of(child, command, seconds, given)


def call_together(
    commands: Sequence[Command], seconds: Sequence[float], check: Callable[[Ended], None], *, folder: Path | None = None
) -> None:
    """Runs programs side by side, each to its end and within its own time from now on. `check` is shown each end, in the programs' order;
    where it raises, the others are killed.

    Raises CannotStart, TookTooLong, and what `check` raises.
    """
    begun = time.monotonic()
    with ExitStack() as stack:
        children = [stack.enter_context(started(command, folder=folder)) for command in commands]
        for child, command, limit in zip(children, commands, seconds, strict=True):
            check(_end_of(child, command, limit - (time.monotonic() - begun), b"", limit))


@contextmanager
def started(
    command: Command,
    *,
    folder: Path | None = None,
    variables: Mapping[str, str] | None = None,
    reads: bool = False,
    messages: int = subprocess.PIPE,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until the block ends: then what is left of its group is killed.

    `reads`: its stdin is a pipe, else it is empty. `messages`: where stderr goes, subprocess.STDOUT for one stream. Raises CannotStart.
    """
    _WATCHER.start()
    child: subprocess.Popen[bytes] | None = None
    try:
        with _without_interruption(), _WATCHER.starting() as mark:
            marked = {**(os.environ if variables is None else variables), VARIABLE: mark}
            child = _start(command, folder, marked, subprocess.PIPE if reads else subprocess.DEVNULL, messages)
            _WATCHER.tell("+", child.pid)
        yield child
    finally:
        if child is not None:
            _kill(child)


def _start(command: Command, folder: Path | None, variables: Mapping[str, str], given: int, messages: int) -> subprocess.Popen[bytes]:
    words = [str(word) for word in command]
    try:
        return subprocess.Popen(
            words, cwd=folder, env=variables, stdin=given, stdout=subprocess.PIPE, stderr=messages, start_new_session=True
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise CannotStart(f"'{command[0]}' cannot be started: {reason}") from error


def _end_of(child: subprocess.Popen[bytes], command: Command, seconds: float, given: bytes, limit: float | None = None) -> Ended:
    try:
        output, messages = child.communicate(given or None, timeout=max(0.0, seconds))
    except subprocess.TimeoutExpired as error:
        raise TookTooLong(f"'{Path(command[0]).name}' did not end within {limit or seconds:.0f} s") from error
    return Ended(child.returncode, output, messages)


def _kill(child: subprocess.Popen[bytes]) -> None:
    """The child and what it started; where it has ended already, what it left."""
    with suppress(ProcessLookupError, PermissionError):  # the latter is macOS' word for a group of processes that have ended
        os.killpg(child.pid, signal.SIGKILL)
    streams: list[IO[bytes] | None] = [child.stdin, child.stdout, child.stderr]
    child.wait()
    _WATCHER.tell("-", child.pid)
    for stream in streams:
        if stream is not None:
            with suppress(OSError):  # what was to be written into a pipe that nobody reads any more
                stream.close()


@contextmanager
def _without_interruption() -> Iterator[None]:
    """Signals that Python functions handle wait until the block is over: a child must not be started and then not be known of."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled in the main thread
        return
    came: list[int] = []
    handled = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if callable(signal.getsignal(number))]
    before: dict[int, Any] = {number: signal.signal(number, lambda number, _: came.append(number)) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for number in came[:1]:
            before[number](number, None)


class _Watcher:
    """The shell that outlives this process for a moment, and the groups that it knows of."""

    def __init__(self) -> None:
        self._shell: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._groups: set[int] = set()
        self._lock = threading.RLock()

    def start(self) -> None:
        """Where there is none, or one that somebody has ended, or where a forked copy of this process has only its parent's."""
        with self._lock:
            own = self._owner == os.getpid()
            if own and self._shell is not None and self._shell.poll() is None:
                return
            if not self._owner:
                atexit.register(self._end)
            null = subprocess.DEVNULL
            try:
                self._shell = subprocess.Popen(
                    [SHELL, "-c", WATCH], cwd="/", stdin=subprocess.PIPE, stdout=null, stderr=null, start_new_session=True, bufsize=0
                )
            except OSError as error:
                raise CannotStart(f"'{SHELL}', which ends what edgekit starts, cannot be started: {error.strerror}") from error
            self._groups = self._groups if own else set()
            self._owner = os.getpid()
            self._write("".join(f"+ {group}\n" for group in sorted(self._groups)))

    @contextmanager
    def starting(self) -> Iterator[str]:
        """The mark of a child that is started in this block, one at a time."""
        with self._lock:
            mark = os.urandom(16).hex()
            self._write_or_restart(f"? {mark}\n")
            try:
                yield mark
            except CannotStart:
                self._write_or_restart("- 0\n")
                raise

    def tell(self, sign: str, group: int) -> None:
        """Of a group that there is ("+") or is no more ("-")."""
        with self._lock:
            (self._groups.add if sign == "+" else self._groups.discard)(group)
            self._write_or_restart(f"{sign} {group}\n")

    def _write_or_restart(self, line: str) -> None:
        try:
            self._write(line)
        except OSError:  # somebody has ended it
            self._shell = None
            self.start()
            self._write(line)

    def _write(self, lines: str) -> None:
        assert self._shell is not None and self._shell.stdin is not None
        if lines:
            self._shell.stdin.write(lines.encode())

    def _end(self) -> None:
        if self._shell is not None and self._owner == os.getpid() and self._shell.stdin is not None:
            with suppress(OSError):
                self._shell.stdin.close()
            self._shell.wait()


_WATCHER = _Watcher()
