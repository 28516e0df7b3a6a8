"""What the executors are fed: photographs, noise and extremes, as the values that the network's input tensor holds.

Everything is first an image of pixels 0..255 or, for noise and extremes, a value between the input's lowest and highest; it is
deterministic for a seed. A network that takes no images gets recorded inputs in place of photographs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.graph import IntegerGraph
from edgekit.images.photographs import any_pixels, sample_photographs, square_crop
from edgekit.images.pixels import PIXEL_MAX, fit, look_up, map_shape
from edgekit.images.preprocessing import PIXELS, VALUES, Preprocessing, float_table, integer_table
from edgekit.images.values import normalized, quantized

CROP_MIN = 0.3
"""Smallest crop of a photograph, as a share of its shorter side."""


@dataclass(frozen=True, kw_only=True)
class InputType:
    """What the input tensor holds: `shape` is without batch; values are of `dtype` and within low..high; `zero` stands for real 0.

    `table(preprocessing)` has the tensor's values for pixels: (channels, 256) of `dtype`. `of_real` has them for real numbers.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    low: float
    high: float
    zero: float
    table: Callable[[Preprocessing], Array]
    of_real: Callable[[Array], Array]


@dataclass(frozen=True)
class Inputs:
    """`values` (count, *shape); `labels` say in a word or two what each one is."""

    values: Array
    labels: tuple[str, ...]


def graph_input(graph: IntegerGraph) -> InputType:
    tensor = graph.tensors[graph.input]
    scale = 1 / Fraction(2) ** tensor.binary_point
    return _integer_input(tensor.shape, np.dtype(tensor.dtype), scale, 0, tensor.low, tensor.high)


def quantized_input(shape: tuple[int, ...], dtype: np.dtype[Any], scale: float, zero_point: int) -> InputType:
    """The input of a stock file, as it stores it: real value = (q - zero_point) * scale."""
    limits = np.iinfo(dtype)
    return _integer_input(shape, dtype, Fraction(scale), zero_point, int(limits.min), int(limits.max))


def float_input(shape: tuple[int, ...], preprocessing: Preprocessing, recorded: Array | None = None) -> InputType:
    """float32 between what pixels 0 and 255 become; where the network takes no images, between the ends of `recorded` inputs."""
    channels = map_shape(shape)[2]
    dtype = np.dtype(np.float32)
    if preprocessing.of == PIXELS:
        ends = float_table(preprocessing, channels)[:, [0, PIXEL_MAX]]
    else:
        ends = np.array([-1.0, 1.0]) if recorded is None else recorded
    return InputType(
        shape=shape,
        dtype=dtype,
        low=float(ends.min()),
        high=float(ends.max()),
        zero=0.0,
        table=lambda wanted: float_table(wanted, channels),
        of_real=lambda real: real.astype(dtype),
    )


def _integer_input(shape: tuple[int, ...], dtype: np.dtype[Any], scale: Fraction, zero_point: int, low: int, high: int) -> InputType:
    def table(preprocessing: Preprocessing) -> Array:
        channels = map_shape(shape)[2]
        return integer_table(preprocessing, channels, scale=scale, zero_point=zero_point, low=low, high=high).astype(dtype)

    def of_real(real: Array) -> Array:
        return quantized(real, float(scale), zero_point, low, high).astype(dtype)

    return InputType(shape=shape, dtype=dtype, low=low, high=high, zero=zero_point, table=table, of_real=of_real)


def reader(kind: InputType, preprocessing: Preprocessing) -> Callable[[Array], Array]:
    """What makes the tensor's values (count, *shape) of a network's inputs: of pixels (count, rows, columns, channels), uint8, in the
    network's size, or of the numbers in a user's array (count, *shape)."""
    if preprocessing.of == VALUES:
        return lambda values: kind.of_real(normalized(values, preprocessing.mean, preprocessing.std))
    table = kind.table(preprocessing)
    return lambda pixels: look_up(pixels, table).reshape(-1, *kind.shape)


def make_inputs(
    kind: InputType,
    preprocessing: Preprocessing,
    *,
    count: int,
    seed: int,
    images: Array | None = None,
    recorded: Array | None = None,
) -> Inputs:
    """The inputs of `draw_inputs`, all in memory."""
    named = list(draw_inputs(kind, preprocessing, count=count, seed=seed, images=images, recorded=recorded))
    return Inputs(np.stack([value for _, value in named]), tuple(label for label, _ in named))


