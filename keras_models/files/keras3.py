"""Files that Keras 3 wrote: their configuration in the form of Keras 2, layer by layer, and their weights.

Some names mean another function or argument in Keras 3. `hard_sigmoid` is relu6(x + 3) / 6 there and clip(0.2 x + 0.5, 0, 1) in Keras 2;
LeakyReLU's slope has another name and default. Every argument of a layer is in the tables here: it is kept, it is renamed, or it may only
have the value for which nothing has to be done. All else is refused by name. Initializers, regularizers and constraints are left out.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

import numpy as np

from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.keras_models.files.hdf5 import open_hdf5, read_member
from edgekit.keras_models.files.keras3_operators import is_operator, operator

FUNCTIONS: Mapping[str, str] = {
    **{
        name: name
        for name in ("elu", "exponential", "gelu", "linear", "relu", "selu", "sigmoid", "softmax", "softplus", "softsign", "tanh")
    },
    "hard_sigmoid": "relu6_sigmoid",
    "hard_silu": "hard_swish",
    "hard_swish": "hard_swish",
    "relu6": "relu6",
    "silu": "swish",
    "swish": "swish",
}
"""Activations: Keras 3's name -> the name of the same function here."""
_WINDOW = ("strides", "padding", "data_format")
_CONV = ("kernel_size", *_WINDOW, "dilation_rate", "activation", "use_bias")
KEPT: Mapping[str, tuple[str, ...]] = {
    "Activation": ("activation",),
    "Add": (),
    "Average": (),
    "AveragePooling1D": ("pool_size", *_WINDOW),
    "AveragePooling2D": ("pool_size", *_WINDOW),
    "BatchNormalization": ("axis", "momentum", "epsilon", "center", "scale"),
    "Concatenate": ("axis",),
    "Conv1D": ("filters", "groups", *_CONV),
    "Conv2D": ("filters", "groups", *_CONV),
    "Conv2DTranspose": ("filters", "output_padding", *_CONV),
    "Cropping2D": ("cropping", "data_format"),
    "Dense": ("units", "activation", "use_bias"),
    "DepthwiseConv2D": ("depth_multiplier", *_CONV),
    "Dropout": ("rate",),
    "ELU": ("alpha",),
    "Flatten": ("data_format",),
    "GlobalAveragePooling1D": ("data_format", "keepdims"),
    "GlobalAveragePooling2D": ("data_format", "keepdims"),
    "GlobalMaxPooling1D": ("data_format", "keepdims"),
    "GlobalMaxPooling2D": ("data_format", "keepdims"),
    "InputLayer": ("batch_shape",),
    "LayerNormalization": ("axis", "epsilon", "center", "scale"),
    "LeakyReLU": ("negative_slope",),
    "MaxPooling1D": ("pool_size", *_WINDOW),
    "MaxPooling2D": ("pool_size", *_WINDOW),
    "Multiply": (),
    "Normalization": ("axis", "mean", "variance", "invert"),
    "PReLU": ("shared_axes",),
    "Permute": ("dims",),
    "RandomCrop": ("height", "width"),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "Rescaling": ("scale", "offset"),
    "Reshape": ("target_shape",),
    "SeparableConv2D": ("filters", "depth_multiplier", *_CONV),
    "Softmax": ("axis",),
    "SpatialDropout2D": ("rate", "data_format"),
    "Subtract": (),
    "UpSampling2D": ("size", "data_format", "interpolation"),
    "ZeroPadding2D": ("padding", "data_format"),
}
"""Arguments that mean the same in both, or are in RENAMED, of each layer that is read."""
AUGMENTATION = frozenset(
    {"RandomBrightness", "RandomContrast", "RandomCrop", "RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom"}
)
TRAINING_ONLY = frozenset(
    {
        *("ActivityRegularization", "AlphaDropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D"),
        *(AUGMENTATION - {"RandomCrop"}),
    }
)
"""Layers that are nothing in inference: each becomes a Dropout of nothing, whatever its arguments are."""
RENAMED: Mapping[str, Mapping[str, str]] = {"InputLayer": {"batch_shape": "batch_input_shape"}, "LeakyReLU": {"negative_slope": "alpha"}}
IDLE: Mapping[str, tuple[Any, ...]] = {
    "lora_alpha": (None,),
    "lora_rank": (None,),
    "optional": (False, None),
    "quantization_config": (None,),
    "ragged": (False, None),
    "renorm": (False,),
    "renorm_clipping": (None,),
    "rms_scaling": (False,),
    "sparse": (False, None),
    "synchronized": (False,),
}
"""Arguments that are left out where they have one of these values."""
LEFT_OUT = re.compile(r"name|trainable|dtype|seed|noise_shape|renorm_momentum|\w+_(initializer|regularizer|constraint)")
NUMBER_TYPES = ("float32", "mixed_float16", "mixed_bfloat16")
"""Policies whose weights are float32. Edgekit computes in float32."""
MODELS = ("Functional", "Model", "Sequential")


