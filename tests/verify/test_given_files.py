"""What verify sees of files that it cannot make again: the names of the classes, and the table of what each layer loses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from bundles import exact_plan
from mutations import mend
from test_file_check import small_graph

from edgekit.bundle import open_bundle
from edgekit.keras_models.qfx.sensitivity import LayerLoss, sensitivity_json
from edgekit.plan import write
from edgekit.verify.file_check import check_files

LABELS, SENSITIVITY = "labels.txt", "sensitivity.json"


def loss(name: str, own_db: float) -> LayerLoss:
    return LayerLoss(name=name, own_db=own_db, total_db=own_db - 1, steps_of_narrow_channels=90.0)


@pytest.fixture(scope="module")
def folder_with_both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given") / "bundle"
    plan = exact_plan(small_graph(), labels=["cat", "dog", "häher", "tree frog", "5"])
    write(plan, folder)
    (folder / SENSITIVITY).write_bytes(sensitivity_json([loss("conv", 20.0), loss("dense", 15.0)]))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][SENSITIVITY] = ""
    (folder / "manifest.json").write_text(json.dumps(manifest))
    mend(folder)
    return folder


def finding(original: Path, folder: Path, name: str, content: bytes) -> str | None:
    """What verify finds of the file with another content and its hash mended; None if nothing."""
    shutil.copytree(original, folder)
    (folder / name).write_bytes(content)
    mend(folder)
    found = check_files(open_bundle(folder))
    assert set(found.findings) <= {name}
    return found.findings.get(name)


def test_both_are_taken_as_they_are(folder_with_both: Path, tmp_path: Path) -> None:
    """Other names of as many classes are a user's to give."""
    found = check_files(open_bundle(folder_with_both))
    assert found.passed and found.findings == {} and {LABELS, SENSITIVITY} <= set(found.given)
    assert finding(folder_with_both, tmp_path / "out", LABELS, b"a\nb\nc\nd\ne\n") is None


@pytest.mark.parametrize(
    "content,said",
    [
        (b"cat\ndog\nfrog\n5\n", "has 4 lines for 5 classes"),
        (b"cat\ndog\nfrog\n4\n5\n6\n", "has 6 lines for 5 classes"),
        (b"cat\ndog\nfrog\n4\n5", "has 4 lines for 5 classes"),
        (b"", "has 0 lines for 5 classes"),
        (b"cat\nd\x00g\nfrog\n4\n5\n", "has characters that cannot be printed"),
        (b"cat\nd\xffg\nfrog\n4\n5\n", "has characters that cannot be printed"),
        (b"cat\r\ndog\r\nfrog\r\n4\r\n5\r\n", "has characters that cannot be printed"),
        (b"cat\n\x1b[31mdog\nfrog\n4\n5\n", "has characters that cannot be printed"),
    ],
)
def test_labels_that_are_none(folder_with_both: Path, tmp_path: Path, content: bytes, said: str) -> None:
    assert finding(folder_with_both, tmp_path / "out", LABELS, content) == said


OTHER_LAYERS = "names other layers than those of the graph that have weights, each once"
GOOD = {"name": "conv", "own_db": 20.0, "total_db": 19.0, "steps_of_narrow_channels": 90.0}


@pytest.mark.parametrize(
    "content,said",
    [
        (sensitivity_json([loss("conv", 20.0), loss("image", 15.0)]), OTHER_LAYERS),
        (sensitivity_json([loss("conv", 20.0), loss("conv", 15.0)]), OTHER_LAYERS),
        (b"{}", "this is no sensitivity table: 'schema'"),
        (b"[" * 100_000, "this is no sensitivity table: "),
        (json.dumps({"schema": "edgekit-sensitivity/2", "layers": []}).encode(), "this is no sensitivity table: its schema is"),
        (json.dumps({"schema": "edgekit-sensitivity/1", "layers": [{"name": "conv"}]}).encode(), "this is no sensitivity table: 'own_db'"),
        (json.dumps({"schema": "edgekit-sensitivity/1", "layers": [GOOD]}).encode(), "is not as edgekit writes one"),
        (sensitivity_json([loss("conv", 20.0)]) + b"\n", "is not as edgekit writes one"),
    ],
)
def test_sensitivity_tables_that_are_none(folder_with_both: Path, tmp_path: Path, content: bytes, said: str) -> None:
    found = finding(folder_with_both, tmp_path / "out", SENSITIVITY, content)
    assert found is not None and found.startswith(said)


def test_the_order_of_the_table_is_the_worst_first(folder_with_both: Path, tmp_path: Path) -> None:
    """The same layers in another order are another file."""
    table = json.loads((folder_with_both / SENSITIVITY).read_text())
    assert [one["name"] for one in table["layers"]] == ["dense", "conv"]
    table["layers"].reverse()
    content = (json.dumps(table, indent=1) + "\n").encode()
    assert finding(folder_with_both, tmp_path / "out", SENSITIVITY, content) == "is not as edgekit writes one"
