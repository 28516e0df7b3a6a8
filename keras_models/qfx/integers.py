"""The integers in what Keras computes: real values that are whole numbers at a binary point."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError


def integers_at(binary_point: Any, real: npt.NDArray[Any], otherwise: str) -> npt.NDArray[np.int64]:
    """`real` times 2**binary_point, int64 of the same shape. `binary_point`: an integer, or integers that broadcast.

    Raises:
        EdgekitError: one of them is no whole number; the message is `otherwise`.
    """
    scaled = np.ldexp(np.float64(real), binary_point)
    if not np.array_equal(scaled, np.rint(scaled)):
        raise EdgekitError(otherwise)
    return scaled.astype(np.int64)
