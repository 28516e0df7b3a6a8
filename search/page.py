"""The page of a search: its front, the networks that were trained, the zoo in the same picture, what was predicted and what measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

from edgekit.search.results import Finalist, Found
from edgekit.search.trials import RANDOM, Trial, front
from edgekit.version import __version__

WIDTH, HEIGHT = 880, 420
LEFT, RIGHT, TOP, BOTTOM = 60, 16, 16, 44
TICKS = 5


@dataclass(frozen=True)
class Dot:
    """A point of a picture; `kind` is its class in the style sheet."""

    x: float
    y: float
    kind: str
    title: str
    link: str = ""


def render_page(found: Found, name: Callable[[Trial], str]) -> str:
    """One HTML page. `name`: of a trial's network, whose folder beside the page has its table."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(resources.files("edgekit.search").joinpath("templates", "search.html.jinja").read_text())
    best = front(found.searched.completed)
    operators, options = found.operators, found.options
    return template.render(
        data=options.data,
        where=f"the board {options.board}" if options.board else f"{options.target}, {options.on}",
        limit="" if found.limit is None else f"{found.limit:g} {found.unit}",
        unit=found.unit,
        searches=list(_searches(found)),
        verdict=_verdict(found),
        picture=Markup(_scatter(list(_dots(found, name)), found.unit, "accuracy on the validation images, exact form, briefly trained")),
        trained=Markup(_scatter(list(_trained_dots(found)), found.unit, "accuracy on the held-out images, trained from scratch")),
        phases=[(one.name, f"{one.seconds:,.0f}", f"{one.cpu_seconds:,.0f}") for one in found.phases],
        finalists=[_row(one) for one in found.finalists],
        front=[(name(one), f"{one.accuracy or 0:.2%}", f"{one.cost.value:.4g}", one.cost.how) for one in best],
        operators=None if operators is None else operators.timed_on,
        errors=None if operators is None else operators.errors,
        predictions=Markup(_scatter(list(_prediction_dots(operators.pairs)), "ms measured", "ms predicted")) if operators else "",
        version=__version__,
    )


def _searches(found: Found) -> Iterator[tuple[str, int, int, int, str]]:
    for name, trials in ((found.options.sampler, found.searched), (RANDOM, found.random)):
        feasible = sum(one.feasible for one in trials.completed)
        yield name, len(trials.completed), feasible, trials.failed, f"{found.area[name]:.4f}"


def _verdict(found: Found) -> str:
    ours, chance = found.area[found.options.sampler], found.area[RANDOM]
    if found.options.sampler == RANDOM:
        return "Only random search was asked for."
    if ours > chance:
        return f"{found.options.sampler} wins: its front covers {ours:.4f}, that of random search {chance:.4f}."
    return f"Random search was not beaten: its front covers {chance:.4f}, that of {found.options.sampler} {ours:.4f}."


def _row(one: Finalist) -> dict[str, Any]:
    return {
        "name": one.name,
        "origin": one.origin,
        "link": f"{one.folder}/network.json" if one.origin == "found" else "",
        "accuracies": ", ".join(f"{value:.2%}" for value in one.accuracies),
        "mean": f"{one.accuracy:.2%}",
        "searched": "" if one.searched is None else f"{one.searched:.2%}",
        "cost": f"{one.cost.value:.4g}",
        "how": one.cost.how,
        "measured": "" if one.measured is None else f"{one.measured:.4g}",
        "differing": f"{one.differing:,} of {one.compared:,}",
        "facts": ", ".join(f"{key} {value:g}" for key, value in one.cost.facts.items()),
    }


def _dots(found: Found, name: Callable[[Trial], str]) -> Iterator[Dot]:
    best = {one.digest for one in front(found.searched.completed)}
    for one in found.random.completed:
        if one.accuracy is not None:
            yield Dot(one.cost.value, one.accuracy, "random", f"random: {one.accuracy:.2%}, {one.cost.value:.4g} {found.unit}")
    for one in found.searched.completed:
        if one.accuracy is not None:
            link = f"networks/{name(one)}/network.json" if one.digest in best else ""
            title = f"{name(one)}: {one.accuracy:.2%}, {one.cost.value:.4g} {found.unit}, {one.cost.how}"
            yield Dot(one.cost.value, one.accuracy, "front" if link else "tried", title, link)


def _trained_dots(found: Found) -> Iterator[Dot]:
    for one in found.finalists:
        value = one.cost.value if one.measured is None else one.measured
        how = one.cost.how if one.measured is None else "measured"
        title = f"{one.name}: {one.accuracy:.2%}, {value:.4g} {found.unit}, {how}"
        yield Dot(value, one.accuracy, "front" if one.origin == "found" else "zoo", title, _row(one)["link"])


def _prediction_dots(pairs: Sequence[tuple[float, float]]) -> Iterator[Dot]:
    for real, predicted in pairs:
        yield Dot(real, predicted, "tried", f"measured {real:.4g} ms, predicted {predicted:.4g} ms")


def _scatter(dots: Sequence[Dot], across: str, up: str) -> str:
    """A picture as SVG: the zoo and the found ones named by titles, those of the front linked."""
    if not dots:
        return ""
    low_x, high_x = _range([one.x for one in dots])
    low_y, high_y = _range([one.y for one in dots])
    wide, tall = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = []
    for tick in range(TICKS):
        share = tick / (TICKS - 1)
        x, y = LEFT + share * wide, HEIGHT - BOTTOM - share * tall
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_tick(low_y + share * (high_y - low_y))}</text>')
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" text-anchor="middle">{_tick(low_x + share * (high_x - low_x))}</text>')
    parts.append(f'<text x="{LEFT + wide / 2:.0f}" y="{HEIGHT - 6}" text-anchor="middle">{escape(across)}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 4}">{escape(up)}</text>')
    for one in dots:
        x = LEFT + (one.x - low_x) / (high_x - low_x) * wide
        y = HEIGHT - BOTTOM - (one.y - low_y) / (high_y - low_y) * tall
        circle = f'<circle class="{one.kind}" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>{escape(one.title)}</title></circle>'
        parts.append(f'<a href="{escape(one.link)}">{circle}</a>' if one.link else circle)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(up)}">{"".join(parts)}</svg>'


def _range(values: Sequence[float]) -> tuple[float, float]:
    """With a margin, and wider than nothing."""
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def _tick(value: float) -> str:
    """Three digits, and all of those before the point: 3,560 rather than 3.56e+03."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
