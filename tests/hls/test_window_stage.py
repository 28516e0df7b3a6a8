"""The line buffer of a window: every cell is there when it is read, nothing is written over too soon, and it could not be smaller."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.graph import Padding, ir
from edgekit.hls.kernels.window import SETTLED, Window


def window_of(rows: int, columns: int, kernel: int, stride: int, pad: int, *, dilation: int = 1, groups: int = 1) -> Window:
    sliding = ir.Window((kernel, kernel), (stride, stride), Padding(pad, pad, pad, pad), (dilation, dilation))
    return Window("w", "y", rows=rows, columns=columns, channels=groups, token=1, window=sliding, pad_value=0)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    def pair(low: int, high: int) -> tuple[int, int]:
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    kernel, strides, dilation, pads = pair(1, 4), pair(1, 3), pair(1, 3), (*pair(0, 3), *pair(0, 3))
    span = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    around = (pads[0] + pads[1], pads[2] + pads[3])
    sizes = [draw(st.integers(max(1, s - around[i]), 9)) if s - around[i] <= 9 else s for i, s in enumerate(span)]
    channels = draw(st.integers(1, 3))
    sliding = ir.Window(kernel, strides, Padding(*pads), dilation)
    return Window("w", "y", rows=sizes[0], columns=sizes[1], channels=channels, token=1, window=sliding, pad_value=0)


def faults(window: Window, reach: int, words: int) -> int:
    """Reads of a token that has not settled yet or that another one has taken the place of, or will before the read has ended."""
    row_tokens, sliding, (out_rows, _) = window.columns * window.groups, window.window, window.places
    origin = -sliding.padding.top * row_tokens
    came: dict[int, tuple[int, int]] = dict.fromkeys(range(min(window.map_tokens, max(0, origin + reach))), (-1, 0))
    reads: list[tuple[int, tuple[int, int]]] = []
    due = origin + reach
    for y in range(out_rows):
        for cycle in range(window.row_cycles):
            if cycle < window.read_cycles:
                x, rest = divmod(cycle, window.groups * window.taps)
                group, tap = divmod(rest, window.taps)
                row = y * sliding.strides[0] - sliding.padding.top + tap // sliding.kernel[1] * sliding.dilation[0]
                column = x * sliding.strides[1] - sliding.padding.left + tap % sliding.kernel[1] * sliding.dilation[1]
                if 0 <= row < window.rows and 0 <= column < window.columns:
                    reads.append(((row * window.columns + column) * window.groups + group, (y, cycle)))
            if (cycle + 1) * window.row_tokens // window.row_cycles > cycle * window.row_tokens // window.row_cycles:
                if 0 <= due < window.map_tokens:
                    came[due] = (y, cycle)
                due += 1
    assert len(came) == window.map_tokens  # the whole map is taken in

    def early(token: int, at: tuple[int, int]) -> bool:
        return token not in came or came[token] > at or (came[token][0] == at[0] and came[token][1] + SETTLED >= at[1] >= 0)

    def gone(token: int, at: tuple[int, int]) -> bool:
        over = came.get(token + words, (out_rows, 0))
        return over < (at[0], at[1] + SETTLED)

    return sum(early(token, at) or gone(token, at) for token, at in reads)


@given(window=windows())
def test_what_a_window_reads_is_there(window: Window) -> None:
    assert faults(window, window.reach, window.words) == 0


@pytest.mark.parametrize(
    ("window", "reach", "words"),
    [
        # SETTLED = 8 iterations are less than the 9 of a position, and a token comes each 9: window 0 needs 2 * 8 + 2, window 1 one more,
        # and none came by iteration 9 - 8. By 18 + 8, window 1 still reads from column 0, two came: 19 + 2.
        (window_of(8, 8, 3, 1, 1), 19, 21),
        # Window 1 needs 2 * 8 + 4. 16 come in 36 iterations; window 2 reads from column 3 on until 27 + 8, when 15 came: 20 + 15 - 3.
        (window_of(8, 8, 3, 2, 1), 20, 32),
        # Window 1 needs (2 * 8 + 3) * 4 by iteration 36, and by 36 - 8 three came; by 72 + 8 it was 8.
        (window_of(8, 8, 3, 1, 1, groups=4), 73, 81),
        # The map is smaller than the window: it is there as a whole.
        (window_of(3, 3, 3, 1, 3, dilation=3), 21, 9),
    ],
)
def test_sizes_by_hand(window: Window, reach: int, words: int) -> None:
    assert (window.reach, window.words) == (reach, words)


@pytest.mark.parametrize("window", [window_of(8, 8, 3, 1, 1), window_of(9, 9, 3, 2, 1), window_of(8, 8, 3, 1, 2, dilation=2, groups=2)])
def test_much_less_would_not_do(window: Window) -> None:
    """Both are counted by whole positions, so they may be some cells more than the least: few beside a row."""
    assert faults(window, window.reach - 3 * window.groups, window.words) > 0
    assert faults(window, window.reach, window.words - 4 * window.groups) > 0


def test_two_rows_and_a_little() -> None:
    """What it is for: 3 x 3 windows on a wide map. Of two rows that come while windows of stride 2 are read, one has to wait."""
    window = window_of(56, 56, 3, 1, 1)
    assert window.words < 2.2 * 56 and window_of(56, 56, 3, 2, 1).words < 3.2 * 56
