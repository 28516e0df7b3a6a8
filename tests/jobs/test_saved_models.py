"""SavedModel folders: Keras 2's by their configuration, others by their graph; what could do anything but compute is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from edgekit import tolerances
from edgekit.errors import EdgekitError, UnsupportedLayer
from edgekit.jobs.candidates import candidates_of
from edgekit.jobs.model_files import read_model
from edgekit.keras_models.layers.backend import tf, tf_keras

layers = tf_keras.layers


def network() -> Any:
    tf_keras.utils.set_random_seed(4)
    image = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu6")(image)
    x = layers.BatchNormalization(momentum=0.5)(layers.DepthwiseConv2D(3)(x))
    x = layers.Add()([x, layers.Conv2D(4, 1, activation="swish")(x)])
    model = tf_keras.Model(image, layers.Dense(5, activation="softmax")(layers.Flatten()(x)), name="net")
    model(images(32), training=True)
    return model


def images(count: int) -> npt.NDArray[np.float32]:
    return np.random.default_rng(1).uniform(-1, 1, (count, 8, 8, 3)).astype(np.float32)


def assert_read(folder: Path, model: Any) -> Any:
    read = read_model(folder).model
    inputs = images(8)
    np.testing.assert_allclose(np.asarray(read(inputs)), np.asarray(model(inputs)), rtol=0, atol=tolerances.FLOAT32_LOGITS)
    return read


def test_that_of_keras_is_the_model_itself(tmp_path: Path) -> None:
    model = network()
    model.compile("adam", "mse")
    model.save(tmp_path / "net", save_format="tf")
    read = assert_read(tmp_path / "net", model)
    assert [layer.name for layer in read.layers] == [layer.name for layer in model.layers]
    (candidate,) = candidates_of(str(tmp_path / "net"))
    assert (candidate.executor, candidate.shape, candidate.classes) == ("keras", (8, 8, 3), 5)


def test_a_sequential_model(tmp_path: Path) -> None:
    model = tf_keras.Sequential([layers.Conv2D(3, 3, input_shape=(8, 8, 3)), layers.GlobalAveragePooling2D(), layers.Dense(2)])
    model.save(tmp_path / "net", save_format="tf")
    assert_read(tmp_path / "net", model)


def test_a_lambda_is_refused_as_in_other_files(tmp_path: Path) -> None:
    model = tf_keras.Sequential([layers.Input((8, 8, 3)), layers.Lambda(lambda x: 2 * x, name="double")])
    model.save(tmp_path / "net", save_format="tf")
    with pytest.raises(UnsupportedLayer, match="layer 'double' is or has a Lambda"):
        read_model(tmp_path / "net")


class Served(tf.Module):  # type: ignore[misc]
    """What a user makes around a model."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.held = model.variables
        self.model = lambda x: model(x, training=False)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
    def serve(self, image: Any) -> Any:
        return self.model(image)


def test_a_graph_alone_comes_by_way_of_tflite(tmp_path: Path) -> None:
    model = network()
    served = Served(model)
    tf.saved_model.save(served, str(tmp_path / "net"), signatures=served.serve)
    assert_read(tmp_path / "net", model)


class Reading(tf.Module):  # type: ignore[misc]
    """A graph that reads a file while it runs."""

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
    def serve(self, image: Any) -> Any:
        tf.io.write_file("written_by_the_graph", tf.io.read_file("anything"))
        return image * 2.0


class Looking(tf.Module):  # type: ignore[misc]
    """A graph with a table, which is filled while it is loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer([1], [2]), 0)

    @tf.function(input_signature=[tf.TensorSpec((None, 8, 8, 3), tf.float32)])
    def serve(self, image: Any) -> Any:
        return image * tf.cast(self.table.lookup(tf.constant(1)), tf.float32)


@pytest.mark.parametrize(
    ("module", "message"), [(Reading, "has a (Read|Write)File. Supported: Add, "), (Looking, "of the kind 'resource'")]
)
def test_what_does_more_than_compute_is_refused_before_it_is_loaded(module: Any, message: str, tmp_path: Path) -> None:
    made = module()
    tf.saved_model.save(made, str(tmp_path / "net"), signatures=made.serve)
    with pytest.raises(UnsupportedLayer, match=message):
        read_model(tmp_path / "net")


def test_damaged_folders(tmp_path: Path) -> None:
    network().save(tmp_path / "net", save_format="tf")
    (tmp_path / "net" / "variables" / "variables.index").unlink()
    with pytest.raises(EdgekitError, match=r"has no variables/variables\.index"):
        read_model(tmp_path / "net")
    (tmp_path / "net" / "keras_metadata.pb").write_bytes(b"\xff\xff")
    with pytest.raises(EdgekitError, match="does not say which Keras model"):
        read_model(tmp_path / "net")
    (tmp_path / "net" / "keras_metadata.pb").unlink()
    (tmp_path / "net" / "saved_model.pb").write_bytes(b"\xff\xff")
    with pytest.raises(EdgekitError, match="is damaged"):
        read_model(tmp_path / "net")
