"""A bundle's manifest is written and read back equal; what a stranger may have put into one is refused with one message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgekit.bundle import MANIFEST, Manifest, WeightsSource, bundle_plan, open_bundle, parse_manifest
from edgekit.errors import EdgekitError
from edgekit.images.preprocessing import Preprocessing
from edgekit.plan import Plan, write


def stock_plan(**changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "kind": "tflite",
        "network": "mobilenet_v2",
        "options": {"alpha": 1.0, "size": 224, "classes": None, "name": "x", "flag": True},
        "precision": "int8",
        "target": "rpi4",
        "weights": WeightsSource("random", seed=7),
        "preprocessing": Preprocessing((127.5,), (127.5,)),
        "command": ("edgekit", "export", "mobilenet_v2"),
    }
    return bundle_plan({"model.tflite": b"TFL3", "README.txt": b"hello"}, Manifest(**{**fields, **changes}))


def manifest_of(plan: Plan) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(plan.files[MANIFEST])
    return found


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write(stock_plan(), tmp_path / "out")
    bundle = open_bundle(tmp_path / "out")
    assert bundle.changed == {}
    assert bundle.artifact.tflite == b"TFL3" and bundle.artifact.graph is None and bundle.artifact.hls_project is None
    assert bundle.manifest.weights == WeightsSource("random", seed=7)
    assert bundle.manifest.options == {"alpha": 1.0, "size": 224, "classes": None, "name": "x", "flag": True}
    assert bundle.manifest.preprocessing == Preprocessing((127.5,), (127.5,))
    assert bundle.manifest.versions["numpy"]


def test_a_plan_is_deterministic() -> None:
    assert stock_plan().digest() == stock_plan().digest() != stock_plan(target="rpi5").digest()


def test_changed_missing_and_linked_files_are_findings_and_are_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    write(stock_plan(), folder)
    (folder / "model.tflite").write_bytes(b"TFL4")
    (folder / "README.txt").unlink()
    bundle = open_bundle(folder)
    assert bundle.changed == {"model.tflite": "changed since it was exported", "README.txt": "is missing"}
    assert bundle.artifact.tflite is None
    (folder / "README.txt").symlink_to("/etc/hostname")
    assert open_bundle(folder).changed["README.txt"] == "is a link now"


def test_a_linked_folder_leads_nowhere(tmp_path: Path) -> None:
    """The file's own name is no link, but a folder above it is, and leads out of the bundle."""
    folder = tmp_path / "out"
    write(bundle_plan_with_folder(), folder)
    (folder / "part/secret.txt").rename(tmp_path / "secret.txt")
    (folder / "part").rmdir()
    (folder / "part").symlink_to(tmp_path)
    assert open_bundle(folder).changed == {"part/secret.txt": "is a link now"}


def bundle_plan_with_folder() -> Plan:
    files = {**stock_plan().files, "part/secret.txt": b"s"}
    del files[MANIFEST]
    return bundle_plan(
        files,
        Manifest(
            kind="tflite",
            network="n",
            options={},
            precision="int8",
            target="rpi4",
            weights=WeightsSource("trained", file="digits"),
            preprocessing=Preprocessing((0.0, 1.0, 2.0), (1.0,)),
            command=(),
        ),
    )


def test_folders_that_are_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match="is no folder"):
        open_bundle(tmp_path / "none")
    with pytest.raises(EdgekitError, match=r"has no manifest\.json"):
        open_bundle(tmp_path)


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[" * 100_000, b"\xff", b"[]", b"{}", b'{"schema": "edgekit/2"}', b'{"schema": "edgekit/1"}', b"1" * 10_000]
)
def test_text_that_is_no_manifest(text: bytes) -> None:
    with pytest.raises(EdgekitError, match=r"manifest\.json"):
        parse_manifest(text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "zip"),
        ("kind", 3),
        ("network", ""),
        ("network", "a\u001b[31m"),  # would colour the terminal
        ("network", "n" * 2000),
        ("options", []),
        ("options", {"alpha": [1]}),
        ("precision", None),
        ("target", 4),
        ("weights", "random"),
        ("weights", {"origin": "stolen"}),
        ("weights", {"origin": "random", "seed": True}),
        ("weights", {"origin": "random", "seed": 1.5}),
        ("preprocessing", {"mean": [0.0], "std": [0]}),
        ("preprocessing", {"mean": [], "std": [1]}),
        ("preprocessing", {"mean": [0.0], "std": ["1"]}),
        ("preprocessing", {"mean": [float("nan")], "std": [1]}),
        ("versions", {"numpy": 2}),
        ("command", "edgekit export"),
        ("command", [1]),
        ("files", {"model.tflite": "abc"}),
        ("files", {}),
        ("files", {"model.tflite": "0" * 64, "../../etc/passwd": "0" * 64}),
        ("files", {"model.tflite": "0" * 64, "/etc/passwd": "0" * 64}),
    ],
)
def test_a_hostile_field_is_refused(field: str, value: Any) -> None:
    hostile = json.dumps({**manifest_of(stock_plan()), field: value}).encode()
    with pytest.raises(EdgekitError, match=r"manifest\.json|file name"):
        parse_manifest(hostile)


def test_a_missing_field_is_named() -> None:
    whole = manifest_of(stock_plan())
    for field in set(whole) - {"schema"}:
        with pytest.raises(EdgekitError, match=field):
            parse_manifest(json.dumps({name: value for name, value in whole.items() if name != field}).encode())


def test_an_exporter_cannot_write_what_cannot_be_read() -> None:
    with pytest.raises(EdgekitError, match="'kind'"):
        stock_plan(kind="zip")
