"""Charts as SVG text that stands in a page: no script, no font, no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 880, 250
LEFT, RIGHT, TOP, BOTTOM = 56, 12, 16, 40


@dataclass(frozen=True)
class Bar:
    """`share` 0..1; `title` is shown when the pointer rests on the bar."""

    share: float
    title: str
    marked: bool = False


def layer_chart(bars: Sequence[Bar], label: str) -> str:
    """Shares by layer, from the input on the left to the output on the right; marked ones stand out."""
    top = _ceiling(max((bar.share for bar in bars), default=0.0))
    step = (WIDTH - LEFT - RIGHT) / max(1, len(bars))
    parts = [
        _axes([(value / 4 * top, f"{value / 4 * top:.0%}" if top >= 0.04 else f"{value / 4 * top:.2%}") for value in range(5)], top, label)
    ]
    for number, bar in enumerate(bars):
        height = bar.share / top * (HEIGHT - TOP - BOTTOM)
        x, y = LEFT + number * step, HEIGHT - BOTTOM - height
        kind = "marked" if bar.marked else "bar"
        parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(1.0, step - 1):.1f}" height="{height:.1f}">'
            f"<title>{escape(bar.title)}</title></rect>"
        )
        if bar.marked:
            anchor = "start" if number < len(bars) / 2 else "end"
            parts.append(f'<line class="mark" x1="{x + step / 2:.1f}" y1="{TOP}" x2="{x + step / 2:.1f}" y2="{HEIGHT - BOTTOM}"/>')
            parts.append(f'<text x="{x + step / 2:.1f}" y="{TOP - 4}" text-anchor="{anchor}">{escape(bar.title)}</text>')
    return _svg(parts, label)


def histogram(values: Sequence[float], unit: str, marks: Sequence[tuple[str, float]], label: str) -> str:
    """How often values fall into each of 40 equal ranges; `marks` are named lines. A few far outliers are left out of the picture."""
    low, p90 = min(values), float(np.percentile(values, 90))
    high = min(max(values), low + 4 * (p90 - low))
    counts, edges = np.histogram(values, bins=40, range=(low, high if high > low else low + 1e-3))
    most = int(counts.max()) or 1
    width = (WIDTH - LEFT - RIGHT) / len(counts)
    parts = [_axes([(most * i / 4, f"{most * i / 4:.0f}") for i in range(5)], most, label)]
    for number, count in enumerate(counts):
        height = count / most * (HEIGHT - TOP - BOTTOM)
        title = f"{edges[number]:.3f} to {edges[number + 1]:.3f} {unit}: {count}"
        parts.append(
            f'<rect class="bar" x="{LEFT + number * width:.1f}" y="{HEIGHT - BOTTOM - height:.1f}" width="{max(1.0, width - 1):.1f}" '
            f'height="{height:.1f}"><title>{title}</title></rect>'
        )
    scale = (WIDTH - LEFT - RIGHT) / (edges[-1] - edges[0])
    for name, value in marks:
        x = LEFT + (min(value, edges[-1]) - edges[0]) * scale
        parts.append(f'<line class="mark" x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text x="{x:.1f}" y="{TOP - 4}" text-anchor="middle">{escape(name)}</text>')
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = edges[0] + share * (edges[-1] - edges[0])
        x = LEFT + share * (WIDTH - LEFT - RIGHT)
        anchor = {0.0: "start", 1.0: "end"}.get(share, "middle")
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="{anchor}">{value:.2f} {unit}</text>')
    return _svg(parts, label)


def _ceiling(value: float) -> float:
    """A round number at or above a share, for the top of an axis."""
    return next((top for top in (0.001, 0.01, 0.02, 0.04, 0.1, 0.2, 0.4, 0.6, 0.8) if value <= top), 1.0)


def _axes(ticks: Sequence[tuple[float, str]], top: float, label: str) -> str:
    lines = []
    for value, text in ticks:
        y = HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)
        lines.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    lines.append(f'<text x="{(LEFT + WIDTH - RIGHT) / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(label)}</text>')
    return "".join(lines)


def _svg(parts: Sequence[str], label: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'
