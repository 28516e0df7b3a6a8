"""Options that several commands share: which model, with what images it is quantized, and on which device it runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.errors import UnknownName

if TYPE_CHECKING:
    from edgekit.images import preprocessing as images

DEFAULT_MODEL = "mobilenet_v2"
FILE_SUFFIXES = (".keras", ".h5", ".hdf5", ".tflite", ".onnx")
"""What counts as a model file when none is named."""

Model = Annotated[
    str,
    typer.Argument(
        help="A network that `edgekit models` lists, or a file (.keras, .h5, .tflite, .onnx) or SavedModel folder.",
        show_default=False,
    ),
]
ChosenModel = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        help="A network that `edgekit models` lists, or a file (.keras, .h5, .tflite, .onnx) or SavedModel folder.",
        show_default="the only model file here, else mobilenet_v2",
    ),
]
Alpha = Annotated[float | None, typer.Option(help="Width multiplier of a network.", show_default="the network's")]
Size = Annotated[int | None, typer.Option(help="Rows and columns of the image.", show_default="the model's")]
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
        metavar="DIR|FILE",
        help="Images to choose number ranges with; 'digits'; 'synthesized', for none: sample photographs if they are like what the batch "
        "norms remember, else images made of that; or .npy or .npz with inputs, for a model that takes no images.",
        show_default="crops of two photographs",
    ),
]
Effort = Annotated[
    str | None,
    typer.Option(
        metavar="quick|full",
        help="For the accuracy of an exact network: quick, seconds; full, minutes, which also reconstructs every layer.",
        show_default="full for a trained model with images like its own",
    ),
]
Sensitivity = Annotated[bool, typer.Option("--sensitivity", help="Show what each layer loses, the worst first; with --effort full.")]
Preprocessing = Annotated[
    str | None,
    typer.Option(
        metavar="RANGE|MEAN/STD",
        help="What the model's input takes of pixels: -1..1, 0..1, 0..255, imagenet, or (pixel - mean) / std as MEAN/STD or R,G,B/R,G,B.",
        show_default="what the model says",
    ),
]
ChannelOrder = Annotated[str, typer.Option(metavar="rgb|bgr", help="Which colour the model's input takes first.")]
Seed = Annotated[int, typer.Option(min=0, help="Of random weights.")]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", metavar="DIR", help="The folder to write.", show_default="named after the model")
]

SpreadOver = Annotated[
    str | None,
    typer.Option(
        "--workers",
        metavar="local|N|ray|ray://HOST:PORT",
        help="Spread the models over processes of this machine, or a Ray cluster.",
        show_default="one after the other",
    ),
]
On = Annotated[str, typer.Option("--on", metavar="DEVICE", help="local, emulated, ssh://user@host[:port], adb or adb:serial.")]


def chosen_model(named: str | None, *zoo_options: object) -> str:
    """The model that was named; else the only model file of the current folder; else DEFAULT_MODEL, which zoo options also mean. What was
    chosen is said on stderr, before any work."""
    if named is not None:
        return named
    files = sorted(path.name for path in Path().iterdir() if path.suffix.lower() in FILE_SUFFIXES and path.is_file())
    if any(option is not None for option in zoo_options):
        files, why = [], "whose options were given"
    else:
        why = f"as {len(files) or 'no'} model files are here"
    chosen = files[0] if len(files) == 1 else DEFAULT_MODEL
    why = "the only model file here" if len(files) == 1 else why
    print(f"edgekit: no model was named; taking {chosen}, {why}", file=sys.stderr)
    return chosen


def read_preprocessing(text: str | None) -> images.Preprocessing | None:
    """What --preprocessing says. Raises EdgekitError."""
    from edgekit.images.preprocessing import parse_preprocessing

    return None if text is None else parse_preprocessing(text)


def check_channel_order(order: str) -> str:
    """The order itself, where it is known. Raises UnknownName."""
    from edgekit.images.preprocessing import CHANNEL_ORDERS

    if order not in CHANNEL_ORDERS:
        raise UnknownName("channel order", order, CHANNEL_ORDERS)
    return order


def command_line() -> tuple[str, ...]:
    """What the user typed, for the manifest; without --json and --debug, which change no file."""
    return ("edgekit", *(word for word in sys.argv[1:] if word not in ("--json", "--debug")))
