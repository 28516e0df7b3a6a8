"""Work spread over processes: results, errors, workers that die, devices that one task at a time holds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from spread_tasks import die_once, hold, refuse, square, wait_for, work_for

from edgekit.errors import EdgekitError
from edgekit.spread.processes import process_workers
from edgekit.spread.spent import Phase, phase
from edgekit.spread.tasks import Done, Task, results_of, spread, workers_at


def by_key(found: Iterator[Done]) -> dict[str, Done]:
    given = list(found)
    assert len({one.task.key for one in given}) == len(given), "none twice"
    return {one.task.key: one for one in given}


def test_tasks_errors_and_deaths(tmp_path: Path) -> None:
    """A worker that dies loses its task alone, and another takes its place; an error is told in its own words."""
    tasks = [Task(f"square {n}", square, n) for n in range(6)]
    tasks.insert(2, Task("dies", die_once, str(tmp_path / "dead")))
    tasks.insert(4, Task("refused", refuse, 3))
    with process_workers(2) as workers:
        found = by_key(spread(workers, tasks))
        again = by_key(spread(workers, [Task("dies", die_once, str(tmp_path / "dead"))]))
    assert found.keys() == {task.key for task in tasks}
    assert [found[f"square {n}"].value for n in range(6)] == [0, 1, 4, 9, 16, 25]
    assert found["dies"].lost and not any(one.lost for key, one in found.items() if key != "dies")
    assert found["refused"].error == "3 cannot be had"
    assert again["dies"].value == "lived"


def test_one_task_at_a_time_holds_a_device(tmp_path: Path) -> None:
    file = str(tmp_path / "held")
    with process_workers(2) as workers:
        found = by_key(spread(workers, [Task(f"hold {n}", hold, file, device="phone") for n in range(4)]))
    assert not [one.error for one in found.values() if one.error]


def test_with_one_worker_a_task_may_follow_from_all_before() -> None:
    results: list[int] = []

    def tasks() -> Iterator[Task]:
        for number in range(4):
            yield Task(str(number), square, sum(results) + 1)

    with process_workers(1) as workers:
        for done in spread(workers, tasks()):
            results.append(done.value)
    assert results == [1, 4, 36, 42 * 42]


def test_a_process_is_replaced_after_its_tasks_and_what_one_lost_is_done_again(tmp_path: Path) -> None:
    (tmp_path / "go").touch()
    tasks = [Task(str(n), wait_for, str(tmp_path / "go")) for n in range(3)]
    with process_workers(1, tasks_each=1) as workers:
        assert len({done.value for done in results_of(workers, tasks)}) == 3, "three processes"
        found = list(results_of(workers, [Task("dies", die_once, str(tmp_path / "dead")), Task("square", square, 3)]))
        assert sorted((done.task.key, done.value) for done in found) == [("dies", "lived"), ("square", 9)]
        with pytest.raises(EdgekitError, match="2 cannot be had"):
            list(results_of(workers, [Task("refused", refuse, 2)]))


def test_a_phase_tells_its_seconds_and_those_of_all_processors() -> None:
    """Tasks of two workers, 0.6 s of processor time each but what their processes had used before, and nothing counted twice."""
    phases: list[Phase] = []
    with process_workers(2, tasks_each=1) as workers:
        with phase("work", phases, workers):
            assert len(list(spread(workers, [Task(str(n), work_for, 0.6) for n in range(2)]))) == 2
        with phase("no work", phases, workers):
            time.sleep(0.2)
    assert [one.name for one in phases] == ["work", "no work"]
    work, rest = phases
    assert 0.5 < work.cpu_seconds < 1.6 and work.seconds > 0.3
    assert rest.cpu_seconds < 0.1 and rest.seconds >= 0.2


@pytest.mark.parametrize("where", ["0", "-1", "many", "2000", "1.5", ""])
def test_what_names_no_workers_is_refused(where: str) -> None:
    with pytest.raises(EdgekitError, match="is not one of: local"), workers_at(where):
        pass
