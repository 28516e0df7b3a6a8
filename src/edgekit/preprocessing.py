"""What becomes of an image's pixels before a network sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Preprocessing:
    """What a network's input is made of pixels 0..255, a channel each (or one value for all): (pixel - mean) / std."""

    mean: tuple[float, ...]
    std: tuple[float, ...]


MINUS_ONE_TO_ONE = Preprocessing((127.5,), (127.5,))
"""-1..1, of the TensorFlow networks."""
IMAGENET = Preprocessing((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
"""Mean and deviation of ImageNet's pixels, of torchvision and timm: 255 times (0.485, 0.456, 0.406) and (0.229, 0.224, 0.225)."""


def normalize(pixels: Array, preprocessing: Preprocessing) -> Array:
    """Pixels 0..255 (..., channels) -> what the network takes, real. Raises EdgekitError for another number of channels."""
    for values in (preprocessing.mean, preprocessing.std):
        if len(values) not in (1, pixels.shape[-1]):
            raise EdgekitError(f"the preprocessing has {len(values)} channels, the network's input has {pixels.shape[-1]}")
    return (pixels - np.array(preprocessing.mean)) / np.array(preprocessing.std)
