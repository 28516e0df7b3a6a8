"""Activation functions with constants in them, and the text that a file holds of each. Nothing here imports TensorFlow."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass
from math import inf
from typing import TypeAlias

TEXT = re.compile(r"(?P<name>[a-z]+)\((?P<numbers>[-+.,e\dinf]*)\)")


@dataclass(frozen=True)
class Clipped:
    """t = factor * x + shift; below 0 it is times `slope`; then it is clipped to `low`..`high`.

    ReLU with a bound, leaky ReLU, hard sigmoid and hard tanh are this, and qkeras' quantizers but for their rounding.
    """

    low: float = -inf
    high: float = inf
    slope: float = 1.0
    factor: float = 1.0
    shift: float = 0.0

    @property
    def value(self) -> str:
        return _text("clipped", self)

    @property
    def never_negative(self) -> bool:
        return self.low >= 0.0 or self.slope == 0.0


@dataclass(frozen=True)
class Thresholded:
    """Keras' ReLU: `high` from there on, x from `threshold` on, below it slope * (x - threshold)."""

    threshold: float
    high: float = inf
    slope: float = 0.0

    @property
    def value(self) -> str:
        return _text("thresholded", self)

    @property
    def never_negative(self) -> bool:
        return self.threshold >= 0.0 and self.slope == 0.0


@dataclass(frozen=True)
class Elu:
    """x, below 0 alpha * (exp(x) - 1)."""

    alpha: float

    @property
    def value(self) -> str:
        return _text("elu", self)

    @property
    def never_negative(self) -> bool:
        return False


Formula: TypeAlias = Clipped | Thresholded | Elu
KINDS: dict[str, type[Clipped] | type[Thresholded] | type[Elu]] = {"clipped": Clipped, "thresholded": Thresholded, "elu": Elu}


def parse(text: str) -> Formula | None:
    """The formula that a text is the `value` of; None for any other text."""
    match = TEXT.fullmatch(text)
    if match is None or match["name"] not in KINDS:
        return None
    try:
        return KINDS[match["name"]](*(float(number) for number in match["numbers"].split(",")))
    except (ValueError, TypeError):
        return None


def _text(name: str, formula: Formula) -> str:
    return f"{name}({','.join(repr(float(number)) for number in astuple(formula))})"
