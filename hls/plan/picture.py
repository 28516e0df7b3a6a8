"""Estimates as a picture: what each layer takes, in cycles and resources, and what the board has. One SVG file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from xml.sax.saxutils import escape

from edgekit.hls.plan.estimates import Estimates

COLUMNS = (("cycles", "cycles a frame"), ("lut", "LUT"), ("bram36", "BRAM36"), ("dsp", "DSP"))
ROW, NAME, BAR, GAP, TOP, TOTAL_BAR = 16, 200, 150, 60, 170, 420
COLOURS = {"cycles": "#3566a8", "lut": "#4f8f5b", "bram36": "#b5762a", "dsp": "#8a4f94"}
LIMIT = "#b3261e"


@dataclass(frozen=True)
class Mark:
    """What else is known of a layer: by column, a number beside the estimate."""

    layer: str
    numbers: Mapping[str, float]


def estimates_svg(found: Estimates, marks: tuple[Mark, ...] = (), legend: str = "") -> str:
    """`marks`: drawn as lines over the bars, which `legend` explains."""
    width = NAME + len(COLUMNS) * (BAR + GAP)
    height = TOP + ROW * (len(found.layers) + 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(10, 20, f"{found.network} on {found.board}: estimates before synthesis", 14),
        _text(
            10,
            40,
            f"{found.fps:.1f} frames/s, interval {found.interval_cycles:,} cycles at {found.clock_mhz:g} MHz, "
            f"latency {found.latency_ms:.2f} ms; {found.ddr_bytes_per_frame:,} bytes of DDR a frame",
        ),
        *_totals(found),
        *([_text(NAME + 3 * (BAR + GAP), 20, f"| {legend}")] if legend else []),
        *_rows(found, {mark.layer: mark.numbers for mark in marks}),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _totals(found: Estimates) -> list[str]:
    """The share of the board that each resource takes, with a mark where a plan has to end."""
    parts = []
    for index, (name, share) in enumerate(found.share.items()):
        y = 52 + 20 * index
        colour = COLOURS.get(name, "#777777")
        parts.append(_text(10, y + 11, name.upper()))
        parts.append(f'<rect x="80" y="{y}" width="{TOTAL_BAR}" height="14" fill="#eeeeee"/>')
        parts.append(f'<rect x="80" y="{y}" width="{min(share, 1) * TOTAL_BAR:.1f}" height="14" fill="{colour}"/>')
        limit = 80 + found.planned_share[name] * TOTAL_BAR
        parts.append(f'<line x1="{limit:.1f}" y1="{y - 2}" x2="{limit:.1f}" y2="{y + 16}" stroke="{LIMIT}" stroke-width="2"/>')
        parts.append(_text(90 + TOTAL_BAR, y + 11, f"{share:.1%} of the chip, {found.planned_share[name]:.0%} may be planned with"))
    return parts


def _rows(found: Estimates, marks: Mapping[str, Mapping[str, float]]) -> list[str]:
    parts = []
    for column, (_, title) in enumerate(COLUMNS):
        parts.append(_text(NAME + column * (BAR + GAP), TOP - 6, title))
    for row, layer in enumerate(found.layers):
        y = TOP + ROW * row
        parts.append(_text(10, y + 11, layer.name if len(layer.name) < 32 else layer.name[:29] + "..."))
        for column, (name, _) in enumerate(COLUMNS):
            value, marked = getattr(layer, name), marks.get(layer.name, {}).get(name)
            most = max(*(getattr(one, name) for one in found.layers), *(numbers.get(name, 0) for numbers in marks.values()), 0)
            x = NAME + column * (BAR + GAP)
            parts.append(f'<rect x="{x}" y="{y + 2}" width="{BAR * value / most if most else 0:.1f}" height="11" fill="{COLOURS[name]}"/>')
            if marked is not None and most:
                at = x + BAR * marked / most
                parts.append(f'<line x1="{at:.1f}" y1="{y}" x2="{at:.1f}" y2="{y + 15}" stroke="black" stroke-width="2"/>')
            text = f"{value:,g}" if marked is None else f"{value:,g} | {marked:,g}"
            parts.append(_text(x + BAR * max(value, marked or 0) / (most or 1) + 4, y + 11, text))
    return parts


def _text(x: float, y: float, text: str, size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}">{escape(text)}</text>'
