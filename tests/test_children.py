"""What edgekit starts ends with it: when its time is over, when a check fails, and when edgekit itself is killed."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import variables

from edgekit import children
from edgekit.children import CannotStart, Ended, TookTooLong, call, call_together, started

SOURCE = Path(children.__file__).parent
GROWS = "sleep 61 & echo $! > grandchild; echo $$ > child; wait"
"""A shell that starts another process and tells the numbers of both."""


def alive(number: int) -> bool:
    """Whether there is such a process that is no zombie."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def told(folder: Path) -> list[int]:
    """The processes of GROWS, once both are there."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if (folder / "child").exists() and (text := (folder / "child").read_text()).endswith("\n"):
            return [int(text), int((folder / "grandchild").read_text())]
        time.sleep(0.01)
    raise AssertionError("nothing was started")


def gone(numbers: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while any(map(alive, numbers)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not any(map(alive, numbers))


def test_what_a_program_says_and_how_it_ends() -> None:
    assert call(["sh", "-c", "cat; echo no >&2; exit 3"], 20, given=b"yes") == Ended(3, b"yes", b"no\n")
    assert call(["sh", "-c", "kill -9 $$"], 20).code == -signal.SIGKILL
    assert call(["cat"], 20).output == b""  # its stdin is empty and not this process's


def test_a_program_that_there_is_not() -> None:
    with pytest.raises(CannotStart, match="'no-such-program' cannot be started: No such file"):
        call(["no-such-program"], 1)
    with pytest.raises(CannotStart, match="cannot be started: embedded null byte"):
        call(["echo", "a\0b"], 1)


def test_time_that_is_over_ends_the_whole_group(tmp_path: Path) -> None:
    with pytest.raises(TookTooLong, match="'sh' did not end within 1 s"):
        call(["sh", "-c", GROWS], 1, folder=tmp_path)
    assert gone(told(tmp_path))


def test_what_a_program_leaves_behind_is_ended(tmp_path: Path) -> None:
    assert call(["sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $! > grandchild; echo $$ > child"], 20, folder=tmp_path).code == 0
    assert gone(told(tmp_path))


def test_of_programs_side_by_side_none_outlives_a_failure(tmp_path: Path) -> None:
    def fails(ended: Ended) -> None:
        raise ValueError(ended.code)

    told_first = f"while ! [ -s {tmp_path}/child ]; do sleep 0.01; done; exit 5"
    with pytest.raises(ValueError, match="5"):
        call_together([["sh", "-c", told_first], ["sh", "-c", GROWS]], [20, 20], fails, folder=tmp_path)
    assert gone(told(tmp_path))
    seen: list[Ended] = []
    call_together([["echo", "1"], ["echo", "2"]], [20, 20], seen.append)
    assert [one.output for one in seen] == [b"1\n", b"2\n"]


STARTS = """
import sys
from edgekit.children import call
call(["true"], 20)  # a group that ends before
call(["sh", "-c", sys.argv[1]], 60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_children_end_with_a_parent_that_a_signal_ends(tmp_path: Path, number: signal.Signals) -> None:
    """SIGTERM is not handled here: it ends Python as SIGKILL does."""
    parent = subprocess.Popen([sys.executable, "-c", STARTS, GROWS], cwd=tmp_path, env=variables(), stderr=subprocess.DEVNULL)
    numbers = told(tmp_path)
    assert all(map(alive, numbers))
    parent.send_signal(number)
    parent.wait()
    assert gone(numbers)


def test_a_child_of_a_parent_that_is_killed_before_it_can_tell_is_ended(tmp_path: Path) -> None:
    """The program is killed by its own child, while the child's start is not yet over."""
    program = """
import os, sys, time
from edgekit import children
children._WATCHER.tell = lambda *_: time.sleep(60)
children.call(["sh", "-c", f"{sys.argv[1][:-4]} kill -9 {os.getpid()}; wait"], 60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program, GROWS], cwd=tmp_path, env=variables())
    assert parent.wait(60) == -signal.SIGKILL
    assert gone(told(tmp_path))


def test_a_watcher_that_was_killed_is_replaced(tmp_path: Path) -> None:
    kill = "from edgekit.children import _WATCHER; _WATCHER._shell.kill(); _WATCHER._shell.wait()"
    program = STARTS.replace('call(["true"], 20)', f'call(["true"], 20); {kill}')
    parent = subprocess.Popen([sys.executable, "-c", program, GROWS], cwd=tmp_path, env=variables())
    numbers = told(tmp_path)
    parent.kill()
    parent.wait()
    assert gone(numbers)


def test_a_signal_while_a_child_is_started_waits_until_it_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, numbers = subprocess.Popen, []

    def interrupted(*words: object, **options: object) -> object:
        child = start(*words, **options)  # type: ignore[call-overload]
        if words[0] != [children.SHELL, "-c", children.WATCH]:
            numbers.append(child.pid)
            os.kill(os.getpid(), signal.SIGINT)
        return child

    monkeypatch.setattr(subprocess, "Popen", interrupted)
    with pytest.raises(KeyboardInterrupt), started(["sleep", "60"]):
        pass
    assert len(numbers) == 1 and gone(numbers)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


WORKERS = ("spread", "processes.py")
"""Workers of a search are multiprocessing's own: daemons, each of which ends when the pipe from its parent closes (tests/spread)."""


def test_nothing_else_starts_processes_or_makes_temporary_folders() -> None:
    """So all of it ends, and goes. An anonymous file (TemporaryFile) has no name that could be left."""
    wrong = []
    for folder in (SOURCE, *(path for path in SOURCE.iterdir() if path.is_symlink())):
        for path in folder.rglob("*.py"):
            if "templates" in path.parts or path.name in ("children.py", "scratch.py") or path.parts[-2:] == WORKERS:
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                text = ast.unparse(node) if isinstance(node, ast.Attribute | ast.ImportFrom) else ""
                if text.startswith(("from subprocess", "from tempfile", "from multiprocessing", "os.system", "os.popen", "os.fork")) or (
                    text.startswith(("subprocess.", "tempfile.")) and text not in ("subprocess.STDOUT", "tempfile.TemporaryFile")
                ):
                    wrong.append(f"{path.relative_to(SOURCE)}: {text}")
    assert wrong == []
