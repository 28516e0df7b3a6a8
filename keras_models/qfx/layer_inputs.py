"""What a layer with weights is given: windows of its input, and its kernel, as matrices of one group of channels each.

A dense layer and a convolution are one group, a depthwise convolution has a group for every channel:

    kernel (rows, columns, in, out)        ->  (1, rows * columns * in, out)
    kernel (rows, columns, channels, 1)    ->  (channels, rows * columns, 1)
    kernel (in, out)                       ->  (1, in, out)
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.graph import Padding, same_padding

Array: TypeAlias = npt.NDArray[Any]
Cells: TypeAlias = tuple[Array, ...]
"""Indices of images, rows and columns of an output map; of images alone where the output is a vector."""

CELLS_MAX = 20_000
"""Cells looked at of a layer's output, over all images."""
WINDOW_VALUES, CELLS_MIN = 30_000_000, 2_000
"""Fewer cells where their windows would hold more values than this, but not fewer than CELLS_MIN."""


def is_depthwise(layer: Any) -> bool:
    return type(layer).__name__ == "QDepthwiseConv2D"


def grouped_kernel(layer: Any, kernel: Array) -> Array:
    """A layer's kernel as (groups, taps, outputs)."""
    if is_depthwise(layer):
        return np.ascontiguousarray(kernel.reshape(-1, kernel.shape[2]).T[:, :, np.newaxis])
    return kernel.reshape(1, -1, kernel.shape[-1])


def ungrouped_kernel(layer: Any, grouped: Array, shape: tuple[int, ...]) -> Array:
    """The inverse of grouped_kernel. `shape` is the kernel's."""
    return grouped[:, :, 0].T.reshape(shape) if is_depthwise(layer) else grouped.reshape(shape)


def sample_cells(layer: Any, output_shape: tuple[int, ...], rng: np.random.Generator) -> Cells:
    """Random cells of the output (images, rows, columns, channels) or (images, outputs), each at most once."""
    places = output_shape[:-1]
    total = int(np.prod(places))
    rows, columns = getattr(layer, "kernel_size", (1, 1))
    values = rows * columns * int(layer.input_shape[-1])
    count = min(total, CELLS_MAX, max(CELLS_MIN, WINDOW_VALUES // values))
    chosen = rng.choice(total, count, replace=False) if count < total else np.arange(total)
    return np.unravel_index(np.sort(chosen), places)


def windows(layer: Any, inputs: Array, cells: Cells) -> Array:
    """What the layer reads for these cells of its output, (groups, cells, taps), in the order of grouped_kernel."""
    if len(cells) == 1:
        return inputs[cells[0]][np.newaxis]
    images, rows, columns = cells
    kernel, strides, dilation, size = layer.kernel_size, layer.strides, layer.dilation_rate, inputs.shape[1:3]
    padding = same_padding(size, kernel, strides, dilation) if layer.padding == "same" else Padding()
    down = (rows * strides[0] - padding.top)[:, np.newaxis, np.newaxis] + (np.arange(kernel[0]) * dilation[0])[:, np.newaxis]
    right = (columns * strides[1] - padding.left)[:, np.newaxis, np.newaxis] + np.arange(kernel[1]) * dilation[1]
    found = inputs[images[:, np.newaxis, np.newaxis], np.clip(down, 0, size[0] - 1), np.clip(right, 0, size[1] - 1)]
    found[~((down >= 0) & (down < size[0]) & (right >= 0) & (right < size[1]))] = 0.0
    if is_depthwise(layer):
        return np.ascontiguousarray(found.reshape(len(images), -1, found.shape[-1]).transpose(2, 0, 1))
    return found.reshape(1, len(images), -1)
