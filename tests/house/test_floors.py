"""Packages import downwards only: the pictures of docs/architecture.md are the rule, every import of the code is held against them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "edgekit"
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = re.compile(r"^```floors (?P<package>[\w.]+)\n(?P<lines>.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Import:
    """`module` imports `target`, in `line`."""

    module: str
    target: str
    line: int


def pictures() -> dict[str, list[list[str]]]:
    """Package -> its floors, the highest first, each the names of what stands on it."""
    found = {}
    for match in PICTURE.finditer(PAGE.read_text()):
        names = [re.split(r"\s{2,}", line.strip())[0] for line in match["lines"].splitlines()]
        found[match["package"]] = [name.split(" | ") for name in names]
    return found


def modules() -> dict[str, Path]:
    """Every module of the package, symbolic links followed, by its dotted name."""
    found = {}
    for folder in (SOURCE, *(path for path in SOURCE.iterdir() if path.is_symlink())):
        for path in folder.rglob("*.py"):
            if "templates" not in path.parts:
                parts = path.relative_to(SOURCE).with_suffix("").parts
                found[".".join(("edgekit", *(part for part in parts if part != "__init__")))] = path
    return found


MODULES = modules()


def imports() -> Iterator[Import]:
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            targets = []
            if isinstance(node, ast.ImportFrom) and node.module:
                targets = [f"{node.module}.{one.name}" if f"{node.module}.{one.name}" in MODULES else node.module for one in node.names]
            elif isinstance(node, ast.Import):
                targets = [one.name for one in node.names]
            for target in dict.fromkeys(targets):
                if target.split(".")[0] == "edgekit":
                    yield Import(module, target, node.lineno)


IMPORTS = tuple(imports())


def part(package: str, module: str) -> str | None:
    """Which part of a package a module belongs to; None for the package's own face, and for what lies outside."""
    inside = module.removeprefix(f"{package}.")
    return None if inside == module else inside.split(".")[0]


def test_there_are_pictures_and_imports() -> None:
    assert {"edgekit", "edgekit.keras_models"} <= set(pictures())
    assert len(IMPORTS) > 500


@pytest.mark.parametrize("package", pictures())
def test_every_part_stands_on_one_floor(package: str) -> None:
    drawn = [name for floor in pictures()[package] for name in floor]
    parts = {found for module in MODULES if (found := part(package, module))} - {"__main__"}
    assert sorted(drawn) == sorted(parts)


@pytest.mark.parametrize("package", pictures())
def test_imports_lead_downwards(package: str) -> None:
    floors = pictures()[package]
    height = {name: len(floors) - index for index, floor in enumerate(floors) for name in floor}
    wrong = []
    for found in IMPORTS:
        upper, lower = part(package, found.module), part(package, found.target)
        if upper in height and lower in height and upper != lower and height[upper] <= height[lower]:
            wrong.append(f"{found.module}:{found.line} imports {found.target}")
    assert wrong == []


def test_only_the_top_floor_imports_a_package_by_its_face() -> None:
    """`edgekit` itself hands on names of floors above whoever would import it."""
    assert [found for found in IMPORTS if found.target == "edgekit" and not found.module.startswith(("edgekit.cli", "edgekit.demo"))] == []