def draw_inputs(
    kind: InputType,
    preprocessing: Preprocessing,
    *,
    count: int,
    seed: int,
    images: Array | None = None,
    recorded: Array | None = None,
) -> Iterator[tuple[str, Array]]:
    """`count` inputs, one at a time, as (label, value): as many photographs as noise, then extremes (at most half). `images`, if given,
    come on top.

    Args:
        images: uint8 pixels (number, rows, columns, 1 or 3), of any size; of a network that takes no images (number, *shape), numbers as
            in the user's arrays.
        recorded: values of the tensor (number, *shape), which stand in place of photographs where the network takes no images.
    """
    if count < 1:
        raise EdgekitError(f"cannot compare over {count} inputs; 64 is a good number")
    rng = np.random.default_rng(seed)
    extremes = list(_extremes(kind))[: count // 2]
    photographs = (count - len(extremes) + 1) // 2
    take = reader(kind, preprocessing)

    def values_of(pixels: Array) -> Array:
        return take(pixels[np.newaxis])[0]

    def drawn() -> Iterator[tuple[str, Array]]:
        of_pixels, taken = preprocessing.of == PIXELS, photographs
        if of_pixels:
            yield from ((f"photograph {i}", values_of(pixels)) for i, pixels in enumerate(_photographs(kind.shape, photographs, rng)))
        else:
            known = () if recorded is None else recorded
            taken = min(photographs, len(known))
            yield from ((f"recorded {i}", known[i * len(known) // taken]) for i in range(taken))
        noises = FLOAT_NOISES if kind.dtype.kind == "f" else NOISES
        yield from ((f"noise {i}", noises[i % len(noises)](kind, rng)) for i in range(count - len(extremes) - taken))
        yield from ((label, np.broadcast_to(value, kind.shape)) for label, value in extremes)
        more = () if images is None else images
        if of_pixels:
            yield from ((f"image {i}", values_of(fit(image, kind.shape))) for i, image in enumerate(more))
        else:
            yield from ((f"input {i}", values_of(one)) for i, one in enumerate(more))

    for label, value in drawn():
        yield label, value.astype(kind.dtype)


def _noise(kind: InputType, rng: np.random.Generator) -> Array:
    if kind.dtype.kind == "f":
        return rng.uniform(kind.low, kind.high, kind.shape)
    return rng.integers(int(kind.low), int(kind.high), kind.shape, endpoint=True)


def _extreme(kind: InputType, high: Array) -> Array:
    """The input's highest value where `high` (rows, columns, channels) is true, elsewhere its lowest."""
    return np.where(high.reshape(kind.shape), kind.high, kind.low)


def _dots(kind: InputType, rng: np.random.Generator) -> Array:
    """Each value one of the two extremes: more of a kernel's weights act at once than in grey noise, and clamps are reached."""
    return _extreme(kind, rng.uniform(size=map_shape(kind.shape)) < rng.uniform(0.1, 0.9))


def _gratings(kind: InputType, rng: np.random.Generator) -> Array:
    """Stripes of the extremes in any direction and width, of other phase in each channel: what first layers look for."""
    shape = map_shape(kind.shape)
    row, column, channel = np.indices(shape)
    angle, period = rng.uniform(0, 2 * np.pi), rng.uniform(2, 16)
    phase = rng.uniform(0, 1, shape[2])[channel]
    return _extreme(kind, ((row * np.cos(angle) + column * np.sin(angle)) / period + phase) % 1 < 0.5)


def _patches(kind: InputType, rng: np.random.Generator) -> Array:
    """Squares of the extremes, each channel for itself: colours and edges that reach deep layers."""
    rows, columns, channels = map_shape(kind.shape)
    size = int(rng.integers(1, max(3, min(rows, columns) // 3 + 1)))
    colours = rng.uniform(size=(-(-rows // size), -(-columns // size), channels)) < rng.uniform(0.2, 0.8)
    return _extreme(kind, np.repeat(np.repeat(colours, size, axis=0), size, axis=1)[:rows, :columns])


NOISES = (_noise, _noise, _dots, _gratings, _patches)
"""The kinds of noise in turn. Golden vectors have two noises: the first."""

FLOAT_NOISES = (_noise,)
"""Those of a float file. The others are there to reach integers' clamps, of which it has none; what they show of an untrained MobileNetV3
is how its gates amplify the last bits of any sum (measured: 1e-6 before the first gate, 4e-2 after the last), not what a kernel does."""


def _extremes(kind: InputType) -> Iterator[tuple[str, Array]]:
    """What drives accumulators, clamps and padding to their ends. Values of the tensor, in its shape."""
    low, high, zero = (np.full(kind.shape, value) for value in (kind.low, kind.high, kind.zero))
    rows, columns, channels = map_shape(kind.shape)
    row, column, channel = (axis.reshape(kind.shape) for axis in np.indices((rows, columns, channels)))
    yield "all lowest", low
    yield "all highest", high
    yield "all zero", zero
    yield "checkerboard", np.where((row + column) % 2 == 0, high, low)
    yield "checkerboard, inverted", np.where((row + column) % 2 == 0, low, high)
    yield "channels alternate", np.where(channel % 2 == 0, high, low)
    yield "rows alternate", np.where(row % 2 == 0, high, low)
    yield "columns alternate", np.where(column % 2 == 0, high, low)
    yield "impulse in the middle", np.where((row == rows // 2) & (column == columns // 2), high, zero)
    yield "impulse in the first corner", np.where((row == 0) & (column == 0), high, zero)
    yield "impulse in the last corner", np.where((row == rows - 1) & (column == columns - 1), low, zero)
    yield "frame", np.where((row == 0) | (column == 0) | (row == rows - 1) | (column == columns - 1), high, low)
    ramp = low + (high - low) * (row + column) / max(1, rows + columns - 2)
    yield "ramp", np.clip(ramp if kind.dtype.kind == "f" else np.rint(ramp), kind.low, kind.high)
    yield "left half highest", np.where(column < columns // 2, high, low)


def _photographs(shape: tuple[int, ...], count: int, rng: np.random.Generator) -> Iterator[Array]:
    """Random crops of the sample photographs in turn, as pixels 0..255 (rows, columns, channels)."""
    photographs = sample_photographs() if count else ()
    for i in range(count):
        yield fit(square_crop(photographs[i % len(photographs)], rng, CROP_MIN, any_pixels), shape)
