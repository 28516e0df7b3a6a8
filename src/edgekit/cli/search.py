"""edgekit search --data DIR|digits --target T | --board B: networks chosen for a device or a board."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.options import On, Seed
from edgekit.cli.output import Json, print_json, status
from edgekit.errors import EdgekitError

if TYPE_CHECKING:
    from edgekit.search.results import Found


def milliseconds(text: str) -> float:
    """A time as 5, 5ms or "5 ms". Raises typer.BadParameter."""
    try:
        return float(text.strip().removesuffix("ms"))
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no time; give milliseconds, as 5 or 5ms") from None


def search(
    data: Annotated[
        str | None, typer.Option(metavar="DIR|digits", help="Images, a sub-folder a class; or scikit-learn's digits.", show_default=False)
    ] = None,
    target: Annotated[str | None, typer.Option(help="The device, such as rpi4, to search for; with --on.", show_default=False)] = None,
    board: Annotated[str | None, typer.Option(help="The FPGA board to search for, instead of a device.", show_default=False)] = None,
    latency: Annotated[
        float | None,
        typer.Option(metavar="MS", parser=milliseconds, help="Milliseconds that a network may take, as 5 or 5ms.", show_default="any"),
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frames a second that a board has to make.", show_default="any")] = None,
    on: On = "local",
    space: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The space, as --show-space prints it.", show_default="edgekit's own")
    ] = None,
    show_space: Annotated[bool, typer.Option("--show-space", help="Print edgekit's own space for a device or a board, and end.")] = False,
    cost: Annotated[
        str,
        typer.Option(
            metavar="predict|measure|macs",
            help="Of latency: predicted by operators measured on the device; each network measured there; or multiply-accumulates.",
        ),
    ] = "predict",
    sampler: Annotated[str, typer.Option(metavar="nsga2|tpe|random")] = "nsga2",
    trials: Annotated[int, typer.Option(min=2, help="Networks to look at; as many are looked at at random.")] = 64,
    finalists: Annotated[int, typer.Option(min=1, help="Of the best ones, how many are trained from scratch.")] = 3,
    supernet_epochs: Annotated[int, typer.Option(min=1, help="Of the network that holds the weights of all.")] = 40,
    tuning_epochs: Annotated[int, typer.Option(min=0, help="Of each network that is looked at, from the weights that it shares.")] = 2,
    epochs: Annotated[int, typer.Option(min=1, help="Of a training from scratch.")] = 20,
    qfx_epochs: Annotated[int, typer.Option(min=1, help="Of its fine-tuning in fixed point.")] = 8,
    seeds: Annotated[int, typer.Option(min=1, help="How often the finalists are trained, from --seed on.")] = 1,
    workers: Annotated[
        str, typer.Option(metavar="local|N|ray|ray://HOST:PORT", help="Processes of this machine, or a Ray cluster.")
    ] = "local",
    seed: Seed = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="DIR", help="The folder to write.", show_default="search-TARGET")
    ] = None,
    json: Json = False,
) -> None:
    """Search a space of networks for the best ones that a device or board runs fast enough; train and verify those."""
    from edgekit.search.space import BOARD, DEVICE, own_space, own_space_text, read_space

    own = BOARD if board is not None else DEVICE
    if show_space:
        print(own_space_text(own), end="")
        return
    if data is None:
        raise EdgekitError("nothing says what the networks are for; give --data DIR, or --data digits")
    if (target is None) == (board is None):
        raise EdgekitError("a search is for a device or for a board; give one of --target and --board")
    from edgekit.search.results import SearchOptions
    from edgekit.search.run import search_networks

    options = SearchOptions(
        data=data,
        target=target,
        on=on,
        board=board,
        latency_ms=latency,
        fps=fps,
        cost=cost,
        sampler=sampler,
        trials=trials,
        finalists=finalists,
        supernet_epochs=supernet_epochs,
        tuning_epochs=tuning_epochs,
        epochs=epochs,
        qfx_epochs=qfx_epochs,
        seeds=seeds,
        seed=seed,
        workers=workers,
    )
    chosen = own_space(own) if space is None else read_space(space)
    with status(shown=not json) as note:
        found = search_networks(chosen, options, output=output or Path(f"search-{board or target}"), note=note)
    if json:
        from edgekit.search.results import as_json

        print_json(as_json(found))
    else:
        _show(found)
    if any(one.differing for one in found.finalists):
        raise typer.Exit(1)


def _show(found: Found) -> None:
    from rich.console import Console
    from rich.table import Table

    from edgekit.search.cost import written

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("network", no_wrap=True)
    for heading in ("accuracy", found.unit, "", "measured ms", "differing values"):
        table.add_column(heading, justify="right")
    for one in found.finalists:
        measured = "" if one.measured is None else f"{one.measured:.3f}"
        cells = (f"{one.accuracy:.2%}", written(one.cost.value), one.cost.how, measured, f"{one.differing} of {one.compared:,}")
        table.add_row(one.name + (" (zoo)" if one.origin == "zoo" else ""), *cells)
    Console(width=140).print(table)
    areas = ", ".join(f"{name} {value:.4f}" for name, value in found.area.items())
    print(f"Hypervolume of the fronts, {len(found.searched.completed)} networks each: {areas}")
    print(f"{found.folder}: report.html, and a folder for each network")
