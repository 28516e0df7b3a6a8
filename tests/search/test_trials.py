"""Trials: the same by the seed, on one worker and after a kill; all accounted for, none twice; and a front that random search has not."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from search_tasks import score, score_and_log, score_or_die

from edgekit.errors import EdgekitError
from edgekit.search.cost import FPS, MS, PLANNED, PREDICTED, Cost
from edgekit.search.space import Space, read_space
from edgekit.search.trials import NSGA2, RANDOM, SAMPLERS, Trial, Trials, front, hypervolume, run_trials
from edgekit.spread.processes import process_workers

pytest.importorskip("optuna")
BUDGET = 16


def space(folder: Path) -> Space:
    stage = {"kernel": [3, 5], "filters": [8, 16, 24, 32]}
    file = folder / "space.json"
    file.write_text(
        json.dumps({"schema": "edgekit-space/1", "size": 32, "stem": {"filters": 8}, "stages": [stage] * 4, "head": {"filters": 0}})
    )
    return read_space(file)


def run(
    folder: Path,
    *,
    evaluate: Callable[[Any], Any] = score,
    argument: Callable[[dict[str, Any]], Any] = lambda chosen: chosen,
    sampler: str = NSGA2,
    seed: int = 0,
    count: int = 1,
    budget: int = BUDGET,
    known: Sequence[Trial] = (),
) -> Trials:
    with process_workers(count) as workers:
        return run_trials(
            space(folder),
            evaluate,
            argument,
            unit=MS,
            device=None,
            journal=folder / f"{sampler}.journal",
            sampler=sampler,
            seed=seed,
            budget=budget,
            workers=workers,
            known=known,
        )


def folders(folder: Path, *names: str) -> list[Path]:
    for name in names:
        (folder / name).mkdir()
    return [folder / name for name in names]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_settles_all_on_one_worker(tmp_path: Path, sampler: str) -> None:
    one, same, other = folders(tmp_path, "one", "same", "other")
    found = run(one, sampler=sampler, budget=9)
    assert found.completed == run(same, sampler=sampler, budget=9).completed
    assert found.completed != run(other, sampler=sampler, budget=9, seed=1).completed
    assert [trial.number for trial in found.completed] == list(range(9))


def test_a_resumed_search_is_the_one_that_was_not_stopped(tmp_path: Path) -> None:
    whole, parts = folders(tmp_path, "whole", "parts")
    expected = run(whole).completed
    run(parts, budget=7)
    resumed = run(parts)
    assert resumed.completed == expected and resumed.resumed_after == 7


def test_what_another_search_found_is_not_evaluated_again(tmp_path: Path) -> None:
    """Both draw their first networks alike, so that none of random search's is left to evaluate."""
    log = tmp_path / "log"
    (tmp_path / "random").mkdir()
    evaluate, argument = score_and_log, lambda chosen: (chosen, str(log))
    first = run(tmp_path, evaluate=evaluate, argument=argument, budget=6)
    evaluated = log.read_text().splitlines()
    second = run(tmp_path / "random", evaluate=evaluate, argument=argument, sampler=RANDOM, budget=6, known=first.completed)
    assert log.read_text().splitlines() == evaluated and len(set(evaluated)) == 6
    assert [(one.digest, one.accuracy) for one in second.completed] == [(one.digest, one.accuracy) for one in first.completed]


def test_two_workers_and_one_that_dies(tmp_path: Path) -> None:
    mark = tmp_path / "died"
    found = run(tmp_path, evaluate=score_or_die, argument=lambda chosen: (chosen, str(mark)), count=2)
    assert mark.exists() and len(found.completed) == BUDGET and 1 <= found.failed <= 2
    numbers = [trial.number for trial in found.completed]
    assert len(set(numbers)) == BUDGET and set(range(BUDGET)) - set(numbers), "a failed trial has a number, too"


KILLED = """
import sys
from pathlib import Path
from test_trials import run
from search_tasks import score_and_log
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    run(folder, evaluate=score_and_log, argument=lambda chosen: (chosen, str(folder / "log")), sampler="random", count=2)
"""


@pytest.mark.slow
def test_a_killed_search_goes_on(tmp_path: Path) -> None:
    """Killed by SIGKILL in the middle: the same call completes the rest; what was complete is not evaluated again."""
    script, log = tmp_path / "killed.py", tmp_path / "log"
    script.write_text(KILLED)
    paths = "\n".join(f"sys.path.insert(0, {str(Path(__file__).parents[at] / name)!r})" for at, name in ((1, ""), (0, "")))
    script.write_text(f"import sys\n{paths}\n{KILLED}")
    process = subprocess.Popen([sys.executable, script, tmp_path])
    end = time.monotonic() + 60
    while time.monotonic() < end and (not log.exists() or len(log.read_text().splitlines()) < 5):
        time.sleep(0.02)
    process.kill()
    process.wait()
    time.sleep(0.3)  # its workers end with it
    before = log.read_text().splitlines()
    found = run(tmp_path, evaluate=score_and_log, argument=lambda chosen: (chosen, str(log)), sampler=RANDOM, count=2)
    evaluated = log.read_text().splitlines()
    assert len(found.completed) == BUDGET and 0 < found.resumed_after <= len(before)
    again = len(evaluated) - len(set(evaluated))
    assert again <= 2, "only what was running when it was killed"


def test_another_space_is_refused(tmp_path: Path) -> None:
    run(tmp_path, budget=2)
    with process_workers(1) as workers, pytest.raises(EdgekitError, match="another space"):
        run_trials(
            Space({"size": (32, 48)}, 0),
            score,
            lambda chosen: chosen,
            unit=MS,
            device=None,
            journal=tmp_path / f"{NSGA2}.journal",
            sampler=NSGA2,
            seed=0,
            budget=3,
            workers=workers,
        )


def trial(number: int, accuracy: float | None, cost: float, unit: str = MS) -> Trial:
    how = PREDICTED if unit == MS else PLANNED
    return Trial(number, {}, str(number), Cost(cost, unit, how, 0.0 if accuracy is not None else 1.0), accuracy)


def test_the_front_has_what_nothing_beats() -> None:
    found = [trial(0, 0.9, 2.0), trial(1, 0.8, 1.0), trial(2, 0.8, 1.5), trial(3, None, 0.1), trial(4, 0.95, 4.0), trial(5, 0.9, 2.0)]
    assert [one.number for one in front(found)] == [1, 0, 5, 4]
    assert hypervolume(found, 4.0) == pytest.approx(0.8 * 0.75 + 0.1 * 0.5)
    frames = [trial(0, 0.9, 100.0, FPS), trial(1, 0.8, 200.0, FPS), trial(2, 0.8, 150.0, FPS)]
    assert [one.number for one in front(frames)] == [1, 0]
    assert hypervolume(frames, 200.0) == pytest.approx(0.8 * 1.0 + 0.1 * 0.5)


def test_selection_beats_chance_where_there_is_something_to_find(tmp_path: Path) -> None:
    found = {sampler: run(tmp_path, sampler=sampler, budget=60).completed for sampler in (NSGA2, RANDOM)}
    assert hypervolume(found[NSGA2], 1.0) > hypervolume(found[RANDOM], 1.0)
