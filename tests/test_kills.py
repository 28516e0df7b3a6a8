"""Commands that are ended at random moments: SIGTERM and SIGINT leave nothing, SIGKILL nothing that the next run does not remove."""

from __future__ import annotations

import signal
import subprocess
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import command, variables
from random_graphs import random_graph

from edgekit.graph.onnx_write import write_onnx

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

KILLS = 4
"""Of each command by each signal: 20 by each signal."""
SECONDS_MAX = 600
COMMANDS = {
    "export": ("export", "model.onnx", "--target", "rpi4", "-o", "exported"),
    "hls": ("hls", "model.onnx", "--board", "ultra96", "-o", "project"),
    "verify": ("verify", "project", "--inputs", "8", "--executor", "hls-csim"),
    "train": ("train", "mobilenet_v1", "--alpha", "0.25", "--size", "32", "--data", "digits", "--epochs", "1", "-o", "trained.keras"),
    "bench": ("bench", "exported", "--iterations", "20", "--results", "results.json"),
}
BY_DESIGN = (".checkpoint",)
"""What a training leaves that was ended, and goes on from."""


class Place:
    """A folder to work in, one for temporary files, and what commands that succeed take there, in seconds."""

    def __init__(self, folder: Path):
        self.work, self.temporary, self.seconds = folder / "work", folder / "temporary", dict[str, float]()
        for path in (self.work, self.temporary):
            path.mkdir()
        self.environment = variables(TMPDIR=str(self.temporary), EDGEKIT_CACHE=str(folder / "cache"), EDGEKIT_KILLS=str(folder))

    def start(self, name: str) -> subprocess.Popen[bytes]:
        nothing = subprocess.DEVNULL
        return subprocess.Popen(command(*COMMANDS[name]), cwd=self.work, env=self.environment, stdout=nothing, stderr=subprocess.PIPE)

    def succeeds(self, name: str) -> None:
        begun = time.monotonic()
        with self.start(name) as process:
            _, said = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0, said.decode()
        self.seconds.setdefault(name, time.monotonic() - begun)

    def processes(self) -> list[int]:
        """All that were started from here, whatever group they are in now."""
        mark, found = self.environment["EDGEKIT_KILLS"].encode(), []
        for path in Path("/proc").iterdir():
            if path.name.isdecimal():
                try:
                    if b"EDGEKIT_KILLS=" + mark in (path / "environ").read_bytes().split(b"\0"):
                        found.append(int(path.name))
                except OSError:
                    continue
        return found

    def left(self) -> list[str]:
        """Temporary files, and hidden ones beside outputs."""
        return [str(path) for path in (*self.temporary.iterdir(), *self.work.glob(".*"))]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # a shell that started the tests in the background: they would ignore it too
        signal.signal(signal.SIGINT, signal.default_int_handler)
    found = Place(tmp_path_factory.mktemp("kills"))
    (found.work / "model.onnx").write_bytes(write_onnx(random_graph(np.random.default_rng(3))))
    for name in COMMANDS:
        found.succeeds(name)
        assert found.left() == [] and found.processes() == []
    yield found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("name", COMMANDS)
def test_what_ended_commands_leave(place: Place, name: str, number: signal.Signals) -> None:
    rng = np.random.default_rng(zlib.crc32(f"{name} {number.name}".encode()))
    for _ in range(KILLS):
        before = {path.name for path in place.work.iterdir()}
        process = place.start(name)
        moment = rng.uniform(0, place.seconds[name])
        time.sleep(moment)
        process.send_signal(number)
        _, said = process.communicate(timeout=SECONDS_MAX)
        codes = {-number, 0} | ({143} if number == signal.SIGTERM else {130} if number == signal.SIGINT else set())
        assert process.returncode in codes, (moment, process.returncode, said.decode())
        deadline = time.monotonic() + 20
        while place.processes() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert place.processes() == [], moment
        if number != signal.SIGKILL:
            assert place.left() == [], (moment, said.decode())
            new = {path.name for path in place.work.iterdir()} - before
            assert all(name.endswith(BY_DESIGN) for name in new) or process.returncode == 0, (moment, new)
    place.succeeds(name)
    assert place.left() == [] and place.processes() == []
    assert not any(path.name.endswith(BY_DESIGN) for path in place.work.iterdir())
