"""Accuracy of a network whose answers are known: it adds up the colours of an image. And what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from edgekit.bundle import GRAPH, LABELS, TFLITE, Manifest, WeightsSource, bundle_plan
from edgekit.errors import EdgekitError, UnknownName
from edgekit.graph import Dense, IntegerGraph, Tensor, check
from edgekit.graph.onnx_write import write_onnx
from edgekit.images.pixels import fit
from edgekit.images.preprocessing import MINUS_ONE_TO_ONE
from edgekit.jobs.dataset import DIGITS
from edgekit.jobs.evaluate import _labelled, evaluate_models
from edgekit.jobs.measures import ranks_of
from edgekit.jobs.source import ModelRequest, load_source
from edgekit.keras_models.training.images import digits
from edgekit.plan import write
from edgekit.tflite.writer import write_tflite

NAMES = ("red", "green", "blue", "grey", "black", "white")
COLORS = {"blue": (10, 20, 200), "green": (0, 250, 0), "red": (255, 40, 30)}


def color_graph(sign: int = 1) -> IntegerGraph:
    """Outputs 0 to 2 are the sums of a channel; the others never win. Pixel 255: 127 * 4 * 4 pixels / 2**5 = 63.5, of a range of 127."""
    weights = np.zeros((4, 3, 6), np.int8)
    weights[:, np.arange(3), np.arange(3)] = 4 * sign
    bias = np.array([2, 2, 2, -2002, -2502, -3002], np.int32)
    tensors = (Tensor("image", (2, 2, 3), signed=True, binary_point=7), Tensor("logits", (6,), signed=True, binary_point=7))
    op = Dense("colors", "image", "logits", weights.reshape(12, 6), bias, (5,) * 6)
    graph = IntegerGraph("colors", {tensor.name: tensor for tensor in tensors}, (op,), "image", ("logits",))
    check(graph)
    return graph


@pytest.fixture
def make_bundle(tmp_path: Path) -> Callable[..., str]:
    def make(name: str = "bundle", graph: IntegerGraph | None = None, **files: bytes) -> str:
        graph = graph or color_graph()
        content = {TFLITE: write_tflite(graph), GRAPH: write_onnx(graph), LABELS: "".join(f"{one}\n" for one in NAMES).encode()}
        plan = bundle_plan(
            {**content, TFLITE: files["tflite"]} if files else content,
            Manifest(
                kind="tflite",
                network="colors",
                options={},
                precision="qfx",
                target="rpi4",
                weights=WeightsSource("random", seed=0),
                preprocessing=MINUS_ONE_TO_ONE,
                command=("edgekit", "export"),
            ),
        )
        write(plan, tmp_path / name)
        return str(tmp_path / name)

    return make


@pytest.fixture
def colors(tmp_path: Path) -> str:
    """Four images of each color, of other sizes each; one of the red ones is green."""
    for name, color in COLORS.items():
        (tmp_path / "colors" / name).mkdir(parents=True)
        for i in range(4):
            shown = COLORS["green"] if (name, i) == ("red", 2) else color
            Image.new("RGB", (3 + 5 * i, 9 - i), shown).save(tmp_path / "colors" / name / f"{i}.png")
    return str(tmp_path / "colors")


def test_eleven_of_twelve_are_right_on_every_executor(make_bundle: Callable[..., str], colors: str) -> None:
    """The classes are found by name: the folder has three, in another order than the network's six."""
    names = ["reference", "onnxruntime", "tflite-reference", "tflite-xnnpack"]
    told: list[tuple[str, int, int]] = []
    found = evaluate_models(
        [make_bundle()], data=colors, executors=names, progress=lambda name, _, done, total: told.append((name, done, total))
    )
    assert [row.executor for row in found.rows] == names and (found.images, found.classes) == (12, 3)
    assert {row.top1 for row in found.rows} == {11 / 12} and {row.top5 for row in found.rows} == {1.0}
    assert [row.differing for row in found.rows] == [None, 0, 0, 0] and found.passed and all(row.values == 72 for row in found.rows)
    assert {name.split()[1] for name, done, total in told if done == total == 12} == set(names)