def is_of_keras_3(path: Path) -> bool:
    """Whether Keras 3 wrote a .keras or .h5 file, as the file says itself. Raises EdgekitError where it cannot be read."""
    if is_zipfile(path):
        with ZipFile(path) as archive:
            if "metadata.json" not in archive.namelist():
                return False
        try:
            version = json.loads(read_member(path, "metadata.json"))["keras_version"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise EdgekitError(f"'{path}': metadata.json in it does not say which Keras wrote it") from error
    else:
        with open_hdf5(path) as file:
            version = file.attrs.get("keras_version", "")
    return str(version).startswith("3.")


def as_keras_2(config: Mapping[str, Any]) -> dict[str, Any]:
    """A model's configuration, of Keras 3, in the form of Keras 2.

    Raises:
        UnsupportedLayer: names a layer, or what of it, that is not in the tables here.
        EdgekitError: no configuration of Keras 3.
    """
    try:
        return _model(config)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise EdgekitError(f"the configuration is none that Keras 3 writes ({type(error).__name__}: {error})") from error


def _model(node: Mapping[str, Any]) -> dict[str, Any]:
    kind, config = node["class_name"], node["config"]
    layers = [_layer(layer) for layer in config["layers"]]
    if kind == "Sequential":
        shape = config.get("build_input_shape")
        if shape is not None and layers and layers[0]["class_name"] != "InputLayer":
            layers.insert(0, {"class_name": "InputLayer", "config": {"name": f"{config['name']}_input", "batch_input_shape": shape}})
        return {"class_name": "Sequential", "config": {"name": config["name"], "layers": layers}}
    ends = {name: _ends(config[name]) for name in ("input_layers", "output_layers")}
    _connected(layers, ends["output_layers"])
    return {"class_name": "Functional", "config": {"name": config["name"], "layers": layers, **ends}}


def _connected(layers: list[dict[str, Any]], outputs: list[list[Any]]) -> None:
    """Counts the uses of models inside the model as Keras 2 does, from 1 on, and sees that each layer reads what another one gives:
    Keras 2 would look for it for ever."""
    reads = {(layer["name"], use): read for layer in layers for use, read in enumerate(layer["inbound_nodes"])}
    given = {(layer["name"], 0) for layer in layers if layer["class_name"] == "InputLayer"}
    found: set[tuple[str, int]] | None = None
    while found is None or found:
        found = {use for use, read in reads.items() if use not in given and all((one[0], one[1]) in given for one in read)}
        given |= found
    missing = [name for name, use in reads if (name, use) not in given] + [one[0] for one in outputs if (one[0], one[1]) not in given]
    if missing:
        raise EdgekitError(f"layer '{missing[0]}' of Keras 3 reads, or is, what no layer before it gives")
    inside = {layer["name"] for layer in layers if layer["class_name"] in MODELS and _begins(layer) == "InputLayer"}
    for one in [one for read in reads.values() for one in read] + outputs:
        one[1] += one[0] in inside


def _begins(model: dict[str, Any]) -> str:
    layers = model["config"]["layers"]
    return str(layers[0]["class_name"]) if layers else ""


def _ends(found: Any) -> list[list[Any]]:
    """Keras 3 writes [name, node, tensor] where there is one of them, and a list of these for several."""
    if isinstance(found, dict):
        raise UnsupportedLayer("the model has inputs or outputs in a dictionary; a list is supported.")
    return [found] if found and isinstance(found[0], str) else found


def _layer(node: Mapping[str, Any]) -> dict[str, Any]:
    kind, config = str(node["class_name"]), node["config"]
    name = str(config["name"])
    if is_operator(node):
        return operator(node)
    inbound = [_inbound(_for_inference(one) if kind in AUGMENTATION else one, name) for one in node.get("inbound_nodes", [])]
    if kind in MODELS:
        return {**_model(node), "name": name, "inbound_nodes": inbound}
    if kind in TRAINING_ONLY:
        idle = {"name": name, "trainable": False, "dtype": "float32", "rate": 0.0}
        return {"class_name": "Dropout", "config": idle, "name": name, "inbound_nodes": inbound}
    if kind not in KEPT:
        known = ", ".join(sorted({*KEPT, *TRAINING_ONLY}))
        raise UnsupportedLayer(f"layer '{name}' is or has a {kind}, which edgekit does not load from Keras 3. It loads {known}.")
    made = {"name": name, "trainable": bool(config.get("trainable", True)), "dtype": _number_type(config.get("dtype"), name)}
    if kind == "InputLayer":
        made.pop("trainable")
    for key, value in config.items():
        if key in KEPT[kind]:
            made[RENAMED.get(kind, {}).get(key, key)] = _function(value, name) if key == "activation" else _plain(value, name, key)
        elif not LEFT_OUT.fullmatch(key) and value not in IDLE.get(key, ()):
            raise UnsupportedLayer(f"layer '{name}' ({kind}) of Keras 3 has {key}={value!r}, which is not supported.")
    if kind == "Activation" and made["activation"] == "relu6":
        made.pop("activation")
        kind, made["max_value"] = "ReLU", 6.0
    return {"class_name": kind, "config": made, "name": name, "inbound_nodes": inbound}


def _plain(value: Any, name: str, key: str) -> Any:
    """A value that is no object. Lists may come as {"class_name": "__tuple__", "items": [...]}."""
    if isinstance(value, dict) and value.get("class_name") == "__tuple__":
        value = value["items"]
    if isinstance(value, list):
        return [_plain(one, name, key) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UnsupportedLayer(f"layer '{name}' of Keras 3 has a {key} that is an object; numbers and words are supported.")


def _number_type(policy: Any, name: str) -> str:
    if isinstance(policy, dict):
        policy = policy["config"]["name"] if policy.get("class_name") == "DTypePolicy" else policy.get("class_name")
    if policy is not None and policy not in NUMBER_TYPES:
        raise UnsupportedLayer(f"layer '{name}' of Keras 3 computes in '{policy}'; {', '.join(NUMBER_TYPES)} are supported.")
    return "float32"


def _function(found: Any, name: str) -> str:
    """An activation, by its name or as the function that it is stored as."""
    if isinstance(found, dict):
        found = found.get("config") if found.get("class_name") == "function" else found.get("class_name")
    if found is None:
        return "linear"
    if not isinstance(found, str) or found not in FUNCTIONS:
        raise UnsupportedLayer(f"layer '{name}' of Keras 3 has the activation {found}; supported are {', '.join(FUNCTIONS)}.")
    return FUNCTIONS[found]


def _for_inference(node: Mapping[str, Any]) -> dict[str, Any]:
    """A call of a layer whose own default is training=True, which Keras 3 writes down; the model overrides it in inference."""
    return {**node, "kwargs": {key: value for key, value in node.get("kwargs", {}).items() if key != "training"}}


def _inbound(node: Mapping[str, Any], name: str) -> list[list[Any]]:
    """What a layer reads at one of its uses: [layer, node, tensor, {}] of each."""
    args = list(node["args"])
    if any(value is not None and value is not False for value in node.get("kwargs", {}).values()) or len(args) != 1:
        raise UnsupportedLayer(f"layer '{name}' of Keras 3 is called with more than its inputs.")
    read = args[0] if isinstance(args[0], list) else [args[0]]
    if any(not isinstance(one, dict) or one.get("class_name") != "__keras_tensor__" for one in read):
        raise UnsupportedLayer(f"layer '{name}' of Keras 3 reads a constant, or a structure of tensors.")
    return [[*one["config"]["keras_history"], {}] for one in read]


def load_keras_3_weights(model: Any, config: Mapping[str, Any], path: Path) -> None:
    """Weights of a file of Keras 3 into the model that its configuration became.

    In a .keras file each layer has a group, named after its class in the configuration's order (the second Conv2D is conv2d_1); its
    numbers are vars/0 and so on. A model inside the model has groups of its own. In an .h5 file the group has the layer's name, and its
    attribute weight_names says which numbers are whose, those that are trained first.

    Raises EdgekitError where a layer has no group, or numbers of other shapes.
    """
    with open_hdf5(path) as file:
        if is_zipfile(path):
            for layer, group in _groups(model, config, file):
                variables = {} if group is None else group.get("vars", {})
                _assign(layer, layer.weights, [variables[str(at)] for at in range(len(variables)) if str(at) in variables], path)
            return
        groups = file.get("model_weights", file)
        for layer in (one for one in model.layers if one.weights):
            group = groups.get(layer.name)
            names = () if group is None else group.attrs.get("weight_names", ())
            _assign(layer, layer.trainable_weights + layer.non_trainable_weights, [group[name] for name in names], path)


def _assign(layer: Any, weights: list[Any], stored: list[Any], path: Path) -> None:
    found, wanted = [tuple(one.shape) for one in stored], [tuple(weight.shape) for weight in weights]
    if found != wanted:
        raise EdgekitError(f"'{path}': layer '{layer.name}' has weights of shapes {found} in the file, where {wanted} are expected")
    for weight, numbers in zip(weights, stored, strict=True):
        weight.assign(np.asarray(numbers))
    if hasattr(layer, "finalize_state"):
        layer.finalize_state()  # of a Normalization: only then they count


def _groups(model: Any, config: Mapping[str, Any], group: Any) -> Iterator[tuple[Any, Any]]:
    """Every layer that has weights, with its group or None, models inside the model walked through. `config` is Keras 3's."""
    groups, counts = group.get("layers", {}), Counter[str]()
    for node in config["config"]["layers"]:
        base = _snake_case(str(node["class_name"]))
        name = f"{base}_{counts[base]}" if counts[base] else base
        counts[base] += 1
        if node["class_name"] == "InputLayer":
            continue
        layer = model.get_layer(node["config"]["name"])
        if node["class_name"] in MODELS:
            yield from _groups(layer, node, groups.get(name, {}))
        elif layer.weights:
            yield layer, groups.get(name)


def _snake_case(name: str) -> str:
    """Of a class, as Keras names what it saves: DepthwiseConv2D is depthwise_conv2d (keras/src/utils/naming.py)."""
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", re.sub(r"\W+", "", name))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()
