"""hls: a model becomes an HLS project for a board, planned to fit it, with the integer graph and a manifest beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.bundle import CLOCK_MHZ, ENGINE_IDENTITY, FORM, GRAPH, INTERFACE, Manifest, Option, bundle_plan
from edgekit.fpga_projects.files import mapped_files, project_files
from edgekit.jobs.export import QFX, sizes_of
from edgekit.jobs.hls_form import ENGINE, LAYERS, check_form, choose_form
from edgekit.jobs.integer_graph import integer_graph
from edgekit.jobs.source import ModelRequest, load_source
from edgekit.keras_models.qfx.sensitivity import LayerLoss, worst_first
from edgekit.plan import check_destination, check_here, write
from edgekit.progress import Note
from edgekit.targets import AXI_MASTER, at_clock, check_interface, find_board

if TYPE_CHECKING:
    from edgekit.fpga_projects.engine_plan import EnginePlan
    from edgekit.hls import Estimates, Measured, Synthesis
    from edgekit.hls.engine.estimate import EngineEstimate
    from edgekit.hls.engine.timeline import Timeline
    from edgekit.targets import Resources


@dataclass(frozen=True, kw_only=True)
class HlsProject:
    """What was written. `files` and `total_bytes` of the project. `sensitivity`: as in edgekit.jobs.export.Exported. `mapped`: what Yosys
    makes of the stages, where it was asked. `form`: "engine" or "layers", and `why`. `estimates`: of kernels a layer; `engine`:
    of the engine, with its `timeline`, what it `takes` of the chip, and its `identity`."""

    folder: Path
    name: str
    board: str
    part: str
    interface: str
    files: int
    total_bytes: int
    digest: str
    estimates: Estimates | None
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    sensitivity: tuple[LayerLoss, ...] = ()
    mapped: Measured | None = None
    form: str = LAYERS
    why: str = ""
    engine: EngineEstimate | None = None
    timeline: Timeline | None = None
    takes: Resources | None = None
    identity: str = ""


def write_hls_project(
    request: ModelRequest,
    *,
    board: str,
    form: str | None = None,
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
        form: "engine" or "layers" (a kernel a layer); by default what takes fewer cycles a frame of those that fit the board.
        fps: frames a second to reach with the least resources; by default as many as the board can. A network that fits in neither form is
            then written as the plan of kernels that comes nearest, with a warning; one that misses a wish is refused.
        clock_mhz: the fabric's clock; by default the board's, or its engine's.
        folding: a JSON file with the foldings of some layers (edgekit.hls.folding).
        measured: whether Yosys is to map the stages: mapped.json and mapped.svg.
        interface: "axi-master", an accelerator with everything to a bitstream; "axi-stream", the bare IP.
        output: the folder; by default named after the network and the board, in the current folder.

    Raises:
        UnknownName, UnsupportedLayer, EdgekitError: the request cannot be carried out; nothing was written.
    """
    from edgekit.graph import write_onnx
    from edgekit.hls import measure, read_folding

    check_form(form, interface=interface, folding=folding is not None, measured=measured)
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
    chosen = choose_form(
        graph,
        target,
        form=form,
        fps=fps,
        clock_mhz=clock_mhz,
        pinned=pinned,
        only_layers=bool(pinned) or interface != AXI_MASTER or measured or folding is not None,
        note=note,
    )
    mapped: Measured | None = None
    options: dict[str, Option] = {**source.options}
    if chosen.engine is not None:
        from edgekit.fpga_projects.engine_plan import engine_project_files

        note("writing the engine's project")
        target = chosen.engine.board
        project = engine_project_files(graph, chosen.engine)
        options |= {FORM: ENGINE, ENGINE_IDENTITY: f"{chosen.engine.identity:08x}"}
    else:
        assert chosen.layers is not None
        note("writing HLS C++ through hls4ml")
        project = project_files(graph, target, chosen.layers, interface)
        mapped = measure(project, graph, chosen.layers.folding, target.part, note) if measured else None
        project |= mapped_files(chosen.layers, mapped) if mapped else {}
    options |= {INTERFACE: interface, CLOCK_MHZ: target.clock_mhz}
    files = {**project, GRAPH: write_onnx(graph), **exact.files}
    manifest = Manifest(
        kind="hls",
        network=source.name,
        options=options,
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
        estimates=None if chosen.layers is None else chosen.layers.estimates,
        warnings=(*source.warnings, *chosen.warnings),
        notes=(*source.notes, *exact.notes),
        sensitivity=tuple(worst_first(exact.losses)),
        mapped=mapped,
        form=chosen.form,
        why=chosen.why,
        **({} if chosen.engine is None else _of_engine(chosen.engine)),
    )


def _of_engine(plan: EnginePlan) -> dict[str, Any]:
    return {"engine": plan.estimate, "timeline": plan.timeline, "takes": plan.takes, "identity": f"{plan.identity:08x}"}


def synthesize_project(folder: Path, *, note: Note = lambda _: None) -> Synthesis:
    """Runs Vitis HLS on a project that `write_hls_project` wrote. Raises EdgekitError: no Vitis HLS, or it failed."""
    from edgekit.hls import synthesize
    from edgekit.tools import VITIS_HLS, require

    return synthesize(folder, require(VITIS_HLS), note)
