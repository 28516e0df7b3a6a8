"""The C simulations as executors: of the folded kernels, and of hls4ml's own, which the others are compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Run
from edgekit.graph import IntegerGraph, violations
from edgekit.hls.engine.board_program import ENGINE_FACTS
from edgekit.hls.hls4ml_kernels.lower import refusal
from edgekit.hls.hls4ml_kernels.project import plan_hls4ml_simulation
from edgekit.hls.ops import moderate_foldings
from edgekit.hls.project.project import Plan, plan_simulation
from edgekit.hls.simulation.csim import open_simulation
from edgekit.hls.simulation.exact import open_exact_simulation
from edgekit.progress import Note
from edgekit.scratch import scratch_folder
from edgekit.targets import find_board
from edgekit.tools import GXX, missing_reason

SIMULATED_BOARD = "ultra96"
"""Where there is no project, one is written for this board: the integers are the same on every board."""

EXACT_INPUTS = 4
OF_ENGINE = "the project is of an engine, which hls-engine-csim simulates"


def _missing(artifact: Artifact) -> str | None:
    if artifact.hls_project is None:
        return _missing_graph(artifact, "it needs an HLS project or an integer graph")
    if ENGINE_FACTS in artifact.hls_project:
        return OF_ENGINE
    return missing_reason(GXX)


def _missing_hls4ml(artifact: Artifact) -> str | None:
    missing = _missing_graph(artifact, "it needs an integer graph")
    return missing or (refusal(artifact.graph) if artifact.graph else None)


def _missing_graph(artifact: Artifact, needs: str) -> str | None:
    if artifact.graph is None:
        return needs
    violation = next(violations(artifact.graph), None)
    if violation is not None:
        return f"the graph breaks the contract, on which the hardware's shifts rely: {violation}"
    return missing_reason(GXX)


@contextmanager
def _open(artifact: Artifact, note: Note) -> Iterator[Run]:
    """The project of the artifact, else one made from its graph."""
    with written(project_of(artifact, note)) as folder, open_simulation(folder, note) as run:
        yield run


@contextmanager
def _open_exact(artifact: Artifact, note: Note) -> Iterator[Run]:
    with written(project_of(artifact, note)) as folder, open_exact_simulation(folder, note) as run:
        yield run


def project_of(artifact: Artifact, note: Note) -> Mapping[str, bytes]:
    """The files of the artifact's project, else of one made from its graph."""
    if artifact.hls_project is not None:
        return artifact.hls_project
    return _planned(artifact, note, lambda graph: plan_simulation(graph, find_board(SIMULATED_BOARD), moderate_foldings(graph)))


@contextmanager
def _open_hls4ml(artifact: Artifact, note: Note) -> Iterator[Run]:
    project = _planned(artifact, note, lambda graph: plan_hls4ml_simulation(graph, find_board(SIMULATED_BOARD)))
    with written(project) as folder, open_simulation(folder, note) as run:
        yield run


def _planned(artifact: Artifact, note: Note, plan: Callable[[IntegerGraph], Plan]) -> Plan:
    if artifact.graph is None:
        raise EdgekitError("the C simulation needs an HLS project or an integer graph")
    note("writing the HLS project")
    return plan(artifact.graph)


@contextmanager
def written(project: Mapping[str, bytes]) -> Iterator[Path]:
    """A folder of its own with these files, and nothing else."""
    with scratch_folder("hls") as folder:
        for path, content in project.items():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        yield folder


EXECUTORS: tuple[Executor, ...] = (
    Executor("hls-csim", _missing, _open),
    Executor("hls-csim-exact", _missing, _open_exact, inputs_max=EXACT_INPUTS),
    Executor("hls4ml-csim", _missing_hls4ml, _open_hls4ml),
)
