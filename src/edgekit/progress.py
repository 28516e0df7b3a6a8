"""What long work tells of itself while it goes on. Whoever calls decides what is shown; the work does not print."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Note: TypeAlias = Callable[[str], None]
"""Told, in a few words, what is being done."""

Progress: TypeAlias = Callable[[str, str, int, int], None]
"""Told which of the things that are compared is working, what it is doing, inputs done, inputs in total."""
