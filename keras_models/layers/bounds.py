"""Sizes that a file declares, held against what it can hold, before anything is made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import prod
from typing import Any

from edgekit.errors import EdgekitError
from edgekit.files import INPUT_VALUES_MAX, check_input_size
from edgekit.keras_models.layers.legacy_keras import import_keras

MAP_VALUES_MAX = 4 * INPUT_VALUES_MAX
"""Values of one tensor of a network, for one image."""
BYTES_A_VALUE = 4


@contextmanager
def bounded_variables(what: str, most: int) -> Iterator[None]:
    """Keras makes no more than `most` bytes of variables in the block; each is looked at before it is made. Raises EdgekitError."""
    import_keras()
    import tensorflow as tf

    total = 0

    def create(make: Callable[..., Any], **options: Any) -> Any:
        nonlocal total
        shape = tf.TensorShape(options.get("shape"))
        total += BYTES_A_VALUE * prod(shape.as_list()) if shape.is_fully_defined() else 0
        if total > most:
            raise EdgekitError(f"{what} declares weights of more than {most >> 20} MiB, far more than its file can hold")
        return make(**options)

    with tf.variable_creator_scope(create):
        yield


def check_map_sizes(what: str, model: Any) -> None:
    """Raises EdgekitError where a Keras model takes, or makes on its way, more values for one image than a network here could."""
    check_input_size(what, tuple(size or 1 for size in model.inputs[0].shape[1:]))
    for layer in model.layers:
        outputs = layer.output if isinstance(layer.output, list) else [layer.output]
        for output in outputs:
            shape = tuple(size or 1 for size in output.shape[1:])
            if prod(shape) > MAP_VALUES_MAX:
                raise EdgekitError(
                    f"{what}: layer '{layer.name}' makes {prod(shape):,} values of shape {shape}; at most {MAP_VALUES_MAX:,} are supported"
                )
