"""edgekit hls MODEL --board BOARD: an HLS C++ project for a board."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import (
    Alpha,
    Calibration,
    ChannelOrder,
    ChosenModel,
    Classes,
    Effort,
    Output,
    Preprocessing,
    Seed,
    Sensitivity,
    Size,
    Weights,
    check_channel_order,
    chosen_model,
    command_line,
    read_preprocessing,
)
from edgekit.cli.output import Json, as_plain, print_json, print_warnings, status
from edgekit.cli.sensitivity import print_sensitivity
from edgekit.targets import AXI_MASTER

if TYPE_CHECKING:
    from edgekit.hls import Estimates, Measured, Synthesis
    from edgekit.jobs.hls_project import HlsProject


def hls(
    model: ChosenModel = None,
    *,
    board: Annotated[str, typer.Option(help="The board, such as ultra96.", show_default=False)],
    alpha: Alpha = None,
    size: Size = None,
    classes: Classes = None,
    weights: Weights = None,
    calibration: Calibration = None,
    effort: Effort = None,
    sensitivity: Sensitivity = False,
    preprocessing: Preprocessing = None,
    channel_order: ChannelOrder = "rgb",
    seed: Seed = 0,
    form: Annotated[
        str | None,
        typer.Option(help="engine: one circuit that runs any network; layers: a kernel a layer.", show_default="the faster one that fits"),
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second to reach with the least resources.", show_default="all it can")] = None,
    clock: Annotated[float | None, typer.Option(metavar="MHZ", help="The fabric's clock.", show_default="the form's on this board")] = None,
    folding: Annotated[
        Path | None, typer.Option(help="A JSON file with foldings of layers, like the folding.json that is written.")
    ] = None,
    interface: Annotated[str, typer.Option(help="axi-master: an accelerator, up to its bitstream; axi-stream: the bare IP.")] = AXI_MASTER,
    synthesize: Annotated[
        bool, typer.Option("--synthesize", help="Then run Vitis HLS and compare its reports with the estimates.")
    ] = False,
    measure: Annotated[
        bool, typer.Option("--measure", help="Map every stage with Yosys, beside the estimates; takes minutes, what was mapped is kept.")
    ] = False,
    output: Output = None,
    json: Json = False,
) -> None:
    """Write an HLS C++ project for a board: a kernel a layer where that fits and is faster, else a program for the board's engine."""
    from edgekit.jobs import ModelRequest, synthesize_project, write_hls_project

    request = ModelRequest(
        chosen_model(model, alpha, size, classes, weights),
        alpha=alpha,
        size=size,
        classes=classes,
        weights=weights,
        calibration=calibration,
        seed=seed,
        preprocessing=read_preprocessing(preprocessing),
        channel_order=check_channel_order(channel_order),
        effort=effort,
    )
    if synthesize:
        from edgekit.tools import VITIS_HLS, require

        require(VITIS_HLS)
    if measure:
        from edgekit.tools import CLANG, OPT, YOSYS, require

        for tool in (CLANG, OPT, YOSYS):
            require(tool)
    with status(shown=not json) as note:
        done = write_hls_project(
            request,
            board=board,
            form=form,
            fps=fps,
            clock_mhz=clock,
            folding=folding,
            interface=interface,
            measured=measure,
            output=output,
            command=command_line(),
            note=note,
        )
        report = synthesize_project(done.folder, note=note) if synthesize else None
    if json:
        print_json(as_plain(done) | ({"synthesis": as_plain(report)} if report else {}))
        return
    print_warnings(done.warnings, done.notes)
    if sensitivity:
        print_sensitivity(done.sensitivity)
    if done.estimates is None:
        show_engine(done)
        if report and done.engine and done.takes:
            show_synthesis(report, {"interval_cycles": done.engine.cycles, **as_plain(done.takes)})
        return
    show_estimates(done.estimates)
    if done.mapped:
        show_mapped(done.mapped)
    if report:
        show_synthesis(report, {name: getattr(done.estimates, name) for name in SYNTHESIZED})
    print(f"Form: a kernel a layer ({done.why})")
    print(f"{done.name} for {done.board} ({done.part}): {done.folder}")
    print(f"  {done.files} files, {done.total_bytes:,} bytes; estimates.svg shows the estimates, folding.json the foldings")
    print(f"Next: edgekit verify {done.folder}, then `make ip` and `make bitstream` there with Vitis")


BAR_WIDTH, LAYERS_SHOWN = 72, 5


