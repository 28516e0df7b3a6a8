"""From numbers that are no image, such as a spectrogram or a window of a sensor, to the values of a network's input.

The rule is in docs/numerics.md, "Preprocessing". Every bundle of such a network brings this file beside run.py: it needs numpy only, and
Python 3.9 or newer.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any
"""Of numpy."""


def normalized(values: Array, mean: Array, std: Array) -> Array:
    """(value - mean) / std of values (..., channels), in double; `mean` and `std` are one number, or one a channel."""
    return (np.asarray(values, np.float64) - np.asarray(mean, np.float64)) / np.asarray(std, np.float64)


def quantized(real: Array, scale: float, zero_point: int, low: int, high: int) -> Array:
    """clamp(floor(real / scale + 1/2) + zero_point) in low..high, in double; int64."""
    return np.clip(np.floor(real / scale + 0.5) + zero_point, low, high).astype(np.int64)
