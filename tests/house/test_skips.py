"""A skipped test fails a run for everyone, unless its reason is in the list; a run at home names it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from skips import MAY_BE_SKIPPED

TESTS = Path(__file__).resolve().parents[1]
SOURCES = {
    "mark": 'import pytest\n\n\n@pytest.mark.skipif(True, reason="{reason}")\ndef test_it():\n    pass\n',
    "body": 'import pytest\n\n\ndef test_it():\n    pytest.skip("{reason}")\n',
    "module": 'import pytest\n\npytest.skip("{reason}", allow_module_level=True)\n',
}


def run(tmp_path: Path, source: str, reason: str, ci: str) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "test_one.py"
    path.write_text(SOURCES[source].format(reason=reason))
    environment = {**os.environ, "CI": ci, "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "skips", "-c", os.devnull, str(path)]
    return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("source", SOURCES)
def test_a_skip_for_a_missing_tool_fails_where_ci_is_true(tmp_path: Path, source: str) -> None:
    done = run(tmp_path, source, "qemu-aarch64 is not installed", "true")
    assert done.returncode != 0
    assert "skipped, which fails where CI=true: qemu-aarch64 is not installed" in done.stdout


@pytest.mark.parametrize("source", SOURCES)
def test_elsewhere_it_is_named(tmp_path: Path, source: str) -> None:
    done = run(tmp_path, source, "qemu-aarch64 is not installed", "")
    assert done.returncode in (0, 5)  # 5: a module that is skipped whole has no test
    assert "qemu-aarch64 is not installed" in done.stdout


def test_what_is_in_the_list_may_be_skipped(tmp_path: Path) -> None:
    done = run(tmp_path, "body", "there is no latency application for riscv64", "true")
    assert done.returncode == 0, done.stdout


def test_every_reason_in_the_list_is_some_tests() -> None:
    text = "\n".join(path.read_text() for path in TESTS.rglob("*.py") if path.name not in ("skips.py", "test_skips.py"))
    assert [pattern for pattern in MAY_BE_SKIPPED if not re.search(pattern, text)] == []
