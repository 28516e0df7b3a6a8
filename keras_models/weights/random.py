"""Random weights for a network without trained ones, and batch-norm statistics measured on images."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt


def randomize(model: Any, images: npt.NDArray[np.float32], seed: int) -> None:
    """Gives a Keras model seeded random weights under which signals neither vanish nor explode, and differ between images.

    Kernels are normal with variance 2 / fan_in (He, arXiv 1502.01852); batch norm scales and shifts are drawn around 1 and 0, and its
    statistics are those of `images`, (count, size, size, channels). The same on every call with the same arguments.
    """
    rng = np.random.default_rng(seed)
    model.set_weights([_draw(rng, weight) for weight in model.weights])
    measure_statistics(model, images)


def measure_statistics(model: Any, images: npt.NDArray[np.float32]) -> None:
    """Sets the moving mean and variance of every batch norm to those of `images` under the model's present weights.

    In training mode a batch norm normalizes with its own batch's statistics and, with a momentum of 0, keeps them: one pass over all
    images at once sets every layer.
    """
    norms = [layer for layer in model.layers if hasattr(layer, "moving_variance")]
    if not norms:
        return
    momenta = [layer.momentum for layer in norms]
    try:
        for layer in norms:
            layer.momentum = 0.0
        model(images, training=True)
    finally:
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum


def _draw(rng: np.random.Generator, weight: Any) -> npt.NDArray[np.float32]:
    kind, shape = weight.name.split("/")[-1].split(":")[0], tuple(weight.shape)
    if kind == "depthwise_kernel":
        values = rng.normal(0, np.sqrt(2 / np.prod(shape[:2])), shape)
    elif kind == "kernel":
        values = rng.normal(0, np.sqrt(2 / np.prod(shape[:-1])), shape)
    elif kind in ("gamma", "head_factors"):
        values = rng.uniform(0.5, 1.5, shape)
    elif kind in ("beta", "bias", "attention_biases"):
        values = rng.normal(0, 0.3, shape)
    else:
        values = np.ones(shape) if kind == "moving_variance" else np.zeros(shape)
    return values.astype(np.float32)
