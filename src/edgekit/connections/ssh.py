"""Sessions over ssh, by the system's own client: its configuration, keys and known hosts count, and it asks no questions.

What reaches the shell on the device is made of words of ours, quoted; the user's words are only the host, the user and the port, and
those are checked. The runtime is expected in the system's Python, or in a virtual environment at VENV in the home folder.
"""

from __future__ import annotations

import io
import shlex
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from edgekit.connections.session import (
    FOLDER,
    PULL_BYTES_MAX,
    DeviceLost,
    Finished,
    call,
    device_exit,
    is_program,
    too_slow,
    write_error,
)
from edgekit.errors import EdgekitError
from edgekit.plan import check_name
from edgekit.tools import SSH_CLIENT, require

VENV = ".edgekit-venv"
CONNECT_SECONDS, ALIVE_SECONDS, ALIVE_COUNT = 10, 5, 3
SHORT_SECONDS, PUSH_SECONDS, GRACE_SECONDS = 60, 600, 30
LOST, TIMED_OUT = 255, 124
"""Exit codes: ssh's own, where the connection fails, and that of the device's `timeout`."""
OPEN = f"""rm -rf {FOLDER} && mkdir {FOLDER} && uname -m && {{ nproc 2>/dev/null || echo 1; }} && \
if test -x {VENV}/bin/python; then echo ../{VENV}/bin/python; else echo python3; fi"""


@dataclass(frozen=True)
class SshAddress:
    """Checked by edgekit.connections.address. No user or port: ssh's configuration says."""

    host: str
    user: str | None = None
    port: int | None = None

    @property
    def title(self) -> str:
        return f"{self.user}@{self.host}" if self.user else self.host


@dataclass(frozen=True)
class SshSession:
    address: SshAddress
    arch: str
    cpus: int
    interpreter: str
    emulated: bool = False

    @property
    def title(self) -> str:
        return self.address.title

    def python(self, package: str) -> list[str]:
        return [self.interpreter, "-B"]

    def program(self, name: str) -> list[str]:
        return [f"./{name}"]

    def push(self, files: Mapping[str, bytes]) -> None:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in files.items():
                check_name(name)
                entry = tarfile.TarInfo(name)
                entry.size, entry.mode = len(content), 0o755 if is_program(content) else 0o644
                archive.addfile(entry, io.BytesIO(content))
        finished = _remote(self.address, f"tar -x -f - -C {FOLDER} --no-same-owner", PUSH_SECONDS, stream.getvalue())
        if finished.code:
            raise write_error(self.title, finished.last_words(), len(stream.getvalue()))

    def run(self, words: Sequence[str], seconds: float) -> Finished:
        # The shell stays, to tell of a crash by 128 + signal: ssh itself calls that 255, as a lost connection.
        command = f"cd {FOLDER} && {{ timeout -k 5 {int(seconds)} env LC_ALL=C {shlex.join(words)}; exit $?; }}"
        finished = _remote(self.address, command, seconds + GRACE_SECONDS)
        if finished.code == TIMED_OUT:
            raise too_slow(words, seconds)
        return finished

    def pull(self, name: str) -> bytes:
        check_name(name)
        done = call(_client(self.address, f"cat {FOLDER}/{shlex.quote(name)}"), PUSH_SECONDS)
        if done.code or len(done.output) > PULL_BYTES_MAX:
            _check_connection(self.address, done.code, done.messages_text)
            raise EdgekitError(f"{self.title} gave no {name}: {done.messages_text.strip()[:300]}")
        return done.output


@contextmanager
def ssh_session(address: SshAddress) -> Iterator[SshSession]:
    """Raises EdgekitError where the device cannot be reached, does not let the user in, or is no Linux."""
    finished = _remote(address, OPEN, SHORT_SECONDS)
    said = finished.stdout.split()
    if finished.code or len(said) != 3 or not said[1].isdecimal():
        raise write_error(address.title, finished.last_words(), 0)
    try:
        yield SshSession(address, said[0], int(said[1]), said[2])
    finally:
        with suppress(EdgekitError):
            _remote(address, f"rm -rf {FOLDER}", SHORT_SECONDS)


def _client(address: SshAddress, command: str) -> list[str]:
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": CONNECT_SECONDS,
        "ServerAliveInterval": ALIVE_SECONDS,
        "ServerAliveCountMax": ALIVE_COUNT,
        "ClearAllForwardings": "yes",
        "LogLevel": "ERROR",
    }
    words = [str(require(SSH_CLIENT)), "-T", *(f"-o{name}={value}" for name, value in options.items())]
    words += [] if address.port is None else ["-p", str(address.port)]
    words += [] if address.user is None else ["-l", address.user]
    return [*words, "--", address.host, command]


def _remote(address: SshAddress, command: str, seconds: float, stdin: bytes = b"") -> Finished:
    done = call(_client(address, command), seconds, stdin)
    stdout, stderr = done.output_text, done.messages_text
    _check_connection(address, done.code, stderr)
    return Finished(device_exit(done.code), stdout, stderr)


def _check_connection(address: SshAddress, code: int, stderr: str) -> None:
    if code != LOST:
        return
    said = " ".join(stderr.split())[-300:]
    advice = next((text for words, text in ADVICE if words in said), "is it switched on, and still in the network?")
    raise DeviceLost(f"the connection to {address.title} failed: {said or 'it was closed'}; {advice}")


ADVICE = (
    ("Permission denied", "edgekit types no passwords: make a key and give it to the device with ssh-copy-id"),
    ("Host key verification failed", "connect once by hand with ssh, and see whether its key is the right one"),
    ("Could not resolve", "is the host's name right?"),
    ("refused", "is the device's ssh server switched on, and the port right?"),
    ("timed out", "is it switched on, and in the network?"),
)
