"""How far outputs vary over the inputs: executors that agree on a constant have proven nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, kw_only=True)
class OutputVariation:
    """Over `inputs` inputs, of one output of `elements` elements.

    distinct: number of different output vectors.
    varying: number of elements that took more than one value.
    saturated: share (0..1) of integer values that are the lowest or highest of their type; 0 for floats.
    """

    name: str
    inputs: int
    elements: int
    distinct: int
    varying: int
    saturated: float

    @property
    def constant(self) -> bool:
        return self.varying == 0


@dataclass
class VariationCount:
    """Grows by `add`, a chunk at a time."""

    inputs: int = 0
    elements: int = 0
    vectors: set[bytes] = field(default_factory=set)
    first: npt.NDArray[Any] | None = None
    varies: npt.NDArray[np.bool_] | None = None
    saturated: int = 0

    def add(self, values: npt.NDArray[Any]) -> None:
        """`values` (batch, *shape)."""
        flat = np.ascontiguousarray(values).reshape(len(values), -1)
        if self.first is None or self.varies is None:
            self.first, self.varies = flat[0].copy(), np.zeros(flat.shape[1], bool)
        self.varies |= (flat != self.first).any(axis=0)
        self.vectors.update(hashlib.sha256(row.tobytes()).digest() for row in flat)
        if flat.dtype.kind in "iu":
            limits = np.iinfo(flat.dtype)
            self.saturated += int(((flat == limits.min) | (flat == limits.max)).sum())
        self.inputs, self.elements = self.inputs + len(flat), flat.shape[1]

    def result(self, name: str) -> OutputVariation:
        total = max(1, self.inputs * self.elements)
        varying = 0 if self.varies is None else int(self.varies.sum())
        return OutputVariation(
            name=name,
            inputs=self.inputs,
            elements=self.elements,
            distinct=len(self.vectors),
            varying=varying,
            saturated=self.saturated / total,
        )
