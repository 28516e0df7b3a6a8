"""edgekit hls MODEL --board BOARD: an HLS C++ project for a board."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekit.cli.options import Alpha, Calibration, Classes, Model, Output, Seed, Size, Weights, command_line
from edgekit.cli.output import Json, as_plain, print_json, print_warnings, status


def hls(
    model: Model,
    board: Annotated[str, typer.Option(help="The board, such as ultra96.", show_default=False)],
    alpha: Alpha = None,
    size: Size = None,
    classes: Classes = None,
    weights: Weights = None,
    calibration: Calibration = None,
    seed: Seed = 0,
    output: Output = None,
    json: Json = False,
) -> None:
    """Write an HLS C++ project for a board."""
    from edgekit.pipeline import ModelRequest, write_hls_project

    request = ModelRequest(model, alpha, size, classes, weights, calibration, seed)
    with status(shown=not json) as note:
        done = write_hls_project(request, board=board, output=output, command=command_line(), note=note)
    if json:
        print_json(as_plain(done))
        return
    print_warnings(done.warnings, done.notes)
    print(f"{done.name} for {done.board} ({done.part}): {done.folder}")
    print(f"  {done.files} files, {done.total_bytes:,} bytes")
    print(f"Next: edgekit verify {done.folder}, then `make ip` there with Vitis HLS")
