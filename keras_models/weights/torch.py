"""A PyTorch checkpoint's tensors into a Keras model: names and layouts translated, everything checked before anything is set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.keras_models.files.checkpoints import read_checkpoint
from edgekit.keras_models.weights.matching import ImportedWeights, heads_of, layers_of, listed, require_finite
from edgekit.keras_models.weights.torch_names import Scheme, choose_scheme, schemes_of
from edgekit.keras_models.zoo.build import built_as, rebuild
from edgekit.keras_models.zoo.network import Network
from edgekit.keras_models.zoo.vocabulary import Form

IGNORED = (".num_batches_tracked", ".attention_bias_idxs")
"""Ends of names of what is counted or derived, not trained."""
TENSOR_NAMES: Final[Mapping[str, str]] = {
    "kernel": "weight",
    "depthwise_kernel": "weight",
    "gamma": "weight",
    "beta": "bias",
    "bias": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
"""What PyTorch calls a Keras layer's weights."""
AXES: Final[Mapping[tuple[str, int], tuple[int, ...]]] = {
    ("kernel", 4): (2, 3, 1, 0),  # (out, in, rows, columns) -> (rows, columns, in, out)
    ("kernel", 2): (1, 0),  # (out, in) -> (in, out)
    ("depthwise_kernel", 4): (2, 3, 0, 1),  # (channels, 1, rows, columns) -> (rows, columns, channels, 1)
}
"""By kind and number of dimensions: which axis of PyTorch's tensor each axis of Keras' is."""


@dataclass(frozen=True)
class Wanted:
    """A weight of the model: the tensor's name in the checkpoint, and its shape there."""

    layer: str
    tensor: str
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    variable: Any


def import_torch_weights(model: Any, source: Path) -> ImportedWeights:
    """Reads a .pth, .safetensors or .npz file, with the names of torchvision, timm or the network's authors, into `model`.

    If where the weights come from pads otherwise or has another epsilon, the model is built anew so, in place: it stays the same
    object, its layers do not. A classifier for another number of classes is left out.

    Raises:
        EdgekitError: a model that `build_model` did not make in its published form, a file that `read_checkpoint` refuses, tensors that
            are missing, are of no layer or have other shapes (they are listed), or with a NaN. The model is then as it was.
    """
    built = built_as(model)
    if built is None:
        raise EdgekitError(f"'{source}' holds PyTorch's tensors, whose names are known for the networks that build_model makes only")
    if built.form is not Form.PUBLISHED:
        raise EdgekitError(f"'{source}' goes into a network's published form, of which `bn_form(model, images)` makes the other one")
    checkpoint, network = read_checkpoint(source), built.request.network
    arrays = {name: array for name, array in checkpoint.arrays.items() if not name.endswith(IGNORED)}
    scheme = _scheme(network, arrays, source)
    arrays = _without_aliases(arrays, scheme)
    wanted = list(_wanted(model, scheme))
    heads = heads_of(layers_of(model))
    new_heads = _new_heads(arrays, [weight for weight in wanted if weight.layer in heads])
    problems = list(_differences(arrays, wanted, new_heads))
    if problems:
        raise EdgekitError(f"'{source}' does not fit {network.title}, under the names of {scheme.collection}: {listed(problems)}")
    values = {weight.variable.name: _values(arrays[weight.tensor], weight, source) for weight in wanted if weight.layer not in new_heads}
    if scheme.convention != built.convention:
        rebuild(model, scheme.convention)
    model.set_weights([values.get(variable.name, variable.numpy()) for variable in model.weights])
    return ImportedWeights(
        layers=len(layers_of(model)) - len(new_heads),
        new_head=" and ".join(new_heads) or None,
        collection=scheme.collection,
        taken_from=checkpoint.taken_from,
        preprocessing=scheme.preprocessing,
    )


def _scheme(network: Network, arrays: Mapping[str, Array], source: Path) -> Scheme:
    schemes = schemes_of(network)
    if not schemes:
        raise EdgekitError(f"no PyTorch checkpoint with {network.title}'s arithmetic is known, so '{source}' cannot be read for it")
    scheme = choose_scheme(schemes, arrays, str(source.absolute()))
    if scheme is None:
        known = " or ".join(scheme.collection for scheme in schemes)
        some = ", ".join(f"'{name}'" for name in list(arrays)[:3])
        raise EdgekitError(f"'{source}' has no names that {known} gave {network.title}'s tensors; it has {some}, ...")
    return scheme


def _without_aliases(arrays: Mapping[str, Array], scheme: Scheme) -> dict[str, Array]:
    """Where a checkpoint holds a module under two paths, its second path's tensors, which PyTorch loads last."""
    renamed = dict(arrays)
    for second, first in scheme.aliases.items():
        for name in arrays:
            if name.startswith(f"{second}."):
                renamed[first + name.removeprefix(second)] = renamed.pop(name)
    return renamed


def _wanted(model: Any, scheme: Scheme) -> Iterator[Wanted]:
    for layer, variables in layers_of(model).items():
        module = scheme.modules.get(layer, layer)
        for variable in variables:
            kind = variable.name.rpartition("/")[2].partition(":")[0]
            bare = len(variables) == 1 and not kind.endswith("kernel")  # a layer scale, attention's biases: no module around them
            axes = AXES.get((kind, len(variable.shape)), tuple(range(len(variable.shape))))
            shape = tuple(variable.shape[axis] for axis in np.argsort(axes))
            yield Wanted(layer, module if bare else f"{module}.{TENSOR_NAMES[kind]}", shape, axes, variable)


def _new_heads(arrays: Mapping[str, Array], heads: list[Wanted]) -> tuple[str, ...]:
    """The classifiers that the file has for another number of classes, or has not: all of them or none."""
    others = [weight for weight in heads if weight.tensor not in arrays or _other_classes(arrays[weight.tensor].shape, weight.shape)]
    return tuple(dict.fromkeys(weight.layer for weight in heads)) if len(others) == len(heads) else ()


def _other_classes(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Classes come first in PyTorch's tensors."""
    found, wanted = _without_ones(found), _without_ones(wanted)
    return found[:1] != wanted[:1] and found[1:] == wanted[1:]


def _differences(arrays: Mapping[str, Array], wanted: list[Wanted], new_heads: tuple[str, ...]) -> Iterator[str]:
    for weight in wanted:
        if weight.layer in new_heads:
            continue
        if weight.tensor not in arrays:
            yield f"no tensor '{weight.tensor}'"
        elif _without_ones(arrays[weight.tensor].shape) != _without_ones(weight.shape):
            yield f"'{weight.tensor}' is {_text(arrays[weight.tensor].shape)}, it should be {_text(weight.shape)}"
    names = {weight.tensor for weight in wanted}
    yield from (f"tensor '{name}' is of no layer" for name in arrays if name not in names)


def _without_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A linear layer (out, in) and a 1x1 convolution (out, in, 1, 1) hold the same; so do a factor (channels, 1, 1) and (channels)."""
    while len(shape) > 1 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def _values(array: Array, weight: Wanted, source: Path) -> npt.NDArray[np.float32]:
    if array.dtype.kind != "f":
        raise EdgekitError(f"'{source}': tensor '{weight.tensor}' holds {array.dtype}, not floats")
    with np.errstate(over="ignore"):  # a float64 beyond float32's range becomes infinite, which is refused
        values = array.astype(np.float32).reshape(weight.shape).transpose(weight.axes)
    return require_finite(values, weight.tensor, source)


def _text(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "a scalar"
