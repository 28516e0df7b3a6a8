"""edgekit models [NAME]: the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli.output import Json, print_json

if TYPE_CHECKING:
    from edgekit.keras_models.networks import Network


def models(
    name: Annotated[str | None, typer.Argument(help="One network, in detail.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """List the networks: parameters, multiply-accumulates, published accuracy, sizes."""
    from edgekit.keras_models.networks import NETWORKS, network_of

    chosen = list(NETWORKS.values()) if name is None else [network_of(name)]
    rows = [row for network in chosen for row in _rows(network)]
    if json:
        print_json({"networks": [{**_facts(network), "variants": _rows(network)} for network in chosen]})
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("network", "alpha", "size", "params", "MACs", "top-1 %"):
        table.add_column(heading, justify="left" if heading == "network" else "right", no_wrap=True)
    for row in rows:
        top1 = "" if row["published_top1"] is None else f"{row['published_top1']:.1f}"
        table.add_row(row["network"], f"{row['alpha']:g}", str(row["size"]), f"{row['params']:,}", f"{row['macs'] / 1e6:,.1f} M", top1)
    console.print(table)
    console.print(
        "\nParameters and MACs are counted, for 1000 classes. Top-1 is as published (ImageNet), not measured by edgekit.", style="dim"
    )
    if name is not None:
        network = chosen[0]
        console.print(f"{network.title}: {network.paper}; published accuracy: {network.top1_source}", style="dim")
        console.print(f"Any size from 32 to 1024; published for {', '.join(map(str, network.sizes))}.", style="dim")
    console.print("All of them export to float32, float16, dynamic, int8, int16x8, qfx and HLS.", style="dim")


def _facts(network: Network) -> dict[str, Any]:
    return {
        "name": network.name,
        "title": network.title,
        "paper": network.paper,
        "alphas": list(network.alphas),
        "published_sizes": list(network.sizes),
        "default_size": network.default_size,
        "published_top1_source": network.top1_source,
    }


def _rows(network: Network) -> list[dict[str, Any]]:
    """A row for each alpha, at the default size."""
    from edgekit.keras_models.networks import count

    rows = []
    for alpha in sorted(network.alphas, reverse=True):
        counts = count(network.name, alpha=alpha)
        top1 = network.top1.get((alpha, network.default_size))
        rows.append(
            {
                "network": network.name,
                "alpha": alpha,
                "size": network.default_size,
                "params": counts.params,
                "macs": counts.macs,
                "published_top1": top1,
            }
        )
    return rows
