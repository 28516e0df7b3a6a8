"""edgekit_window.h: the line buffer under a sliding window, how little of a map has to be on the chip, and when which token comes.

Tokens are counted in the order in which they come: row, column, channel group. While the windows of a row are read, the tokens of as
many rows come at even distances as the windows then go down. So they have to be ahead of the windows by `reach` tokens when a row begins:

    due(t)    = reach + floor(t * row_tokens / row_cycles)     the tokens that came by iteration t, from the first one of the row's top
    needed(x) = (span - 1) * columns * groups + (last column of window x + 1) * groups
    reach     = the least for which due is at least needed when window x is read, for all x
    words     = the most of due(t) - (first column of the window at t) * groups: what came and is still read

for 3 x 3 windows of stride 1 little more than two rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from edgekit.arrays import Int64
from edgekit.graph import IntegerGraph, Op, ir
from edgekit.hls.kernels.base import VALUE_BITS, Call, Latency, Memory, Pace, Stage, Tokens, counter_bits, line, signed, unsigned

SETTLED = 8
"""Iterations from a token's write to where it may be read, and from its last read to where it may be written over, within a row: as many
as the kernel's pipeline may have stages between the two."""


@dataclass(frozen=True)
class Window(Stage):
    """The cells under a sliding window, from a line buffer: for each position, channel group, tap (row-major) one token.

    `rows`, `columns`: of the map, without padding. `token`: channels of a token. `pad_value`: what the cells of the padding hold.
    """

    rows: int
    columns: int
    channels: int
    token: int
    window: ir.Window
    pad_value: int

    sources = 1
    carries = False
    held = None
    multipliers = 0
    ddr_bytes = 0

    @cached_property
    def places(self) -> ir.Pair:
        """Rows and columns of windows."""
        return self.window.places((self.rows, self.columns))

    @property
    def groups(self) -> int:
        return self.channels // self.token

    @property
    def taps(self) -> int:
        return prod(self.window.kernel)

    @property
    def span(self) -> int:
        """Rows from a window's first to its last."""
        return (self.window.kernel[0] - 1) * self.window.dilation[0] + 1

    @property
    def map_tokens(self) -> int:
        """Tokens of the map."""
        return self.rows * self.columns * self.groups

    @property
    def row_tokens(self) -> int:
        """Tokens that come, but at the map's end, while a row of windows is read."""
        return self.window.strides[0] * self.columns * self.groups

    @property
    def read_cycles(self) -> int:
        """Reads of a row of windows."""
        return self.places[1] * self.groups * self.taps

    @property
    def row_cycles(self) -> int:
        """Reads of a row of windows, or writes of what comes meanwhile: the longer."""
        return max(self.read_cycles, self.row_tokens)

    @cached_property
    def reach(self) -> int:
        """Tokens, from the first one of the row of the map where a row of windows has its top, that are there when it begins."""
        begin = np.arange(self.places[1]) * self.groups * self.taps
        needed = ((self.span - 1) * self.columns + np.maximum(0, self._last_columns + 1)) * self.groups
        least = int((needed - self._came(begin - SETTLED)).max())
        end = self.places[0] * self.row_tokens - self._padding_tokens
        return max(least, self.map_tokens - end)  # the last row of windows takes in what is left of the map

    @property
    def fill(self) -> int:
        """Tokens that come before the first row of windows."""
        return min(self.map_tokens, max(0, self.reach - self._padding_tokens))

    @cached_property
    def words(self) -> int:
        """Words of the line buffer."""
        end = (np.arange(self.places[1]) + 1) * self.groups * self.taps
        kept = self.reach + self._came(end + SETTLED) - self._first_columns * self.groups
        return min(self.map_tokens, max(int(kept.max()), self.reach, self.window.strides[1] * self.groups))

    @property
    def cycles(self) -> int:
        return self.fill + self.places[0] * self.row_cycles

    @property
    def written(self) -> Tokens:
        return Tokens(prod(self.places) * self.groups * self.taps, self.token)

    @property
    def latency(self) -> Latency:
        tail = (self.places[0] - self.coming_rows) * self.row_cycles
        return Latency(first_needs=self.fill / self.map_tokens, head=0.0, tail=tail, after_held=0.0)

    @property
    def coming_rows(self) -> float:
        """Rows of windows, from the first on, in which tokens come."""
        return max(0.0, (self.map_tokens - (self.reach - self._padding_tokens)) / self.row_tokens)

    def pace(self, interval: int, span: float) -> Pace:
        """A window reads at one pace until the map ends, and then writes its last row or so from what it has.

        It keeps step with the tokens that come, so that it is silent at the end when they are, where the interval has the time for that.
        """
        out_rows = self.places[0]
        fill_rows = self.fill / self.row_tokens
        in_step = min(span * self.row_tokens / self.map_tokens, interval / (fill_rows + out_rows))
        row = max(float(self.row_cycles), in_step)
        fill = min(max(float(self.fill), in_step * fill_rows), interval - row * out_rows)
        share = self.fill / self.map_tokens
        come, from_row = self.coming_rows, self.coming_rows - (1 - share) * self.map_tokens / self.row_tokens
        reads = [(0.0, 0.0), (fill, share), (fill + from_row * row, share), (fill + come * row, 1.0)]
        writes = [(0.0, 0.0), (fill, 0.0)]
        for y in range(out_rows):
            begin = fill + y * row
            writes += [(begin, y), (begin + self.read_cycles * row / self.row_cycles, y + 1)]
        written = line(*((at, rows / out_rows) for at, rows in writes))
        return Pace(reads=(line(*reads),), bursts=(1.0,), writes=written, late=1.0, leads=True)

    @property
    def memories(self) -> tuple[Memory, ...]:
        return (Memory("line buffer", self.words, self.token * VALUE_BITS),)

    @property
    def parts(self) -> dict[str, float]:
        counters = counter_bits(*self.places, *self.window.kernel, self.groups, self.words, self.row_cycles)
        padded = self.window.padding != ir.NO_PADDING
        return {"Window": 1, "window's counter": counters, "padding": padded, "value padded": padded * self.token}

    def call(self, graph: IntegerGraph, op: Op, index: int) -> Call:
        window, (out_rows, out_columns) = self.window, self.places
        constants = signed(
            rows=self.rows,
            columns=self.columns,
            groups=self.groups,
            kernel_rows=window.kernel[0],
            kernel_columns=window.kernel[1],
            stride_rows=window.strides[0],
            stride_columns=window.strides[1],
            dilation_rows=window.dilation[0],
            dilation_columns=window.dilation[1],
            pad_top=window.padding.top,
            pad_left=window.padding.left,
            out_rows=out_rows,
            out_columns=out_columns,
            words=self.words,
            fill=self.fill,
            reach=self.reach,
            row_cycles=self.row_cycles,
            pad_value=self.pad_value,
        )
        return Call("window", "window_config", (*unsigned(stage=index), *constants))

    @property
    def _padding_tokens(self) -> int:
        """Tokens that the padding above the map would be."""
        return self.window.padding.top * self.columns * self.groups

    def _came(self, iterations: Int64) -> Int64:
        """Tokens in so many iterations of a row."""
        return np.clip(iterations, 0, self.row_cycles) * self.row_tokens // self.row_cycles

    @property
    def _first_columns(self) -> Int64:
        """The map's column under the left end of each window of a row."""
        return np.maximum(0, np.arange(self.places[1]) * self.window.strides[1] - self.window.padding.left)

    @property
    def _last_columns(self) -> Int64:
        """The map's column under the right end of each window of a row; negative where it lies in the padding."""
        window = self.window
        last = np.arange(self.places[1]) * window.strides[1] - window.padding.left + (window.kernel[1] - 1) * window.dilation[1]
        return np.minimum(last, self.columns - 1)
