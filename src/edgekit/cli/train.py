"""edgekit train MODEL --data DIR|digits: float training, or quantization-aware training with --qfx."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import Alpha, Classes, Model, Seed, Size, Weights
from edgekit.cli.output import Json, as_plain, print_json, print_warnings, status, training_progress


def train(
    model: Model,
    data: Annotated[
        str, typer.Option(metavar="DIR|digits", help="Images, a sub-folder a class; or scikit-learn's digits.", show_default=False)
    ],
    qfx: Annotated[bool, typer.Option("--qfx", help="Train the quantized model: exact everywhere afterwards.")] = False,
    epochs: Annotated[int | None, typer.Option(min=1, show_default="20; 8 with --qfx")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(min=0, help="The first one; it falls along half a cosine.", show_default="0.02; 0.0005 with --qfx")
    ] = None,
    alpha: Alpha = None,
    size: Size = None,
    classes: Classes = None,
    weights: Weights = None,
    seed: Seed = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The .keras file to write.", show_default="named after the model")
    ] = None,
    json: Json = False,
) -> None:
    """Train a network, or go on training a model file, and save it as .keras."""
    from edgekit.pipeline import ModelRequest, train_model

    request = ModelRequest(model, alpha, size, classes, weights, seed=seed)
    with status(shown=not json) as note, training_progress(shown=not json) as progress:
        done = train_model(
            request, data=data, qfx=qfx, epochs=epochs, learning_rate=learning_rate, output=output, note=note, progress=progress
        )
    if json:
        print_json(as_plain(done))
        return
    print_warnings((), done.notes)
    print(f"{done.name}{', QFX' if done.qfx else ''}: {done.path}")
    print(f"  {done.epochs} epochs over {done.train_images} images")
    print(f"  accuracy on {done.held_out_images} held-out images: {done.accuracy:.2%}, before training {done.accuracy_before:.2%}")
    following = f"edgekit export {done.path} --target rpi4" if done.qfx else f"edgekit train {done.path} --data {data} --qfx"
    print(f"Next: {following}")
