"""A hundred things that no command should take: one message each, exit code 2, under 1 GiB and 10 s, and nothing is left."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_inputs import make_bad_inputs

from edgekit.cli.main import main

ZOO = ("mobilenet_v1", "--alpha", "0.25", "--size", "32")
EXPORT, HLS, TRAIN = ("export", *ZOO, "--target", "rpi4"), ("hls", *ZOO, "--board", "ultra96"), ("train", *ZOO, "--data", "digits")
LONG = "n" * 300
NO_FILE = "it is a device, a pipe or a socket, and no regular file"
BYTES_MAX, SECONDS_MAX = 1 << 30, 10


def exported(file: str) -> tuple[str, ...]:
    return ("export", file, "--target", "rpi4")


def made(file: str) -> tuple[str, ...]:
    return ("hls", file, "--board", "ultra96")


def evaluated(file: str) -> tuple[str, ...]:
    return ("evaluate", file, "--data", "digits")


def trained(file: str) -> tuple[str, ...]:
    return ("train", file, "--data", "digits")


def weighed(file: str) -> tuple[str, ...]:
    return (*EXPORT, "--weights", file)


BAD: tuple[tuple[tuple[str, ...], str], ...] = (
    # models that are no regular files
    (exported("pipe.keras"), NO_FILE),
    (exported("pipe.onnx"), NO_FILE),
    (exported("pipe.tflite"), NO_FILE),
    (made("pipe.h5"), NO_FILE),
    (evaluated("pipe.keras"), NO_FILE),
    (evaluated("pipe.onnx"), NO_FILE),
    (evaluated("pipe.tflite"), NO_FILE),
    (trained("pipe.h5"), NO_FILE),
    (exported("zero.keras"), NO_FILE),
    (exported("zero.onnx"), NO_FILE),
    (made("zero.tflite"), NO_FILE),
    (evaluated("zero.tflite"), NO_FILE),
    (trained("zero.keras"), NO_FILE),
    (exported("circle.keras"), "'circle.keras' cannot be reached: Too many levels of symbolic links"),
    (made("circle.onnx"), "cannot be reached"),
    (evaluated("circle.tflite"), "cannot be reached"),
    (exported("folder.keras"), "'folder.keras' is not a file"),
    (made("folder.onnx"), "Is a directory"),
    (evaluated("folder.tflite"), "has no manifest.json"),
    (exported("file"), "'file' is no model"),
    (exported(f"{LONG}.keras"), "is too long for a file's name"),
    (made(LONG), "is too long for a file's name"),
    (evaluated(f"{LONG}.onnx"), "is too long for a file's name"),
    (exported("a\0b.keras"), "has a NUL in it"),
    (trained("a\0b.keras"), "has a NUL in it"),
    (evaluated("a\0b.onnx"), "has a NUL in it"),
    # models that are damaged, or declare more than they hold
    (exported("empty.keras"), "is not a whole Keras file"),
    (exported("empty.onnx"), "without a network"),
    (made("empty.tflite"), "not a TFLite file"),
    (made("noise.h5"), "is not a whole Keras file"),
    (exported("noise.onnx"), "not an ONNX file"),
    (exported("noise.tflite"), "not a TFLite file"),
    (evaluated("noise.onnx"), "ONNX"),
    (evaluated("noise.tflite"), "not a TFLite file"),
    (exported("cut.keras"), "'cut.keras' is not a whole Keras file"),
    (trained("cut.h5"), "'cut.h5' is not a whole Keras file"),
    (exported("cut.onnx"), "ONNX file"),
    (made("cut.tflite"), "the TFLite file is damaged"),
    (evaluated("cut.tflite"), "the TFLite file is damaged"),
    (exported("config_bomb.keras"), "config.json is larger than 16 MiB"),
    (exported("weights_bomb.keras"), "would unpack to"),
    (exported("wide.keras"), "declares weights of more than 64 MiB"),
    (made("deep.keras"), "deep.keras"),
    (exported("huge.onnx"), "values of shape"),
    (made("huge_float.onnx"), "2,700,000,000 values, and at most 16,777,216 are supported"),
    (exported("filled.onnx"), "is a ConstantOfShape of constants"),
    (exported("range.onnx"), "is a Range of constants"),
    (exported("huge.tflite"), "has shape [1, 1048576, 1048576, 3]"),
    (evaluated("huge.tflite"), "has shape [1, 1048576, 1048576, 3]"),
    (evaluated("huge.onnx"), "values of shape"),
    # weights
    (weighed("pipe.h5"), NO_FILE),
    (weighed("pipe.npz"), NO_FILE),
    (weighed("pipe.pth"), NO_FILE),
    (weighed("zero.safetensors"), NO_FILE),
    (weighed("circle.h5"), "cannot be reached"),
    (weighed("folder.npz"), "is not a file"),
    (weighed("empty.pth"), "is not a whole file of weights"),
    (weighed("noise.npz"), "is not a whole file of weights"),
    (weighed("noise.safetensors"), "is not a whole file of weights"),
    (weighed("damaged.h5"), "damaged.h5' is damaged"),
    (weighed("declared.h5"), "its tensors take more than"),
    (weighed("parentheses.npz"), "'parentheses.npz' is not a whole file of weights"),
    (weighed("bomb.npz"), "would unpack to"),
    (weighed("objects.npz"), "holds object, not plain numbers"),
    (weighed("long.safetensors"), "its header is longer than the file"),
    (weighed("cut.pth"), "is not a whole file of weights"),
    (weighed("system.pth"), "posix.system"),
    (weighed(LONG), "is too long for a file's name"),
    # images
    ((*EXPORT, "--calibration", "images_pipe"), NO_FILE),
    ((*EXPORT, "--calibration", "images_zero"), NO_FILE),
    ((*EXPORT, "--calibration", "images_circle"), "cannot be reached"),
    ((*EXPORT, "--calibration", "images_huge"), "it has 13000 x 13000 pixels"),
    ((*EXPORT, "--calibration", "images_float"), "its pixels are floating-point numbers (Pillow's mode 'F')"),
    ((*HLS, "--calibration", "images_int32"), "its pixels are whole numbers of 32 bits (Pillow's mode 'I')"),
    ((*HLS, "--calibration", "images_empty"), "no images in 'images_empty'"),
    (("train", *ZOO, "--data", "images_noise"), "cannot read the image 'images_noise/class/a.png'"),
    (("train", *ZOO, "--data", LONG), "is too long for a file's name"),
    (("verify", "good", "--data", "images_huge"), "it has 13000 x 13000 pixels"),
    (("verify", "good", "--data", "images_pipe"), NO_FILE),
    # other files that are read
    ((*EXPORT, "--labels", "pipe.txt"), NO_FILE),
    ((*EXPORT, "--labels", "zero.txt"), NO_FILE),
    ((*EXPORT, "--labels", "noise.txt"), "cannot read the labels in 'noise.txt'"),
    ((*HLS, "--folding", "pipe.json"), NO_FILE),
    ((*HLS, "--folding", "zero.json"), NO_FILE),
    ((*HLS, "--folding", "noise.json"), "is not JSON"),
    ((*TRAIN, "--qfx", "--precisions", "pipe.json"), NO_FILE),
    ((*TRAIN, "--teacher", "pipe.keras"), NO_FILE),
    (("bench", "good", "--results", "pipe.json"), NO_FILE),
    (("bench", "good", "--results", "noise.json"), "is no file of results"),
    # devices
    (("evaluate", "good", "--data", "digits", "--on", "nowhere"), "--on 'nowhere' names no device"),
    (("evaluate", "good", "--data", "digits", "--on", "ssh://"), "--on 'ssh://' names no device"),
    (("evaluate", "good", "--data", "digits", "--on", "a\0b"), "names no device"),
    (("evaluate", "noise.tflite", "--data", "digits", "--on", "emulated"), "not a TFLite file"),
    (("evaluate", "bundle_text", "--data", "digits", "--on", "emulated"), "manifest.json is not JSON"),
    # sizes
    (("evaluate", "good", "--data", "digits", "--size", "32"), "leave --size out"),
    (("evaluate", "cut.tflite", "--data", "digits", "--size", "32"), "leave --size out"),
    # bundles
    (("verify", "bundle_pipe"), "bundle_pipe has no manifest.json"),
    (("bench", "bundle_link"), "bundle_link has no manifest.json"),
    (("verify", "bundle_text"), "manifest.json is not JSON"),
    (("report", "bundle_deep"), "manifest.json is not JSON"),
    (("verify", "bundle_out"), "'../../file' is no file name inside a folder"),
    (("verify", "bundle_kind"), "'kind' is 'firmware'"),
    (("verify", "bundle_damaged"), "ONNX file"),
    (("verify", "circle"), "cannot be reached"),
    (("bench", LONG), "is too long for a file's name"),
    (("report", "file"), "file is no folder"),
    # outputs, tried before anything is read
    ((*EXPORT, "-o", "/"), "'/' is the root of all folders"),
    ((*HLS, "-o", "/"), "'/' is the root of all folders"),
    ((*EXPORT, "-o", LONG), "is too long for a file's name"),
    ((*HLS, "-o", "circle"), "cannot be reached"),
    ((*EXPORT, "-o", "a\0b"), "embedded null byte"),
    ((*EXPORT, "-o", "file/inside"), "file is a file; nothing was changed"),
    ((*EXPORT, "-o", "/proc/inside"), "cannot write /proc/inside"),
    ((*TRAIN, "-o", "/proc/out.keras"), "cannot write /proc/out.keras"),
    ((*TRAIN, "-o", f"{LONG}.keras"), "is too long for a file's name"),
    ((*TRAIN, "-o", "folder.keras"), "is a folder; name a file"),
    (("report", "good", "-o", "/proc/page.html"), "cannot write /proc/page.html"),
    (("report", "good", "-o", "pipe.txt"), "is a device, a pipe or a socket; name a file"),
    (("bench", "good", "--results", "/proc/results.json"), "cannot write /proc/results.json"),
    (("bench", "good", "--results", LONG), "is too long for a file's name"),
    # numbers and names
    ((*EXPORT, "--classes", "1000000000"), "at most 100,000 classes"),
    ((*HLS, "--classes", "-1"), "at least 1 class"),
    (("export", "mobilenet_v2", "--target", "rpi4", "--size", "100000000"), "sizes are 32 to 1024"),
    (("models", "\x1b[31m"), "unknown network '\\x1b[31m'"),
    (("doctor", "--make-everything"), "--make-everything"),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder, temporary = tmp_path_factory.mktemp("bad"), tmp_path_factory.mktemp("temporary")
    make_bad_inputs(folder)
    os.environ["TMPDIR"], before = str(temporary), os.environ.get("TMPDIR")
    yield folder
    assert list(temporary.iterdir()) == []
    if before is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before


def names(folder: Path) -> set[str]:
    return {str(path) for path in folder.rglob("*")}


def peak_bytes() -> int:
    """The most memory that this process has had at a time since `forget_peak`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def test_there_are_a_hundred() -> None:
    assert len(set(BAD)) == len(BAD) >= 100


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("words", "message"), BAD, ids=[f"{i}-{words[0]}" for i, (words, _) in enumerate(BAD)])
def test_bad_input(
    folder: Path, words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    before = names(folder)
    forget_peak()
    memory, begun = peak_bytes(), time.process_time()
    with pytest.raises(SystemExit) as stop:
        main(words)
    seconds = time.process_time() - begun
    shown = capfd.readouterr()
    assert stop.value.code == 2, shown.err
    assert shown.out == ""
    assert message in shown.err.splitlines()[-1]
    assert "Traceback" not in shown.err and "fault of edgekit" not in shown.err
    assert names(folder) == before
    assert seconds < SECONDS_MAX
    assert peak_bytes() - memory < BYTES_MAX
