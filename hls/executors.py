"""The C simulation as an executor."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgekit.errors import EdgekitError
from edgekit.executor import Artifact, Executor, Note, Run
from edgekit.graph import violations
from edgekit.hls.csim import compiler, missing_compiler, open_simulation
from edgekit.hls.project import plan_simulation
from edgekit.targets.boards import board

SIMULATED_BOARD = "ultra96"
"""Where there is no project, one is written for this board: the integers are the same on every board."""


def _missing(artifact: Artifact) -> str | None:
    if artifact.hls_project is None:
        if artifact.graph is None:
            return "it needs an HLS project or an integer graph"
        violation = next(violations(artifact.graph), None)
        if violation is not None:
            return f"the graph breaks the contract, on which the hardware's shifts rely: {violation}"
    return missing_compiler() if compiler() is None else None


@contextmanager
def _open(artifact: Artifact, note: Note) -> Iterator[Run]:
    """The project of the artifact, else one made from its graph in a temporary folder."""
    if artifact.hls_project is not None:
        with open_simulation(artifact.hls_project, note) as run:
            yield run
        return
    if artifact.graph is None:
        raise EdgekitError("the C simulation needs an HLS project or an integer graph")
    with tempfile.TemporaryDirectory(prefix="edgekit-hls-") as name:
        note("writing the HLS project")
        for path, content in plan_simulation(artifact.graph, board(SIMULATED_BOARD)).items():
            target = Path(name) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        with open_simulation(Path(name), note) as run:
            yield run


EXECUTORS: tuple[Executor, ...] = (Executor("hls-csim", _missing, _open),)
