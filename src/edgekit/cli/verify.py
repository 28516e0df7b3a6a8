"""edgekit verify DIR: bit by bit, on every executor there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import On
from edgekit.cli.output import Json, executor_progress, print_json

FAILED = 1


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What 'edgekit export' or 'edgekit hls' wrote.", show_default=False)],
    inputs: Annotated[int, typer.Option(min=1, max=100_000, help="Number of photographs, noise and extreme inputs.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise and of which parts of the photographs are taken.")] = 0,
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR|digits|FILE", help="Images, the held-out digits, or arrays as .npy or .npz, to compare on as well."),
    ] = None,
    executor: Annotated[list[str] | None, typer.Option(help="Compare only this one with the baseline; may be repeated.")] = None,
    on: On = "local",
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="Files that differ from what edgekit makes are your own changes: name them, go on.")
    ] = False,
    json: Json = False,
) -> None:
    """Make the bundle again and compare its files, then every executor bit by bit; exit code 1 if anything differs. With --on, the
    executors of a device with the baseline."""
    from rich.console import Console

    from edgekit.bundle import open_bundle
    from edgekit.verify import as_json, show
    from edgekit.verify import verify as run_verify
    from edgekit.verify.devices import executors_on

    bundle = open_bundle(folder)
    images = None
    if data is not None:
        from edgekit.jobs.dataset import verification_inputs

        images = verification_inputs(data, bundle)
    names, also = executors_on(on, bundle) if accept_changes or not bundle.changed else (None, ())
    if executor:
        names = [*(names or ()), *executor]
    with executor_progress(shown=not json) as progress:
        found = run_verify(
            bundle,
            accept_changes=accept_changes,
            count=inputs,
            seed=seed,
            executors=names,
            also=also,
            images=images,
            progress=progress,
        )
    if json:
        print_json(as_json(found))
    else:
        show(found, Console())
    if not found.passed:
        raise typer.Exit(FAILED)
