"""The accuracy that is recorded of a trained model: written beside the model, and from there into manifests and reports.

What is measured of any model now is the work of edgekit.jobs.evaluate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Accuracy:
    """`top1`, 0..1, over so many held-out images of `data`, measured when the model was trained."""

    top1: float
    images: int
    data: str


def parse_accuracy(found: Any) -> Accuracy | None:
    """What JSON says of an accuracy; None for null. Raises ValueError for anything that is no accuracy."""
    if found is None:
        return None
    if not isinstance(found, dict) or set(found) != {"top1", "images", "data"}:
        raise ValueError("an accuracy has top1, images and data")
    top1, images, data = found["top1"], found["images"], found["data"]
    if not isinstance(top1, int | float) or not math.isfinite(top1) or not 0 <= top1 <= 1:
        raise ValueError("top1 is a number from 0 to 1")
    if not isinstance(images, int) or isinstance(images, bool) or images < 1:
        raise ValueError("images is a whole number of at least 1")
    if not isinstance(data, str) or not data.isprintable() or len(data) > 1000:
        raise ValueError("data is the name of a data set")
    return Accuracy(float(top1), images, data)
