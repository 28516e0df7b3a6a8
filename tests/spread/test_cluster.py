"""Ray: a cluster of two nodes on this machine, a worker that is killed in the middle, and a search on it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from search_tasks import score_or_die
from spread_tasks import die_once, hold, refuse, square

from edgekit.errors import EdgekitError
from edgekit.search.cost import MS
from edgekit.search.space import read_space
from edgekit.search.trials import NSGA2, run_trials
from edgekit.spread.cluster import ray_workers
from edgekit.spread.tasks import Task, spread, workers_at

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install 'edgekit[ray]'")


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of two nodes with one processor each."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    folders = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "search")]
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, os.environ.get("PYTHONPATH", "")])
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    nodes.add_node(num_cpus=1)
    yield nodes.address
    nodes.shutdown()


@needs_ray
@pytest.mark.slow
def test_a_cluster_runs_tasks_and_loses_what_a_killed_worker_had(cluster: str, tmp_path: Path) -> None:
    tasks = [Task(f"square {n}", square, n) for n in range(6)]
    tasks.insert(2, Task("dies", die_once, str(tmp_path / "dead")))
    tasks += [Task("refused", refuse, 3), *(Task(f"hold {n}", hold, str(tmp_path / "held"), device="phone") for n in range(3))]
    with ray_workers(cluster) as workers:
        assert workers.count == 2
        given = list(spread(workers, tasks))
    found = {one.task.key: one for one in given}
    assert len(given) == len(tasks) == len(found)
    assert [found[f"square {n}"].value for n in range(6)] == [0, 1, 4, 9, 16, 25]
    assert [key for key, one in found.items() if one.lost] == ["dies"]
    assert [key for key, one in found.items() if one.error] == ["refused"]


@needs_ray
@pytest.mark.slow
def test_a_search_on_a_cluster_with_a_killed_worker(cluster: str, tmp_path: Path) -> None:
    """All trials are there, none twice; resumed, it has more."""
    stage = {"kernel": [3, 5], "filters": [8, 16, 24, 32]}
    space = {"schema": "edgekit-space/1", "size": 32, "stem": {"filters": 8}, "stages": [stage] * 4}
    (tmp_path / "space.json").write_text(json.dumps(space))
    for budget in (8, 14):
        with ray_workers(cluster) as workers:
            found = run_trials(
                read_space(tmp_path / "space.json"),
                score_or_die,
                lambda chosen: (chosen, str(tmp_path / "died")),
                unit=MS,
                device=None,
                journal=tmp_path / "journal",
                sampler=NSGA2,
                seed=0,
                budget=budget,
                workers=workers,
            )
        numbers = [trial.number for trial in found.completed]
        assert len(numbers) == len(set(numbers)) == budget and found.failed >= 1
    assert found.resumed_after == 8


@needs_ray
@pytest.mark.slow
def test_a_cluster_that_is_not_there_is_refused() -> None:
    with pytest.raises(EdgekitError, match="no Ray cluster at"), workers_at("ray://127.0.0.1:1"):
        pass
