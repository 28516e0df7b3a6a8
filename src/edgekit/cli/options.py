"""Options that several commands share: which model, with what images it is quantized, and on which device it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str,
    typer.Argument(
        help="A network that `edgekit models` lists, or a file (.keras, .h5, .tflite, .onnx) or SavedModel folder.",
        show_default=False,
    ),
]
Alpha = Annotated[float | None, typer.Option(help="Width multiplier of a network.", show_default="the network's")]
Size = Annotated[int | None, typer.Option(help="Rows and columns of the image.", show_default="the network's")]
Classes = Annotated[int | None, typer.Option(help="Number of classes.", show_default="1000")]
Weights = Annotated[
    Path | None,
    typer.Option(
        help="Weights for the network: Keras' .h5 or .keras; PyTorch's .pth, .safetensors or .npz, with the tensor names of torchvision, "
        "timm or the network's authors.",
        show_default="random ones",
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        metavar="DIR",
        help="Images to choose number ranges with; 'digits'; or 'synthesized', which makes them of what the batch norms remember.",
        show_default="crops of two photographs",
    ),
]
Effort = Annotated[
    str, typer.Option(help="For the accuracy of an exact network: quick, seconds; full, minutes, which also reconstructs every layer.")
]
Sensitivity = Annotated[bool, typer.Option("--sensitivity", help="Show what each layer loses, the worst first; with --effort full.")]
Seed = Annotated[int, typer.Option(min=0, help="Of random weights.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="The folder to write.", show_default="named after the model")
]

On = Annotated[str, typer.Option("--on", metavar="DEVICE", help="local, emulated, ssh://user@host[:port], adb or adb:serial.")]


def command_line() -> tuple[str, ...]:
    """What the user typed, for the manifest; without --json and --debug, which change no file."""
    return ("edgekit", *(word for word in sys.argv[1:] if word not in ("--json", "--debug")))
