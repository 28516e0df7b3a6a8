"""Files from outside are read whole or refused: none is cut short, and none is read that is larger than such a file can be."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from edgekit.bench.measure import LIBRARY_BYTES_MAX
from edgekit.bench.results import BYTES_MAX as RESULTS_BYTES_MAX
from edgekit.cli.main import main
from edgekit.digest import CHUNK_BYTES, digest_of, digest_of_file, digest_of_parts
from edgekit.errors import EdgekitError
from edgekit.files import (
    GROWTH_BYTES,
    GROWTH_MAX,
    JSON_BYTES_MAX,
    MODEL_BYTES_MAX,
    check_path,
    read_bounded,
    read_json_object,
    reading,
    unpacked_bytes_max,
)
from edgekit.jobs.labels import LABELS_BYTES_MAX
from edgekit.plan import MANIFEST, MANIFEST_BYTES_MAX, read_mark


def sparse(path: Path, size: int) -> Path:
    """A file of so many zeros that takes no room on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    os.truncate(path, size)
    return path


def test_a_file_as_large_as_the_bound_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345678")
    assert read_bounded(path, 8) == b"12345678"


@pytest.mark.parametrize("size", [9, MODEL_BYTES_MAX + 1])
def test_a_larger_one_is_refused_and_not_cut_short(tmp_path: Path, size: int) -> None:
    with pytest.raises(EdgekitError, match=r"file' is larger than 8 bytes"):
        read_bounded(sparse(tmp_path / "file", size), 8)


def test_a_file_that_claims_to_be_small_is_refused_once_it_is_not() -> None:
    """Files of /proc have a length of 0 and content all the same."""
    path = Path("/proc/self/status")
    if not path.exists():
        pytest.skip("there is no /proc here")
    assert path.stat().st_size == 0
    with pytest.raises(EdgekitError, match="is larger than 8 bytes"):
        read_bounded(path, 8)


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(EdgekitError, match=r"cannot read '.*none': No such file"):
        read_bounded(tmp_path / "none", 8)
    with pytest.raises(EdgekitError, match=r"cannot read '.*': Is a directory"):
        read_bounded(tmp_path, 1 << 20)


def test_json_that_is_no_object_names_the_form(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    for content, message in (("[]", "is no JSON object; a file has the form {}"), ("{", r"is not JSON \(.*\); a file has the form {}")):
        path.write_text(content)
        with pytest.raises(EdgekitError, match=message):
            read_json_object(path, "a file", "{}")


def test_a_folder_with_an_oversized_manifest_is_not_ours(tmp_path: Path) -> None:
    sparse(tmp_path / MANIFEST, MANIFEST_BYTES_MAX + 1)
    assert read_mark(tmp_path) is None


NETWORK = ("mobilenet_v2", "--alpha", "0.35", "--size", "32")


@pytest.mark.parametrize(
    ("file", "most", "words"),
    [
        ("big.onnx", MODEL_BYTES_MAX, ("export", "big.onnx", "--target", "rpi4")),
        ("big.onnx", MODEL_BYTES_MAX, ("evaluate", "big.onnx", "--data", "digits")),
        ("big.tflite", MODEL_BYTES_MAX, ("evaluate", "big.tflite", "--data", "digits")),
        ("out/manifest.json", MANIFEST_BYTES_MAX, ("verify", "out")),
        ("out/manifest.json", MANIFEST_BYTES_MAX, ("bench", "out")),
        ("labels.txt", LABELS_BYTES_MAX, ("export", *NETWORK, "--target", "rpi4", "--labels", "labels.txt")),
        ("folding.json", JSON_BYTES_MAX, ("hls", *NETWORK, "--board", "ultra96", "--folding", "folding.json")),
        ("bits.json", JSON_BYTES_MAX, ("train", *NETWORK, "--data", "digits", "--qfx", "--precisions", "bits.json")),
        ("edgekit-bench.json", RESULTS_BYTES_MAX, ("bench", "out")),
    ],
)
def test_an_oversized_file_ends_a_command_with_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], file: str, most: int, words: tuple[str, ...]
) -> None:
    sparse(tmp_path / file, most + 1)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(words)
    shown = capfd.readouterr()
    assert stop.value.code == 2
    assert shown.out == "" and "Traceback" not in shown.err
    assert f"'{file}' is larger than {most:,} bytes" in shown.err.splitlines()[-1]


def test_the_library_that_is_sent_to_a_device_is_sent_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was cut off at the bound once, without a word."""
    from edgekit.bench import measure

    library = sparse(tmp_path / measure.AI_EDGE_LITERT.package / "ai_edge_litert" / measure.LIBRARY, LIBRARY_BYTES_MAX + 1)
    monkeypatch.setattr(measure, "missing_emulator", lambda _: None)
    monkeypatch.setattr(measure, "emulator_folder", lambda _: tmp_path)
    monkeypatch.setattr(measure.platform, "machine", lambda: "another")
    with pytest.raises(EdgekitError, match="is larger than"):
        measure._library("aarch64")
    os.truncate(library, 5)
    assert measure._library("aarch64") == bytes(5)


def test_digests_are_sha256_in_hex(tmp_path: Path) -> None:
    content = bytes(range(256)) * (CHUNK_BYTES // 256) + b"and one more chunk"
    path = tmp_path / "file"
    path.write_bytes(content)
    wanted = hashlib.sha256(content).hexdigest()
    assert digest_of(content) == digest_of_file(path) == digest_of_parts([content[:100], b"", content[100:]]) == wanted
    assert digest_of_parts([]) == digest_of(b"")


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    """A pipe would make us wait for whoever writes into it, a device never end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    for name in ("pipe", "zero"):
        with pytest.raises(EdgekitError, match=f"cannot read '.*{name}': it is a device, a pipe or a socket"):
            read_bounded(tmp_path / name, 8)


def test_a_pipe_that_takes_a_files_place_does_not_make_us_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr("edgekit.files.check_regular", lambda *_: 0)
    with pytest.raises(EdgekitError, match="it is a device, a pipe or a socket"):
        read_bounded(tmp_path / "pipe", 8)


def test_paths_that_no_file_can_have(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    for path, message in (
        (Path("a\0b"), "has a NUL in it"),
        (Path("n" * 256), "is too long"),
        (Path("a/" * 2049), "is too long"),
        (tmp_path / "circle", "Too many levels of symbolic links"),
    ):
        with pytest.raises(EdgekitError, match=message):
            check_path(path)
    for path in (tmp_path / "none", tmp_path / "none" / "inside", tmp_path / ("é" * 127)):
        check_path(path)


def test_reading_lets_nothing_else_out() -> None:
    for error in (ValueError("no\nlines"), KeyError("x"), MemoryError(), RecursionError("deep"), AttributeError("x")):
        with pytest.raises(EdgekitError, match="the file is damaged, or of another kind") as raised, reading("the file"):
            raise error
        assert "\n" not in str(raised.value)
    with pytest.raises(EdgekitError, match=r"^as it is$"), reading("the file"):
        raise EdgekitError("as it is")
    with pytest.raises(KeyboardInterrupt), reading("the file"):
        raise KeyboardInterrupt


def test_what_a_file_may_unpack_to() -> None:
    assert unpacked_bytes_max(10) == GROWTH_BYTES
    assert unpacked_bytes_max(100 << 20) == MODEL_BYTES_MAX
    assert unpacked_bytes_max(4 << 20) == GROWTH_MAX * (4 << 20)
