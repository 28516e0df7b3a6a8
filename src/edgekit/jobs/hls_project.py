"""hls: a model becomes an HLS project for a board, planned to fit it, with the integer graph and a manifest beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekit.bundle import CLOCK_MHZ, GRAPH, INTERFACE, Manifest, bundle_plan
from edgekit.fpga_projects.files import mapped_files, project_files
from edgekit.jobs.export import QFX, sizes_of
from edgekit.jobs.integer_graph import integer_graph
from edgekit.jobs.source import ModelRequest, load_source
from edgekit.keras_models.qfx.sensitivity import LayerLoss, worst_first
from edgekit.plan import check_destination, check_here, write
from edgekit.progress import Note
from edgekit.targets import AXI_MASTER, at_clock, check_interface, find_board

if TYPE_CHECKING:
    from edgekit.hls import Estimates, Measured, Synthesis


@dataclass(frozen=True, kw_only=True)
class HlsProject:
    """What was written. `files` and `total_bytes` of the project. `sensitivity`: as in edgekit.jobs.export.Exported. `mapped`: what Yosys
    makes of the stages, where it was asked."""

    folder: Path
    name: str
    board: str
    part: str
    interface: str
    files: int
    total_bytes: int
    digest: str
    estimates: Estimates
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    sensitivity: tuple[LayerLoss, ...] = ()
    mapped: Measured | None = None


def write_hls_project(
    request: ModelRequest,
    *,
    board: str,
    fps: float | None = None,
    clock_mhz: float | None = None,
    folding: Path | None = None,
    interface: str = AXI_MASTER,
    measured: bool = False,
    output: Path | None = None,
    command: tuple[str, ...] = (),
    note: Note = lambda _: None,
) -> HlsProject:
    """Writes the HLS C++ project of a model, whole or not at all. It does not depend on where it was written.

    Args:
        board: a name of edgekit.targets.boards.BOARDS.
        fps: frames a second to reach with the least resources; by default as many as the board can. A network that does not fit is then
            written as the plan that comes nearest, with a warning; one that misses a wish is refused.
        clock_mhz: the fabric's clock; by default the board's.
        folding: a JSON file with the foldings of some layers (edgekit.hls.folding).
        measured: whether Yosys is to map the stages: mapped.json and mapped.svg.
        interface: "axi-master", an accelerator with everything to a bitstream; "axi-stream", the bare IP.
        output: the folder; by default named after the network and the board, in the current folder.

    Raises:
        UnknownName, UnsupportedLayer, EdgekitError: the request cannot be carried out; nothing was written.
    """
    from edgekit.graph import write_onnx
    from edgekit.hls import DoesNotFit, measure, plan_foldings, read_folding

    target = at_clock(find_board(board), clock_mhz)
    check_interface(target, interface)
    pinned = read_folding(folding) if folding is not None else {}
    if output is not None:
        check_destination(output)
    else:
        check_here()
    source = load_source(request, note)
    folder = output or Path(f"{source.name}-{board}-hls")
    check_destination(folder)
    exact = integer_graph(source, request, note)
    graph = exact.graph
    note(f"planning for the {target.title}")
    warnings = list(source.warnings)
    try:
        planned = plan_foldings(graph, target, fps=fps, pinned=pinned)
    except DoesNotFit as error:
        if fps is not None:
            raise
        planned = error.nearest  # estimates are estimates, and the simulation is exact whatever the board holds
        warnings.append(f"{error} The project is written all the same, as the plan that comes nearest: to simulate, or for another board.")
    note("writing HLS C++ through hls4ml")
    project = project_files(graph, target, planned, interface)
    mapped = measure(project, graph, planned.folding, target.part, note) if measured else None
    files = {**project, **(mapped_files(planned, mapped) if mapped else {}), GRAPH: write_onnx(graph), **exact.files}
    manifest = Manifest(
        kind="hls",
        network=source.name,
        options={**source.options, INTERFACE: interface, CLOCK_MHZ: target.clock_mhz},
        precision=QFX,
        target=board,
        weights=source.weights,
        preprocessing=source.preprocessing,
        assumed=source.assumed,
        answers=source.answers,
        command=command,
    )
    bundle = bundle_plan(files, manifest)
    note("writing")
    write(bundle, folder)
    return HlsProject(
        folder=folder,
        name=source.name,
        board=board,
        part=target.part.name,
        interface=interface,
        files=len(bundle.files),
        total_bytes=sum(sizes_of(bundle).values()),
        digest=bundle.digest(),
        estimates=planned.estimates,
        warnings=tuple(warnings),
        notes=(*source.notes, *exact.notes),
        sensitivity=tuple(worst_first(exact.losses)),
        mapped=mapped,
    )


def synthesize_project(folder: Path, *, note: Note = lambda _: None) -> Synthesis:
    """Runs Vitis HLS on a project that `write_hls_project` wrote. Raises EdgekitError: no Vitis HLS, or it failed."""
    from edgekit.hls import synthesize
    from edgekit.tools import VITIS_HLS, require

    return synthesize(folder, require(VITIS_HLS), note)
