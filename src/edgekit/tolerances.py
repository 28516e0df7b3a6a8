"""How far apart two results may be and still count as agreeing. Tests read these numbers from here only.

Integers have no tolerance: executors of an integer graph are compared with equality.
"""

from __future__ import annotations

FLOAT32_PROBABILITY = 1e-6
"""Largest absolute difference of a softmax output (0..1) between two float32 models of the same network: the same sums taken in
another order. One float32 step just below 1.0 is 6e-8, which is also the most that was measured."""
