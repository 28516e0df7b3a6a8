"""adb sessions against a fake adb: a script that keeps the device's files in a folder, and fails in the ways that adb does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edgekit.bench import bench
from edgekit.connections.adb import FOLDER
from edgekit.connections.address import session_on
from edgekit.connections.session import DeviceLost
from edgekit.errors import EdgekitError
from edgekit.jobs import evaluate_models
from edgekit.targets.devices import DEVICES

ANDROID = DEVICES["android"]
FAKE = r"""#!/bin/bash
# A device whose files are in $DEVICE: /data/local/tmp of its commands becomes a folder there.
[ -e "$DEVICE/gone" ] && { echo "adb: device 'X1' not found" >&2; exit 1; }
[ "$1" = -s ] && { echo "$2" > "$DEVICE/serial"; shift 2; }
place() { echo "${1//\/data\/local\/tmp/$DEVICE/tmp}"; }
case "$1" in
shell) PATH="$DEVICE/bin:$PATH" exec bash -c "$(place "$2")" ;;
push) [ -e "$DEVICE/full" ] && { echo "adb: error: failed to copy: remote couldn't write file: No space left on device" >&2; exit 1; }
    exec cp -rp "$2" "$(place "$3")" ;;
pull) exec cp "$(place "$2")" "$3" ;;
esac
"""


@pytest.fixture
def phone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that plays the device's file system. Its `uname -m` says aarch64."""
    device = tmp_path / "device"
    (device / "tmp").mkdir(parents=True)
    (device / "bin").mkdir()
    for name, text in {"bin/uname": "#!/bin/sh\necho aarch64\n", "bin/nproc": "#!/bin/sh\necho 8\n"}.items():
        (device / name).write_text(text)
        (device / name).chmod(0o755)
    adb = tmp_path / "adb"
    adb.write_text(FAKE)
    adb.chmod(0o755)
    monkeypatch.setenv("EDGEKIT_ADB", str(adb))
    monkeypatch.setenv("DEVICE", str(device))
    return device


def work(phone: Path) -> Path:
    return phone / "tmp" / Path(FOLDER).name


def test_files_programs_and_exit_codes(phone):
    (work(phone)).mkdir()
    (work(phone) / "leftover").touch()
    with session_on("adb:X1", ANDROID) as session:
        assert (session.arch, session.cpus) == ("aarch64", 8)
        assert list(work(phone).iterdir()) == [], "what a broken session left is gone"
        session.push({"golden/input.bin": bytes(range(256)), "go": b'#!/bin/sh\necho "$1"; exit 3\n'})
        finished = session.run([*session.program("go"), "a 'b; $(touch x)"], 5)
        assert (finished.code, finished.stdout) == (3, "a 'b; $(touch x)\n")
        assert session.pull("golden/input.bin") == bytes(range(256))
        with pytest.raises(EdgekitError, match="did not end within 1 s"):
            session.run(["sleep", "9"], 1)
        with pytest.raises(EdgekitError, match="has no Python"):
            session.python("ai-edge-litert")
    assert not work(phone).exists() and (phone / "serial").read_text() == "X1\n"


def test_a_device_that_vanishes_in_the_middle_and_a_full_disk(phone):
    with session_on("adb", ANDROID) as session:
        (phone / "full").touch()
        with pytest.raises(EdgekitError, match=r"disk of the Android device is full: 0\.0 MB"):
            session.push({"a": b"x"})
        (phone / "gone").touch()
        with pytest.raises(DeviceLost, match="adb devices"):
            session.run(["true"], 5)
    assert work(phone).exists(), "the next session removes it"


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        # 29.0.6, shell
        ("error: no devices/emulators found", "switch on USB debugging"),
        ("error: device 'X1' not found", "lists those that are there"),
        # 29.0.6, push and pull
        ("adb: error: failed to get feature set: no devices/emulators found", "switch on USB debugging"),
        # later ones
        ("adb: no devices/emulators found", "switch on USB debugging"),
        ("adb: device offline", "adb reconnect"),
        ("adb: more than one device/emulator", "--on adb:SERIAL"),
    ],
)
def test_what_adb_says_of_a_device_that_it_does_not_reach(said, advice, tmp_path, monkeypatch):
    adb = tmp_path / "adb"
    adb.write_text(f'#!/bin/sh\necho "{said}" >&2\nexit 1\n')
    adb.chmod(0o755)
    monkeypatch.setenv("EDGEKIT_ADB", str(adb))
    with pytest.raises(DeviceLost, match=advice), session_on("adb", ANDROID):
        pass


@pytest.mark.parametrize("text", ["adb:-x", "adb:a b", "adb:", "adb:x;y", "usb", "localhost", ""])
def test_what_is_no_address(text):
    with pytest.raises(EdgekitError, match="names no device"):
        session_on(text, ANDROID)


@pytest.mark.emulator
def test_the_application_measures_on_the_phone_by_its_own_loader(phone, make_bundle):
    """QEMU stands in for the phone's processor: the very command that a phone gets."""
    if not shutil.which("aarch64-linux-gnu-g++"):
        pytest.skip("the cross compiler is not installed: apt install g++-aarch64-linux-gnu")
    qemu = shutil.which("qemu-aarch64-static")
    timeout = phone / "bin" / "timeout"
    timeout.write_text(f'#!/bin/bash\nshift 3\nexec {qemu} -cpu cortex-a72 "$@"\n')
    timeout.chmod(0o755)
    bundle = make_bundle("android", runtimes=("ai-edge-litert 2.1.6",))
    measured = bench(bundle, "adb", iterations=3, threads=2)
    assert (measured.program, measured.problem) == ("edgekit-latency", None), measured.note
    assert measured.report["golden"]["outputs_crc32"] == bundle.manifest.golden.crc32
    assert not work(phone).exists()
    assert os.environ["DEVICE"] == str(phone)


def test_accuracy_needs_a_python_that_a_phone_has_not(phone, make_bundle):
    bundle = make_bundle("android", runtimes=("ai-edge-litert 2.1.6",))
    with pytest.raises(EdgekitError, match="has no Python"):
        evaluate_models([str(bundle.folder)], data="digits", limit=5, on="adb")
