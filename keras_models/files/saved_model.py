"""SavedModel folders that Keras 2 wrote, read as data.

Beside the graph, Keras keeps the model's configuration as JSON in keras_metadata.pb, and TensorFlow the numbers in variables/. The
configuration is looked through as that of any Keras file and built; the numbers are put in by TensorFlow's checkpoint reader, which
matches them by layer and name. The graph itself, whose ops could do anything, is not loaded.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edgekit.errors import EdgekitError
from edgekit.files import CONFIG_BYTES_MAX, read_bounded, unpacked_bytes_max
from edgekit.keras_models.files.model_files import custom_objects, vet
from edgekit.keras_models.layers.bounds import bounded_variables
from edgekit.keras_models.layers.legacy_keras import import_keras

METADATA = "keras_metadata.pb"
VARIABLES = Path("variables") / "variables"
SEQUENCES = ("TensorShape", "__tuple__")
"""How Keras writes what JSON has no word for, each with its "items"."""


def has_keras_model(folder: Path) -> bool:
    """Whether a SavedModel holds the configuration of a Keras model."""
    return (folder / METADATA).is_file()


def load_saved_model(folder: Path) -> Any:
    """The tf_keras.Model in a SavedModel folder that Keras 2 wrote, without its training state.

    Raises:
        UnsupportedLayer: a layer, or a part of one, that is not on the lists of model_files.
        EdgekitError: the folder is damaged, or its variables are not those of the configuration.
    """
    config = _config(folder)
    vet(config, folder)
    keras = import_keras()
    import tensorflow as tf

    if not (folder / VARIABLES).with_suffix(".index").is_file():
        raise EdgekitError(f"'{folder}' has no {VARIABLES}.index, where a SavedModel keeps what its weights are")
    packed = sum(file.stat().st_size for file in (folder / VARIABLES.parent).iterdir() if file.is_file())
    try:
        with bounded_variables(f"the model in '{folder}'", unpacked_bytes_max(packed)):
            model = keras.models.model_from_json(json.dumps(config), custom_objects())
        tf.train.Checkpoint(root=model).read(str(folder / VARIABLES)).assert_existing_objects_matched().expect_partial()
    except EdgekitError:
        raise
    except Exception as error:  # Keras, its layers and the checkpoint reader raise errors of every type on what does not fit
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise EdgekitError(f"cannot build the model in '{folder}': {reason}") from error
    return model


def _config(folder: Path) -> dict[str, Any]:
    import_keras()
    from google.protobuf.message import DecodeError
    from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

    metadata = SavedMetadata()
    try:
        metadata.ParseFromString(read_bounded(folder / METADATA, CONFIG_BYTES_MAX))
        (root,) = (node for node in metadata.nodes if node.node_path == "root")
        found = json.loads(root.metadata, object_hook=_plain)
        config = {"class_name": found["class_name"], "config": found["config"]}
    except (DecodeError, ValueError, TypeError, KeyError, RecursionError, AttributeError) as error:
        raise EdgekitError(f"'{folder / METADATA}' does not say which Keras model it belongs to") from error
    if config["class_name"] not in ("Functional", "Sequential"):
        raise EdgekitError(f"'{folder}' is a {config['class_name']}, not a functional or sequential Keras model")
    return config


def _plain(node: dict[str, Any]) -> Any:
    return list(node["items"]) if node.get("class_name") in SEQUENCES and isinstance(node.get("items"), list) else node
