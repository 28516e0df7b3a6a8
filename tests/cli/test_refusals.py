"""What a user can get wrong: one clear message, exit code 2, and nothing on disk that was not there before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import edgekit, listing

from edgekit.cli.main import main

NETWORK = ("export", "mobilenet_v2", "--target", "rpi4", "--alpha", "0.35", "--size", "32", "-o", "out")
Refused = Callable[..., str]


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Refused:
    """Runs a command in a folder; gives the message."""

    def run(folder: Path, *words: str) -> str:
        monkeypatch.chdir(folder)
        before = listing(folder)
        with pytest.raises(SystemExit) as stop:
            main(words)
        shown = capfd.readouterr()
        assert stop.value.code == 2, shown.err
        assert shown.out == ""
        assert "Traceback" not in shown.err and "fault of edgekit" not in shown.err
        assert listing(folder) == before
        return shown.err.splitlines()[-1]

    return run


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("export", "mobilnet_v2", "--target", "rpi4"), "unknown network 'mobilnet_v2'. Did you mean mobilenet_v2"),
        (("export", "mobilenet_v2", "--target", "rpi"), "unknown device 'rpi'. Did you mean"),
        (("hls", "mobilenet_v2", "--board", "ultra69"), "unknown board 'ultra69'. Did you mean ultra96"),
        (("export", "mobilenet_v2", "--target", "rpi4", "--precision", "int9"), "unknown precision 'int9'. Did you mean int8"),
        ((*NETWORK[:4], "--alpha", "0.3"), "MobileNetV2 has no alpha 0.3; it has 0.35, 0.5"),
        ((*NETWORK[:4], "--size", "16"), "cannot take images of size 16: sizes are 32 to 1024"),
        ((*NETWORK[:4], "--classes", "0"), "at least 1 class, not 0"),
        (("models", "mobilnet"), "unknown network 'mobilnet'"),
        (("export", "nowhere.keras", "--target", "rpi4"), "no file 'nowhere.keras'"),
        (("export", "nowhere.onnx", "--target", "rpi4"), "'nowhere.onnx': No such file"),
    ],
)
def test_names_and_numbers_that_there_are_not(refused: Refused, words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    assert message in refused(tmp_path, *words)


def test_they_are_refused_before_tensorflow_is_imported(tmp_path: Path) -> None:
    """A process that may not import it (a broken stand-in comes first on the path) answers all the same."""
    stand_in = tmp_path / "path"
    stand_in.mkdir()
    for name in ("tensorflow", "tf_keras"):
        (stand_in / f"{name}.py").write_text("raise RuntimeError('imported')\n")
    for words in (
        ("export", "mobilnet_v2", "--target", "rpi4"),
        (*NETWORK[:4], "--alpha", "0.3"),
        ("export", "no.keras", "--target", "rpi4"),
    ):
        done = edgekit(tmp_path, *words, PYTHONPATH=str(stand_in))
        assert done.returncode == 2 and "imported" not in done.stderr


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights files that are wrong, each in its way."""
    import edgekit

    folder = tmp_path_factory.mktemp("weights")
    model = edgekit.build_model("mobilenet_v2", alpha=0.35, size=32)
    model.save_weights(folder / "good.h5")
    values = model.get_weights()
    values[5][0] = np.nan
    model.set_weights(values)
    model.save_weights(folder / "nan.h5")
    edgekit.build_model("mobilenet_v1", alpha=0.25, size=32).save_weights(folder / "other.h5")
    edgekit.build_model("mobilenet_v2", alpha=0.5, size=32).save_weights(folder / "wider.h5")
    content = (folder / "good.h5").read_bytes()
    (folder / "truncated.h5").write_bytes(content[: len(content) // 2])
    (folder / "empty.h5").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("missing.h5", "no file 'missing.h5'"),
        ("nan.h5", "'expanded_conv_depthwise/depthwise_kernel:0' has 48 values that are NaN"),
        ("truncated.h5", "'truncated.h5' is not a whole Keras file"),
        ("empty.h5", "'empty.h5' is not a whole Keras file"),
        ("other.h5", "'other.h5' holds the weights of another network: no layer 'Conv1'"),
        ("wider.h5", "'block_1_project' has 1x1x48x16 where the model has 1x1x48x8"),
    ],
)
def test_weights_that_do_not_fit(refused: Refused, weights: Path, file: str, message: str) -> None:
    assert message in refused(weights, *NETWORK, "--weights", file)


