"""edgekit models [NAME|FILE]: the zoo, or a table in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgekit.cli.output import Json, print_json

if TYPE_CHECKING:
    from edgekit.keras_models import Counts, Network

EXACT = ("qfx", "hls")
ALWAYS = ("float32", "float16", "dynamic", "int8")
"""What the table sums up as "floats, int8": every network has these."""
WIDTH_IN_FILES = 160


def models(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME|FILE]", help="One network, in detail; or the file of an architecture table (.json).", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the networks: parameters, multiply-accumulates, published accuracy, sizes, what they export to. Of one: its layers."""
    from edgekit.keras_models import NETWORKS, find_network

    chosen = list(NETWORKS.values()) if name is None else [find_network(name)]
    if json:
        layers = {} if name is None else {"layers": _layers(chosen[0])}
        print_json({"networks": [{**_facts(network), "variants": _rows(network), **layers} for network in chosen]})
        return
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = WIDTH_IN_FILES
    if name is not None:
        _print_layers(console, chosen[0])
    _print_networks(console, chosen)
    if name is not None:
        network = chosen[0]
        console.print(f"{network.title}: {network.paper}; published accuracy: {network.top1_source}", style="dim")
        console.print(f"Published for {', '.join(map(str, network.sizes))}; sizes from 32 to 1024 that its maps can take.", style="dim")


def _print_networks(console: Any, networks: list[Network]) -> None:
    table = _table(("network", "left"), ("alpha", "right"), ("size", "right"), ("params", "right"), ("MACs", "right"))
    table.add_column("published top-1 %", justify="right", no_wrap=True)
    table.add_column("exports to", no_wrap=True)
    for network in networks:
        for row in _rows(network):
            top1 = "" if row["published_top1"] is None else f"{row['published_top1']:.1f}"
            macs = f"{row['macs'] / 1e6:,.1f} M"
            beyond = ", ".join(["floats, int8", *(one for one in row["exports"] if one not in ALWAYS)])
            table.add_row(row["network"], f"{row['alpha']:g}", str(row["size"]), f"{row['params']:,}", macs, top1, beyond)
    console.print(table)
    console.print(
        "\nParameters and MACs are counted, for 1000 classes. Top-1 is as published (ImageNet), not measured by edgekit.\n"
        "Floats are float32, float16 and dynamic. In qfx and hls, layer norm and softmax have another form (docs/networks.md), which is\n"
        "to be trained.",
        style="dim",
    )


def _print_layers(console: Any, network: Network) -> None:
    table = _table(("layer", "left"), ("kind", "left"), ("output", "left"), ("params", "right"), ("MACs", "right"))
    for layer in _counts(network).layers:
        shape = "x".join(map(str, layer.shape))
        table.add_row(layer.name, layer.kind, shape, f"{layer.params:,}" if layer.params else "", f"{layer.macs:,}" if layer.macs else "")
    console.print(table)
    console.print()


def _table(*columns: tuple[str, Any]) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading, justify in columns:
        table.add_column(heading, justify=justify, overflow="fold")
    return table


def _counts(network: Network) -> Counts:
    """Counts the variant that has the plain name: alpha 1 at the default size."""
    from edgekit.keras_models.zoo.network import count_request, make_request

    return count_request(make_request(network))


def _exports(counts: Counts) -> list[str]:
    """The precisions and forms that a network can be exported to."""
    from edgekit.tflite.tensorflow import precisions_of

    kinds = [kind for layer in counts.layers for kind in (layer.kind, layer.activation)]
    return [*(precision.value for precision in precisions_of(kinds)), *EXACT]


def _layers(network: Network) -> list[dict[str, Any]]:
    return [
        {"name": layer.name, "kind": layer.kind, "output": list(layer.shape), "params": layer.params, "macs": layer.macs}
        for layer in _counts(network).layers
    ]


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
    from edgekit.keras_models.zoo.network import count_request, make_request

    rows = []
    for alpha in sorted(network.alphas, reverse=True):
        counts = count_request(make_request(network, alpha=alpha))
        rows.append(
            {
                "network": network.name,
                "alpha": alpha,
                "size": network.default_size,
                "params": counts.params,
                "macs": counts.macs,
                "published_top1": network.top1.get((alpha, network.default_size)),
                "exports": _exports(counts),
            }
        )
    return rows