def test_one_file_of_a_bundle_keeps_what_the_bundle_recorded(make_bundle: Callable[..., str], colors: str) -> None:
    folder = make_bundle()
    found = evaluate_models([folder, f"{folder}/{TFLITE}", f"{folder}/{GRAPH}"], data=colors)
    assert [(row.executor, row.top1, row.exact, row.differing) for row in found.rows] == [
        ("tflite-xnnpack", 11 / 12, True, None),
        ("tflite-xnnpack", 11 / 12, True, 0),
        ("tflite-xnnpack", 11 / 12, True, 0),
    ]
    assert not found.notes


def test_files_alone_say_what_was_assumed(make_bundle: Callable[..., str], colors: str, tmp_path: Path) -> None:
    folder = Path(make_bundle())
    for name in ("a.tflite", "a.onnx"):
        (tmp_path / name).write_bytes((folder / f"model.{name.split('.')[1]}").read_bytes())
    for name in NAMES[3:]:
        (Path(colors) / name).mkdir()
        Image.new("RGB", (4, 4), (9, 9, 9)).save(Path(colors) / name / "0.png")
    found = evaluate_models([str(tmp_path / "a.tflite"), str(tmp_path / "a.onnx")], data=colors)
    # Six classes now, by number: black blue green grey red white are 0 to 5, and no image is of what the outputs 0 to 2 add up.
    assert [row.exact for row in found.rows] == [False, True] and found.rows[0].top1 == found.rows[1].top1 < 0.5
    assert len(found.warnings) == 2 and all("pixels / 127.5 - 1" in text for text in found.warnings)


def test_a_file_of_another_network_under_the_graphs_name_differs(make_bundle: Callable[..., str], colors: str) -> None:
    """Whoever put it there also wrote its hash into the manifest."""
    good, wrong = make_bundle(), make_bundle("wrong", tflite=write_tflite(color_graph(-1)))
    found = evaluate_models([good, wrong], data=colors)
    assert not found.passed and found.rows[1].differing == 36 and found.rows[1].top1 < 0.5, "half of 72: the others are constants"
    assert evaluate_models([good, make_bundle("other", color_graph(-1))], data=colors).passed, "another network may differ"


def test_labels_of_a_file_name_the_classes_of_a_model_without(make_bundle: Callable[..., str], colors: str, tmp_path: Path) -> None:
    """The data has three of the six classes, in another order; a bundle that has names keeps its own."""
    folder, labels = make_bundle(), tmp_path / "labels.txt"
    (tmp_path / "a.onnx").write_bytes((Path(folder) / GRAPH).read_bytes())
    labels.write_text("".join(f"{name}\n" for name in NAMES))
    found = evaluate_models([str(tmp_path / "a.onnx"), folder], data=colors, labels=labels)
    assert [row.top1 for row in found.rows] == [11 / 12, 11 / 12] and found.passed
    with pytest.raises(EdgekitError, match=r"has 6 classes.*has 3; they must be as many.*--labels FILE"):
        evaluate_models([str(tmp_path / "a.onnx")], data=colors)
    labels.write_text("red\ngreen\nbleu\ngrey\nblack\nwhite\n")
    with pytest.raises(EdgekitError, match="its labels have no 'blue'"):
        evaluate_models([str(tmp_path / "a.onnx")], data=colors, labels=labels)
    labels.write_text("red\n")
    with pytest.raises(EdgekitError, match=r"names 1 classes, .* has 6"):
        evaluate_models([str(tmp_path / "a.onnx")], data=colors, labels=labels)


def test_one_class_alone_is_enough_where_its_name_is_known(make_bundle: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "data" / "green").mkdir(parents=True)
    Image.new("RGB", (4, 4), COLORS["green"]).save(tmp_path / "data" / "green" / "0.png")
    assert evaluate_models([make_bundle()], data=str(tmp_path / "data")).rows[0].top1 == 1.0


