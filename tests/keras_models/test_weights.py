"""Weights files into models: every form that Keras writes, and every way in which a file can be wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from edgekit.errors import EdgekitError
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.weights.load import import_weights
from edgekit.keras_models.weights.matching import LISTED_MAX


def small_model(classes: int = 3, filters: int = 4, prefix: str = "") -> Any:
    """One layer of each kind that has weights; its names sort in another order than they stand in."""
    layers = import_keras().layers
    x = inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(filters, 3, use_bias=False, name=f"{prefix}stem")(x)
    x = layers.BatchNormalization(name=f"{prefix}norm")(x)
    x = layers.DepthwiseConv2D(3, name=f"{prefix}depthwise")(x)
    x = layers.Conv2D(filters, 1, name=f"{prefix}a_pointwise")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return import_keras().Model(inputs, layers.Dense(classes, name=f"{prefix}head")(x))


def fill(model: Any, rng: np.random.Generator) -> list[Any]:
    values = [rng.uniform(0.1, 1, weight.shape).astype(np.float32) for weight in model.weights]
    model.set_weights(values)
    return values


def assert_equal(left: list[Any], right: list[Any]) -> None:
    assert len(left) == len(right) > 0
    for a, b in zip(left, right, strict=True):
        np.testing.assert_array_equal(a, b)


def fails_and_changes_nothing(model: Any, source: Path, message: str) -> None:
    before = model.get_weights()
    with pytest.raises(EdgekitError, match=message):
        import_weights(model, source)
    assert_equal(model.get_weights(), before)


SAVERS: dict[str, Callable[[Any, Path], Any]] = {
    "weights.h5": lambda model, path: model.save_weights(path),  # the form of published ImageNet weights
    "numbered.weights.h5": lambda model, path: model.save_weights(path),  # Keras looks at .weights.h5 and numbers the groups
    "model.h5": lambda model, path: model.save(path),
    "model.keras": lambda model, path: model.save(path),
}


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("prefix", ["", "other_"], ids=["same_names", "other_names"])
@pytest.mark.parametrize("name", SAVERS)
def test_every_form_gives_the_same_weights(name: str, prefix: str, rng: np.random.Generator, tmp_path: Path) -> None:
    saved, model = small_model(prefix=prefix), small_model()
    values = fill(saved, rng)
    SAVERS[name](saved, tmp_path / name)
    imported = import_weights(model, tmp_path / name)
    assert (imported.layers, imported.new_head) == (5, None)
    assert_equal(model.get_weights(), values)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("name", SAVERS)
def test_other_number_of_classes_keeps_the_backbone(name: str, rng: np.random.Generator, tmp_path: Path) -> None:
    saved, model = small_model(classes=7), small_model(classes=3)
    values, head = fill(saved, rng), model.get_weights()[-2:]
    SAVERS[name](saved, tmp_path / name)
    imported = import_weights(model, tmp_path / name)
    assert imported.new_head == "head" and "untrained" in imported.note
    assert_equal(model.get_weights(), values[:-2] + head)


def test_file_without_top(rng: np.random.Generator, tmp_path: Path) -> None:
    saved, model = small_model(), small_model()
    values, head = fill(saved, rng), model.get_weights()[-2:]
    import_keras().Model(saved.input, saved.get_layer("a_pointwise").output).save_weights(tmp_path / "no_top.h5")
    assert import_weights(model, tmp_path / "no_top.h5").new_head == "head"
    assert_equal(model.get_weights(), values[:-2] + head)


def test_model_inside_the_model(rng: np.random.Generator, tmp_path: Path) -> None:
    def nested() -> Any:
        layers = import_keras().layers
        norms = [layers.BatchNormalization(name="first"), layers.BatchNormalization(name="second")]  # all weights of one shape
        inside = import_keras().Sequential([layers.Input((4,)), *norms], name="inside")
        return import_keras().Sequential([layers.Input((4,)), inside, layers.Dense(2, name="head")])

    saved, model = nested(), nested()
    values = fill(saved, rng)
    saved.save_weights(tmp_path / "weights.h5")
    import_weights(model, tmp_path / "weights.h5")
    assert_equal(model.get_weights(), values)


def test_model_without_weights(tmp_path: Path) -> None:
    small_model().save_weights(tmp_path / "weights.h5")
    layers = import_keras().layers
    with pytest.raises(EdgekitError, match="has no weights"):
        import_weights(import_keras().Sequential([layers.Input((2,)), layers.ReLU()]), tmp_path / "weights.h5")


def test_missing_truncated_or_another_kind_of_file(tmp_path: Path) -> None:
    model = small_model()
    whole = tmp_path / "whole.h5"
    model.save_weights(whole)
    model.save(tmp_path / "whole.keras")
    contents = {
        "cut.h5": whole.read_bytes()[:-100],
        "half.h5": whole.read_bytes()[:1000],
        "empty.h5": b"",
        "cut.keras": (tmp_path / "whole.keras").read_bytes()[:2000],
        "text.h5": b"these are not weights",
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        fails_and_changes_nothing(model, tmp_path / name, f"{name}' is not a whole Keras file")
    fails_and_changes_nothing(model, tmp_path / "absent.h5", "no file")
    fails_and_changes_nothing(model, tmp_path, "is not a file")
    with h5py.File(tmp_path / "strange.h5", "w") as file:
        file["values"] = np.zeros(3)
    fails_and_changes_nothing(model, tmp_path / "strange.h5", "holds no Keras weights")


def test_damaged_inside_an_archive(tmp_path: Path) -> None:
    model = small_model()
    model.save(tmp_path / "whole.keras")
    content = bytearray((tmp_path / "whole.keras").read_bytes())
    content[len(content) // 2] ^= 0xFF  # the archive's checksum of the member no longer fits
    (tmp_path / "bent.keras").write_bytes(content)
    fails_and_changes_nothing(model, tmp_path / "bent.keras", "bent.keras' is damaged")


def test_another_network_lists_what_differs(tmp_path: Path) -> None:
    small_model(filters=5).save_weights(tmp_path / "wide.h5")
    fails_and_changes_nothing(small_model(), tmp_path / "wide.h5", "network: 'stem' has 3x3x3x5 where the model has 3x3x3x4; 'norm'")
    layers = import_keras().layers
    many = import_keras().Sequential([layers.Input((4,)), *(layers.Dense(2, name=f"extra_{i}") for i in range(20))])
    many.save_weights(tmp_path / "many.h5")
    fails_and_changes_nothing(small_model(), tmp_path / "many.h5", f"no layer 'stem'.*; and {4 + 20 - LISTED_MAX} more")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_not_a_number(value: float, rng: np.random.Generator, tmp_path: Path) -> None:
    saved = small_model()
    values = fill(saved, rng)
    values[-1][1] = value  # the last tensor: all others have been read by then
    saved.set_weights(values)
    saved.save_weights(tmp_path / "bad.h5")
    fails_and_changes_nothing(small_model(), tmp_path / "bad.h5", "'head/bias:0' has 1 values that are NaN or infinite")


def test_refuses_what_leads_out_of_the_file(tmp_path: Path) -> None:
    model = small_model()
    model.save_weights(tmp_path / "other.h5")
    model.save_weights(tmp_path / "linked.h5")
    with h5py.File(tmp_path / "linked.h5", "r+") as file:
        del file["stem"]
        file["stem"] = h5py.ExternalLink("other.h5", "/stem")
    fails_and_changes_nothing(model, tmp_path / "linked.h5", "stem' is a link")

    model.save_weights(tmp_path / "stored.h5")
    (tmp_path / "secret").write_bytes(bytes(4 * 3))
    with h5py.File(tmp_path / "stored.h5", "r+") as file:
        del file["head/head/bias:0"]
        file["head/head"].create_dataset("bias:0", (3,), "f4", external=[(str(tmp_path / "secret"), 0, 12)])
    fails_and_changes_nothing(model, tmp_path / "stored.h5", "stored in another file")

    model.save_weights(tmp_path / "huge.h5")
    with h5py.File(tmp_path / "huge.h5", "r+") as file:
        file.create_dataset("huge", (1 << 40,), "f4", chunks=(1024,))  # claims 4 TiB in a few bytes
    fails_and_changes_nothing(model, tmp_path / "huge.h5", "tensors take more than")


def test_group_that_holds_itself(tmp_path: Path) -> None:
    model = small_model()
    model.save_weights(tmp_path / "circle.h5")
    with h5py.File(tmp_path / "circle.h5", "r+") as file:
        file["stem/again"] = file["stem"]
    import_weights(model, tmp_path / "circle.h5")  # ends, and nothing outside is reached
