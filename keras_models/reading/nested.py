"""Models inside a model, as Teachable Machine and transfer learning make them: one model of all their layers."""

from __future__ import annotations

from typing import Any

from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.reading.arguments import require_inference
from edgekit.keras_models.reading.nodes import key_of, nodes_of


def flattened(model: Any) -> Any:
    """The model itself where none is inside it, else a new tf_keras.Model of copies of all layers, with their weights.

    Layers keep their names; of two with one name the second is called after the model that it is in, too.

    Raises:
        UnsupportedLayer: a layer or a model inside is used more than once, or called for training.
    """
    if not any(is_model(node.layer) for node in nodes_of(model)):
        return model
    return _copied(model, [tuple(tensor.shape[1:]) for tensor in model.inputs])


def of_shape(model: Any, shape: tuple[int, ...]) -> Any:
    """A flattened copy of a model with one input, of this shape. Raises as `flattened` does, and what layers raise that cannot take it."""
    return _copied(model, [shape])


def _copied(model: Any, shapes: list[tuple[int, ...]]) -> Any:
    keras = import_keras()
    inputs = [
        keras.Input(shape, dtype=tensor.dtype, name=tensor._keras_history.layer.name)
        for shape, tensor in zip(shapes, model.inputs, strict=True)
    ]
    taken = {tensor._keras_history.layer.name for tensor in model.inputs}
    return keras.Model(inputs, _called(model, inputs, taken), name=model.name)


def in_float32(model: Any) -> Any:
    """The model itself, or where layers of it compute in 16 bits (mixed_float16) a copy of it that computes in float32."""
    flat = flattened(model)
    if not any(layer.compute_dtype in ("float16", "bfloat16") for layer in flat.layers):
        return model
    twin = import_keras().models.clone_model(
        flat, clone_function=lambda layer: type(layer).from_config({**layer.get_config(), "dtype": "float32"})
    )
    twin.set_weights(flat.get_weights())
    return twin


def is_model(layer: Any) -> bool:
    return bool(getattr(layer, "_nodes_by_depth", None))


def _called(model: Any, inputs: list[Any], taken: set[str]) -> list[Any]:
    """What copies of the model's layers give for `inputs`. `taken`: names that are in use; it grows."""
    import tensorflow as tf

    values = dict(zip((key_of(tensor) for tensor in model.inputs), inputs, strict=True))
    for node in nodes_of(model):
        layer = node.layer
        if not node.keras_inputs:
            continue
        if is_model(layer):
            require_inference(layer, node.call_kwargs)
            found = _called(layer, [values[key_of(tensor)] for tensor in node.keras_inputs], taken)
        else:
            copy = _copy(layer, _free_name(layer.name, model.name, taken))
            arguments, named = node.map_arguments({str(id(tensor)): [values[key_of(tensor)]] for tensor in node.keras_inputs})
            found = tf.nest.flatten(copy(*arguments, **named))
            copy.set_weights(layer.get_weights())
        values.update(zip((key_of(tensor) for tensor in tf.nest.flatten(node.outputs)), found, strict=True))
    return [values[key_of(tensor)] for tensor in model.outputs]


def _copy(layer: Any, name: str) -> Any:
    return type(layer).from_config({**layer.get_config(), "name": name})


def _free_name(name: str, home: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        candidate = f"{home}_{name}" if number == 1 else f"{home}_{name}_{number}"
        number += 1
    taken.add(candidate)
    return candidate
