"""Plans are validated mappings; writing one is a single step that a failure or a kill cannot leave half done."""

from __future__ import annotations

import errno
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from edgekit import plan as plan_module
from edgekit.errors import EdgekitError
from edgekit.plan import MANIFEST, SCHEMA, Plan, check_destination, check_file_destination, check_name, safe_name, write, write_file


def ours(generation: int, count: int = 3, size: int = 10) -> Plan:
    """A plan whose every file says which generation it is of."""
    files = {f"part/{i}.bin": bytes([generation]) * size for i in range(count)}
    manifest = {"schema": SCHEMA, "files": dict.fromkeys(files, "")}
    return Plan({**files, MANIFEST: json.dumps(manifest).encode()})


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_are_sorted_and_cannot_be_changed() -> None:
    given = {"b": b"2", "a": b"1"}
    plan = Plan(given)
    given["c"] = b"3"
    assert list(plan.files) == ["a", "b"]
    with pytest.raises(TypeError):
        plan.files["d"] = b""  # type: ignore[index]


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../up", "a/../../up", "", "a//b", "./a", "a/", "a\\..\\b", "C:/x", "nul\0byte", "line\nbreak", "n" * 256]
)
def test_names_that_leave_the_folder_or_are_not_portable_are_refused(name: str) -> None:
    with pytest.raises(EdgekitError, match=r"no (portable )?file name"):
        Plan({name: b""})


def test_a_name_cannot_be_a_file_and_a_folder() -> None:
    with pytest.raises(EdgekitError, match="'a/b' would be a file and a folder"):
        Plan({"a/b": b"", "a/b/c": b""})


def test_digest_depends_on_every_name_and_content_and_on_nothing_else() -> None:
    base = Plan({"a": b"1", "b": b"2"})
    assert base.digest() == Plan({"b": b"2", "a": b"1"}).digest()
    # The third moves a byte from a name to its content: plain concatenation would not see it.
    others = [{"a": b"1", "b": b"3"}, {"a": b"1", "c": b"2"}, {"a": b"1", "b2": b""}, {"a": b"1"}]
    assert len({base.digest(), *(Plan(files).digest() for files in others)}) == 5


def test_writes_new_empty_and_earlier_folders(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "deep"
    for generation in (1, 2):
        write(ours(generation, count=4 - generation), folder)
        assert content(folder) == dict(ours(generation, count=4 - generation).files)
    (tmp_path / "empty").mkdir()
    write(ours(3), tmp_path / "empty")
    assert content(tmp_path / "empty") == dict(ours(3).files)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new"]


def test_scripts_are_executable(tmp_path: Path) -> None:
    write(Plan({"run.sh": b"#!/bin/sh\n", "data": b"x"}), tmp_path / "out")
    assert os.access(tmp_path / "out/run.sh", os.X_OK)
    assert not (tmp_path / "out/data").stat().st_mode & 0o111


@pytest.mark.parametrize("manifest", [None, b"", b"{}", b"[]", b'{"schema": "other/1"}', b"[" * 100_000, b"\xff\xfe"])
def test_a_folder_of_someone_else_stays_untouched(tmp_path: Path, manifest: bytes | None) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/thesis.txt").write_text("years of work")
    if manifest is not None:
        (tmp_path / "theirs" / MANIFEST).write_bytes(manifest)
    before = content(tmp_path)
    with pytest.raises(EdgekitError, match="not written by edgekit"):
        write(ours(1), tmp_path / "theirs")
    assert content(tmp_path) == before


def test_files_that_a_user_put_into_our_folder_are_not_lost(tmp_path: Path) -> None:
    write(ours(1), tmp_path / "out")
    (tmp_path / "out/part/notes.txt").write_text("mine")
    with pytest.raises(EdgekitError, match=r"did not write: part/notes\.txt"):
        write(ours(2), tmp_path / "out")
    assert content(tmp_path / "out") == {**ours(1).files, "part/notes.txt": b"mine"}


def test_a_file_or_the_current_folder_is_no_destination(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EdgekitError, match="is a file"):
        write(ours(1), tmp_path / "file")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgekitError, match="the folder you are in"):
        check_destination(Path())


def test_two_renames_stand_in_where_folders_cannot_be_exchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(ours(1), tmp_path / "out")
    monkeypatch.setattr(plan_module.sys, "platform", "other")
    write(ours(2), tmp_path / "out")
    assert content(tmp_path / "out") == dict(ours(2).files)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_parent_that_is_a_file_gives_one_message(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EdgekitError, match="cannot write"):
        write(ours(1), tmp_path / "file" / "out")


