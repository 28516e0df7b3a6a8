"""A user's own Keras or QKeras model as a file. A file from outside is read as data: its configuration is looked through before
anything is made of it, and only classes on a list of image layers are made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

from edgekit.accuracy import Accuracy, parse_accuracy
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.files import reading, unpacked_bytes_max
from edgekit.images.preprocessing import Preprocessing
from edgekit.keras_models.files.connections import require_connected
from edgekit.keras_models.files.hdf5 import open_hdf5, read_member, require_file
from edgekit.keras_models.files.keras3 import as_keras_2, is_of_keras_3, load_keras_3_weights
from edgekit.keras_models.layers.bounds import bounded_variables
from edgekit.keras_models.layers.legacy_keras import as_written, import_keras
from edgekit.keras_models.reading.arithmetic import OPERATORS
from edgekit.plan import write_file
from edgekit.scratch import scratch_folder

NOTES = "edgekit.json"
"""The member of a .keras archive that holds what edgekit adds; Keras passes it over."""
MODELS = {"Functional", "Model", "QFXModel", "Sequential"}
LAYERS = {
    *("AveragePooling1D", "Conv1D", "GlobalAveragePooling1D", "GlobalMaxPooling1D", "MaxPooling1D"),
    *("ActivityRegularization", "AlphaDropout", "GaussianDropout", "PReLU", "RandomBrightness", "RandomContrast", "RandomCrop"),
    *("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "SpatialDropout1D", "Subtract"),
    *("Activation", "Add", "Average", "AveragePooling2D", "BatchNormalization", "Concatenate", "Conv2D", "Conv2DTranspose"),
    *(
        "Cropping2D",
        "Dense",
        "DepthwiseConv2D",
        "Dropout",
        "ELU",
        "Flatten",
        "GaussianNoise",
        "GlobalAveragePooling2D",
        "GlobalMaxPooling2D",
        "InputLayer",
    ),
    *("LayerNormalization", "LeakyReLU", "MaxPooling2D", "Multiply", "Normalization", "Permute", "ReLU", "Rescaling", "Reshape"),
    *("SeparableConv2D",),
    *("Softmax", "SpatialDropout2D", "TFOpLambda", "UpSampling2D", "ZeroPadding2D"),
}
_PRUNED = "it is there for pruning. Save what tfmot.sparsity.keras.strip_pruning(model) gives"
_AWARE = "TensorFlow's quantization-aware training put it there. Save the float model, or give the .tflite that its converter makes of this"
ADVICE = {
    "Lambda": "it is code, and nothing in a file runs. Put a layer of Keras in its place",
    "PruneLowMagnitude": _PRUNED,
    "QuantizeAnnotate": _AWARE,
    "QuantizeLayer": _AWARE,
    "QuantizeWrapper": _AWARE,
    "ClusterWeights": "it is there for clustering. Save what tfmot.clustering.keras.strip_clustering(model) gives",
}
"""What to do about layers that are met often, by the beginning of their class's name."""
PARTS = {
    *("Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "LecunNormal", "LecunUniform", "Ones"),
    *("Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling", "Zeros"),
    *("L1", "L1L2", "L2", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "Policy"),
}
"""Initializers, regularizers, constraints and number types inside a layer."""
FUNCTIONS = {
    *("elu", "exponential", "gelu", "hard_sigmoid", "hard_swish", "linear", "relu", "relu6", "relu6_sigmoid", "selu", "sigmoid"),
    *("softmax", "softplus", "softsign", "swish", "tanh"),
}
QKERAS_LAYERS = {
    *("QActivation", "QAdaptiveActivation", "QAveragePooling2D", "QBatchNormalization", "QConv2D", "QConv2DBatchnorm"),
    *("QConv2DTranspose", "QDense", "QDepthwiseConv2D", "QDepthwiseConv2DBatchnorm", "QGlobalAveragePooling2D", "QSeparableConv2D"),
}
QKERAS_PARTS = {
    *("Clip", "QInitializer", "bernoulli", "binary", "quantized_bits", "quantized_linear", "quantized_po2", "quantized_relu"),
    *("quantized_relu_po2", "quantized_sigmoid", "quantized_tanh", "quantized_ulaw", "stochastic_binary", "stochastic_ternary", "ternary"),
}
REGISTERED = "edgekit>"
"""What Keras writes in front of the names of our own layers and functions."""
KERAS_MODULE = re.compile(r"(tf_)?keras(\.src)?(\.(layers|models|engine|initializers|regularizers|constraints|mixed_precision)(\.\w+)*)?")
OWN_MODULE = re.compile(r"edgekit\.keras_models(\.\w+)*")
"""Homes of our own classes. A file names the one that a class had when the file was written; what is made of it, its name decides."""
CALL = re.compile(r"(\w+)(\([\w\s.,=+-]*\))?")
"""How qkeras writes a quantizer as text, as in quantized_bits(8, 0, alpha=1)."""


@cache
def custom_objects() -> dict[str, Any]:
    """Name -> class or function, of what a model file may hold beyond Keras' own: qkeras' layers and quantizers, QFX, our layers."""
    import_keras()
    import qkeras
    import qkeras.qlayers

    from edgekit.keras_models.layers.activations import CUSTOM_ACTIVATIONS
    from edgekit.keras_models.layers.bn_layers import BN_FORM_LAYERS
    from edgekit.keras_models.layers.custom_layers import CUSTOM_LAYERS
    from edgekit.keras_models.qfx.model import CUSTOM_OBJECTS
    from edgekit.keras_models.qfx.products import QKERAS_CUSTOM_LAYERS

    homes = (qkeras, qkeras.qlayers)
    classes = {name: getattr(home, name) for name in (*QKERAS_LAYERS, *QKERAS_PARTS) for home in homes if hasattr(home, name)}
    return classes | CUSTOM_OBJECTS | QKERAS_CUSTOM_LAYERS | CUSTOM_LAYERS | BN_FORM_LAYERS | CUSTOM_ACTIVATIONS


def load_model(path: Path) -> Any:
    """The tf_keras.Model in a .keras or .h5 file of Keras 2 or 3, without its training state.

    Raises:
        UnsupportedLayer: a layer, or a part of one, of a class that is not on the lists here (Lambda, for one); it is named. Or the
            model has more outputs than one.
        EdgekitError: no such file, truncated, not a Keras model, or refused for what it reaches outside itself.
    """
    with reading(f"'{path}'"):
        return _load(path)


def _load(path: Path) -> Any:
    written = config = _config_of(path)
    of_keras_3 = is_of_keras_3(path)
    if of_keras_3:
        config = as_keras_2(written)
    keras = import_keras()
    vet(config, path)
    with open_hdf5(path):
        pass  # the weights are looked through before Keras reads them
    try:
        with bounded_variables(f"the model in '{path}'", unpacked_bytes_max(path.stat().st_size)):
            if is_zipfile(path) and not of_keras_3:
                model = as_written(keras.saving.deserialize_keras_object)(config, custom_objects(), safe_mode=True)
            else:
                model = as_written(keras.models.model_from_json)(json.dumps(config), custom_objects())
        if of_keras_3:
            load_keras_3_weights(model, written, path)
        else:
            model.load_weights(path)
    except EdgekitError:
        raise
    except Exception as error:  # Keras and its layers raise errors of every type on a configuration that does not fit
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EdgekitError(f"cannot build the model in '{path}': {reason}") from error
    outputs = model.outputs or ()
    if len(outputs) > 1:
        names = ", ".join(model.output_names)
        raise UnsupportedLayer(f"'{path}': the model has {len(outputs)} outputs ({names}); one is supported. Save a model of one of them")
    return model


def save_model(model: Any, path: Path, preprocessing: Preprocessing | None = None, accuracy: Accuracy | None = None) -> None:
    """Writes a .keras file, whole or not at all, with what the model expects of its images, and how good it is, beside the model.

    Raises EdgekitError if the name ends otherwise or the folder cannot be written.
    """
    if path.suffix != ".keras":
        raise EdgekitError(f"'{path}' should end in .keras, the file form of a Keras model")
    try:
        with scratch_folder("keras") as folder:
            whole = folder / path.name
            model.save(whole, save_format="keras")
            if preprocessing is not None:
                with ZipFile(whole, "a") as archive:
                    pixels = {"mean": preprocessing.mean, "std": preprocessing.std}
                    notes = {"preprocessing": pixels, "accuracy": asdict(accuracy) if accuracy else None}
                    archive.writestr(NOTES, json.dumps(notes))
            write_file(path, whole.read_bytes())
    except OSError as error:
        raise EdgekitError(f"cannot write '{path}': {error.strerror or error}") from error


def read_notes(path: Path) -> tuple[Preprocessing | None, Accuracy | None]:
    """What `save_model` wrote beside a model; None where nothing is. Raises EdgekitError if it is broken."""
    require_file(path)
    if not is_zipfile(path):
        return None, None
    with reading(f"'{path}'"), ZipFile(path) as archive:
        if NOTES not in archive.namelist():
            return None, None
    try:
        notes = json.loads(read_member(path, NOTES))
        found = notes["preprocessing"]
        mean, std = (tuple(float(value) for value in found[name]) for name in ("mean", "std"))
        accuracy = parse_accuracy(notes.get("accuracy"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise EdgekitError(f"'{path}': {NOTES} in it does not say how images are preprocessed, or how good the model is") from error
    if not mean or not std or not all(isfinite(value) for value in (*mean, *std)) or 0.0 in std:
        raise EdgekitError(f"'{path}': {NOTES} in it has a mean or deviation that nothing can be normalized with")
    return Preprocessing(mean, std), accuracy


def _config_of(path: Path) -> dict[str, Any]:
    require_file(path)
    if is_zipfile(path):
        if path.suffix != ".keras":
            raise EdgekitError(f"'{path}' is an archive; Keras reads one only under a name that ends in .keras")
        text: Any = read_member(path, "config.json")
    else:
        with open_hdf5(path) as file:
            text = file.attrs.get("model_config")
        if text is None:
            raise EdgekitError(f"'{path}' holds no model, weights at most; name the network and give this file as its weights")
    try:
        config = json.loads(text, object_hook=_without_training)
    except (ValueError, TypeError, RecursionError) as error:
        raise EdgekitError(f"'{path}': its configuration is not JSON ({error})") from error
    if not isinstance(config, dict) or str(config.get("class_name")) not in MODELS:
        raise EdgekitError(f"'{path}' is not a functional or sequential Keras model")
    return config


def _without_training(node: dict[str, Any]) -> dict[str, Any]:
    """Losses and optimizers are not loaded, so they need no looking through."""
    return {key: value for key, value in node.items() if key != "compile_config"}


def vet(config: dict[str, Any], path: Path) -> None:
    """Raises UnsupportedLayer for the first object that is not on the lists, EdgekitError for a layer that reads what is not there."""
    try:
        for layer, problem in _problems(config, "the model"):
            for kind, advice in ADVICE.items():
                if f" {kind}" in problem:
                    raise UnsupportedLayer(f"'{path}': {layer} {problem}, which edgekit does not load: {advice}")
            raise UnsupportedLayer(
                f"'{path}': {layer} {problem}, which edgekit does not load. It loads {', '.join(sorted(LAYERS | QKERAS_LAYERS))}"
            )
        require_connected(config, f"'{path}'")
    except RecursionError as error:
        raise EdgekitError(f"'{path}': its configuration is nested too deeply") from error


def _problems(node: Any, layer: str) -> Iterator[tuple[str, str]]:
    """Every object in a configuration that must not be made: (the layer it is in, what it is)."""
    if isinstance(node, list):
        for item in node:
            yield from _problems(item, layer)
    if not isinstance(node, dict):
        return
    if "class_name" in node:
        config = node.get("config")
        if isinstance(config, dict) and isinstance(config.get("name"), str):
            layer = f"layer '{config['name']}'"
        problem = _object_problem(node)
        if problem:
            yield layer, problem
    for key, value in node.items():
        if isinstance(value, str) and (key.endswith("quantizer") or "activation" in key) and not _is_known_call(value):
            yield layer, f"has {key} '{value}'"
        else:
            yield from _problems(value, layer)


def _object_problem(node: dict[str, Any]) -> str | None:
    name, module, registered = node["class_name"], node.get("module"), node.get("registered_name")
    if not isinstance(name, str):
        return f"has a class name that is no text, {name!r}"
    name = name.removeprefix(REGISTERED)
    if name == "function":
        function = str(node.get("config")).removeprefix(REGISTERED)
        fine = module == "builtins" and function in FUNCTIONS and registered in (None, "function", function)
        return None if fine else f"has a function '{function}' of module '{module}'"
    if name == "TFOpLambda" and (node.get("config") or {}).get("function") not in OPERATORS:
        return f"is or has a TFOpLambda of '{(node.get('config') or {}).get('function')}'"
    custom = custom_objects().get(name)
    if custom is not None:
        ours = bool(OWN_MODULE.fullmatch(custom.__module__) and OWN_MODULE.fullmatch(str(module)))
        known = ours or module in (None, custom.__module__)
    else:
        known = name in MODELS | LAYERS | PARTS and (module is None or bool(KERAS_MODULE.fullmatch(str(module))))
    fine = known and (registered is None or registered == name or str(registered).endswith(f">{name}"))
    return None if fine else f"is or has a {name}" + (f" of module '{module}'" if module else "")


def _is_known_call(text: str) -> bool:
    call = CALL.fullmatch(text)
    return bool(call) and (call[1] in FUNCTIONS or call[1] in custom_objects())  # type: ignore[index]
