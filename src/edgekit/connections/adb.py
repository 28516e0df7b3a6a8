"""Sessions over adb, by the system's own client: an Android device, where programs run in /data/local/tmp and there is no Python."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from edgekit.connections.session import (
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
from edgekit.scratch import scratch_folder
from edgekit.tools import ADB_CLIENT, require

FOLDER = "/data/local/tmp/edgekit-work"
SHORT_SECONDS, PUSH_SECONDS, GRACE_SECONDS = 60, 600, 30
TIMED_OUT = 124
OPEN = f"rm -rf {FOLDER} && mkdir {FOLDER} && uname -m && nproc"
UNREACHED = (
    "error:",
    "adb: error: failed to get feature set:",
    "adb: device",
    "adb: no devices",
    "adb: more than one device",
)
"""How what adb says begins where it does not reach the device; a program's own words on stderr mostly begin otherwise.

`adb shell`: "error: no devices/emulators found" and "error: device 'X1' not found" in 29.0.6, which is Debian 12's (measured); newer ones
have "adb:" in the place of "error:". `adb push` and `adb pull` of all of them: "adb: error: failed to get feature set: no devices/...".
"""
GONE = (  # words of what it says then, and what helps
    ("unauthorized", "unlock it and allow debugging from this computer"),
    ("offline", "plug it in again, or `adb reconnect`"),
    ("no devices", "plug it in and switch on USB debugging"),
    ("not found", "`adb devices` lists those that are there"),
    ("more than one device", "name one: --on adb:SERIAL; `adb devices` lists them"),
    ("closed", "plug it in again"),
)


@dataclass(frozen=True)
class AdbSession:
    """`serial` None: the only device there is."""

    serial: str | None
    arch: str
    cpus: int
    emulated: bool = False

    @property
    def title(self) -> str:
        return f"Android {self.serial}" if self.serial else "the Android device"

    def python(self, package: str) -> list[str]:
        raise EdgekitError(f"{self.title} has no Python; there the latency application checks the golden outputs: edgekit bench --on adb")

    def program(self, name: str) -> list[str]:
        return [f"./{name}"]

    def push(self, files: Mapping[str, bytes]) -> None:
        with scratch_folder("adb") as pushed:
            for relative, content in files.items():
                check_name(relative)
                path = pushed / relative
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                path.chmod(0o755 if is_program(content) else 0o644)
            finished = _adb(self.serial, ["push", f"{pushed}/.", f"{FOLDER}/"], PUSH_SECONDS)
        if finished.code:
            raise write_error(self.title, finished.last_words(), sum(map(len, files.values())))

    def run(self, words: Sequence[str], seconds: float) -> Finished:
        command = f"cd {FOLDER} && timeout -k 5 {int(seconds)} {shlex.join(words)}"
        finished = _adb(self.serial, ["shell", command], seconds + GRACE_SECONDS)
        if finished.code == TIMED_OUT:
            raise too_slow(words, seconds)
        return finished

    def pull(self, name: str) -> bytes:
        check_name(name)
        with scratch_folder("adb") as folder:
            path = folder / "pulled"
            finished = _adb(self.serial, ["pull", f"{FOLDER}/{name}", str(path)], PUSH_SECONDS)
            if finished.code or not path.is_file() or path.stat().st_size > PULL_BYTES_MAX:
                raise EdgekitError(f"{self.title} gave no {name}: {finished.last_words()}")
            return path.read_bytes()


@contextmanager
def adb_session(serial: str | None) -> Iterator[AdbSession]:
    """Raises EdgekitError where there is no such device, or several and none was named."""
    finished = _adb(serial, ["shell", OPEN], SHORT_SECONDS)
    said = finished.stdout.split()
    if finished.code or len(said) != 2 or not said[1].isdecimal():
        raise write_error(f"Android {serial or 'device'}", finished.last_words(), 0)
    try:
        yield AdbSession(serial, said[0], int(said[1]))
    finally:
        with suppress(EdgekitError):
            _adb(serial, ["shell", f"rm -rf {FOLDER}"], SHORT_SECONDS)


def _adb(serial: str | None, words: Sequence[str], seconds: float) -> Finished:
    done = call([require(ADB_CLIENT), *(("-s", serial) if serial else ()), *words], seconds)
    stdout, stderr = done.output_text, done.messages_text
    said = " ".join(stderr.split())
    if done.code and said.startswith(UNREACHED):
        advice = next((text for word, text in GONE if word in said), "is it still plugged in?")
        raise DeviceLost(f"adb does not reach {f'Android {serial}' if serial else 'an Android device'}: {said[-300:]}; {advice}")
    return Finished(device_exit(done.code), stdout, stderr)
