"""Inputs made for one exact network: they bring channels to vary, and clamps to act, where photographs, noise and extremes do not.

From such an input a few steps go up, or down, the slope of one accumulator: each value of the input moves by the sign of its derivative,
as backpropagation through the integers finds it. A clamp that is reached lets a part of a slope pass, or nothing would ever bring a dead
ReLU back. What no input can reach, by intervals through the integers, is not aimed at. Of every few inputs those stay that show most of
what none before them showed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, TypeAlias

import numpy as np

from edgekit.arrays import Array
from edgekit.graph import (
    Activation,
    Add,
    Concat,
    Conv2D,
    Dense,
    DepthwiseConv2D,
    DepthwiseConv2DTranspose,
    IntegerGraph,
    Lookup,
    MatMul,
    MaxPool,
    Multiply,
    Op,
    Reshape,
    Slice,
    Window,
    channel_ends,
    clamp_range,
    op_inputs,
    product_shift,
    run,
    shifts_of,
    value_intervals,
)
from edgekit.graph.ir import ConvOp, ProductOp, WeightedOp
from edgekit.verify.coverage import Extremes

BATCH, KEPT = 16, 4
"""So many inputs are made at a time, and so many of them stay."""
TRIES = 4
"""How often a channel that does not vary is aimed at, from another start and at another place of the map."""
STEPS = (64, 32, 32, 16, 16, 8)
"""How far each value of the input moves, in its integers, step by step."""
LEAK = 0.1
"""What passes of a slope where a clamp is reached."""
TABLE_SPAN = 8
"""A table's slope is taken over so many entries to either side."""
AIMED_SHARE, AIMED_MAX = 4, 16
"""Of verify's inputs they are at most one of so many, and no more than that."""
VALUES_MAX = 1 << 28
"""Tensor values that are computed to make the inputs: it is what bounds the time. Half of them may go into what the starts show."""


@dataclass(frozen=True)
class Aim:
    """One accumulator: that of a channel of an op's output, which is to grow (`direction` 1) or to fall (-1), to the clamp's end or, of a
    constant channel, `to_vary` at all."""

    op: WeightedOp | ProductOp
    channel: int
    direction: int
    to_vary: bool


