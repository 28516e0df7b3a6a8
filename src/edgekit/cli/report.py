"""edgekit report DIR: one HTML page about a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.output import Json, executor_progress, print_json, status


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What 'edgekit export' or 'edgekit hls' wrote.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The page to write.", show_default="DIR.html, beside the folder")
    ] = None,
    inputs: Annotated[int, typer.Option(min=1, max=100_000, help="Number of inputs to compare over.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of the inputs.")] = 0,
    executor: Annotated[list[str] | None, typer.Option(help="Compare only this one with the baseline; may be repeated.")] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Files that differ from what edgekit makes are your own changes: name them, go on.")
    ] = False,
    json: Json = False,
) -> None:
    """Verify a bundle, time it here, and write one self-contained HTML page."""
    from edgekit.bundle import open_bundle
    from edgekit.plan import check_file_destination, write_file
    from edgekit.report import render_page, time_locally
    from edgekit.verify import verify

    bundle = open_bundle(folder)
    page = output or folder.resolve().with_name(f"{folder.resolve().name}.html")
    check_file_destination(page)
    with executor_progress(shown=not json) as progress:
        verification = verify(bundle, accept_changes=accept_changes, count=inputs, seed=seed, executors=executor or None, progress=progress)
    timing = None
    tflite = verification.bundle.artifact.tflite
    if tflite is not None and verification.files.passed:
        with status(shown=not json) as note:
            note("timing")
            timing = time_locally(tflite)
    write_file(page, render_page(verification, timing).encode())
    if json:
        print_json({"page": str(page), "passed": verification.passed})
    else:
        print(page)
    if not verification.passed:
        raise typer.Exit(1)
