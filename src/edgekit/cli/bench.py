"""edgekit bench DIR --on DEVICE: latency, measured after the golden outputs were found right on that device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import On
from edgekit.cli.output import Json, print_json, status

FAILED = 1
RESULTS = "edgekit-bench.json"


def bench(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="What 'edgekit export' wrote.", show_default=False)],
    on: On = "local",
    kernels: Annotated[str, typer.Option(help="reference, optimized or xnnpack.")] = "xnnpack",
    threads: Annotated[int | None, typer.Option(min=1, max=256, show_default="one for each processor")] = None,
    warm_up: Annotated[int, typer.Option(min=0, max=100_000, help="Runs before the measured ones.")] = 10,
    iterations: Annotated[int, typer.Option(min=1, max=1_000_000, help="Measured runs.")] = 100,
    compare: Annotated[bool, typer.Option("--compare", help="Compare with the newest earlier result of the same kind.")] = False,
    results: Annotated[Path, typer.Option(metavar="FILE", help="Where results are kept.")] = Path(RESULTS),
    json: Json = False,
) -> None:
    """Measure latency on a device; exit code 1, and no times, if a golden output is wrong there."""
    from rich.console import Console

    from edgekit.bench import add_result, as_json, earlier, read_results, show
    from edgekit.bench import bench as run_bench
    from edgekit.bundle import open_bundle
    from edgekit.plan import check_file_destination

    known = read_results(results)
    check_file_destination(results)
    with status(shown=not json) as note:
        measured = run_bench(open_bundle(folder), on, kernels=kernels, threads=threads, warm_up=warm_up, iterations=iterations, note=note)
    comparison = earlier(known, measured) if compare else None
    if measured.problem is None:
        add_result(results, measured)
    if json:
        print_json(as_json(measured, comparison))
    else:
        show(measured, comparison, Console())
        if compare and comparison is None and measured.problem is None:
            print(f"{results} has no earlier result of this network on this device to compare with")
    if measured.problem is not None:
        raise typer.Exit(FAILED)
