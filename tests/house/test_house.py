"""What a newcomer's two commands rest on: the scripts find what they need, and everything that is installed is pinned."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"^\s*\"?([A-Za-z0-9][A-Za-z0-9._-]*)")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            name, version = line.split("==")
            found.setdefault(canonical(name), []).append(version)
    return found


def test_every_dependency_is_pinned_and_hgq2_is_not_there() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    lists = re.findall(r"^(?:dependencies|dev|onnxruntime) = \[(.*?)\]", text, re.MULTILINE | re.DOTALL)
    wanted = {canonical(name) for one in lists for name in re.findall(r"\"([A-Za-z0-9._-]+)", one)}
    assert {"tensorflow", "numpy", "pytest"} <= wanted
    assert wanted <= set(pins())
    assert not {"hgq", "hgq2"} & set(pins())


def test_a_package_pinned_twice_has_environment_markers() -> None:
    for name, versions in pins().items():
        assert len(versions) == 1 or all("python_version" in version for version in versions), name


def fake_tools(folder: Path, **scripts: str) -> dict[str, str]:
    """An environment whose PATH has only these scripts and the shell's own needs."""
    for name, body in {"dirname": 'exec /usr/bin/dirname "$@"', **scripts}.items():
        path = folder / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    (folder / "bash").symlink_to("/bin/bash")
    return {**{k: v for k, v in os.environ.items() if not k.startswith("EDGEKIT") and k != "PYTHON"}, "PATH": str(folder)}


def run(script: str, environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["/bin/bash", ROOT / "scripts" / script, *words], env=environment, capture_output=True, text=True)


ALL_KNOWN = {"apt-cache": 'for last; do :; done; echo "Package: $last"'}
"""A distribution that has every package."""


def test_without_rights_the_missing_packages_are_named(tmp_path: Path) -> None:
    environment = fake_tools(tmp_path, id="echo 1000", make="true")
    done = run("debian-packages", environment)
    assert done.returncode == 1
    assert "sudo apt-get install python3 python3-venv g++\n" in done.stderr


def test_with_rights_they_are_installed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for rights in (
        {"id": "echo 0", "env": 'shift; exec "$@"'},
        {"id": "echo 1000", "sudo": 'shift; [ "$1" = true ] || "$@"', "env": 'shift; exec "$@"'},
    ):
        folder = tmp_path / str(len(rights))
        folder.mkdir()
        tools = {"python3": "exit 0", "make": "true", "apt-get": f'echo "$@" >> {log}', **ALL_KNOWN, "true": "exit 0", **rights}
        assert run("debian-packages", fake_tools(folder, **tools)).returncode == 0
        assert "install -y -qq --no-install-recommends g++" in log.read_text()
        log.unlink()


def test_nothing_is_installed_where_nothing_is_missing(tmp_path: Path) -> None:
    tools = {"python3": "exit 0", "make": "true", "g++": "true", "apt-get": "exit 9", "id": "echo 0"}
    assert run("debian-packages", fake_tools(tmp_path, **tools)).returncode == 0


@pytest.mark.parametrize("good", ["python3.11", "python3.10", "python3", None])
def test_the_first_python_that_works_is_taken(tmp_path: Path, good: str | None) -> None:
    names = ("python3.11", "python3.12", "python3.13", "python3.10", "python3")
    scripts = {name: "exit 0" if name == good else "exit 1" for name in names}
    done = run("find-python", fake_tools(tmp_path, **scripts))
    assert done.stdout == (f"{tmp_path}/{good}\n" if good else "")


def test_a_python_that_is_named_is_the_only_one_tried(tmp_path: Path) -> None:
    environment = fake_tools(tmp_path, python3="exit 0", mine="exit 0", old="exit 1")
    assert run("find-python", {**environment, "PYTHON": "mine"}).stdout == f"{tmp_path}/mine\n"
    assert run("find-python", {**environment, "PYTHON": "old"}).stdout == ""


def test_a_debian_whose_python_is_too_old_says_so(tmp_path: Path) -> None:
    tools = {"python3": "exit 1", "make": "true", "g++": "true", "apt-get": "exit 0", "id": "echo 0", "env": 'shift; exec "$@"'}
    done = run("debian-packages", fake_tools(tmp_path, **tools, **ALL_KNOWN))
    assert done.returncode == 1 and "make PYTHON=/path/to/python3" in done.stderr


HAVE = {"python3": "exit 0", "make": "true", "g++": "true"}


def test_what_tests_need_is_installed_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    rights = {"id": "echo 0", "env": '[ "$1" = DEBIAN_FRONTEND=noninteractive ] && shift && exec "$@"', "apt-get": f'echo "$@" >> {log}'}
    rights |= ALL_KNOWN
    assert run("debian-packages", fake_tools(tmp_path, **HAVE, **rights), "tests").returncode == 0
    installed = log.read_text().splitlines()[-1].split()
    assert {
        "qemu-user-static",
        "g++-aarch64-linux-gnu",
        "g++-arm-linux-gnueabihf",
        "openssh-server",
        "tcl",
        "clang",
        "clang-format",
    } <= set(installed)


def test_a_package_that_a_distribution_lacks_keeps_no_other_from_being_installed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    rights = {"id": "echo 0", "env": '[ "$1" = DEBIAN_FRONTEND=noninteractive ] && shift && exec "$@"', "apt-get": f'echo "$@" >> {log}'}
    some = {**ALL_KNOWN, "apt-cache": 'for last; do :; done; [ "$last" != clang-16 ] && echo "Package: $last"'}
    done = run("debian-packages", fake_tools(tmp_path, **HAVE, **rights, **some), "tests")
    assert done.returncode == 1 and "No packages clang-16 in this distribution" in done.stderr
    installed = log.read_text().splitlines()[-1].split()
    assert "clang-16" not in installed and {"clang", "llvm-16", "verilator", "tcl"} <= set(installed)


def test_without_rights_tests_run_all_the_same(tmp_path: Path) -> None:
    done = run("debian-packages", fake_tools(tmp_path, id="echo 1000", env="exit 1", **HAVE), "tests")
    assert done.returncode == 0
    assert "skipped; to run them: sudo apt-get install cmake qemu-user-static" in done.stderr


def test_make_test_installs_them_first() -> None:
    text = (ROOT / "Makefile").read_text()
    assert "\ntest: lint tools\n" in text and "\t-scripts/debian-packages tests\n" in text
