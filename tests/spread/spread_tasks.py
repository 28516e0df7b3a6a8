"""What workers of tests are asked to do: in a module of its own, which they import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from edgekit.errors import EdgekitError


def square(number: int) -> int:
    return number * number


def refuse(number: int) -> int:
    raise EdgekitError(f"{number} cannot be had")


def die_once(file: str) -> str:
    """Kills its own process, but not a second time."""
    try:
        Path(file).touch(exist_ok=False)
    except FileExistsError:
        return "lived"
    os.kill(os.getpid(), signal.SIGKILL)
    return "dead"


def hold(file: str) -> float:
    """Fails where another one holds the same file."""
    Path(file).touch(exist_ok=False)
    time.sleep(0.1)
    Path(file).unlink()
    return time.monotonic()


def wait_for(file: str) -> int:
    """The process that waits, once the file is there."""
    Path(f"{file}-{os.getpid()}").touch()
    while not Path(file).exists():
        time.sleep(0.02)
    return os.getpid()


def work_for(seconds: float) -> None:
    """Keeps one processor busy."""
    while time.process_time() < seconds:
        pass
