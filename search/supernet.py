"""One network that holds the weights of all networks of a space: trained once, and every point is cut out of it.

A layer of a point has the first channels, and the middle cells of the kernel, of the largest layer of its kind in the space (single-path
sharing, arXiv 1904.02877; slimmable layers, 1903.05134). Each step trains the largest network on the labels, and the smallest and some
random ones half on these, half on what the largest says: the sandwich rule and in-place distillation (1903.05134, section 3), with the
labels for as long as the largest knows little.

Batch norm has no running statistics here. A point that is cut out gets those of training images under its own weights, and is then
quantized like any other network, so that what is measured of it is its exact form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from math import cos, pi
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from edgekit.files import MODEL_BYTES_MAX, check_regular, reading
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.training.images import Images
from edgekit.keras_models.weights.random import measure_statistics
from edgekit.keras_models.zoo.arch import build
from edgekit.keras_models.zoo.build import build_network
from edgekit.keras_models.zoo.network import make_request
from edgekit.keras_models.zoo.table import BlockOp, Stage, arch_of, network_of
from edgekit.plan import write_file
from edgekit.progress import Note
from edgekit.search.shared_layers import ShapeLayers, SharedLayers, cut, shared_names
from edgekit.search.space import Point, Space, extreme, point_of, random_choice

Weights: TypeAlias = dict[str, npt.NDArray[np.float32]]
"""The arrays of the largest layers, by their names (`shared_names`) and part: "block_0_0_conv@conv@stem/kernel"."""
Lesson: TypeAlias = Callable[[Any, Any], tuple[Any, Any, dict[str, Any]]]
"""A batch and what it should give, as probabilities -> the loss, what a network gives, and the gradients of the weights that it has."""
OPTIMIZER, EPOCH = "optimizer/", "epoch"
"""Names, in a checkpoint, of what is no weight."""
BATCH_SIZE, LEARNING_RATE, RANDOM = 64, 0.004, 2
"""`RANDOM`: networks that are drawn for each step, beside the largest and the smallest."""
STATISTICS_IMAGES = 512
PARTS = {"kernel": "kernel", "depthwise_kernel": "kernel", "gamma": "gamma", "beta": "beta", "bias": "bias"}
"""What Keras calls the weights of a layer, and what they are here."""


@dataclass(frozen=True)
class SupernetOptions:
    """`epochs` over the images; `learning_rate` is the highest one, and falls along half a cosine."""

    epochs: int
    learning_rate: float = LEARNING_RATE
    seed: int = 0


def largest_shapes(space: Space, classes: int) -> dict[str, tuple[int, ...]]:
    """The shape of every array that a network of the space may need, by its name."""
    shapes: dict[str, tuple[int, ...]] = {}
    heads = [int(filters) for filters in space.choices.get("head.filters", (0,)) if isinstance(filters, int)]
    for op in range(_operations(space)):
        largest = extreme(space, largest=True, op=op).table
        for stages, head in product((*_left_out(space, largest.stages), _unexpanded(space, largest.stages)), {min(heads), max(heads)}):
            table = replace(largest, stages=stages, head=head)
            layers = ShapeLayers(shared_names(table))
            build(arch_of(table), layers, table.size, classes, "shapes")
            for name, shape in layers.shapes.items():
                shapes[name] = tuple(map(max, shape, shapes.get(name, shape)))
    return dict(sorted(shapes.items()))


def _unexpanded(space: Space, stages: tuple[Stage, ...]) -> tuple[Stage, ...]:
    """The stages, those without an expansion whose expansion may be 1: such blocks are separable ones."""
    may = [stage.repeats and 1 in space.choices.get(f"stages[{number}].expansion", ()) for number, stage in enumerate(stages)]
    return tuple(replace(stage, op=BlockOp.SEPARABLE) if one else stage for stage, one in zip(stages, may, strict=True))


def _left_out(space: Space, stages: tuple[Stage, ...]) -> Iterator[tuple[Stage, ...]]:
    """The stages as they are, and without any neighbours that may be left out: what follows them reads what was before them."""
    yield stages
    for first, last in combinations(range(len(stages) + 1), 2):
        if all(0 in space.choices.get(f"stages[{number}].repeats", ()) for number in range(first, last)):
            yield tuple(replace(stage, repeats=0) if first <= number < last else stage for number, stage in enumerate(stages))


def train_supernet(
    space: Space,
    images: Mapping[int, Images],
    options: SupernetOptions,
    *,
    checkpoint: Path | None = None,
    note: Note = lambda _: None,
) -> Weights:
    """The weights of a space, trained. One seed gives one result on one machine, whether the training was killed in between or not.

    Args:
        images: the training images by size, each of the sizes that the space has, all in one order.
        checkpoint: written after every epoch; if it is there, the training goes on from it. The caller removes it.

    Raises EdgekitError where the checkpoint cannot be read or written.
    """
    import tensorflow as tf

    import_keras()
    first = next(iter(images.values()))
    initial = _initial(largest_shapes(space, len(first.classes)), np.random.default_rng(options.seed))
    variables = {name: tf.Variable(value) for name, value in initial.items()}
    size = min(BATCH_SIZE, len(first))
    batches = len(first) // size
    optimizer = import_keras().optimizers.Adam(options.learning_rate)
    optimizer.build(list(variables.values()))
    every = {**variables, **{f"{OPTIMIZER}{number}": variable for number, variable in enumerate(optimizer.variables)}}
    done = _restored(every, checkpoint) if checkpoint is not None and checkpoint.exists() else 0
    lesson_of = _lessons(space, variables, len(first.classes))
    for epoch in range(done, options.epochs):
        rng, total = np.random.default_rng((options.seed, epoch)), 0.0
        order = rng.permutation(len(first))
        for batch in range(batches):
            chosen = order[batch * size : (batch + 1) * size]
            share = (epoch * batches + batch) / (options.epochs * batches)
            optimizer.learning_rate.assign(options.learning_rate * (1 + cos(pi * share)) / 2)
            total += _step(_sandwich(space, rng), lesson_of, variables, optimizer, images, chosen)
        note(f"training the supernet: epoch {epoch + 1} of {options.epochs}, loss of the largest network {total / batches:.3f}")
        if checkpoint is not None:
            state = {name: variable.numpy() for name, variable in every.items()}
            save_weights({**state, EPOCH: np.array(epoch + 1, np.float32)}, checkpoint)
    return {name: variable.numpy() for name, variable in variables.items()}


def _restored(variables: Mapping[str, Any], checkpoint: Path) -> int:
    """Gives variables the values of a checkpoint; the epochs that they have seen."""
    with reading(f"'{checkpoint}'"):
        found = load_weights(checkpoint)
        for name, variable in variables.items():
            variable.assign(found[name])
        return int(found[EPOCH])


def cut_out(point: Point, weights: Weights, images: Images) -> Any:
    """The float Keras model of a point, with its part of the weights, and batch norms that know the images."""
    model = build_network(make_request(network_of(point.table), classes=len(images.classes)))
    names = shared_names(point.table)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([_part_of(names(layer.name), weight, weights) for weight in layer.weights])
    measure_statistics(model, images.images[:STATISTICS_IMAGES])
    return model


def save_weights(weights: Weights, path: Path) -> None:
    """Writes them, whole or not at all."""
    from io import BytesIO

    buffer = BytesIO()
    np.savez(buffer, **weights)  # type: ignore[arg-type]
    write_file(path, buffer.getvalue())


def load_weights(path: Path) -> Weights:
    """What `save_weights` wrote. Raises EdgekitError where the file cannot be read."""
    check_regular(path, MODEL_BYTES_MAX)
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _sandwich(space: Space, rng: np.random.Generator) -> list[Point]:
    """The largest network first, of any operations; then the smallest, then random ones."""
    large, small = (extreme(space, largest=largest, op=int(rng.integers(_operations(space)))) for largest in (True, False))
    return [large, small, *(point_of(space, random_choice(space, rng)) for _ in range(RANDOM))]


def _operations(space: Space) -> int:
    """The most operations that a stage of the space can be of."""
    return max((len(values) for name, values in space.choices.items() if name.endswith(".op")), default=1)


def _lessons(space: Space, variables: Mapping[str, Any], classes: int) -> Callable[[Point], Lesson]:
    """Point -> its `Lesson`. The largest and the smallest networks, which are in every step, are traced; random ones are not worth it."""
    import tensorflow as tf

    def eager(point: Point) -> Lesson:
        def lesson(batch: Any, target: Any) -> tuple[Any, Any, dict[str, Any]]:
            with tf.GradientTape() as tape:
                logits = build(
                    arch_of(point.table), SharedLayers(variables, batch, shared_names(point.table)), batch.shape[1], classes, "shared"
                )
                loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(target, logits))
            found = tape.gradient(loss, variables)
            return loss, tf.nn.softmax(logits), {name: gradient for name, gradient in found.items() if gradient is not None}

        return lesson

    extremes = {extreme(space, largest=largest, op=op) for largest in (True, False) for op in range(_operations(space))}
    traced = {point: tf.function(eager(point), autograph=False) for point in extremes}
    return lambda point: traced.get(point) or eager(point)


def _step(
    points: Sequence[Point],
    lesson_of: Callable[[Point], Lesson],
    variables: Mapping[str, Any],
    optimizer: Any,
    images: Mapping[int, Images],
    chosen: npt.NDArray[np.int64],
) -> float:
    """One step of all networks together; the loss of the first, which learns the labels and teaches the others."""
    import tensorflow as tf

    first_loss, target = 0.0, None
    labels = tf.one_hot(images[points[0].table.size].labels[chosen], len(images[points[0].table.size].classes))
    gradients: dict[str, Any] = {}
    for point in points:
        data = images[point.table.size]
        batch = tf.convert_to_tensor(data.images[chosen])
        if target is None:
            loss, said, found = lesson_of(point)(batch, labels)
            first_loss, target = float(loss), (labels + said) / 2
        else:
            _, _, found = lesson_of(point)(batch, target)
        for name, gradient in found.items():
            gradient = tf.convert_to_tensor(gradient)
            gradients[name] = gradient if name not in gradients else gradients[name] + gradient
    optimizer.apply_gradients([(gradient, variables[name]) for name, gradient in gradients.items()])
    return first_loss


def _initial(shapes: Mapping[str, tuple[int, ...]], rng: np.random.Generator) -> Weights:
    """Kernels are normal with variance 2 / fan_in (He, arXiv 1502.01852), norms and biases as they begin everywhere."""
    made: Weights = {}
    for name, shape in shapes.items():
        kind = name.rsplit("/", 1)[1]
        if kind == "kernel":
            fan_in = np.prod(shape[:-1]) if len(shape) != 3 else np.prod(shape[:2])
            made[name] = rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)
        else:
            made[name] = (np.ones if kind == "gamma" else np.zeros)(shape, np.float32)
    return made


def _part_of(name: str, weight: Any, weights: Weights) -> npt.NDArray[np.float32]:
    """What a Keras weight of a layer is of the largest one; the statistics of a batch norm are measured later."""
    kind = weight.name.split("/")[-1].split(":")[0]
    shape = tuple(weight.shape)
    if kind not in PARTS:
        return np.ones(shape, np.float32) if kind == "moving_variance" else np.zeros(shape, np.float32)
    whole = weights[f"{name}/{PARTS[kind]}"]
    if kind == "depthwise_kernel":
        return cut(whole, shape[:3])[..., None]
    return cut(whole, shape)
