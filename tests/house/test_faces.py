"""A package has a face, which hands on names of its modules, or says what is in it and nothing else.

A face is for packages that others use as one thing; rooms inside them, and packages whose modules are used one by one, have a docstring.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "src" / "edgekit"
FACES = (
    "edgekit",
    "edgekit.bench",
    "edgekit.graph",
    "edgekit.hls",
    "edgekit.jobs",
    "edgekit.keras_models",
    "edgekit.report",
    "edgekit.targets",
    "edgekit.tflite",
    "edgekit.verify",
)


def packages() -> Iterator[tuple[str, Path]]:
    """Every package and its __init__.py, symbolic links followed."""
    for folder in (SOURCE, *(path for path in SOURCE.iterdir() if path.is_symlink())):
        for path in folder.rglob("__init__.py"):
            yield ".".join(("edgekit", *path.relative_to(SOURCE).parts[:-1])), path


PACKAGES = dict(packages())


def handed_on(package: str) -> dict[str, tuple[str, str]]:
    """What a face imports from its own modules, also where only a type checker looks: name -> (module, name there)."""
    found = {}
    for node in ast.walk(ast.parse(PACKAGES[package].read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
            found |= {one.asname or one.name: (str(node.module), one.name) for one in node.names}
    found.pop("lazy", None)  # from edgekit.faces, which is how a face does it
    return found


def test_rooms_say_what_is_in_them_and_define_nothing() -> None:
    for package in sorted(PACKAGES.keys() - set(FACES)):
        tree = ast.parse(PACKAGES[package].read_text())
        assert ast.get_docstring(tree), package
        assert len(tree.body) == 1, package


@pytest.mark.parametrize("package", FACES)
def test_a_face_hands_on_what_it_names(package: str) -> None:
    """Nothing that it imports is left out, and each name is what it is in its module, also where it is found lazily."""
    face, names = importlib.import_module(package), handed_on(package)
    assert face.__doc__ and sorted(face.__all__) == sorted(names)
    assert len(set(face.__all__)) == len(face.__all__)
    for name, (module, origin) in names.items():
        assert getattr(face, name) is getattr(importlib.import_module(module), origin), name
    with pytest.raises(AttributeError, match="no_such_name"):
        face.no_such_name  # noqa: B018


@pytest.mark.parametrize("package", FACES)
def test_names_of_a_face_are_sorted(package: str) -> None:
    """Constants, then classes, then functions, as ruff sorts them."""
    names = importlib.import_module(package).__all__
    assert names == sorted(names, key=lambda name: (not name.isupper(), not name[0].isupper(), name))


def imports_from_outside(package: str) -> Iterator[tuple[str, str, str]]:
    """(file, module, name) of what the code outside a package imports from the package's modules."""
    for folder in (SOURCE, *(path for path in SOURCE.iterdir() if path.is_symlink())):
        for path in folder.rglob("*.py"):
            name = ".".join(("edgekit", *path.relative_to(SOURCE).with_suffix("").parts))
            if name.startswith(f"{package}.") or "templates" in path.parts:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{package}."):
                    yield from ((name, str(node.module), one.name) for one in node.names)


@pytest.mark.parametrize("package", [face for face in FACES if face != "edgekit"])
def test_names_that_a_face_hands_on_are_taken_from_it(package: str) -> None:
    origins = set(handed_on(package).values())
    wrong = [f"{user}: {name} of {module}" for user, module, name in imports_from_outside(package) if (module, name) in origins]
    assert wrong == []
