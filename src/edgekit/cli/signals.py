"""Signals that ask a command to end: it cleans up as after an error, then it ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ASKING = (signal.SIGTERM, signal.SIGHUP)
SIGNALLED = 128
"""Shells add a signal's number to this, and so does the exit code."""


class Signalled(BaseException):
    """The process was asked to end by the signal of that number. Like KeyboardInterrupt, no handler of errors should stop it."""

    def __init__(self, number: int):
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.code = SIGNALLED + number


@contextmanager
def signals_raise() -> Iterator[None]:
    """SIGTERM and SIGHUP raise Signalled, once, where they would end the process at once; whoever started it to ignore them is heeded."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    taken: dict[int, Any] = {number: signal.SIG_DFL for number in ASKING if signal.getsignal(number) == signal.SIG_DFL}

    def end(number: int, _: FrameType | None) -> None:
        for one in taken:
            signal.signal(one, signal.SIG_IGN)
        raise Signalled(number)

    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in taken.items():
            signal.signal(number, handler)
