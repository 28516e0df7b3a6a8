"""edgekit evaluate MODEL... --data DIR|digits|FILE: top-1 and top-5, or errors of numbers, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli.options import ChannelOrder, On, Preprocessing, Size, SpreadOver, check_channel_order, read_preprocessing
from edgekit.cli.output import Json, as_plain, executor_progress, print_json, print_warnings, status

if TYPE_CHECKING:
    from rich.table import Table

    from edgekit.jobs.evaluate import Evaluation

DIFFERS = 1


def evaluate(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL...", help=".keras, .h5, .tflite, .onnx, or what 'export' or 'hls' wrote.", show_default=False),
    ],
    data: Annotated[
        str,
        typer.Option(
            metavar="DIR|digits|FILE",
            help="Images, a sub-folder a class; the held-out digits; or .npy or .npz with inputs x and answers y.",
            show_default=False,
        ),
    ],
    limit: Annotated[int | None, typer.Option(min=1, help="Use so many images, evenly spread.", show_default="all")] = None,
    executor: Annotated[
        list[str] | None, typer.Option(help="Run on this one; may be repeated.", show_default="the fastest of each model")
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Names of the classes, a line each, for models that have none.", show_default="their numbers"),
    ] = None,
    size: Size = None,
    preprocessing: Preprocessing = None,
    channel_order: ChannelOrder = "rgb",
    on: On = "local",
    workers: SpreadOver = None,
    json: Json = False,
) -> None:
    """Top-1 and top-5, or errors of numbers, of models, bundles, HLS projects and devices; exit code 1 if exact copies differ."""
    from rich.console import Console

    from edgekit.jobs import evaluate_models

    taken, order = read_preprocessing(preprocessing), check_channel_order(channel_order)
    with status(shown=not json) as note, executor_progress(shown=not json) as progress:
        options: dict[str, Any] = {
            "data": data,
            "limit": limit,
            "executors": executor or None,
            "on": on,
            "preprocessing": taken,
            "channel_order": order,
            "labels": labels,
            "size": size,
        }
        if workers is None:
            done = evaluate_models(models, **options, note=note, progress=progress)
        else:
            from edgekit.jobs.spread_out import evaluate_spread
            from edgekit.spread.tasks import workers_at

            with workers_at(workers, tasks_each=1) as those:
                done = evaluate_spread(models, options, those, note)
    if json:
        print_json({"schema": "edgekit/1", "passed": done.passed, **as_plain(done)})
    else:
        print_warnings(done.warnings, done.notes)
        Console().print(_table(done))
        for line in _equality(done):
            print(line)
    if not done.passed:
        raise typer.Exit(DIFFERS)


def _table(done: Evaluation) -> Table:
    from rich.table import Table

    from edgekit.jobs.samples import is_samples

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("model", "executor"):
        table.add_column(heading, overflow="fold")
    of_classes, of_numbers = (any((row.top1 is None) is numbers for row in done.rows) for numbers in (False, True))
    headings = (*(("top-1", "top-5") if of_classes else ()), *(("mean error", "RMS error") if of_numbers else ()))
    for heading in (*headings, "exact"):
        table.add_column(heading, justify="right")
    for row in done.rows:
        shares = [_percent(row.top1), _percent(row.top5)] if of_classes else []
        errors = [_number(row.mean_absolute_error), _number(row.root_mean_square_error)] if of_numbers else []
        table.add_row(row.model, row.executor, *shares, *errors, "yes" if row.exact else "no")
    inputs = "inputs" if is_samples(done.data) else "images"
    classes = f", {done.classes} classes" if of_classes else ""
    table.caption, table.caption_justify = f"{done.images:,} {inputs} of {done.data}{classes}", "left"
    return table


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.2%}"


def _number(error: float | None) -> str:
    return "" if error is None else f"{error:.5g}"


def _equality(done: Evaluation) -> list[str]:
    """Whether rows that compute one integer graph have equal outputs, in sentences."""
    compared = [row for row in done.rows if row.differing is not None]
    lines = [
        f"{row.model} on {row.executor}: {row.differing:,} of {row.values:,} output values DIFFER from the same network above; "
        "`edgekit verify` finds where"
        for row in compared
        if row.differing
    ]
    if compared and not lines:
        lines = ["Rows of the same integer graph have equal outputs: 0 values differ."]
    return lines
