"""The script that shows that a change of the code changes no written byte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
GROUP = "stock_hls/every_kernel"
"""The quickest one."""


def written_files(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPTS / "written_files.py", *words], capture_output=True, text=True)


def test_two_runs_give_the_same_hashes_and_a_changed_file_is_named(tmp_path: Path) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    done = written_files("--only", GROUP, "-o", str(before))
    assert done.returncode == 0, done.stderr
    hashes = json.loads(before.read_text())
    assert f"{GROUP}/firmware/edgekit_network.cpp" in hashes and list(hashes) == sorted(hashes)

    name = f"{GROUP}/Makefile"
    before.write_text(json.dumps(hashes | {name: "0" * 64}))
    done = written_files("--only", GROUP, "--against", str(before), "-o", str(after))
    assert done.returncode == 1, done.stderr
    assert done.stdout == f"differs: {name}\n{len(hashes) - 1} files are equal, 1 are not\n"
    assert json.loads(after.read_text()) == hashes


def test_a_changed_a_missing_and_a_new_file_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(SCRIPTS)
    from written_files import differences

    before = {"same": "1", "changed": "2", "gone": "3"}
    after = {"same": "1", "changed": "4", "added": "5"}
    assert differences(before, after) == ["new: added", "differs: changed", "missing: gone"]
    assert differences(before, before) == []


def test_a_group_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.json").write_text("{}")
    done = written_files("--only", "no_such_group", "--against", str(tmp_path / "empty.json"))
    assert done.returncode == 2 and "no group begins with 'no_such_group'" in done.stderr
