"""The errors that edgekit raises on purpose.

EdgekitError              the request cannot be carried out; the command line prints it and exits with 2
├── UnknownName           no such network, target, board, ...; names the nearest ones
├── ContractError         an integer graph breaks a rule of docs/numerics.md
└── UnsupportedLayer      a Keras layer, or an option of one, that edgekit cannot translate
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class EdgekitError(Exception):
    """The request cannot be carried out. The message says what is wrong, what would be accepted and what to do."""


class UnknownName(EdgekitError):
    """A name that is not in a list of names; the message gives the nearest ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]):
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"Known: {', '.join(known)}."
        super().__init__(f"unknown {kind} '{name}'. {hint}")


class ContractError(EdgekitError):
    """An integer graph breaks the exactness contract."""


class UnsupportedLayer(EdgekitError):
    """A Keras layer that has no translation; the message names the layer, its class and what is supported."""
