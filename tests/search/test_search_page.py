"""The page of a search: who is in its pictures, what is told apart there, and names that do not cover each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgekit.bench.graphs import TimedOn
from edgekit.search.cost import FPS, MS, PLANNED, PREDICTED, Cost, written
from edgekit.search.operators import Errors, OperatorTable
from edgekit.search.page import render_page
from edgekit.search.picture import Dot, Line, round_values, scatter
from edgekit.search.results import Finalist, Found, SearchOptions
from edgekit.search.trials import Trial, Trials
from edgekit.spread.spent import Phase


def trial(number: int, accuracy: float, cost: float, unit: str) -> Trial:
    return Trial(number, {}, str(number), Cost(cost, unit, PREDICTED if unit == MS else PLANNED, 0.0), accuracy)


def finalist(name: str, origin: str, cost: float, measured: float | None, unit: str) -> Finalist:
    return Finalist(
        name=name,
        origin=origin,
        accuracies=(0.97, 0.99),
        searched=None,
        cost=Cost(cost, unit, PREDICTED if unit == MS else PLANNED, 0.0),
        measured=measured,
        differing=0,
        compared=10,
        folder=f"networks/{name}",
    )


def found(unit: str = MS) -> Found:
    device = unit == MS
    trials = Trials(tuple(trial(n, 0.5 + 0.1 * n, 0.1 + 0.01 * n, unit) for n in range(4)), 1, 0)
    here = TimedOn("a device", "x86_64", "2.3.0", "xnnpack", 1)
    return Found(
        folder=Path("out"),
        unit=unit,
        limit=0.2,
        finalists=(
            finalist("point-1", "found", 0.1, 0.11 if device else None, unit),
            finalist("zoo<1>", "zoo", 0.2, 0.23 if device else None, unit),
        ),
        searched=trials,
        random=Trials((trial(0, 0.4, 0.3, unit),), 0, 0),
        area={"nsga2": 0.5, "random": 0.4},
        operators=OperatorTable(here, {}, None, Errors(30, 0.98, 0.02, 0.06), ((0.1, 0.11), (0.2, 0.19))) if device else None,
        options=SearchOptions(data="digits", target="linux-x86_64" if device else None, board=None if device else "pynq_z2"),
        phases=(Phase("searching", 12.0, 1234.0),),
    )


def pictures(page: str) -> list[str]:
    return re.findall(r'<svg viewBox="0 0 880.*?</svg>', page, re.S)


def test_what_was_measured_is_told_apart_from_what_was_predicted() -> None:
    page = render_page(found(), lambda one: f"point-{one.number}")
    searched, trained, predictions = pictures(page)
    assert searched.count('class="front"') == 4 and searched.count('class="random"') == 1 and 'class="stairs"' in searched
    assert "ms, predicted" in searched and searched.count('<a href="networks/point-') == 4
    assert trained.count('class="zoo"') == trained.count('class="zoo hollow"') == 1, "measured, and predicted"
    assert ">zoo&lt;1&gt;</text>" in trained and ">point-1</text>" in trained, "named, not by a title alone"
    assert predictions.count('class="tried"') == 2 and 'class="between"' in predictions
    assert "measured on the device" in page and "nsga2 wins" in page
    assert '<td class="number">12</td><td class="number">1,234</td>' in page


def test_nothing_of_a_board_is_called_measured() -> None:
    page = render_page(found(FPS), lambda one: f"point-{one.number}")
    searched, trained = pictures(page)
    assert "frames/s, planned" in searched and 'class="zoo hollow"' in trained and 'class="zoo"' not in trained
    assert "measured on the device" not in page


@pytest.mark.parametrize(
    ("low", "high", "values", "decimals"),
    [
        (0.0265, 0.0739, [0.03, 0.04, 0.05, 0.06, 0.07], 2),
        (97.9, 98.85, [98.0, 98.2, 98.4, 98.6, 98.8], 1),
        (2300.0, 4800.0, [2500, 3000, 3500, 4000, 4500], 0),
    ],
)
def test_axes_have_round_numbers(low: float, high: float, values: list[float], decimals: int) -> None:
    found, places = round_values(low, high)
    assert found == pytest.approx(values) and places == decimals


def test_costs_are_written_without_powers_of_ten() -> None:
    assert [written(value) for value in (0.012345, 12.0, 203800.0, 4776.6)] == ["0.01235", "12", "203,800", "4,777"]


def test_labels_lie_apart() -> None:
    """Two dots at one place, and one at the right end: each name has a place of its own, inside of the picture."""
    dots = [Dot(x, 1.0, "zoo", "", label=f"a network {n}") for n, x in enumerate((0.5, 0.5, 0.501, 0.6))]
    drawn = scatter(dots, "ms", "%", [Line(((0.5, 1.0), (0.6, 1.0)), "between")])
    places = [(float(x), float(y)) for x, y in re.findall(r'class="label" x="([\d.]+)" y="([\d.]+)"', drawn)]
    assert len(places) == 4 and all(0 <= x <= 880 - 6.2 * 11 and 14 <= y <= 376 for x, y in places)
    for number, (x, y) in enumerate(places):
        assert all(abs(y - b) >= 12 or abs(x - a) >= 6.2 * 11 for a, b in places[:number])


def test_a_search_that_found_nothing_has_no_picture() -> None:
    assert scatter([], "ms", "%") == ""