def test_weights_given_as_a_model(refused: Refused, weights: Path) -> None:
    assert "holds no model, weights at most" in refused(weights, "export", "good.h5", "--target", "rpi4")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from PIL import Image

    folder = tmp_path_factory.mktemp("folders")
    for name in ("empty", "text", "broken", "cut", "foreign"):
        (folder / name).mkdir()
    (folder / "text/readme.txt").write_text("no image")
    (folder / "foreign/thesis.txt").write_text("mine")
    (folder / "file").write_text("")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8))
    noise.save(folder / "broken/a.png")
    (folder / "broken/b.png").write_bytes(b"\x89PNG junk")
    noise.save(folder / "cut/a.jpg")
    content = (folder / "cut/a.jpg").read_bytes()
    (folder / "cut/a.jpg").write_bytes(content[: len(content) // 2])
    return folder


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        ("missing", "'missing' is not a folder"),
        ("file", "'file' is not a folder"),
        ("empty", "no images in 'empty'; looked for files ending in .bmp"),
        ("text", "no images in 'text'"),
        ("broken", "cannot read the image 'broken/b.png'"),
        ("cut", "cannot read the image 'cut/a.jpg'"),
    ],
)
def test_calibration_images_that_cannot_be_used(refused: Refused, folders: Path, calibration: str, message: str) -> None:
    assert message in refused(folders, *NETWORK, "--calibration", calibration)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("foreign", "is not empty and was not written by edgekit"),
        ("file", "is a file; name a folder"),
        ("file/inside", "file is a file; nothing was changed"),
        (".", "is the folder you are in"),
    ],
)
def test_an_output_folder_that_is_not_ours(refused: Refused, folders: Path, output: str, message: str) -> None:
    for words in (NETWORK[:4], ("hls", "mobilenet_v2", "--board", "ultra96")):
        assert message in refused(folders, *words, "-o", output)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("export", "foreign", "--target", "rpi4"), "'foreign' is no model"),
        (("verify", "foreign"), "foreign has no manifest.json; name a folder that 'edgekit export'"),
        (("verify", "file"), "file is no folder"),
        (("verify", "missing"), "missing is no folder"),
    ],
)
def test_what_is_no_model_and_no_bundle(refused: Refused, folders: Path, words: tuple[str, ...], message: str) -> None:
    assert message in refused(folders, *words)


def models() -> dict[str, Any]:
    """Keras models that cannot be exported, by file name."""
    from edgekit.keras_models.layers.legacy_keras import import_keras

    keras = import_keras()
    layers = keras.layers
    image, open_image = layers.Input((16, 16, 3)), layers.Input((None, None, 3))
    other = layers.Input((16, 16, 3))
    conv = layers.Conv2D(3, 3, padding="same", name="twice")
    mapped = layers.Conv2D(3, 3)(image)

    class Mine(layers.Layer):  # type: ignore[name-defined,misc]
        pass

    return {
        "turned.keras": keras.Model(image, layers.Permute((2, 1, 3), name="turn")(mapped)),
        "lambda.keras": keras.Model(image, layers.Lambda(lambda x: x * 2, name="double")(mapped)),
        "lambda.h5": keras.Model(image, layers.Lambda(lambda x: x * 2, name="double")(mapped)),
        "mine.keras": keras.Model(image, Mine(name="mine")(mapped)),
        "uneven.keras": keras.Model(
            image, layers.DepthwiseConv2D(3, strides=2, padding="same", name="uneven", data_format="channels_first")(image)
        ),
        "two.keras": keras.Model([image, other], layers.Add()([image, other])),
        "open.keras": keras.Model(open_image, layers.Conv2D(3, 3)(open_image)),
        "shared.keras": keras.Model(image, conv(conv(image))),
        "means.keras": keras.Model(
            image, layers.Concatenate(name="join")([layers.GlobalAveragePooling2D()(mapped), layers.GlobalMaxPooling2D()(mapped)])
        ),
    }


@pytest.fixture(scope="module")
def model_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name, model in models().items():
        model.save(folder / name)
    content = (folder / "turned.keras").read_bytes()
    (folder / "truncated.keras").write_bytes(content[: len(content) // 2])
    (folder / "junk.onnx").write_bytes(b"\x08\x07not a graph")
    exported = Path(__file__).parents[1] / "golden" / "torch_exported_opset13.onnx"
    (folder / "half.onnx").write_bytes(exported.read_bytes()[:5000])
    (folder / "model.tflite").write_bytes(b"    TFL3")
    (folder / "model.pb").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("turned.keras", "layer 'turn' is a Permute. Supported: Activation, ActivityRegularization, Add"),
        ("lambda.keras", "layer 'double' is or has a Lambda"),
        ("lambda.h5", "layer 'double' is or has a Lambda"),
        ("mine.keras", "layer 'mine' is or has a Mine"),
        ("uneven.keras", "layer 'uneven' (DepthwiseConv2D) has data_format"),
        ("two.keras", "one input of a fixed size is supported"),
        ("open.keras", "one input of a fixed size is supported"),
        ("shared.keras", "layer 'twice' is used 2 times"),
        ("means.keras", "layer 'join' follows a mean over a number of cells that is no power of two"),
        ("truncated.keras", "'truncated.keras' is not a whole Keras file"),
        ("junk.onnx", "not an ONNX file"),
        ("half.onnx", "not an ONNX file, or a truncated one"),
        ("model.tflite", "the TFLite file is damaged"),
        ("model.pb", "'model.pb' is no model"),
    ],
)
def test_models_that_cannot_be_exported(refused: Refused, model_files: Path, file: str, message: str) -> None:
    assert message in refused(model_files, "export", file, "--target", "rpi4")


def test_options_that_belong_to_a_network_are_refused_for_a_file(refused: Refused, model_files: Path) -> None:
    message = refused(model_files, "export", "turned.keras", "--target", "rpi4", "--alpha", "1", "--size", "96")
    assert "'turned.keras' is a file, which settles --alpha, --size itself; leave them out" in message


def test_a_quantized_graph_has_no_stock_precision(refused: Refused, tmp_path: Path) -> None:
    from random_graphs import random_graph

    from edgekit.graph.onnx_write import write_onnx

    (tmp_path / "net.onnx").write_bytes(write_onnx(random_graph(np.random.default_rng(1))))
    assert "needs a float model. Use --precision qfx" in refused(tmp_path, "export", "net.onnx", "--target", "rpi4", "--precision", "int8")
