"""Runs the programs of others that RTL goes through."""

from __future__ import annotations

from pathlib import Path

from edgekit.children import TookTooLong, call
from edgekit.errors import EdgekitError

LINES = 20
"""Of what a failing program said."""


def output_of(command: list[str], folder: Path, seconds: int) -> str:
    """What the program prints, run in `folder`. Raises EdgekitError: it takes longer than `seconds`, or fails."""
    try:
        done = call(command, seconds, folder=folder)
    except TookTooLong:
        raise EdgekitError(f"{command[0]} took longer than {seconds} s") from None
    if done.code != 0:
        tail = "\n".join((done.messages_text + done.output_text).strip().splitlines()[-LINES:])
        raise EdgekitError(f"{command[0]} ended with code {done.code}:\n{tail}")
    return done.output_text
