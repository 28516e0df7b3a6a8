"""edgekit verify DIR: bit by bit, on every executor there is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import On, SpreadOver
from edgekit.cli.output import Json, executor_progress, print_json, status

FAILED = 1


def verify(
    folders: Annotated[
        list[Path], typer.Argument(metavar="DIR...", help="What 'edgekit export' or 'edgekit hls' wrote.", show_default=False)
    ],
    inputs: Annotated[int, typer.Option(min=1, max=100_000, help="Number of photographs, noise and extreme inputs.")] = 64,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise and of which parts of the photographs are taken.")] = 0,
    data: Annotated[
        str | None,
        typer.Option(metavar="DIR|digits|FILE", help="Images, the held-out digits, or arrays as .npy or .npz, to compare on as well."),
    ] = None,
    executor: Annotated[list[str] | None, typer.Option(help="Compare only this one with the baseline; may be repeated.")] = None,
    on: On = "local",
    workers: SpreadOver = None,
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

    if len(folders) > 1 or workers is not None:
        _verify_all(folders, inputs, seed, data, tuple(executor or ()), on, accept_changes, workers or "1", json)
        return
    bundle = open_bundle(folders[0])
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


def _verify_all(
    folders: list[Path],
    inputs: int,
    seed: int,
    data: str | None,
    executors: tuple[str, ...],
    on: str,
    accept_changes: bool,
    workers: str,
    json: bool,
) -> None:
    from edgekit.jobs.spread_out import VerifyTask, verify_folders
    from edgekit.spread.tasks import workers_at

    tasks = [VerifyTask(folder, inputs, seed, data, executors, on, accept_changes) for folder in folders]
    with status(shown=not json) as note, workers_at(workers, tasks_each=1) as those:
        found = verify_folders(tasks, those, note)
    passed = all(one.passed for one in found)
    if json:
        print_json({"schema": "edgekit/1", "passed": passed, "folders": [one.report for one in found]})
    else:
        print("\n".join(one.text for one in found), end="")
    if not passed:
        raise typer.Exit(FAILED)
