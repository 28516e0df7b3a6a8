"""How many bits the weights of each layer have: one default, and exceptions by layer name, which may come from a small JSON file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError, UnknownName
from edgekit.files import read_json_object

BITS_MIN, BITS_MAX = 3, 6
FORM = '{"block_*": {"weight_bits": 4, "k_hot": 2}}; "k_hot" may be null; what is left out is as for every other layer'


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


@dataclass(frozen=True)
class WeightPrecision:
    """Weights are 4 * level, with levels of `bits` bits, their sign counted: -(2**(bits-1) - 1) to 2**(bits-1) - 1.

    `k_hot` leaves the levels of which at most so many bits are set, so that 4 * level is a sum of so many powers of two, or its negative.
    Raises EdgekitError for numbers that there are not.
    """

    bits: int = BITS_MAX
    k_hot: int | None = None

    def __post_init__(self) -> None:
        if not _is_whole(self.bits, BITS_MIN, BITS_MAX):
            raise EdgekitError(f"weights have {BITS_MIN} to {BITS_MAX} significant bits, not {str(self.bits)[:40]}")
        if self.k_hot is not None and not _is_whole(self.k_hot, 1, BITS_MAX - 1):
            raise EdgekitError(f"K-hot weights have 1 to {BITS_MAX - 1} non-zero bits, not {str(self.k_hot)[:40]}")

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels that are not negative, ascending."""
        every = range(1 << (self.bits - 1))
        return tuple(level for level in every if self.k_hot is None or bin(level).count("1") <= self.k_hot)


SIX_BITS = WeightPrecision()
"""All that the lattice has room for."""


@dataclass(frozen=True)
class Precisions:
    """`layers` maps patterns (* and ? as in file names) of layer names to exceptions; of several that match, the last one counts."""

    default: WeightPrecision = SIX_BITS
    layers: Mapping[str, WeightPrecision] = field(default_factory=dict)

    def of(self, layer: str) -> WeightPrecision:
        return next((one for pattern, one in reversed(tuple(self.layers.items())) if fnmatchcase(layer, pattern)), self.default)

    def check_names(self, names: Iterable[str]) -> None:
        """Raises UnknownName, with the nearest ones, for a pattern that none of the layer names matches."""
        names = list(names)
        for pattern in self.layers:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UnknownName("layer with weights", pattern, names)


def read_precisions(path: Path, default: WeightPrecision = SIX_BITS) -> Precisions:
    """The exceptions in a JSON file. Raises EdgekitError: the file cannot be read, or is not of that FORM."""
    found = read_json_object(path, "a precisions file", FORM)
    return Precisions(default, {pattern: _precision(path, pattern, entry, default) for pattern, entry in found.items()})


def _precision(path: Path, pattern: str, entry: Any, default: WeightPrecision) -> WeightPrecision:
    if not isinstance(entry, dict) or not entry.keys() <= {"weight_bits", "k_hot"}:
        raise EdgekitError(f"'{path}', layers '{pattern}': {json.dumps(entry)[:100]} has not the form {FORM}")
    try:
        return WeightPrecision(entry.get("weight_bits", default.bits), entry.get("k_hot", default.k_hot))
    except EdgekitError as error:
        raise EdgekitError(f"'{path}', layers '{pattern}': {error}") from error
