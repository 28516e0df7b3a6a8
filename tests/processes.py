"""Running `edgekit` as a user does: another process, in a folder that holds nothing but what the test put there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import edgekit as package

SOURCE = Path(package.__file__).parents[1]


def edgekit(folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), cwd=folder, capture_output=True, text=True, env=variables(**environment), timeout=300)


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "edgekit", *words]


def variables(**environment: str) -> dict[str, str]:
    """This process's, in which edgekit is found from every folder."""
    path = [environment.get("PYTHONPATH", ""), str(SOURCE)]
    return {**os.environ, **environment, "PYTHONPATH": os.pathsep.join(filter(None, path))}


def listing(folder: Path) -> dict[str, bytes | None]:
    """Everything below a folder, hidden files too: name -> content, None for a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else None for path in sorted(folder.rglob("*"))}
