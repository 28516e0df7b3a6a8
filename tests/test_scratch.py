"""Temporary folders go: at the end of the block, and by the next run where their process was killed. Nothing else is touched."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from processes import command, variables

from edgekit.errors import EdgekitError
from edgekit.scratch import FILES, LOCK, scratch_folder, scratch_of_process


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """TMPDIR, and empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return folder


def test_it_goes_at_the_end_and_after_an_error(temporary: Path) -> None:
    with scratch_folder("test") as folder:
        (folder / "inside" / "it").mkdir(parents=True)
        assert list(folder.iterdir()) and folder.is_relative_to(temporary)
    assert list(temporary.iterdir()) == []
    with pytest.raises(KeyboardInterrupt), scratch_folder("test"):
        raise KeyboardInterrupt
    assert list(temporary.iterdir()) == []


def killed(temporary: Path, program: str) -> list[str]:
    """Runs a program until it says something, kills it; what it leaves."""
    process = subprocess.Popen([sys.executable, "-c", program], env=variables(TMPDIR=str(temporary)), stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline()
    process.kill()
    process.wait()
    process.stdout.close()
    return [path.name for path in temporary.iterdir()]


WAITS = """
from edgekit.scratch import scratch_folder
with scratch_folder("dead") as folder:
    (folder / "file").write_text("x")
    print("ready", flush=True)
    input()
"""


def test_the_next_run_removes_what_a_killed_one_left(temporary: Path) -> None:
    with scratch_folder("alive") as alive:
        left = killed(temporary, WAITS.replace("input()", "import time; time.sleep(60)"))
        assert len(left) == 2
        with scratch_folder("next"):
            assert sorted(path.name.split("-")[1] for path in temporary.iterdir()) == ["alive", "next"]
        assert alive.is_dir()
    assert list(temporary.iterdir()) == []


def test_the_next_command_does(temporary: Path) -> None:
    assert killed(temporary, WAITS.replace("input()", "import time; time.sleep(60)"))
    subprocess.run(command("models", "--json"), env=variables(TMPDIR=str(temporary)), check=True, stdout=subprocess.DEVNULL)
    assert list(temporary.iterdir()) == []


def test_what_is_not_ours_stays(temporary: Path) -> None:
    name = "edgekit-out-0123456789ab"
    for folder, file in (("edgekit-out", LOCK), (name, "thesis.txt"), ("edgekit-x-0123456789abc", LOCK)):
        (temporary / folder).mkdir()
        (temporary / folder / file).touch()
    other = temporary.parent / "other"
    (other / FILES).mkdir(parents=True)
    (other / LOCK).touch()
    (temporary / "edgekit-link-0123456789ab").symlink_to(other)
    before = sorted(temporary.rglob("*"))
    with scratch_folder("next"):
        pass
    assert sorted(temporary.rglob("*")) == before and (other / LOCK).exists()


def test_what_was_killed_before_it_had_a_lock_goes(temporary: Path) -> None:
    (temporary / "edgekit-run-0123456789ab").mkdir()
    with scratch_folder("next"):
        pass
    assert list(temporary.iterdir()) == []


def test_runs_side_by_side_leave_each_other_alone(temporary: Path) -> None:
    """Each makes and sweeps many times; a folder that goes under its owner ends the owner with an error."""
    program = """
from edgekit.scratch import scratch_folder
for i in range(150):
    with scratch_folder("busy") as folder:
        (folder / "file").write_text(str(i))
        assert (folder / "file").read_text() == str(i)
"""
    processes = [subprocess.Popen([sys.executable, "-c", program], env=variables(TMPDIR=str(temporary))) for _ in range(4)]
    assert [process.wait(60) for process in processes] == [0] * 4
    assert list(temporary.iterdir()) == []


def test_where_none_can_be_made(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def mkdir(path: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "mkdir", mkdir)
    with pytest.raises(EdgekitError, match=r"cannot make a temporary folder in .*Read-only.*set TMPDIR"), scratch_folder("test"):
        pass
    with scratch_of_process():  # whoever needs one says so
        assert os.environ["TMPDIR"] == str(temporary)


def test_a_full_disk_is_no_fault_of_edgekit(temporary: Path) -> None:
    with pytest.raises(EdgekitError, match=r"a disk is full \(.*No space left.*set TMPDIR"), scratch_folder("test"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "file")
    with pytest.raises(EdgekitError, match="a disk is full"), scratch_folder("test"):
        raise RuntimeError("INTERNAL: tensorflow: No space left on device")
    with pytest.raises(OSError, match="denied"), scratch_folder("test"):
        raise PermissionError(errno.EACCES, "denied")


def test_temporary_files_of_a_command_go_with_it(temporary: Path) -> None:
    with scratch_of_process():
        descriptor, name = tempfile.mkstemp()
        os.close(descriptor)
        assert Path(name).is_relative_to(temporary) and Path(os.environ["TMPDIR"]).is_relative_to(temporary)
    assert os.environ["TMPDIR"] == str(temporary) and tempfile.gettempdir() == str(temporary)
    assert list(temporary.iterdir()) == []


def test_sweeping_takes_no_time_to_speak_of(temporary: Path) -> None:
    for i in range(2000):
        (temporary / f"other-{i}").touch()
    begun = time.monotonic()
    with scratch_folder("test"):
        pass
    assert time.monotonic() - begun < 1
