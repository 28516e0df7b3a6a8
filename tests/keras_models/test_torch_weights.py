"""PyTorch checkpoints into Keras models: the published names and arithmetic, and nothing half-loaded.

golden/published_checkpoints.json lists, for checkpoints of timm 1.0.31 and torchvision 0.28 with 10 classes, the tensors' names and
shapes, and the logits (2, 10) that those libraries compute in float64 for weights and images of 64x64 made by the golden files' recipe.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import golden
import numpy as np
import pytest
from archives import archive, dictionary, safetensors, tensor

import edgekit
from edgekit import tolerances
from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import IMAGENET, LITE, MINUS_ONE_TO_ONE, Preprocessing
from edgekit.jobs.source import ModelRequest, load_source
from edgekit.keras_models import NETWORKS, import_weights
from edgekit.keras_models.layers.legacy_keras import import_keras
from edgekit.keras_models.weights.torch import _wanted
from edgekit.keras_models.weights.torch_names import SCHEMES, choose_scheme, schemes_of

PUBLISHED = json.loads((golden.FOLDER / "published_checkpoints.json").read_text())
GAIN = 2.0  # of the recipe


def tensors_of(published: dict[str, Any]) -> dict[str, Any]:
    return {name: golden._value(name, shape, GAIN) for name, shape in published["tensors"]}


def images() -> Any:
    return np.random.default_rng(20260).standard_normal((2, 64, 64, 3)).astype(np.float32)


def assert_close(candidate: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert np.abs(candidate - expected).max() <= tolerances.FLOAT32_LOGITS * np.abs(expected).max()


def small(name: str = "mobilenet_v2", alpha: float = 0.5, classes: int = 10) -> Any:
    return edgekit.build_model(name, alpha=alpha, size=64, classes=classes)


def published(file: str) -> dict[str, Any]:
    return next(entry for entry in PUBLISHED if entry["file"] == file)


# --- names and arithmetic ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entry", PUBLISHED, ids=[f"{entry['collection']}-{entry['file']}" for entry in PUBLISHED])
def test_published_checkpoints_give_the_libraries_logits(entry: dict[str, Any], tmp_path: Path) -> None:
    source = tmp_path / entry["file"].replace(".pth", ".npz")
    np.savez(source, **tensors_of(entry))
    model = small(entry["network"], entry["alpha"])
    imported = import_weights(model, source)
    assert imported.new_head is None and imported.collection and imported.collection.startswith(entry["collection"])
    in_tensorflow_style = entry["file"].startswith("tf_") or entry["network"] == "mobilenet_v1"
    assert imported.preprocessing == (MINUS_ONE_TO_ONE if in_tensorflow_style else IMAGENET)
    assert_close(model(images()).numpy(), entry["logits"])


def test_a_port_of_tensorflows_weights_is_known_by_the_folder_it_was_downloaded_into(tmp_path: Path) -> None:
    entry = published("tf_mobilenetv3_small_100.pth")
    folder = tmp_path / "models--timm--tf_mobilenetv3_small_100.in1k" / "snapshots" / "a0"
    folder.mkdir(parents=True)
    np.savez(folder / "model.npz", **tensors_of(entry))
    model = small(entry["network"], entry["alpha"])
    assert import_weights(model, folder / "model.npz").collection == "timm (tf_)"
    assert_close(model(images()).numpy(), entry["logits"])


@pytest.mark.parametrize(
    ("number", "file", "collection", "preprocessing"),
    [
        (0, "efficientnet_lite0.npz", "timm", IMAGENET),
        (0, "tf_efficientnet_lite0.npz", "timm (tf_)", LITE),
        (0, "efficientnet-lite0.npz", "efficientnet-lite-pytorch", LITE),
        (2, "tf_efficientnet_lite2.npz", "timm (tf_)", LITE),
        (2, "efficientnet-lite2.npz", "efficientnet-lite-pytorch", LITE),
    ],
)
def test_names_of_efficientnet_lite(
    number: int, file: str, collection: str, preprocessing: Preprocessing, tmp_path: Path, rng: np.random.Generator
) -> None:
    name = f"efficientnet_lite{number}"
    scheme = next(one for one in schemes_of(NETWORKS[name]) if one.collection.split()[0] == collection.split()[0])
    modules = dict(scheme.modules)
    last = {0: 15, 2: 20}[number]
    assert (f"_blocks.{last}._bn0" if "pytorch" in collection else "blocks.6.0.bn1") == modules[f"block_{last}_expand_bn"]
    model = edgekit.build_model(name, size=32, classes=10)
    before = [rng.uniform(0.5, 1.5, weight.shape).astype(np.float32) for weight in model.get_weights()]
    wanted = list(_wanted(model, scheme))
    tensors = {
        one.tensor: value.transpose(np.argsort(one.axes)) for one, value in zip(wanted, _in_order(model, wanted, before), strict=True)
    }
    path = tmp_path / file
    np.savez(path, **tensors)
    imported = import_weights(model, path)
    assert (imported.new_head, imported.collection, imported.preprocessing) == (None, collection, preprocessing)
    assert all((a == b).all() for a, b in zip(model.get_weights(), before, strict=True))


def _in_order(model: Any, wanted: Any, values: list[Any]) -> list[Any]:
    """`values` are in the order of model.weights; the result in that of `wanted`."""
    by_name = {variable.name: value for variable, value in zip(model.weights, values, strict=True)}
    return [by_name[one.variable.name] for one in wanted]


@pytest.mark.parametrize("name", ["rapidnet_ti", "mnasnet_b1_torchvision"])
def test_authors_checkpoints_give_the_authors_logits(name: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "file.npz", **golden.checkpoint(name))
    model = edgekit.build_model(name.removesuffix("_torchvision"))
    import_weights(model, tmp_path / "file.npz")
    assert_close(model(golden.images()).numpy(), golden.logits(name))


def zip_file(path: Path, tensors: dict[str, Any]) -> Path:
    """torch.save's zip form, of contiguous float32 tensors nested under "model" with the prefix of a distributed training."""
    numbered = [(str(i), f"module.{name}", value) for i, (name, value) in enumerate(tensors.items())]
    pickled = {name: tensor(v.shape, tuple(step // 4 for step in v.strides), v.size, key=key) for key, name, v in numbered}
    storages = {key: value.tobytes() for key, _, value in numbered}
    return archive(path, dictionary(model=dictionary(**pickled)), storages)


def test_the_forms_of_file_are_alike(tmp_path: Path) -> None:
    entry = published("mobilenetv2_050.pth")
    tensors = tensors_of(entry)
    (tmp_path / "file.safetensors").write_bytes(safetensors(tensors))
    zip_file(tmp_path / "file.pth", tensors)
    for name, key in (("file.safetensors", None), ("file.pth", "model")):
        model = small()
        assert import_weights(model, tmp_path / name).taken_from == key
        assert_close(model(images()).numpy(), entry["logits"])


def test_sbcformer_from_a_pytorch_file(tmp_path: Path) -> None:
    tensors = golden.checkpoint("sbcformer_xs")
    attention = [name for name in tensors if name.endswith("attention_biases")]
    derived = {name.replace("attention_biases", "attention_bias_idxs"): np.zeros((49, 49), np.float32) for name in attention}
    model = edgekit.build_model("sbcformer_xs")
    imported = import_weights(model, zip_file(tmp_path / "file.pth", tensors | derived))
    assert "from 'model', named and computed as by the authors" in imported.note
    assert_close(model(golden.images()).numpy(), golden.logits("sbcformer_xs"))


def test_every_layer_of_every_network_has_a_name_of_its_own() -> None:
    for name, schemes in SCHEMES.items():
        for scheme in schemes:
            modules = list(scheme.modules.values())
            assert len(set(modules)) == len(modules), name
    assert all(schemes_of(network) or name == "mnasnet_small" for name, network in NETWORKS.items())


def test_collections_are_told_apart_by_their_names() -> None:
    for entry in PUBLISHED:
        scheme = choose_scheme(schemes_of(NETWORKS[entry["network"]]), [name for name, _ in entry["tensors"]], entry["file"])
        assert scheme is not None and scheme.collection.split()[0] == entry["collection"]


def test_command_line_takes_over_the_preprocessing(tmp_path: Path) -> None:
    entry = published("mobilenetv2_050.pth")
    np.savez(tmp_path / "file.npz", **tensors_of(entry))
    source = load_source(ModelRequest("mobilenet_v2", alpha=0.5, size=64, classes=10, weights=tmp_path / "file.npz"))
    assert source.preprocessing == IMAGENET != NETWORKS["mobilenet_v2"].preprocessing
    assert_close(source.keras(images()).numpy(), entry["logits"])


# --- what is in place, and what is left -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_model_stays_usable_in_place(tmp_path: Path) -> None:
    """Another padding makes other layers; the object that the caller holds has them, and can be saved and read into again."""
    entry = published("mobilenetv2_050.pth")
    np.savez(tmp_path / "file.npz", **tensors_of(entry))
    model = small()
    import_weights(model, tmp_path / "file.npz")
    model.save(tmp_path / "model.keras")
    assert_close(import_keras().models.load_model(tmp_path / "model.keras")(images()).numpy(), entry["logits"])
    small().save_weights(tmp_path / "keras.h5")
    import_weights(model, tmp_path / "keras.h5")  # Keras' weights want Keras' padding again
    fresh = small()
    import_weights(fresh, str(tmp_path / "keras.h5"))
    np.testing.assert_array_equal(model(images()).numpy(), fresh(images()).numpy())


def test_other_number_of_classes_keeps_the_backbone(tmp_path: Path) -> None:
    tensors = tensors_of(published("mobilenetv2_050.pth"))
    np.savez(tmp_path / "file.npz", **tensors)
    model = small(classes=3)
    head = model.get_layer("predictions").get_weights()
    imported = import_weights(model, tmp_path / "file.npz")
    assert imported.new_head == "predictions" and "untrained" in imported.note
    np.testing.assert_array_equal(model.get_layer("predictions").get_weights()[0], head[0])
    np.testing.assert_array_equal(model.get_layer("Conv_1").get_weights()[0][0, 0].T, tensors["conv_head.weight"][:, :, 0, 0])


@pytest.mark.parametrize("keras_file", [False, True])
def test_both_heads_of_rapidnet_are_new(keras_file: bool, tmp_path: Path) -> None:
    if keras_file:
        source = tmp_path / "file.h5"
        edgekit.build_model("rapidnet_ti", size=64).save_weights(source)
    else:
        source = tmp_path / "file.npz"
        np.savez(source, **golden.checkpoint("rapidnet_ti"))
    model = edgekit.build_model("rapidnet_ti", size=64, classes=5)
    assert import_weights(model, source).new_head == "head and dist_head"


# --- all or nothing ---------------------------------------------------------------------------------------------------------------


def fails_and_changes_nothing(model: Any, source: Path, message: str) -> None:
    before = model.get_weights()
    with pytest.raises(EdgekitError, match=message):
        import_weights(model, source)
    for left, right in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(left, right)


def test_missing_extra_and_misshapen_tensors_are_listed(tmp_path: Path) -> None:
    tensors = tensors_of(published("mobilenetv2_050.pth"))
    del tensors["blocks.1.0.bn2.running_mean"]
    tensors["conv_stem.weight"] = tensors["conv_stem.weight"][:, :2]
    tensors["blocks.9.0.conv_pw.weight"] = np.ones((1, 1, 1, 1), np.float32)
    np.savez(tmp_path / "file.npz", **tensors)
    model = small()
    for message in (
        "does not fit MobileNetV2, under the names of timm",
        r"no tensor 'blocks\.1\.0\.bn2\.running_mean'",
        r"'conv_stem\.weight' is 16x2x3x3, it should be 16x3x3x3",
        r"tensor 'blocks\.9\.0\.conv_pw\.weight' is of no layer",
    ):
        fails_and_changes_nothing(model, tmp_path / "file.npz", message)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_not_a_number(value: float, tmp_path: Path) -> None:
    tensors = tensors_of(published("mobilenetv2_050.pth"))
    tensors["classifier.bias"] = np.full(10, value)  # float64, in which 1e300 is finite
    np.savez(tmp_path / "file.npz", **tensors)
    fails_and_changes_nothing(small(), tmp_path / "file.npz", "'classifier.bias' has 10 values that are NaN or infinite")


def test_files_that_belong_to_nothing_here(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", **{"encoder.0.weight": np.ones((2, 2), np.float32)})
    fails_and_changes_nothing(small(), tmp_path / "other.npz", "no names that timm or torchvision gave MobileNetV2's tensors")
    fails_and_changes_nothing(edgekit.build_model("mnasnet_small", size=64), tmp_path / "other.npz", "no PyTorch checkpoint")
    layers = import_keras().layers
    model = import_keras().Sequential([layers.Input((4,)), layers.Dense(2)])
    fails_and_changes_nothing(model, tmp_path / "other.npz", "build_model makes only")
    np.savez(tmp_path / "integers.npz", **{name: value.astype(np.int64) for name, value in tensors_of(PUBLISHED[1]).items()})
    fails_and_changes_nothing(small(), tmp_path / "integers.npz", "holds int64, not floats")
