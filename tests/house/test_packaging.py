"""The wheel and the source distribution hold all packages, through the symlinks, with the files that are no Python."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
IGNORED = {"__pycache__", "build"}
SETUPTOOLS_MIN = 77
"""As in pyproject.toml."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked tree is built, so that nothing appears in the tree itself."""
    if int(importlib.metadata.version("setuptools").split(".")[0]) < SETUPTOOLS_MIN:
        pytest.skip(f"setuptools {SETUPTOOLS_MIN} or newer is needed to build; `make test` installs it")
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("built")
    files = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    if files.returncode:
        pytest.skip("not a git checkout: nothing tells the project's files from others")
    names = [name for name in files.stdout.split("\0") if name and (ROOT / name).exists()]
    with tarfile.open(source / "tree.tar", "w") as archive:
        for name in names:
            archive.add(ROOT / name, name, recursive=False)
    with tarfile.open(source / "tree.tar") as archive:
        archive.extractall(source / "tree")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(built), str(source / "tree")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return built


def package_files(suffixes: tuple[str, ...]) -> set[str]:
    """What is under src/edgekit, symlinks followed, as names in the wheel."""
    found = set()
    for folder in ("src/edgekit", "keras_models", "tflite", "hls", "firmware", "fpga_projects", "search"):
        base = ROOT / folder
        inside = "edgekit" if folder.startswith("src") else f"edgekit/{folder}"
        for path in base.rglob("*"):
            if path.is_file() and path.suffix in suffixes and not IGNORED & set(path.parts):
                found.add(f"{inside}/{path.relative_to(base).as_posix()}")
    return found


def test_the_wheel_holds_every_module_and_header(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    for package in ("keras_models", "tflite", "hls", "firmware", "fpga_projects", "search"):
        assert f"edgekit/{package}/__init__.py" in names
    assert "edgekit/py.typed" in names
    assert {f"edgekit/search/spaces/{name}.json" for name in ("board", "device")} <= names
    assert package_files((".py", ".h", ".cc", ".cpp", ".mk", ".dts", ".jinja", ".tcl")) <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_distribution_holds_them_too(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        names = {name.split("/", 1)[1] for name in opened.getnames() if "/" in name}
    assert {f"src/{name}" for name in package_files((".py", ".h", ".cc"))} <= names


def test_versions_agree() -> None:
    from edgekit import __version__

    assert f'\nversion = "{__version__}"\n' in (ROOT / "pyproject.toml").read_text()
