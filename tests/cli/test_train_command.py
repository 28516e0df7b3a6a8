"""edgekit train as a user meets it: killed and started again, quantized with few bits, taught without labels, refused."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from processes import command, edgekit, listing, variables

from edgekit.cli.main import main
from edgekit.graph import Conv2D, Dense, DepthwiseConv2D, check
from edgekit.keras_models.training.images import digits

SMALLEST = ("train", "mobilenet_v1", "--alpha", "0.25", "--size", "32", "--epochs", "2", "-o", "float.keras")
FLOAT = (*SMALLEST, "--data", "digits")


def weights_of(path: Path) -> list[Any]:
    from edgekit.keras_models.files.model_files import load_model

    weights: list[Any] = load_model(path).get_weights()
    return weights


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder, and what was told on the way. It was not interrupted."""
    folder = tmp_path_factory.mktemp("trained")
    done = edgekit(folder, *FLOAT)
    assert done.returncode == 0, done.stderr
    assert [path.name for path in folder.iterdir()] == ["float.keras"]  # the checkpoint is gone
    return folder, done.stderr


def test_every_epoch_is_told_with_its_accuracy(trained: tuple[Path, str]) -> None:
    told = [line for line in trained[1].splitlines() if line.startswith("edgekit: epoch")]
    assert [line.split(":")[1] for line in told] == [" epoch 1/2", " epoch 2/2"]
    assert all("loss" in line and "held out" in line and line.endswith("%") for line in told)


def test_a_training_that_was_killed_goes_on_and_gives_the_same_weights(
    trained: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    child = subprocess.Popen(command(*FLOAT), cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=variables())
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("edgekit: epoch 1/2"):
            child.kill()
            break
    assert child.wait() == -signal.SIGKILL
    child.stderr.close()
    assert list(listing(tmp_path)) == ["float.checkpoint"]
    refused(tmp_path, monkeypatch, (*FLOAT, "--learning-rate", "0.01"))
    message = "'float.checkpoint' is the checkpoint of an unfinished training that differs in: learning_rate 0.02, now 0.01."
    assert message in capfd.readouterr().err and list(listing(tmp_path)) == ["float.checkpoint"]
    done = edgekit(tmp_path, *FLOAT, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["epochs"], said["kept"], said["resumed_after"], said["labelled"]) == (2, 2, 1, True)
    assert said["notes"] == ["went on after epoch 1, from float.checkpoint"]
    assert list(listing(tmp_path)) == ["float.keras"]
    whole, resumed = weights_of(trained[0] / "float.keras"), weights_of(tmp_path / "float.keras")
    assert len(whole) == len(resumed) and all(np.array_equal(a, b) for a, b in zip(whole, resumed, strict=True))


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "unlabelled"
    folder.mkdir()
    for number, image in enumerate(digits(32).train.images[:128]):
        Image.fromarray(((image + 1) * 127.5).round().astype(np.uint8)).save(folder / f"{number:03}.png")
    return folder


@pytest.mark.slow
def test_few_bits_taught_without_labels(trained: tuple[Path, str], unlabelled: Path, tmp_path: Path) -> None:
    from edgekit.keras_models.files.model_files import load_model, read_notes
    from edgekit.keras_models.qfx.freeze import freeze

    real = str(trained[0] / "float.keras")
    (tmp_path / "bits.json").write_text('{"conv_pw_*": {"k_hot": 2}, "conv1": {"weight_bits": 6}}')
    words = ("train", real, "--data", str(unlabelled), "--qfx", "--teacher", real, "--epochs", "1", "--patience", "1", "-o", "q.keras")
    done = edgekit(tmp_path, *words, "--weight-bits", "5", "--precisions", "bits.json")
    assert done.returncode == 0, done.stderr
    assert "agreement with the teacher on 32 held-out images: " in done.stdout
    assert "edgekit: epoch 1/1: loss" in done.stderr and ", agreement " in done.stderr
    agreement = float(done.stdout.split("held-out images: ")[1].split("%")[0])
    assert agreement > 60  # of 10 classes
    assert read_notes(tmp_path / "q.keras")[1] is None  # agreement is no accuracy
    graph = freeze(load_model(tmp_path / "q.keras"))
    check(graph)
    largest = {}
    for op in graph.ops:
        if isinstance(op, Conv2D | DepthwiseConv2D | Dense):
            levels = np.abs(op.weights.astype(int)) // 4
            largest[op.name] = int(levels.max())
            if op.name.startswith("conv_pw_"):
                assert max(bin(level).count("1") for level in np.unique(levels).tolist()) == 2
    assert largest["conv1"] > 15 and max(top for name, top in largest.items() if "pool" not in name and name != "conv1") <= 15


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--k-hot", "2"), "the bits of weights are chosen when a model is quantized; add --qfx"),
        (("--qfx", "--k-hot", "6"), "Invalid value for '--k-hot'"),
        (("--qfx", "--weight-bits", "2"), "Invalid value for '--weight-bits'"),
        (("--patience", "0"), "Invalid value for '--patience'"),
        (("--qfx", "--precisions", "no.json"), "cannot read 'no.json': No such file"),
        (("--teacher", "no.keras"), "no file 'no.keras'"),
        (("--teacher", "mobilenet_v1"), "'mobilenet_v1' cannot teach; give a trained float model, as a .keras or .h5 file for one"),
    ],
)
def test_options_that_are_refused(
    words: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(tmp_path, monkeypatch, (*FLOAT, *words))
    assert message in capfd.readouterr().err
    assert listing(tmp_path) == {}


def refused(folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stop:
        main(words)
    assert stop.value.code == 2


def test_data_and_teachers_that_are_refused(
    trained: tuple[Path, str], unlabelled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    real = str(trained[0] / "float.keras")
    refused(tmp_path, monkeypatch, (*SMALLEST, "--data", str(unlabelled)))
    assert "has images without classes; put them into a sub-folder for each class, or give --teacher FILE" in capfd.readouterr().err
    (tmp_path / "bits.json").write_text('{"conv_pv_*": {"k_hot": 2}}')
    before = listing(tmp_path)
    refused(tmp_path, monkeypatch, ("train", real, "--data", "digits", "--qfx", "--precisions", "bits.json", "-o", "q.keras"))
    assert "unknown layer with weights 'conv_pv_*'. Did you mean conv_pw_" in capfd.readouterr().err
    wider = ("train", "mobilenet_v1", "--alpha", "0.25", "--size", "48", "--data", "digits", "--teacher", real, "-o", "q.keras")
    refused(tmp_path, monkeypatch, wider)
    assert "the teacher takes (32, 32, 3) and gives (10,), the model takes (48, 48, 3)" in capfd.readouterr().err
    assert listing(tmp_path) == before
