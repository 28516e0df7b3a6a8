"""Temporary folders that nobody has to clean up after.

    TMPDIR/edgekit-PURPOSE-0a1b2c3d4e5f/edgekit.lock   locked for as long as the process lives that made the folder
    TMPDIR/edgekit-PURPOSE-0a1b2c3d4e5f/files/         what is handed out

A process that is killed leaves its folder; whoever makes the next one removes it. The lock says that the owner is dead, and the form that
it is a folder of this kind: what a user calls edgekit-something is never touched.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from edgekit.errors import EdgekitError

LOCK, FILES = "edgekit.lock", "files"
NAME = re.compile(r"edgekit-[a-z0-9-]+-[0-9a-f]{12}")
VARIABLES, DEFAULT = ("TMPDIR", "TEMP", "TMP"), "/tmp"
FULL = (errno.ENOSPC, errno.EDQUOT)
FULL_WORDS = ("No space left on device", "Disk quota exceeded")
"""How libraries say it that raise errors of their own."""
ADVICE = "make room, or set TMPDIR to another folder"


@contextmanager
def scratch_folder(purpose: str) -> Iterator[Path]:
    """An empty folder, which goes with all that is in it when the block ends. `purpose`: a word for its name.

    Raises EdgekitError where it cannot be made, or where the disk is full while the block writes.
    """
    parent = _parent()
    try:
        with suppress(OSError):
            _sweep(parent)
        folder, lock = _make(parent, purpose)
    except OSError as error:
        raise EdgekitError(f"cannot make a temporary folder in {parent}: {error.strerror}; {ADVICE}") from error
    try:
        yield folder / FILES
    except Exception as error:
        if not isinstance(error, EdgekitError) and is_full(error):
            raise EdgekitError(f"a disk is full ({error}); temporary files are written to {parent}: {ADVICE}") from error
        raise
    finally:
        _remove(folder)
        os.close(lock)


@contextmanager
def scratch_of_process() -> Iterator[None]:
    """All temporary files of this process and of those that it starts go into one folder: so those of compilers and libraries too, which
    clean up after themselves only if they are left to, go with it. Where none can be made nothing is changed: whoever needs one says so."""
    with ExitStack() as stack:
        with suppress(EdgekitError):
            folder = str(stack.enter_context(scratch_folder("run")))
            stack.enter_context(_temporary_files_in(folder))
        yield


def is_full(error: BaseException) -> bool:
    """Whether an error, or one that it came of, says that there is no room on a disk."""
    cause: BaseException | None = error
    while cause is not None:
        if (isinstance(cause, OSError) and cause.errno in FULL) or any(words in str(cause) for words in FULL_WORDS):
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _parent() -> Path:
    """Where temporary files go, as Python's tempfile has it; without that module, which is slow to import."""
    return Path(next((folder for name in VARIABLES if (folder := os.environ.get(name)) and Path(folder).is_dir()), DEFAULT))


@contextmanager
def _temporary_files_in(folder: str) -> Iterator[None]:
    before = os.environ.get(VARIABLES[0])
    os.environ[VARIABLES[0]] = folder
    _forget()
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLES[0]]
        else:
            os.environ[VARIABLES[0]] = before
        _forget()


def _forget() -> None:
    """The module tempfile, where it is imported, looks anew where temporary files go."""
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None  # type: ignore[attr-defined]


def _make(parent: Path, purpose: str) -> tuple[Path, int]:
    """The folder, and the descriptor that holds its lock."""
    while True:
        folder = parent / f"edgekit-{purpose}-{os.urandom(6).hex()}"
        try:
            folder.mkdir(mode=0o700)
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        except (FileExistsError, FileNotFoundError):
            if not parent.is_dir():
                raise
            continue  # taken, or removed before there was a lock
        except OSError:
            with suppress(OSError):
                folder.rmdir()
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.fstat(lock).st_nlink:
                (folder / FILES).mkdir()
                return folder, lock
        except BaseException:
            _remove(folder)
            os.close(lock)
            raise
        os.close(lock)  # another run found the folder before it was locked, and removed it


def _sweep(parent: Path) -> None:
    """Removes the folders of processes that have ended. One that is not this user's, or holds anything else, stays."""
    with os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if NAME.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)]
    for folder in found:
        with suppress(OSError):
            if folder.stat().st_uid == os.geteuid() and {path.name for path in folder.iterdir()} <= {LOCK, FILES}:
                _remove_unlocked(folder)


def _remove_unlocked(folder: Path) -> None:
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        folder.rmdir()  # its owner ended, or is, just before the lock was made
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        _remove(folder)
    finally:
        os.close(lock)


def _remove(folder: Path) -> None:
    """The lock goes last: of what cannot be removed yet, the next run knows by it."""
    shutil.rmtree(folder / FILES, ignore_errors=True)
    if not (folder / FILES).exists():
        with suppress(OSError):
            (folder / LOCK).unlink(missing_ok=True)
            folder.rmdir()