def test_limit_takes_images_evenly(make_bundle: Callable[..., str], colors: str) -> None:
    assert evaluate_models([make_bundle()], data=colors, limit=6).rows[0].top1 == 5 / 6, "every other image: 0 and 2 of each class"


def test_digits_are_the_held_out_ones_of_training() -> None:
    labelled, held_out = _labelled(DIGITS, None), digits(12).held_out
    np.testing.assert_array_equal(labelled.labels, held_out.labels)
    for i in (0, 7, 449):
        np.testing.assert_array_equal((fit(labelled.read(i), (12, 12, 3)) / 127.5 - 1).astype(np.float32), held_out.images[i])


def test_of_equal_scores_the_first_counts() -> None:
    scores = np.array([[1.0, 3.0, 3.0, 2.0]] * 4)
    assert ranks_of(scores, np.arange(4)).tolist() == [3, 0, 1, 2]


def test_refusals(make_bundle: Callable[..., str], colors: str, tmp_path: Path) -> None:
    folder = make_bundle()
    with pytest.raises(EdgekitError, match=r"has 6 classes, 'digits' has 10"):
        evaluate_models([folder], data=DIGITS)
    with pytest.raises(EdgekitError, match="no sub-folders with images"):
        evaluate_models([folder], data=str(Path(colors) / "red"))
    with pytest.raises(EdgekitError, match="there is no 'absent'"):
        evaluate_models(["absent"], data=colors)
    with pytest.raises(EdgekitError, match=r"cannot be evaluated; name a \.keras"):
        evaluate_models([str(Path(colors) / "red" / "0.png")], data=colors)
    with pytest.raises(UnknownName, match="unknown executor 'tflite-xnpack'"):
        evaluate_models([folder], data=colors, executors=["tflite-xnpack"])
    (tmp_path / "a.onnx").write_bytes(write_onnx(color_graph()))
    with pytest.raises(EdgekitError, match="none of these is a bundle for a device; --on adb"):
        evaluate_models([str(tmp_path / "a.onnx")], data=DIGITS, on="adb")
    manifest = json.loads((Path(folder) / "manifest.json").read_text())
    (Path(folder) / TFLITE).write_bytes(write_tflite(color_graph(-1)))
    assert manifest["files"][TFLITE] != hashlib.sha256((Path(folder) / TFLITE).read_bytes()).hexdigest()
    with pytest.raises(EdgekitError, match=r"model\.tflite changed since it was exported"):
        evaluate_models([folder], data=colors)
    (Path(colors) / "red" / "0.png").write_bytes(b"no image")
    with pytest.raises(EdgekitError, match=r"red/0\.png"):
        evaluate_models([make_bundle("again")], data=colors)


def test_a_file_that_leaves_its_size_open_is_evaluated_at_one(tmp_path: Path, colors: str, make_bundle: Callable[..., str]) -> None:
    from edgekit.keras_models.layers.legacy_keras import import_keras

    layers = import_keras().layers
    image = layers.Input((None, None, 3))
    scores = layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(image)))
    import_keras().Model(image, scores).save(tmp_path / "open.keras")
    name = str(tmp_path / "open.keras")
    with pytest.raises(EdgekitError, match=r"takes images of any size.*say which with --size"):
        evaluate_models([name], data=colors)
    assert evaluate_models([name], data=colors, size=8).images == 12
    with pytest.raises(EdgekitError, match="leave --size out"):
        evaluate_models([make_bundle()], data=colors, size=8)


def test_a_float_onnx_of_several_outputs_is_refused_by_name(tmp_path: Path, colors: str) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Sigmoid", ["x"], ["b"])]
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 8, 8)) for name in "xab"]
    model = helper.make_model(
        helper.make_graph(nodes, "two", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )
    (tmp_path / "two.onnx").write_bytes(model.SerializeToString())
    name = str(tmp_path / "two.onnx")
    with pytest.raises(EdgekitError, match=r"'.*two\.onnx'.* 2 outputs"):
        evaluate_models([name], data=colors)
    with pytest.raises(EdgekitError, match=r"'.*two\.onnx'.* 2 outputs"):
        load_source(ModelRequest(name), lambda _: None)
