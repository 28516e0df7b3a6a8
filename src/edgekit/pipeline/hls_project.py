"""hls: a model becomes an HLS project for a board, with the integer graph and a manifest beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgekit.bundle import GRAPH, bundle_plan
from edgekit.pipeline.exact import integer_graph
from edgekit.pipeline.export import QFX, sizes_of
from edgekit.pipeline.source import ModelRequest, Note, load_source
from edgekit.plan import check_destination, write
from edgekit.targets.boards import board as board_of


@dataclass(frozen=True)
class HlsProject:
    """What was written. `files` and `total_bytes` of the project."""

    folder: Path
    name: str
    board: str
    part: str
    files: int
    total_bytes: int
    digest: str
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def write_hls_project(
    request: ModelRequest, *, board: str, output: Path | None = None, command: tuple[str, ...] = (), note: Note = lambda _: None
) -> HlsProject:
    """Writes the HLS C++ project of a model, whole or not at all. It does not depend on where it was written.

    Args:
        board: a name of edgekit.targets.boards.BOARDS.
        output: the folder; by default named after the network and the board, in the current folder.

    Raises:
        UnknownName, UnsupportedLayer, EdgekitError: the request cannot be carried out; nothing was written.
    """
    from edgekit.graph.onnx_write import write_onnx
    from edgekit.hls.folding import moderate_foldings
    from edgekit.hls.project import plan_project

    target = board_of(board)
    if output is not None:
        check_destination(output)
    source = load_source(request, note)
    folder = output or Path(f"{source.name}-{board}-hls")
    check_destination(folder)
    graph, notes = integer_graph(source, request, note)
    note("writing HLS C++ through hls4ml")
    files = {**plan_project(graph, target, moderate_foldings(graph)), GRAPH: write_onnx(graph)}
    plan = bundle_plan(
        files,
        kind="hls",
        network=source.name,
        options=source.options,
        precision=QFX,
        target=board,
        weights=source.weights,
        preprocessing=source.preprocessing,
        command=command,
    )
    note("writing")
    write(plan, folder)
    total = sum(sizes_of(plan).values())
    return HlsProject(
        folder, source.name, board, target.part.name, len(plan.files), total, plan.digest(), source.warnings, (*source.notes, *notes)
    )
