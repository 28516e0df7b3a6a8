"""Making the emulated device, with programs that play apt-get and dpkg-deb: whole or not at all, and nothing unchecked."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.connections import emulator as module
from edgekit.connections.emulator import emulator_folder, make_emulator, missing_emulator
from edgekit.errors import EdgekitError
from edgekit.targets.emulators import EMULATORS

DEB = b"a package"
PI = replace(EMULATORS["rpi4"], wheels=())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache, a Debian key, and apt-get, dpkg-deb and QEMU as scripts; `digest` is what the index says of the package."""
    (tmp_path / "digest").write_text(hashlib.sha256(DEB).hexdigest())
    scripts = {
        "apt-get": f"""for one in "$@"; do case "$one" in
            -oDir::Cache::archives=*) archives="${{one#*archives=}}" ;;
            --print-uris) echo "'http://x/a.deb' a_1%3a1_arm64.deb {len(DEB)} SHA256:$(cat {tmp_path}/digest)" ;;
            --download-only) printf '{DEB.decode()}' > "$archives/a_1%3a1_arm64.deb" ;;
            update) [ ! -e {tmp_path}/offline ] || {{ echo "E: Could not resolve 'deb.debian.org'" >&2; exit 100; }} ;;
            esac; done""",
        "dpkg-deb": 'mkdir -p "$3/usr/bin"; cp "$2" "$3/usr/bin/python3.11"',
        "qemu": "exit 0",
    }
    for name, body in scripts.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    (tmp_path / "key").touch()
    monkeypatch.setattr(module, "KEYRING", tmp_path / "key")
    for variable, name in (("EDGEKIT_APT_GET", "apt-get"), ("EDGEKIT_DPKG_DEB", "dpkg-deb"), ("EDGEKIT_QEMU", "qemu")):
        monkeypatch.setenv(variable, str(tmp_path / name))
    monkeypatch.setenv("EDGEKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_it_is_made_once_and_says_what_it_is_made_of(machine):
    assert missing_emulator(PI) == "no emulator; run edgekit doctor --make-emulator"
    told: list[str] = []
    folder = make_emulator(PI, told.append)
    assert folder == emulator_folder(PI) == machine / "cache" / "emulators" / "rpi4"
    assert missing_emulator(PI) is None and any("unpacking package 1 of 1" in text for text in told)
    record = json.loads((folder / "emulator.json").read_text())
    assert record["files"] == {"a_1%3a1_arm64.deb": hashlib.sha256(DEB).hexdigest()}
    assert (folder / "root/usr/bin/python3.11").read_bytes() == DEB
    assert "another version of edgekit" in (missing_emulator(EMULATORS["rpi4"]) or ""), "its recipe has wheels"


def test_a_package_that_is_not_what_the_index_says_changes_nothing(machine):
    folder = make_emulator(PI)
    before = (folder / "emulator.json").read_bytes()
    (machine / "digest").write_text("0" * 64)
    with pytest.raises(EdgekitError, match=f"has SHA-256 {hashlib.sha256(DEB).hexdigest()}, not 0000"):
        make_emulator(PI)
    assert (folder / "emulator.json").read_bytes() == before
    assert [path.name for path in folder.parent.iterdir()] == ["rpi4"], "no half-made one is left"


def test_without_a_network_it_is_not_made(machine):
    (machine / "offline").touch()
    with pytest.raises(EdgekitError, match=r"apt-get failed, exit code 100: E: Could not resolve"):
        make_emulator(PI)
    assert not (machine / "cache").exists()


def test_what_is_missing_is_named_with_how_to_get_it(machine, monkeypatch):
    (machine / "key").unlink()
    with pytest.raises(EdgekitError, match="apt install debian-archive-keyring"):
        make_emulator(PI)
    monkeypatch.delenv("EDGEKIT_QEMU")
    monkeypatch.setenv("PATH", str(machine))
    (machine / "qemu").unlink()
    with pytest.raises(EdgekitError, match="apt install qemu-user-static"):
        make_emulator(PI)
    assert "apt install qemu-user-static" in (missing_emulator(PI) or "")
