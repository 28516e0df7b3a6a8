"""The line buffer under a sliding window: how little of a map has to be on the chip, and when which token comes. Pure Python.

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
import numpy.typing as npt

from edgekit.graph import Padding
from edgekit.graph.ir import Pair
from edgekit.hls.kernels.base import VALUE_BITS, Memory, Stage

SETTLED = 8
"""Iterations from a token's write to where it may be read, and from its last read to where it may be written over, within a row: as many
as the kernel's pipeline may have stages between the two."""


@dataclass(frozen=True)
class Window(Stage):
    """The cells under a sliding window, from a line buffer: for each position, channel group, tap (row-major) one token."""

    rows: int
    columns: int
    channels: int
    token: int
    kernel: Pair
    strides: Pair
    dilation: Pair
    padding: Padding
    out_rows: int
    out_columns: int
    pad_value: int = 0

    @property
    def groups(self) -> int:
        return self.channels // self.token

    @property
    def taps(self) -> int:
        return prod(self.kernel)

    @property
    def span(self) -> int:
        """Rows from a window's first to its last."""
        return (self.kernel[0] - 1) * self.dilation[0] + 1

    @property
    def tokens(self) -> int:
        """Of the map."""
        return self.rows * self.columns * self.groups

    @property
    def row_tokens(self) -> int:
        """That come, but at the map's end, while a row of windows is read."""
        return self.strides[0] * self.columns * self.groups

    @property
    def read_cycles(self) -> int:
        """Of a row of windows."""
        return self.out_columns * self.groups * self.taps

    @property
    def row_cycles(self) -> int:
        """Reads of a row of windows, or writes of what comes meanwhile: the longer."""
        return max(self.read_cycles, self.row_tokens)

    @cached_property
    def reach(self) -> int:
        """Tokens, from the first one of the row of the map where a row of windows has its top, that are there when it begins."""
        begin = np.arange(self.out_columns) * self.groups * self.taps
        needed = ((self.span - 1) * self.columns + np.maximum(0, self._last_columns + 1)) * self.groups
        least = int((needed - self._came(begin - SETTLED)).max())
        end = (self.out_rows * self.strides[0] - self.padding.top) * self.columns * self.groups
        return max(least, self.tokens - end)  # the last row of windows takes in what is left of the map

    @property
    def fill(self) -> int:
        """Tokens that come before the first row of windows."""
        return min(self.tokens, max(0, self.reach - self.padding.top * self.columns * self.groups))

    @cached_property
    def words(self) -> int:
        """Of the line buffer."""
        end = (np.arange(self.out_columns) + 1) * self.groups * self.taps
        held = self.reach + self._came(end + SETTLED) - self._first_columns * self.groups
        return min(self.tokens, max(int(held.max()), self.reach, self.strides[1] * self.groups))

    @property
    def cycles(self) -> int:
        return self.fill + self.out_rows * self.row_cycles

    @property
    def cycles_after_input(self) -> float:
        """From the last token that comes to the last one that is written."""
        return (self.out_rows - self.coming_rows) * self.row_cycles

    @property
    def coming_rows(self) -> float:
        """Rows of windows, from the first on, in which tokens come."""
        first = self.reach - self.padding.top * self.columns * self.groups
        return max(0.0, (self.tokens - first) / self.row_tokens)

    @property
    def memories(self) -> tuple[Memory, ...]:
        return (Memory("line buffer", self.words, self.token * VALUE_BITS),)

    def _came(self, iterations: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Tokens in so many iterations of a row."""
        return np.clip(iterations, 0, self.row_cycles) * self.row_tokens // self.row_cycles

    @property
    def _first_columns(self) -> npt.NDArray[np.int64]:
        return np.maximum(0, np.arange(self.out_columns) * self.strides[1] - self.padding.left)

    @property
    def _last_columns(self) -> npt.NDArray[np.int64]:
        """Of the map, under each window of a row; negative where it lies in the padding."""
        last = np.arange(self.out_columns) * self.strides[1] - self.padding.left + (self.kernel[1] - 1) * self.dilation[1]
        return np.minimum(last, self.columns - 1)
