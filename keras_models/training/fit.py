"""Training a classifier. One plain loop for the float model and for the quantization-aware one, that goes on where it was killed.

What an epoch does follows from the seed, the epoch's number and the state that the epoch before left: the order of the images and
dropout are drawn anew in each. So a training that was killed and resumed gives the weights of one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.bn_layers import progressive_norms, set_norm_mix
from edgekit.keras_models.layers.legacy_keras import as_written, import_keras
from edgekit.keras_models.training.batches import epoch_batches
from edgekit.keras_models.training.checkpoint import (
    Checkpoint,
    model_variables,
    read_checkpoint,
    remove_checkpoint,
    training_words,
    write_checkpoint,
)
from edgekit.keras_models.training.distillation import (
    Teacher,
    check_teacher,
    classes_of,
    cross_entropy,
    distillation_loss,
    logits,
    predicted,
)
from edgekit.keras_models.training.images import Images, Rows
from edgekit.keras_models.training.options import Fitted, OnStep, Options, Step
from edgekit.keras_models.weights.random import measure_statistics

BATCH_SIZE = 32
STATISTICS_IMAGES = 512
OTHER_THAN_ORDER = 1
"""Seeds a second stream of random numbers in each epoch."""
WARM_UP = 20
"""The learning rate rises over the first of so many parts of all steps."""


def fit(
    model: Any,
    data: Images,
    options: Options,
    *,
    held_out: Images | None = None,
    teacher: Teacher | None = None,
    checkpoint: Path | None = None,
    on_step: OnStep | None = None,
) -> Fitted:
    """Trains the model in place with Adam; the learning rate rises for a twentieth of all steps and falls to 0 along half a cosine.

    Args:
        model: tf_keras.Model that returns logits or probabilities (batch, classes).
        data: labels must be below the number of classes.
        held_out: looked at after every epoch; they train nothing.
        checkpoint: written after every epoch. If it is there, training goes on from it. The caller removes it once the model is safe.
        on_step: called after every batch.

    Raises:
        EdgekitError: a label that the model has no logit for, nothing to train with or for, a checkpoint of another training, or a loss
            or weight that is no longer finite; the checkpoint is then removed, since it leads there.
    """
    if teacher is not None:
        check_teacher(teacher, model)
    _check(model, data, held_out, options)
    size = min(BATCH_SIZE, len(data))
    batches = len(data) // size
    optimizer = import_keras().optimizers.Adam(learning_rates(options, batches))
    optimizer.build(model.trainable_variables)
    variables = [*model_variables(model), *optimizer.variables]
    words = training_words(model, data, held_out, options, teacher) if checkpoint else {}
    measure = "agreement" if teacher is not None and teacher.replaces_labels else "accuracy"
    history: list[Step] = []
    best: list[npt.NDArray[Any]] = []
    if checkpoint is not None and checkpoint.exists():
        found = read_checkpoint(checkpoint, words, variables, len(model_variables(model)))
        history, best = [Step(**one, measure=measure) for one in found.history], found.best
        _assign(variables, found.variables)
    resumed_after = len(history)
    train_on, generators = _train_step(model, optimizer, teacher), _dropout_generators(model)
    while len(history) < options.epochs and not is_over(_measured(history), options.patience):
        epoch = len(history) + 1
        rng = np.random.default_rng((options.seed, epoch, OTHER_THAN_ORDER))
        for generator in generators:
            generator.reset_from_seed(int(rng.integers(1 << 31)))
        if any(float(norm.mix) > 0 for norm in progressive_norms(model)):
            set_norm_mix(model, norm_mix(epoch, options.epochs))
        taken = epoch_batches(data, size, seed=options.seed, epoch=epoch)
        step = _train_epoch(train_on, taken, Step(epoch, options.epochs, 0, batches, 0.0, 0.0, measure=measure), on_step)
        if not _is_finite(step, model):
            if checkpoint is not None:
                remove_checkpoint(checkpoint)
            raise EdgekitError(
                f"the loss or a weight is no longer finite after epoch {epoch}; try a learning rate below {options.learning_rate:g}"
            )
        # The moving averages of a short training still remember its start. Through 27 layers that can cost all accuracy.
        measure_statistics(model, data.images[np.sort(rng.permutation(len(data))[:STATISTICS_IMAGES])])
        if held_out is not None:
            step = replace(step, held_out=accuracy(model, held_out.images, held_out.labels))
        history.append(step)
        if options.patience is not None and best_epoch(_measured(history)) == epoch:
            best = [variable.numpy() for variable in model_variables(model)]
        if checkpoint is not None:
            write_checkpoint(checkpoint, words, Checkpoint([asdict(one) for one in history], [v.numpy() for v in variables], best))
        if on_step:
            on_step(step)
    if best:
        _assign(model_variables(model), best)
    return Fitted(tuple(history), best_epoch(_measured(history)) if best else len(history), resumed_after)


def accuracy(model: Any, images: Rows, labels: npt.NDArray[Any]) -> float:
    """The part, 0..1, of the images whose largest logit is their label's."""
    return float(np.mean(predicted(model, images) == labels))


