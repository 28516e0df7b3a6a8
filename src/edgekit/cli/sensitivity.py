"""The table of what each layer of a quantized network loses, as export and hls print it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgekit.keras_models.qfx.sensitivity import LayerLoss

NOT_MEASURED = "What each layer loses is not known: it is measured where layers are reconstructed, of a float model with --effort full."


def print_sensitivity(losses: Sequence[LayerLoss]) -> None:
    """A row a layer, the worst first; a sentence where there are none."""
    from rich.console import Console
    from rich.table import Table

    if not losses:
        print(NOT_MEASURED)
        return
    title = "What each layer loses: signal to noise in dB before its clamp, the worst first"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title=title, title_justify="left")
    table.add_column("layer", no_wrap=True)
    for heading in ("by its own weights", "with all before it", "steps that narrow channels use"):
        table.add_column(heading, justify="right", no_wrap=True)
    for loss in losses:
        table.add_row(loss.name, f"{loss.own_db:.1f}", f"{loss.total_db:.1f}", f"{loss.steps_of_narrow_channels:.1f}")
    Console(width=120).print(table)
