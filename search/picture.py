"""Pictures of points as SVG: round numbers at the axes, names that do not cover each other, and lines between points."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 880, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 24, 24, 44
TICKS_MAX = 6
RADIUS = 4
LABEL_LINES = 4
"""So many lines above and below its dot a name may be written in."""
LETTER, LINE = 6.2, 13
"""How wide a letter is on average, and how high a line of text, in the picture's units."""


@dataclass(frozen=True)
class Dot:
    """A point of a picture; `kind` is its class in the style sheet. `label` is written beside it."""

    x: float
    y: float
    kind: str
    title: str
    link: str = ""
    label: str = ""


@dataclass(frozen=True)
class Line:
    """From point to point; `kind` is its class in the style sheet."""

    points: tuple[tuple[float, float], ...]
    kind: str


@dataclass(frozen=True)
class Axis:
    """What lies between two values, drawn from one place of the picture to another."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def scatter(dots: Sequence[Dot], across: str, up: str, lines: Sequence[Line] = ()) -> str:
    """The picture, empty without dots. `across` and `up` say what the axes are; the lines lie under the dots."""
    if not dots:
        return ""
    x = Axis(*_range([one.x for one in dots]), LEFT, WIDTH - RIGHT)
    y = Axis(*_range([one.y for one in dots]), HEIGHT - BOTTOM, TOP)
    parts = [*_grid(x, y), f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>']
    parts.append(f'<text x="{LEFT}" y="{TOP - 10}">{escape(up)}</text>')
    for line in lines:
        points = " ".join(f"{x.place(a):.1f},{y.place(b):.1f}" for a, b in line.points)
        parts.append(f'<polyline class="{line.kind}" points="{points}"/>')
    for one in dots:
        at = f'cx="{x.place(one.x):.1f}" cy="{y.place(one.y):.1f}"'
        circle = f'<circle class="{one.kind}" {at} r="{RADIUS}"><title>{escape(one.title)}</title></circle>'
        parts.append(f'<a href="{escape(one.link)}">{circle}</a>' if one.link else circle)
    parts += _labels(dots, x, y)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(up)}">{"".join(parts)}</svg>'


def round_values(low: float, high: float) -> tuple[list[float], int]:
    """At most TICKS_MAX multiples of 1, 2 or 5 times a power of ten from `low` to `high`, and how many decimals they have."""
    power = 10.0 ** floor(log10((high - low) / TICKS_MAX))
    step = next(factor * power for factor in (1, 2, 5, 10, 20) if floor(high / (factor * power)) - ceil(low / (factor * power)) < TICKS_MAX)
    first, last = ceil(low / step), floor(high / step)
    return [number * step for number in range(first, last + 1)], max(0, -floor(log10(step) + 1e-9))


def _grid(x: Axis, y: Axis) -> Iterator[str]:
    values, decimals = round_values(y.low, y.high)
    for value in values:
        at = y.place(value)
        yield f'<line class="grid" x1="{LEFT}" y1="{at:.1f}" x2="{WIDTH - RIGHT}" y2="{at:.1f}"/>'
        yield f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:,.{decimals}f}</text>'
    values, decimals = round_values(x.low, x.high)
    for value in values:
        at = x.place(value)
        yield f'<line class="grid" x1="{at:.1f}" y1="{TOP}" x2="{at:.1f}" y2="{HEIGHT - BOTTOM}"/>'
        yield f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{value:,.{decimals}f}</text>'


def _labels(dots: Sequence[Dot], x: Axis, y: Axis) -> Iterator[str]:
    """Each beside its dot, where no dot and no other label is: the first place of some that is free, or the last."""
    circles = [(x.place(one.x), y.place(one.y)) for one in dots]
    taken = [(a - RADIUS, b - RADIUS, a + RADIUS, b + RADIUS) for a, b in circles]
    for one, (a, b) in zip(dots, circles, strict=True):
        if not one.label:
            continue
        wide = LETTER * len(one.label)
        left = min(max(a - wide / 2, LEFT), WIDTH - RIGHT - wide)
        above, below = ([(left, start + sign * LINE * n) for n in range(LABEL_LINES)] for start, sign in ((b - 7, -1), (b + 15, 1)))
        places = [above[0], below[0], (a + RADIUS + 4, b + 4), (a - RADIUS - 4 - wide, b + 4), *above[1:], *below[1:]]
        boxes = [(c, d - LINE + 3, c + wide, d + 2) for c, d in places]
        inside = [box for box in boxes if box[0] >= 0 and box[2] <= WIDTH and box[1] >= TOP - 8 and box[3] <= HEIGHT - BOTTOM]
        box = next((box for box in inside if not any(_meet(box, other) for other in taken)), boxes[0])
        taken.append(box)
        yield f'<text class="label" x="{box[0]:.1f}" y="{box[3] - 2:.1f}">{escape(one.label)}</text>'


def _meet(left: tuple[float, ...], right: tuple[float, ...]) -> bool:
    return left[0] < right[2] and right[0] < left[2] and left[1] < right[3] and right[1] < left[3]


def _range(values: Sequence[float]) -> tuple[float, float]:
    """With a margin, and wider than nothing."""
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
