"""edgekit train MODEL --data DIR|digits: float training, or quantization-aware training with --qfx."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekit.cli.options import (
    Alpha,
    ChannelOrder,
    Classes,
    Model,
    Preprocessing,
    Seed,
    Size,
    Weights,
    check_channel_order,
    read_preprocessing,
)
from edgekit.cli.output import Json, as_plain, print_json, print_warnings, status, training_progress


def train(
    model: Model,
    data: Annotated[
        str, typer.Option(metavar="DIR|digits", help="Images, a sub-folder a class; or scikit-learn's digits.", show_default=False)
    ],
    exact: Annotated[
        bool, typer.Option("--exact", help="Train, in float, the form that has exact integers: no layer norm, no softmax (SBCFormer).")
    ] = False,
    qfx: Annotated[bool, typer.Option("--qfx", help="Train the quantized model: exact everywhere afterwards.")] = False,
    weight_bits: Annotated[
        int | None, typer.Option(min=3, max=6, help="With --qfx: significant bits of a weight.", show_default="6")
    ] = None,
    k_hot: Annotated[int | None, typer.Option(min=1, max=5, help="With --qfx: non-zero bits of a weight.", show_default="any")] = None,
    precisions: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help='With --qfx: bits by layer, {"block_*": {"weight_bits": 4, "k_hot": 2}}.', show_default=False),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Learn the outputs of this model; images need no classes then.",
            show_default="with --qfx, the float model; else none",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, show_default="20; 8 with --qfx")] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            min=0, help="The highest one; it falls along half a cosine.", show_default="0.02; 0.002 with attention; 0.0005 with --qfx"
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(min=1, metavar="EPOCHS", help="Stop after so many without a better accuracy; keep the best.", show_default="never"),
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Start afresh, even if there is a checkpoint of an unfinished run.")] = False,
    alpha: Alpha = None,
    size: Size = None,
    classes: Classes = None,
    weights: Weights = None,
    preprocessing: Preprocessing = None,
    channel_order: ChannelOrder = "rgb",
    seed: Seed = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="The .keras file to write.", show_default="named after the model")
    ] = None,
    json: Json = False,
) -> None:
    """Train a network, or go on training a model file, and save it as .keras."""
    from edgekit.jobs import ModelRequest, train_model
    from edgekit.keras_models import Precisions, WeightPrecision
    from edgekit.keras_models.qfx.precision import read_precisions

    chosen = None
    if weight_bits is not None or k_hot is not None or precisions is not None:
        default = WeightPrecision(weight_bits or 6, k_hot)
        chosen = read_precisions(precisions, default) if precisions is not None else Precisions(default)
    request = ModelRequest(
        model,
        alpha=alpha,
        size=size,
        classes=classes,
        weights=weights,
        seed=seed,
        preprocessing=read_preprocessing(preprocessing),
        channel_order=check_channel_order(channel_order),
    )
    with status(shown=not json) as note, training_progress(shown=not json) as progress:
        done = train_model(
            request,
            data=data,
            exact=exact,
            qfx=qfx,
            precisions=chosen,
            teacher=teacher,
            epochs=epochs,
            learning_rate=learning_rate,
            patience=patience,
            restart=restart,
            output=output,
            note=note,
            progress=progress,
        )
    if json:
        print_json(as_plain(done))
        return
    print_warnings(done.warnings, done.notes)
    print(f"{done.name}{', QFX' if done.qfx else ''}: {done.path}")
    kept = "" if done.kept == done.epochs else f", the weights of epoch {done.kept}"
    print(f"  {done.epochs} epochs over {done.train_images} images{kept}")
    measure = "accuracy" if done.labelled else "agreement with the teacher"
    print(f"  {measure} on {done.held_out_images} held-out images: {done.accuracy:.2%}, before training {done.accuracy_before:.2%}")
    taught = "" if done.labelled else f" --teacher {done.path}"
    following = f"edgekit export {done.path} --target rpi4" if done.qfx else f"edgekit train {done.path} --data {data} --qfx{taught}"
    if not done.exact_form:
        following = f"edgekit export {done.path} --target rpi4 --precision int8"
    print(f"Next: {following}")