def test_an_unwritable_parent_gives_one_message(tmp_path: Path) -> None:
    if os.geteuid() == 0:  # root may write anywhere except where the kernel itself says no
        parent = Path("/proc/sys")
    else:
        parent = tmp_path / "locked"
        parent.mkdir(mode=0o500)
    with pytest.raises(EdgekitError, match=r"is not writable"):
        write(ours(1), parent / "out")


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """A limit on the size of files makes the write itself fail, as a full disk does."""
    write(ours(1), tmp_path / "out")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        for destination in (tmp_path / "out", tmp_path / "new" / "deep"):
            with pytest.raises(EdgekitError, match="File too large; nothing was changed"):
                write(ours(2, size=100_000), destination)
        with pytest.raises(EdgekitError, match="File too large"):
            write_file(tmp_path / "single", b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert content(tmp_path) == {f"out/{name}": value for name, value in ours(1).files.items()}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_write_file_replaces_a_file_and_refuses_a_folder(tmp_path: Path) -> None:
    for value in (b"1", b"22"):
        write_file(tmp_path / "a" / "f", value)
        assert content(tmp_path) == {"a/f": value}
    with pytest.raises(EdgekitError, match="is a folder"):
        write_file(tmp_path / "a", b"")


CHILD = """
import json, sys
from pathlib import Path
from edgekit.plan import MANIFEST, SCHEMA, Plan, write
for generation in range(1, 10**6):
    files = {f"part/{i}.bin": bytes([generation % 256]) * 5000 for i in range(20)}
    manifest = {"schema": SCHEMA, "files": dict.fromkeys(files, "")}
    write(Plan({**files, MANIFEST: json.dumps(manifest).encode()}), Path(sys.argv[1]))
    print(generation, flush=True)
"""


def test_a_killed_run_leaves_a_whole_folder_and_the_next_run_tidies_up(tmp_path: Path, rng: np.random.Generator) -> None:
    folder, leftovers = tmp_path / "out", 0
    for _ in range(12):
        child = subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()  # it has written once: imports are done
        time.sleep(rng.uniform(0, 0.02))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        found = content(folder)
        assert len(found) == 21 and len({value for name, value in found.items() if name != MANIFEST}) == 1
        leftovers += sum(path.name != "out" for path in tmp_path.iterdir())
    assert leftovers, "no kill hit a write: the test shows nothing"
    write(ours(7), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_kill_before_any_step_leaves_the_old_content_or_the_new(tmp_path: Path) -> None:
    """A forked child kills itself just before its k-th file operation (an audit event), for every k until it gets through."""
    for step in range(1, 1000):
        folder = tmp_path / str(step) / "out"
        write(ours(1), folder)
        child = os.fork()
        if child == 0:
            with suppress(BaseException):
                kill_at_file_operation(step)
                write(ours(2), folder)
                os._exit(0)
            os._exit(1)
        status = os.waitpid(child, 0)[1]
        assert content(folder) in (dict(ours(1).files), dict(ours(2).files)), f"killed before operation {step}"
        if os.WIFEXITED(status):
            break
    assert status == 0 and step > 20, "the child got through only after it had been killed at each of many steps"
    assert [path.name for path in folder.parent.iterdir()] == ["out"]


def kill_at_file_operation(number: int) -> None:
    counted = itertools.count(1)

    def hook(event: str, _: object) -> None:
        if (event == "open" or event.startswith(("os.", "shutil."))) and next(counted) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def test_two_runs_take_turns(tmp_path: Path) -> None:
    """Two runs write the same folder at once: neither may disturb the other."""
    children = [subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path / "out")], stdout=subprocess.PIPE) for _ in range(2)]
    for child in children:
        assert child.stdout is not None
        for _ in range(5):
            assert child.stdout.readline(), "a run failed because of the other"
    for child in children:
        child.kill()
        child.communicate()


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("mobilenet_v2_0.35_96", "mobilenet_v2_0.35_96"),
        ("../escaped", "escaped"),
        ("/absolute/path", "absolute_path"),
        ("..", "model"),
        ("", "model"),
        ("a\0b", "a_b"),
        ("net\nexec rm -rf /", "net_exec_rm_-rf"),
        ("$(touch x)", "touch_x"),
        (".hidden", "hidden"),
        ("-o", "o"),
        ("n" * 300, "n" * 100),
        ("zoë's net", "zo_s_net"),
        ("C:\\nul", "C_nul"),
    ],
)
def test_names_of_others_become_one_safe_part_of_a_path(name: str, safe: str, tmp_path: Path) -> None:
    assert safe_name(name) == safe_name(safe) == safe
    check_name(safe)
    (tmp_path / safe).touch()


def test_a_destination_is_tried_and_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights say nothing of a full disk, and root has them all."""
    for check in (check_destination, check_file_destination):
        check(tmp_path / "new" / "deep")
        assert list(tmp_path.iterdir()) == []

    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:1])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(plan_module, "_write_durably", full)
    for check in (check_destination, check_file_destination):
        with pytest.raises(EdgekitError, match=r"is not writable \(No space left on device\); nothing was changed"):
            check(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_a_destination(tmp_path: Path) -> None:
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    for path, message in ((Path("/"), "is the root"), (tmp_path / ("n" * 256), "is too long"), (tmp_path / "circle", "cannot be reached")):
        for check in (check_destination, check_file_destination):
            with pytest.raises(EdgekitError, match=message):
                check(path)
        with pytest.raises(EdgekitError, match=message):
            write_file(path, b"")
    with pytest.raises(EdgekitError, match="is a device, a pipe or a socket"):
        check_file_destination(tmp_path / "pipe")
