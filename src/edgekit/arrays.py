"""Names for numpy's arrays in signatures; docstrings give shapes, and dtypes where these names do not."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.float32]
Int64: TypeAlias = npt.NDArray[np.int64]


def shares(batch: Array) -> list[Array]:
    """The batch (count, ...) in as many even parts as there are processors, but none empty; an empty batch is one part."""
    return np.array_split(batch, max(1, min(len(batch), os.cpu_count() or 1)))
