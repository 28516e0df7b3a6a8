"""Weights from a file into a model that is built: all of them or none. Keras' files here, PyTorch's in torch.py."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import numpy.typing as npt

from edgekit.errors import EdgekitError
from edgekit.keras_models.files.checkpoints import is_checkpoint
from edgekit.keras_models.files.hdf5 import open_hdf5, read_member
from edgekit.keras_models.weights.matching import ImportedWeights, Shapes, Tensors, heads_of, layers_of, listed, require_finite, shapes_of
from edgekit.keras_models.weights.torch import import_torch_weights
from edgekit.keras_models.zoo.build import built_as, rebuild
from edgekit.keras_models.zoo.vocabulary import AS_WRITTEN


def import_weights(model: Any, source: Path | str) -> ImportedWeights:
    """Reads weights into `model`: a Keras .h5 (weights or a whole model), .weights.h5 or .keras file, or a PyTorch checkpoint, .pth,
    .safetensors or .npz (see `import_torch_weights`).

    Keras layers are matched by name where the file has all names, else by their order. A last layer for another number of classes is
    left out, and so is one that the file does not have (Keras publishes files without top).

    Raises:
        EdgekitError: no such file, not a whole Keras file, of another network (the layers that differ are listed), or with a NaN or an
            infinity (the tensor is named). The model is then as it was.
    """
    source = Path(source)
    if is_checkpoint(source):
        return import_torch_weights(model, source)
    with open_hdf5(source) as file:
        found, wanted = _tensors_of(file, source, model), layers_of(model)
        if not wanted:
            raise EdgekitError(f"the model has no weights, so there is nothing to read '{source}' for")
        pairs, new_head = _match(found, wanted, source)
        values = {variable.name: _values(dataset, variable.name, source) for dataset, variable in pairs}
    built = built_as(model)
    if built is not None and built.convention != AS_WRITTEN:  # a PyTorch checkpoint was read into it before
        rebuild(model, AS_WRITTEN)
    model.set_weights([values[variable.name] if variable.name in values else variable.numpy() for variable in model.weights])
    return ImportedWeights(len(wanted) - (new_head is not None), new_head)


def _tensors_of(file: Any, source: Path, model: Any) -> Tensors:
    """The datasets of a file in any of the forms that Keras writes. Raises EdgekitError for another form."""
    try:
        root = file.get("model_weights", file)
        if "layer_names" in root.attrs or "layer_names0" in root.attrs:
            return _legacy_tensors(root)
        if "layers" in root:
            layers = _archived_layers(source) if is_zipfile(source) else [(type(layer).__name__, layer.name) for layer in model.layers]
            return _numbered_tensors(root["layers"], layers)
    except (KeyError, TypeError, ValueError, AttributeError, UnicodeDecodeError, RecursionError) as error:
        raise EdgekitError(f"'{source}' is not laid out as Keras does: {error}") from error
    raise EdgekitError(f"'{source}' holds no Keras weights; give a .h5 or .keras file that Keras wrote")


def _legacy_tensors(root: Any) -> Tensors:
    """Keras 2's .h5: attributes list the layers, and the weights of each."""
    names = _string_list(root, "layer_names")
    found = {name: [root[name][weight] for weight in _string_list(root[name], "weight_names")] for name in names}
    return {name: datasets for name, datasets in found.items() if datasets}


def _string_list(group: Any, name: str) -> list[str]:
    """An attribute that Keras may have cut into name0, name1, ... because HDF5 limits its size."""
    parts = [group.attrs[name]] if name in group.attrs else []
    while f"{name}{len(parts)}" in group.attrs:
        parts.append(group.attrs[f"{name}{len(parts)}"])
    return [text.decode() if isinstance(text, bytes) else str(text) for part in parts for text in part]


def _archived_layers(source: Path) -> list[tuple[str, str]]:
    layers = json.loads(read_member(source, "config.json"))["config"]["layers"]
    return [(layer["class_name"], layer["config"]["name"]) for layer in layers]


def _numbered_tensors(root: Any, layers: Iterable[tuple[str, str]]) -> Tensors:
    """Keras' later form: a group a layer, named by its class and a count; `layers` gives (class, name) in the model's order."""
    groups: dict[str, list[Any]] = {}
    for group in root:
        variables = root[group].get("vars", {})
        if len(variables):
            groups[group] = [variables[str(i)] for i in range(len(variables))]
    counts: dict[str, int] = {}
    found = {}
    for class_name, name in layers:
        kind = _snake_case(class_name)
        counts[kind] = counts.get(kind, -1) + 1
        datasets = groups.pop(f"{kind}_{counts[kind]}" if counts[kind] else kind, None)
        if datasets:
            found[name] = datasets
    return found | groups  # what is left belongs to layers that the model does not have


def _snake_case(class_name: str) -> str:
    """DepthwiseConv2D -> depthwise_conv2d, QConv2D -> q_conv2d: Keras' rule for the names of groups."""
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", class_name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _match(found: Tensors, wanted: Tensors, source: Path) -> tuple[list[tuple[Any, Any]], str | None]:
    """Pairs (dataset, variable), and the name of the head where the file has none that fits."""
    heads = heads_of(wanted)
    backbone = [name for name in wanted if name not in heads]
    if not set(backbone) <= set(found) and len(found) in (len(wanted), len(backbone)):
        found = dict(zip(wanted, found.values(), strict=False))
    new_head = None
    if all(head not in found or _other_classes(shapes_of(found[head]), shapes_of(wanted[head])) for head in heads):
        new_head = " and ".join(heads)
        found, wanted = ({name: tensors for name, tensors in side.items() if name not in heads} for side in (found, wanted))
    problems = list(_differences(found, wanted))
    if problems:
        raise EdgekitError(f"'{source}' holds the weights of another network: {listed(problems)}")
    return [pair for name in wanted for pair in zip(found[name], wanted[name], strict=True)], new_head


def _differences(found: Tensors, wanted: Tensors) -> Iterator[str]:
    for name in wanted:
        if name not in found:
            yield f"no layer '{name}'"
        elif shapes_of(found[name]) != shapes_of(wanted[name]):
            yield f"'{name}' has {_text(shapes_of(found[name]))} where the model has {_text(shapes_of(wanted[name]))}"
    yield from (f"layer '{name}' is not in the model" for name in found if name not in wanted)


def _other_classes(found: Shapes, wanted: Shapes) -> bool:
    """Whether two classifiers' shapes differ in the last dimension only."""
    return found != wanted and [shape[:-1] for shape in found] == [shape[:-1] for shape in wanted]


def _text(shapes: Shapes) -> str:
    return " ".join("x".join(map(str, shape)) or "scalar" for shape in shapes)


def _values(dataset: Any, name: str, source: Path) -> npt.NDArray[np.float32]:
    try:
        values = dataset[()]
    except (OSError, RuntimeError, ValueError) as error:
        raise EdgekitError(f"'{source}' is damaged: tensor '{name}' cannot be read ({error})") from error
    if values.dtype.kind != "f":
        raise EdgekitError(f"'{source}' is damaged: tensor '{name}' holds {values.dtype}, not floats")
    return require_finite(values.astype(np.float32), name, source)