def starts_most(graph: IntegerGraph) -> int:
    """From how many inputs steps may go, so that there are values left to make some."""
    return max(1, VALUES_MAX // 2 // _values(graph))


def aimed_inputs(graph: IntegerGraph, starts: Array, seed: int, most: int = AIMED_MAX) -> Iterator[tuple[str, Array]]:
    """Inputs as (label, integers of the input tensor), at most `most`; the same ones for the same arguments.

    Args:
        starts: integers (count, *input shape) from which steps go; what they show needs no input.
    """
    rng = np.random.default_rng(seed)
    tensor = graph.tensors[graph.input]
    seen = Extremes()
    for chunk in np.array_split(starts, -(-len(starts) // BATCH)):
        for name, one in run(graph, chunk).items():
            seen.add(name, one)
    left = VALUES_MAX // _values(graph) - len(starts)
    given = 0
    aims = list(_aims(graph, seen))
    while aims and left >= len(STEPS) and given < most:
        chosen, aims = aims[:BATCH], aims[BATCH:]
        chosen = [aim for aim in chosen if _is_open(graph, seen, aim)][: left // len(STEPS)]
        if not chosen:
            continue
        x = starts[rng.integers(len(starts), size=len(chosen))].astype(np.int64)
        cells = [rng.random() for _ in chosen]
        values = run(graph, x)
        for size in STEPS:
            slope = _slope(graph, values, chosen, cells)
            x = np.clip(x + size * np.sign(slope).astype(np.int64), tensor.low, tensor.high)
            values = run(graph, x)
        left -= len(chosen) * len(STEPS)
        shown = [{name: one[place : place + 1] for name, one in values.items()} for place in range(len(chosen))]
        for _ in range(min(KEPT, len(chosen), most - given)):
            news = [_news(graph, seen, one) for one in shown]
            place = news.index(max(news))
            if news[place] == (0, 0):
                break
            given += 1
            yield f"climb in channel {chosen[place].channel} of {chosen[place].op.output}", x[place]
            for name, one in shown[place].items():
                seen.add(name, one)


def _values(graph: IntegerGraph) -> int:
    return sum(prod(one.shape) for one in graph.tensors.values())


def _aims(graph: IntegerGraph, seen: Extremes) -> Iterator[Aim]:
    """Channels that are constant first, and may be made to vary, then ends of clamps that may be reached."""
    ops = [op for op in graph.ops if isinstance(op, WeightedOp | ProductOp)]
    intervals = value_intervals(graph)
    still: list[Aim] = []
    ends: list[Aim] = []
    for op in ops:
        lowest, highest = _channels(seen, op.output)
        least, most = channel_ends(*intervals[op.output])
        low, high = _clamp(graph, op)
        for channel in range(len(lowest)):
            constant = bool(lowest[channel] == highest[channel])
            found = still if constant else ends
            if highest[channel] < (most[channel] if constant else high) <= most[channel]:
                found.append(Aim(op, channel, 1, constant))
            if lowest[channel] > (least[channel] if constant else low) >= least[channel]:
                found.append(Aim(op, channel, -1, constant))
    yield from still * TRIES
    yield from ends


def _is_open(graph: IntegerGraph, seen: Extremes, aim: Aim) -> bool:
    """Whether no input since has shown that."""
    lowest, highest = (side[aim.channel] for side in _channels(seen, aim.op.output))
    if aim.to_vary:
        return bool(lowest == highest)
    ends = _clamp(graph, aim.op)
    return bool(highest < ends[1] if aim.direction > 0 else lowest > ends[0])


def _clamp(graph: IntegerGraph, op: WeightedOp | ProductOp | Add) -> tuple[int, int]:
    return clamp_range(getattr(op, "activation", Activation.NONE), graph.tensors[op.output])


def _news(graph: IntegerGraph, seen: Extremes, values: Mapping[str, Array]) -> tuple[int, int]:
    """In how many channels that were constant it varies, and in how many it is the first to reach an end of the clamp."""
    vary = ends = 0
    for op in graph.ops:
        if not isinstance(op, WeightedOp | ProductOp):
            continue
        lowest, highest = _channels(seen, op.output)
        new_low, new_high = channel_ends(values[op.output], values[op.output])
        low, high = _clamp(graph, op)
        vary += int(((lowest == highest) & ((new_low < lowest) | (new_high > highest))).sum())
        ends += int(((new_low == low) & (lowest > low)).sum() + ((new_high == high) & (highest < high)).sum())
    return vary, ends


def _channels(seen: Extremes, name: str) -> tuple[Array, Array]:
    return channel_ends(*seen.found[name])


# --- slopes ----------------------------------------------------------------------------------------------------------------


def _slope(graph: IntegerGraph, values: Mapping[str, Array], aims: list[Aim], cells: list[float]) -> Array:
    """d accumulator / d input of each aim, float64 (aims, *input shape). `cells`: where in the map, 0..1."""
    slopes: dict[str, Array] = {name: np.zeros(value.shape) for name, value in values.items()}
    for op in reversed(graph.ops):
        slope = slopes[op.output]
        if isinstance(op, WeightedOp | ProductOp | Add):
            low, high = _clamp(graph, op)
            now = values[op.output]
            slope = slope * np.where((now > low) & (now < high), 1.0, LEAK)
        for place, aim in enumerate(aims):
            if aim.op is op:
                of_channel = slope[place].reshape(-1, slope.shape[-1])[:, aim.channel]
                of_channel[int(cells[place] * len(of_channel))] += aim.direction
        if isinstance(op, WeightedOp):
            slope = slope * np.ldexp(1.0, -np.array(shifts_of(graph, op)))
        elif isinstance(op, ProductOp):
            slope = slope * np.ldexp(1.0, -product_shift(graph, op))
        operands = [values[name].astype(np.float64) for name in op_inputs(op)]
        back = BACK.get(type(op))
        for name, part in zip(op_inputs(op), back(graph, op, slope, operands), strict=True) if back else ():
            slopes[name] += part
    return slopes[graph.input]


def _window_back(window: Window, operand: Array, of_tap: Callable[[int], Array]) -> Array:
    """The slope by a map, from that by the cells that each tap of a kernel met."""
    pad, (down, right), (apart, beside) = window.padding, window.strides, window.dilation
    batch, rows, columns, channels = operand.shape
    padded = np.zeros((batch, rows + pad.top + pad.bottom, columns + pad.left + pad.right, channels))
    for tap in range(window.kernel[0] * window.kernel[1]):
        top, left = tap // window.kernel[1] * apart, tap % window.kernel[1] * beside
        part = of_tap(tap)
        padded[:, top : top + part.shape[1] * down : down, left : left + part.shape[2] * right : right] += part
    return padded[:, pad.top : pad.top + rows, pad.left : pad.left + columns]


def _conv_window(op: ConvOp) -> Window:
    return Window((op.weights.shape[0], op.weights.shape[1]), op.strides, op.padding, op.dilation)


def _conv2d(graph: IntegerGraph, op: Conv2D, slope: Array, operands: list[Array]) -> list[Array]:
    taps = op.weights.reshape(-1, *op.weights.shape[2:]).astype(np.float64)
    return [_window_back(_conv_window(op), operands[0], lambda tap: slope @ taps[tap].T)]


def _depthwise(graph: IntegerGraph, op: DepthwiseConv2D, slope: Array, operands: list[Array]) -> list[Array]:
    taps = op.weights.reshape(-1, op.weights.shape[2]).astype(np.float64)
    return [_window_back(_conv_window(op), operands[0], lambda tap: slope * taps[tap])]


def _depthwise_transpose(graph: IntegerGraph, op: DepthwiseConv2DTranspose, slope: Array, operands: list[Array]) -> list[Array]:
    batch, rows, columns, channels = operands[0].shape
    high, wide, _ = op.weights.shape
    apart = slope.reshape(batch, rows, high, columns, wide, channels)
    return [np.einsum("brhcwk,hwk->brck", apart, op.weights.astype(np.float64))]


def _dense(graph: IntegerGraph, op: Dense, slope: Array, operands: list[Array]) -> list[Array]:
    return [(slope @ op.weights.T.astype(np.float64)).reshape(operands[0].shape)]


def _add(graph: IntegerGraph, op: Add, slope: Array, operands: list[Array]) -> list[Array]:
    return [slope, slope]


def _multiply(graph: IntegerGraph, op: Multiply, slope: Array, operands: list[Array]) -> list[Array]:
    """The second factor may be one number a channel."""
    x, y = operands
    y = y.reshape(len(y), *[1] * (x.ndim - y.ndim), *y.shape[1:])
    by_y = slope * x
    summed = tuple(axis for axis in range(1, x.ndim) if y.shape[axis] == 1 and x.shape[axis] != 1)
    return [slope * y, by_y.sum(axis=summed, keepdims=True).reshape(operands[1].shape)]


def _matmul(graph: IntegerGraph, op: MatMul, slope: Array, operands: list[Array]) -> list[Array]:
    """Letters as in the reference."""

    def heads(values: Array) -> Array:
        return values.reshape(len(values), -1, op.heads, values.shape[-1] // op.heads)

    x, y, out = (heads(one) for one in (*operands, slope))
    rules = ("bihj,bjhk->bihk", "bihj,bihk->bjhk") if op.transpose_y else ("bihk,bjhk->bihj", "bihk,bihj->bjhk")
    by_x, by_y = np.einsum(rules[0], out, y, optimize=True), np.einsum(rules[1], out, x, optimize=True)
    return [by_x.reshape(operands[0].shape), by_y.reshape(operands[1].shape)]


def _concat(graph: IntegerGraph, op: Concat, slope: Array, operands: list[Array]) -> list[Array]:
    return np.split(slope, np.cumsum([one.shape[-1] for one in operands])[:-1], axis=-1)


def _slice(graph: IntegerGraph, op: Slice, slope: Array, operands: list[Array]) -> list[Array]:
    whole = np.zeros(operands[0].shape)
    whole[..., op.start : op.start + slope.shape[-1]] = slope
    return [whole]


def _max_pool(graph: IntegerGraph, op: MaxPool, slope: Array, operands: list[Array]) -> list[Array]:
    """To every cell of a window alike: any of them may become the highest."""
    return [_window_back(Window(op.pool, op.strides, op.padding), operands[0], lambda tap: slope)]


def _lookup(graph: IntegerGraph, op: Lookup, slope: Array, operands: list[Array]) -> list[Array]:
    table, at = op.table.astype(np.float64), np.arange(len(op.table))
    above, below = np.minimum(at + TABLE_SPAN, len(table) - 1), np.maximum(at - TABLE_SPAN, 0)
    steepness = (table[above] - table[below]) / (above - below)
    return [slope * steepness[operands[0].astype(np.int64) - graph.tensors[op.input].low]]


def _reshape(graph: IntegerGraph, op: Reshape, slope: Array, operands: list[Array]) -> list[Array]:
    return [slope.reshape(operands[0].shape)]


_Back: TypeAlias = Callable[[IntegerGraph, Any, Array, list[Array]], list[Array]]

BACK: Mapping[type[Op], _Back] = {
    Conv2D: _conv2d,
    DepthwiseConv2D: _depthwise,
    DepthwiseConv2DTranspose: _depthwise_transpose,
    Dense: _dense,
    Add: _add,
    Multiply: _multiply,
    MatMul: _matmul,
    Concat: _concat,
    Slice: _slice,
    MaxPool: _max_pool,
    Lookup: _lookup,
    Reshape: _reshape,
}
"""The slope by each operand, from that by the accumulator or, where an op has none, by its output. All are (batch, *shape).
An op that is not here lets no slope pass."""