def best_epoch(measured: Sequence[float]) -> int:
    """The first, counted from 1, with the highest accuracy."""
    return int(np.argmax(measured)) + 1


def is_over(measured: Sequence[float], patience: int | None) -> bool:
    """Whether the last `patience` epochs were no better than the best one before them."""
    return patience is not None and len(measured) > 0 and len(measured) - best_epoch(measured) >= patience


def learning_rates(options: Options, batches: int) -> Any:
    """Step, counted from 0, -> learning rate."""
    steps = options.epochs * batches
    rising = steps // WARM_UP
    rate = options.learning_rate
    if not rising:
        return import_keras().optimizers.schedules.CosineDecay(rate, steps)
    return import_keras().optimizers.schedules.CosineDecay(rate / rising, steps - rising, warmup_target=rate, warmup_steps=rising)


def _check(model: Any, data: Images, held_out: Images | None, options: Options) -> None:
    classes = classes_of(model)
    if not len(data) or options.epochs < 1 or not options.learning_rate > 0:
        raise EdgekitError(
            "training needs images, epochs and a learning rate above 0; "
            f"got {len(data)} images, {options.epochs} epochs, rate {options.learning_rate}"
        )
    if not 0 <= data.labels.min() <= data.labels.max() < classes:
        raise EdgekitError(f"labels are {data.labels.min()} to {data.labels.max()}, but the model has {classes} classes")
    if options.patience is not None and (options.patience < 1 or held_out is None):
        raise EdgekitError(f"patience counts epochs, 1 or more, and needs held-out images; got {options.patience}")


def _is_finite(step: Step, model: Any) -> bool:
    """Weights too: a ReLU turns NaN into 0, and the loss then looks healthy."""
    return bool(np.isfinite(step.loss)) and all(np.isfinite(weight).all() for weight in model.get_weights())


def norm_mix(epoch: int, epochs: int) -> float:
    """How much of a layer norm a network that starts with them still has in an epoch: it falls evenly, to 0 in the middle epoch, so that
    the rest of the training is the batch norm's alone (after SLAB, arXiv 2405.11582, section 3.1, where it falls to the end)."""
    return max(0.0, 1 - epoch / ceil(epochs / 2))


def _measured(history: Sequence[Step]) -> list[float]:
    return [step.held_out for step in history if step.held_out is not None]


def _assign(variables: Sequence[Any], values: Sequence[npt.NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _train_epoch(train_on: Any, taken: Iterator[tuple[Any, Any]], step: Step, on_step: OnStep | None) -> Step:
    """The step after the last batch, of which the caller tells."""
    losses, hits = 0.0, 0.0
    for batch, (images, labels) in enumerate(taken, 1):
        loss, right = train_on(images, labels)
        losses, hits = losses + float(loss), hits + float(right)
        step = replace(step, batch=batch, loss=losses / batch, accuracy=hits / batch)
        if on_step and batch < step.batches:
            on_step(step)
    return step


def _train_step(model: Any, optimizer: Any, teacher: Teacher | None) -> Callable[[Any, Any], tuple[Any, Any]]:
    """A compiled function: one batch in, its mean loss and accuracy out."""
    import tensorflow as tf

    def train_on(images: Any, labels: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            found = logits(model, images, training=True)
            if teacher is None:
                loss = cross_entropy(labels, found)
            else:
                loss = distillation_loss(labels, found, logits(teacher.model, images, training=False), teacher)
            total = loss + tf.add_n(model.losses) if model.losses else loss
        gradients = tape.gradient(total, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss, tf.reduce_mean(tf.cast(tf.argmax(found, axis=-1) == labels, tf.float32))

    return tf.function(as_written(train_on))


def _dropout_generators(model: Any) -> list[Any]:
    """Gives every random layer a generator whose state can be set; Keras' own is inside a compiled op, where it cannot."""
    import tensorflow as tf

    generators = []
    for layer in model.submodules:
        keras_generator = getattr(layer, "_random_generator", None)
        if keras_generator is not None:
            keras_generator._rng_type, keras_generator._built = keras_generator.RNG_STATEFUL, True
            keras_generator._generator = tf.random.Generator.from_seed(0)
            generators.append(keras_generator._generator)
    return generators
