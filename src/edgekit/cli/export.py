"""edgekit export MODEL --target DEVICE: a bundle for a device."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import (
    Alpha,
    Calibration,
    ChannelOrder,
    ChosenModel,
    Classes,
    Effort,
    Output,
    Preprocessing,
    Seed,
    Sensitivity,
    Size,
    Weights,
    check_channel_order,
    chosen_model,
    command_line,
    read_preprocessing,
)
from edgekit.cli.output import Json, as_plain, print_json, print_warnings, status
from edgekit.cli.sensitivity import print_sensitivity


def export(
    model: ChosenModel = None,
    *,
    target: Annotated[str, typer.Option(help="The device, such as rpi4.", show_default=False)],
    precision: Annotated[str, typer.Option(help="qfx (exact everywhere), float32, float16, dynamic, int8 or int16x8.")] = "qfx",
    alpha: Alpha = None,
    size: Size = None,
    classes: Classes = None,
    weights: Weights = None,
    calibration: Calibration = None,
    effort: Effort = None,
    sensitivity: Sensitivity = False,
    preprocessing: Preprocessing = None,
    channel_order: ChannelOrder = "rgb",
    runtime: Annotated[
        str | None, typer.Option(help="The one runtime that the file has to run on.", show_default="all that the device has")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Names of the classes, a line each.", show_default="their numbers")
    ] = None,
    seed: Seed = 0,
    output: Output = None,
    json: Json = False,
) -> None:
    """Write a TFLite bundle for a device."""
    from edgekit.jobs import ModelRequest, export_model

    request = ModelRequest(
        chosen_model(model, alpha, size, classes, weights),
        alpha=alpha,
        size=size,
        classes=classes,
        weights=weights,
        calibration=calibration,
        seed=seed,
        preprocessing=read_preprocessing(preprocessing),
        channel_order=check_channel_order(channel_order),
        effort=effort,
    )
    with status(shown=not json) as note:
        done = export_model(
            request,
            target=target,
            precision=precision,
            runtime=runtime,
            labels=labels,
            output=output,
            command=command_line(),
            note=note,
        )
    if json:
        print_json(as_plain(done))
        return
    print_warnings(done.warnings, done.notes)
    if sensitivity:
        print_sensitivity(done.sensitivity)
    print(f"{done.name}, {done.precision}, for {done.target}: {done.folder}")
    for name, length in done.sizes.items():
        print(f"  {name:<16} {length:>12,} bytes")
    print(f"Next: edgekit verify {done.folder}, then edgekit bench {done.folder} --on ssh://USER@HOST")
