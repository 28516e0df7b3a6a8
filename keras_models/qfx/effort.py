"""How much is done for the accuracy of a network that is quantized after training. Imports no TensorFlow."""

from __future__ import annotations

from enum import Enum


class Effort(Enum):
    """QUICK chooses binary points and corrects biases, in seconds; FULL also reconstructs every layer on its lattice, in minutes."""

    QUICK = "quick"
    FULL = "full"