def show_engine(done: HlsProject) -> None:
    """One screen: the form and why, frames a second, what limits, and where the time goes."""
    from edgekit.hls.engine.timeline import bars
    from edgekit.targets import find_board

    found, timeline, takes = done.engine, done.timeline, done.takes
    assert found is not None and timeline is not None and takes is not None
    chip = find_board(done.board).part.resources
    milliseconds = found.cycles / found.clock_mhz / 1e3
    print(f"{done.name} for {done.board} ({done.part}). All numbers are estimates: nothing was synthesized.")
    print(f"  form     the board's engine {done.identity}, which runs a network as a program: {done.why}")
    print(f"  speed    {found.fps:.1f} frames a second at {found.clock_mhz:g} MHz: {found.cycles:,} cycles, {milliseconds:.3f} ms a frame")
    print(f"  limit    {found.limit}")
    print(f"\nWhere the time goes, a frame of {milliseconds:.3f} ms from left to right")
    notes = (
        f"{found.matrix / found.cycles:.0%} busy: convolutions, dense layers, products",
        f"{found.vector / found.cycles:.0%} busy: depthwise convolutions, sums, pools, tables",
        f"{found.ddr_share:.0%} of its peak: {found.ddr_bytes / 1e6:.2f} MB a frame, waited for {found.waits:,} cycles",
    )
    for (name, shares), text in zip(timeline.rows, notes, strict=True):
        print(f"  {name:<12} |{bars(shares, BAR_WIDTH)}|\n  {'':<12}  {text}")
    print(f"\nThe layers with most cycles of {len(timeline.layers)}")
    for layer in timeline.layers[:LAYERS_SHOWN]:
        arrays = [f"{name} array {beats:,}" for name, beats in (("matrix", layer.matrix), ("vector", layer.vector)) if beats]
        print(f"  {layer.op:<36} {', '.join(arrays)}")
    pairs = ((name, getattr(takes, name), getattr(chip, name)) for name in ("lut", "ff", "bram36", "dsp", "uram"))
    taken = [f"{name.upper()} {amount / most:.0%}" for name, amount, most in pairs if most]
    print(f"\nThe engine takes {', '.join(taken)} of the chip, whatever the network.")
    print(f"{done.folder}: {done.files} files, {done.total_bytes:,} bytes; timeline.svg is the picture, network.program jobs and weights")
    print(f"Next: edgekit verify {done.folder}, then `make ip` and `make bitstream` there with Vitis, once for this board: the")
    print("  engine's files are the same for every network, and each network's program runs on the bitstream that is there")


def show_estimates(found: Estimates) -> None:
    """A row a layer, then the total and its share of the board."""
    from rich.console import Console
    from rich.table import Table

    title = f"Estimates for {found.board}, before any synthesis"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    table.add_column("layer", no_wrap=True, overflow="ellipsis", max_width=28)
    for heading in ("PE x SIMD", "weights", "cycles", "ms", "LUT", "FF", "BRAM36", "DSP", "DDR bytes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in found.layers:
        shape = f"{one.pe} x {one.simd}" if one.pe else ""
        numbers = (f"{one.lut:,}", f"{one.ff:,}", f"{one.bram36:g}", f"{one.dsp}", f"{one.ddr_bytes:,}")
        table.add_row(one.name, shape, one.weights, f"{one.cycles:,}", f"{one.latency_ms:.3f}", *numbers)
    totals = (f"{found.lut:,}", f"{found.ff:,}", f"{found.bram36:g}", f"{found.dsp}", f"{found.ddr_bytes_per_frame:,}")
    table.add_section()
    table.add_row("total", "", "", f"{found.interval_cycles:,}", f"{found.latency_ms:.3f}", *totals, style="bold")
    shares = [f"{found.share[name]:.0%} of {found.planned_share[name]:.0%}" for name in ("lut", "ff", "bram36", "dsp")]
    table.add_row("share of the chip", "", "", "", "", *shares, "")
    Console(width=150).print(table)
    print(
        f"Estimated: {found.fps:.1f} frames a second at {found.clock_mhz:g} MHz, a frame every {found.interval_cycles:,} cycles (slowest:"
        f" {found.slowest_layer}), latency {found.latency_ms:.2f} ms, {found.ddr_bytes_per_s / 1e6:.1f} MB/s of DDR"
    )


def show_mapped(found: Measured) -> None:
    """A row a layer: what Yosys maps it to, and what was estimated for the same stages."""
    from rich.console import Console
    from rich.table import Table

    title = f"Mapped by {found.program} for {found.family}, beside the estimates of the same stages; without FIFOs, nothing placed"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    table.add_column("layer", no_wrap=True, overflow="ellipsis", max_width=28)
    for heading in ("LUT", "estimated", "FF", "estimated", "BRAM36", "estimated", "DSP", "estimated"):
        table.add_column(heading, justify="right", no_wrap=True)
    for one in (*found.layers, found.total):
        if one is found.total:
            table.add_section()
        pairs = ((getattr(one, name), one.estimated[name]) for name in ("lut", "ff", "bram36", "dsp"))
        table.add_row(one.name or "total", *(f"{number:,g}" for pair in pairs for number in pair), style="" if one.name else "bold")
    Console(width=150).print(table)
    print("The clock of what was mapped is not known: that takes placing and routing.")


SYNTHESIZED = {"interval_cycles": "interval, cycles", "lut": "LUT", "ff": "FF", "bram36": "BRAM36", "dsp": "DSP"}
"""What both the estimates and Vitis HLS' report have, and how it is called."""


def show_synthesis(report: Synthesis, found: Mapping[str, float]) -> None:
    """What Vitis HLS reports beside what was estimated, by the names of SYNTHESIZED."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title="Vitis HLS beside the estimates", title_justify="left")
    for heading in ("", "estimated", "Vitis HLS", "Vitis HLS / estimated"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, label in SYNTHESIZED.items():
        estimated, reported = found[name], getattr(report, name)
        ratio = f"{reported / estimated:.2f}" if reported is not None and estimated else ""
        table.add_row(label, f"{estimated:,g}", "not told" if reported is None else f"{reported:,g}", ratio)
    Console(width=150).print(table)
