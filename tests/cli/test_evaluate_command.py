"""edgekit evaluate as a user runs it: a Keras file, a bundle and a file of it side by side, in a process of its own."""

from __future__ import annotations

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

import json
import re
from pathlib import Path

import pytest
from processes import edgekit

from edgekit.cli.main import main
from edgekit.jobs import ModelRequest, export_model, load_source, spread_out
from edgekit.jobs.evaluate import Seen, evaluate_models
from edgekit.jobs.spread_out import evaluate_spread
from edgekit.plan import write_file
from edgekit.spread.tasks import Done, Task

DOCS = Path(__file__).resolve().parents[2] / "docs" / "json.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.keras, a network with random weights, exported to `bundle`; alone.tflite, without what the bundle says of it."""
    from edgekit.keras_models.files.model_files import save_model

    path = tmp_path_factory.mktemp("models")
    source = load_source(ModelRequest("mobilenet_v1", alpha=0.25, size=32, classes=10))
    save_model(source.keras, path / "net.keras", source.preprocessing)
    request = ModelRequest(str(path / "net.keras"), calibration="digits", effort="quick")
    export_model(request, target="linux-x86_64", output=path / "bundle")
    write_file(path / "alone.tflite", (path / "bundle" / "model.tflite").read_bytes())
    return path


def test_side_by_side(folder: Path) -> None:
    words = ("evaluate", "net.keras", "alone.tflite", "bundle", "bundle/model.onnx", "--data", "digits", "--limit", "60")
    done = edgekit(folder, *words, "--executor", "tflite-xnnpack", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    section = DOCS.read_text().split("## edgekit evaluate")[1].split("## ")[0]
    documented = re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)
    assert [*found, *found["rows"][0]] == documented
    rows = found["rows"]
    assert [(row["model"], row["executor"], row["exact"], row["differing"]) for row in rows] == [
        ("net.keras", "keras", False, None),
        ("alone.tflite", "tflite-xnnpack", False, None),
        ("bundle", "tflite-xnnpack", True, None),
        ("bundle/model.onnx", "tflite-xnnpack", True, 0),
    ]
    assert found["images"] == 60 and all(row["values"] == 600 for row in rows)
    assert rows[1]["top1"] == rows[2]["top1"] and "alone.tflite" in found["warnings"][0], "the same file; its preprocessing was assumed"
    assert all(0 <= row["top1"] <= row["top5"] <= 1 for row in rows)


@pytest.mark.slow
def test_spread_over_workers_it_says_the_same(folder: Path) -> None:
    words = ("evaluate", "net.keras", "bundle", "bundle/model.onnx", "--data", "digits", "--limit", "20", "--json")
    alone, spread = (edgekit(folder, *words, *more) for more in ((), ("--workers", "2")))
    assert spread.returncode == 0, spread.stderr
    assert json.loads(spread.stdout) == json.loads(alone.stdout)
    refused = edgekit(folder, "evaluate", "net.keras", "none.keras", "--data", "digits", "--workers", "2")
    assert refused.returncode == 2 and "none.keras" in refused.stderr
    verified = edgekit(folder, "verify", "bundle", "bundle", "--executor", "onnxruntime", "--inputs", "4", "--workers", "2", "--json")
    found = json.loads(verified.stdout)
    assert verified.returncode == 0 and found["passed"] and [one["passed"] for one in found["folders"]] == [True, True]


def test_outputs_that_should_be_equal_are_counted_where_workers_saw_them_differ(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of this process, one of which gives another digest of the outputs: the two models are then evaluated together."""
    monkeypatch.chdir(folder)
    given: list[tuple[str, ...]] = []

    class Here:
        count = 1

        def start(self, task: Task) -> None:
            evaluation, seen = task.function(task.argument)
            wrong = [Seen(one.graph, f"other {task.key}") for one in seen]
            self.done = Done(task, value=(evaluation, seen if task.key == "0" else wrong))

        def wait(self) -> Done:
            return self.done

    def together(models: list[str], **options: object) -> object:
        given.append(tuple(models))
        return evaluate_models(models, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(spread_out, "evaluate_models", together)
    options = {"data": "digits", "limit": 8, "executors": ["reference"], "on": "local", "preprocessing": None, "channel_order": "rgb"}
    found = evaluate_spread(["bundle", "bundle/model.onnx"], {**options, "labels": None, "size": None}, Here())
    assert [row.differing for row in found.rows] == [None, 0]
    assert given == [("bundle",), ("bundle/model.onnx",), ("bundle", "bundle/model.onnx")]


def test_the_table_says_whether_exact_copies_are_equal(folder: Path) -> None:
    done = edgekit(folder, "evaluate", "bundle", "--data", "digits", "--limit", "8", "--executor", "reference", "--executor", "onnxruntime")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["model", "executor", "top-1", "top-5", "exact"]
    assert [line.split()[:2] for line in lines[1:3]] == [["bundle", "reference"], ["bundle", "onnxruntime"]]
    assert "8 images of digits, 10 classes" in done.stdout and "equal outputs: 0 values differ" in done.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("bundle", "--data", "nowhere"), "'nowhere' is not a folder"),
        (("nowhere.keras", "--data", "digits"), "no file 'nowhere.keras'"),
        (("mobilenet_v2", "--data", "digits"), "there is no 'mobilenet_v2'; evaluate takes a .keras"),
        (("bundle", "--data", "images"), "'bundle' has 10 classes, 'images' has 2; they must be as many, or"),
        (("bundle", "--data", "digits", "--executor", "kears"), "unknown executor 'kears'. Did you mean keras"),
        (
            ("alone.tflite", "--data", "digits", "--executor", "reference"),
            "executor 'reference' cannot run it here: there is no integer graph",
        ),
    ],
)
def test_refusals(
    words: tuple[str, ...], message: str, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("images/cat/0.ppm", "images/dog/0.ppm"):
        write_file(folder / name, b"P6 1 1 255\n\0\0\0")
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stop:
        main(["evaluate", *words])
    shown = capfd.readouterr()
    assert stop.value.code == 2 and shown.out == "" and message in shown.err.splitlines()[-1]


@pytest.mark.csim
def test_an_hls_project_beside_the_bundle(folder: Path, tmp_path: Path) -> None:
    done = edgekit(tmp_path, "hls", str(folder / "bundle" / "model.onnx"), "--board", "ultra96", "-o", "project")
    assert done.returncode == 0, done.stderr
    done = edgekit(tmp_path, "evaluate", str(folder / "bundle"), "project", "--data", "digits", "--limit", "20", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [(row["executor"], row["exact"], row["differing"]) for row in rows] == [("tflite-xnnpack", True, None), ("hls-csim", True, 0)]
