"""The page of a search: its front, the networks that were trained, the zoo in the same picture, what was predicted and what measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import resources
from typing import Any

from edgekit.search.cost import MS, written
from edgekit.search.picture import Dot, Line, scatter
from edgekit.search.results import Finalist, Found
from edgekit.search.trials import RANDOM, Trial, front
from edgekit.version import __version__

SEARCHED = "accuracy on the validation images, %, exact form, briefly trained"
TRAINED = "accuracy on the held-out images, %, exact form, trained from scratch"


def render_page(found: Found, name: Callable[[Trial], str]) -> str:
    """One HTML page. `name`: of a trial's network, whose folder beside the page has its table."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(resources.files("edgekit.search").joinpath("templates", "search.html.jinja").read_text())
    best = front(found.searched.completed)
    operators, options = found.operators, found.options
    dots, lines = _trained(found)
    return template.render(
        data=options.data,
        where=f"the board {options.board}" if options.board else f"{options.target}, {options.on}",
        limit="" if found.limit is None else f"{found.limit:g} {found.unit}",
        unit=found.unit,
        searches=list(_searches(found)),
        verdict=_verdict(found),
        picture=Markup(scatter(list(_dots(found, name)), _axis(found), SEARCHED, [_front_line(found.searched.completed)])),
        trained=Markup(scatter(dots, found.unit, TRAINED, lines)),
        phases=[(one.name, f"{one.seconds:,.0f}", f"{one.cpu_seconds:,.0f}") for one in found.phases],
        cost_is=" and ".join(sorted({one.cost.how for one in found.finalists})),
        timed=any(one.measured is not None for one in found.finalists) and found.unit == MS,
        finalists=[_row(one) for one in found.finalists],
        front=[(name(one), f"{one.accuracy or 0:.2%}", written(one.cost.value), one.cost.how) for one in best],
        operators=None if operators is None else operators.timed_on,
        errors=None if operators is None else operators.errors,
        predictions=Markup(_predictions(operators.pairs)) if operators else "",
        version=__version__,
    )


def _axis(found: Found) -> str:
    """What the networks of the searches cost, and how it is known."""
    how = sorted({one.cost.how for one in (*found.searched.completed, *found.random.completed)})
    return f"{found.unit}, {' and '.join(how)}"


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
        "cost": written(one.cost.value),
        "how": one.cost.how,
        "measured": "" if one.measured is None else f"{one.measured:.4g}",
        "differing": f"{one.differing:,} of {one.compared:,}",
        "facts": ", ".join(f"{key} {value:g}" for key, value in one.cost.facts.items()),
    }


def _dots(found: Found, name: Callable[[Trial], str]) -> Iterator[Dot]:
    best = {one.digest for one in front(found.searched.completed)}
    for one in found.random.completed:
        if one.accuracy is not None:
            title = f"random: {one.accuracy:.2%}, {written(one.cost.value)} {found.unit}, {one.cost.how}"
            yield Dot(one.cost.value, 100 * one.accuracy, "random", title)
    for one in found.searched.completed:
        if one.accuracy is not None:
            link = f"networks/{name(one)}/network.json" if one.digest in best else ""
            title = f"{name(one)}: {one.accuracy:.2%}, {written(one.cost.value)} {found.unit}, {one.cost.how}"
            yield Dot(one.cost.value, 100 * one.accuracy, "front" if link else "tried", title, link)


def _front_line(trials: Sequence[Trial]) -> Line:
    """Stairs: what the best one costs of those that are at least so accurate."""
    points: list[tuple[float, float]] = []
    for one in front(trials):
        accuracy = 100 * (one.accuracy or 0.0)
        points += [(one.cost.value, points[-1][1]), (one.cost.value, accuracy)] if points else [(one.cost.value, accuracy)]
    return Line(tuple(points), "stairs")


def _trained(found: Found) -> tuple[list[Dot], list[Line]]:
    """The networks that were trained: where they were measured, and, hollow, what was predicted of them, planned or counted."""
    dots, lines = [], []
    for one in found.finalists:
        kind, accuracy, link = "front" if one.origin == "found" else "zoo", 100 * one.accuracy, _row(one)["link"]
        expected = f"{one.name}: {one.accuracy:.2%}, {written(one.cost.value)} {found.unit}, {one.cost.how}"
        if one.measured is None or found.unit != MS:
            dots.append(Dot(one.cost.value, accuracy, f"{kind} hollow", expected, link, one.name))
            continue
        title = f"{one.name}: {one.accuracy:.2%}, {one.measured:.4g} {found.unit}, measured with its trained weights"
        dots.append(Dot(one.cost.value, accuracy, f"{kind} hollow", expected, link))
        dots.append(Dot(one.measured, accuracy, kind, title, link, one.name))
        lines.append(Line(((one.cost.value, accuracy), (one.measured, accuracy)), "between"))
    return dots, lines


def _predictions(pairs: Sequence[tuple[float, float]]) -> str:
    dots = [Dot(real, made, "tried", f"measured {real:.4g} ms, predicted {made:.4g} ms") for real, made in pairs]
    low, high = (pick(value for pair in pairs for value in pair) for pick in (min, max)) if pairs else (0.0, 0.0)
    return scatter(dots, "ms, measured", "ms, predicted", [Line(((low, low), (high, high)), "between")])
