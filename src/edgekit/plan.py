"""Plans before actions: what will be on disk is first a mapping of file name to bytes, then written in one atomic step.

A reader of the folder sees the old content or the new, whole. A run that fails or is killed leaves the old content in
place, and at worst a hidden folder beside it, which the next run removes.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

from edgekit.digest import digest_of, digest_of_parts
from edgekit.errors import EdgekitError
from edgekit.files import NAME_BYTES_MAX, check_path, read_bounded

MANIFEST = "manifest.json"
"""Lists a folder's files; with SCHEMA in it, the folder is ours and may be replaced."""
SCHEMA = "edgekit/1"
MANIFEST_BYTES_MAX = 16 << 20
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
SAFE_LENGTH = 100
TRIAL_BYTES = 4096


@dataclass(frozen=True)
class Plan:
    """Files by name: relative, '/' between folders, sorted. A script ('#!') or ELF file will be executable.

    Raises EdgekitError for a name that is absolute, leaves the folder, or is also a folder of another name.
    """

    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        names = set(self.files)
        for name in names:
            check_name(name)
            for folder in PurePosixPath(name).parents:
                if str(folder) in names:
                    raise EdgekitError(f"'{folder}' would be a file and a folder")
        object.__setattr__(self, "files", MappingProxyType(dict(sorted(self.files.items()))))

    def digest(self) -> str:
        """SHA-256, in hex, over all names and contents."""
        return digest_of_parts(bytes.fromhex(digest_of(name.encode()) + digest_of(content)) for name, content in self.files.items())


def check_name(name: str) -> None:
    """Raises EdgekitError unless `name` stays inside the folder that it is relative to."""
    parts = name.split("/")
    if any(part in ("", ".", "..") or len(part.encode(errors="replace")) > NAME_BYTES_MAX for part in parts) or not name.isprintable():
        raise EdgekitError(f"{name!r} is no file name inside a folder: it must be relative, without '..', '.' or empty parts")
    if "\\" in name or ":" in parts[0]:
        raise EdgekitError(f"{name!r} is no portable file name: '/' separates folders, and there are no drives")


def safe_name(name: str) -> str:
    """A name that came from outside, such as a model file's for its network, as one part of a path that is safe on every file system, in
    scripts and in sources: letters, digits, '.', '_' and '-', none of the last three in front, at most SAFE_LENGTH of them."""
    return UNSAFE.sub("_", name).lstrip("._-")[:SAFE_LENGTH].rstrip("._-") or "model"


def read_mark(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder that edgekit wrote, as JSON, or None for any other folder."""
    path = folder / MANIFEST
    try:
        found = json.loads(read_bounded(path, MANIFEST_BYTES_MAX)) if path.is_file() else None
    except (EdgekitError, OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("schema") == SCHEMA else None


def check_destination(folder: Path) -> None:
    """Raises EdgekitError if `folder` holds something that edgekit did not write, or cannot be made. Worth calling before long work."""
    folder = _resolved(folder)
    _check_writable(folder)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise EdgekitError(f"{folder} is a file; name a folder that is new, empty, or written by edgekit")
    if folder in (Path.cwd(), *Path.cwd().parents):
        raise EdgekitError(f"{folder} is the folder you are in; name one inside it")
    if not any(folder.iterdir()):
        return
    mark = read_mark(folder)
    if mark is None:
        raise EdgekitError(f"{folder} is not empty and was not written by edgekit; name another folder, or empty it")
    listed = mark.get("files")
    known = {MANIFEST, *(listed if isinstance(listed, dict) else ())}
    strangers = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.relative_to(folder).as_posix() not in known)
    strangers = [name for name in strangers if (folder / name).is_symlink() or not (folder / name).is_dir()]
    if strangers:
        more = f" and {len(strangers) - 3} more" if len(strangers) > 3 else ""
        raise EdgekitError(
            f"{folder} holds files that edgekit did not write: {', '.join(strangers[:3])}{more}; move them away, or name another folder"
        )


def check_here() -> None:
    """Raises EdgekitError where nothing can be written into the current folder, which is where outputs go that have no name yet."""
    _check_writable(Path("output").absolute())


def check_file_destination(path: Path) -> None:
    """Raises EdgekitError where no file can be written to `path`. Worth calling before long work."""
    path = _resolved(path)
    if path.is_dir():
        raise EdgekitError(f"{path} is a folder; name a file")
    if path.exists() and not path.is_file():
        raise EdgekitError(f"{path} is a device, a pipe or a socket; name a file")
    _check_writable(path)


def _check_writable(destination: Path) -> None:
    """Tries it, with a file that is removed again: of a full disk, and of root, rights say nothing."""
    above = next((path for path in destination.parents if path.exists()), destination)
    if not above.is_dir():
        raise EdgekitError(f"cannot write {destination}: {above} is a file; nothing was changed")
    trial = above / f"{_prefix(destination)}{secrets.token_hex(6)}"
    try:
        try:
            _write_durably(trial, bytes(TRIAL_BYTES))
        finally:
            trial.unlink(missing_ok=True)
    except OSError as error:
        raise EdgekitError(f"cannot write {destination}: {above} is not writable ({error.strerror}); nothing was changed") from error


def _prefix(destination: Path) -> str:
    """How hidden files and folders beside a destination begin that runs make on their way to it."""
    return f".{destination.name.encode()[:200].decode(errors='ignore')}.edgekit-"


def _resolved(path: Path) -> Path:
    """Raises EdgekitError for a path that no file can have, and for the root of all."""
    check_path(path)
    found = path.resolve()
    if not found.name:
        raise EdgekitError(f"'{path}' is the root of all folders; name one inside it")
    return found


def write(plan: Plan, folder: Path) -> None:
    """Puts the plan's files, and nothing else, into `folder`, in one step.

    Raises EdgekitError, with everything as it was, if the folder is not ours and not empty, or cannot be written.
    """
    folder = _resolved(folder)
    with _staged(folder) as stage:
        check_destination(folder)
        stage.mkdir()
        for name, content in plan.files.items():
            path = stage / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_durably(path, content)
        for path in (*stage.rglob("*"), stage):
            if path.is_dir():
                _sync(path)
        if folder.exists() and any(folder.iterdir()):
            _exchange(stage, folder)
        else:
            stage.rename(folder)


def make_folder(folder: Path, fill: Callable[[Path], None]) -> None:
    """Lets `fill` fill a new folder, and puts it in the place of `folder` in one step; the caller knows that `folder` is edgekit's own.

    Raises EdgekitError where it cannot be written, and whatever `fill` raises, with everything as it was.
    """
    folder = _resolved(folder)
    with _staged(folder) as stage:
        stage.mkdir()
        fill(stage)
        if folder.exists():
            _exchange(stage, folder)
        else:
            stage.rename(folder)


def write_file(path: Path, content: bytes) -> None:
    """Writes one file, whole or not at all; an earlier file of that name is replaced. Raises EdgekitError."""
    path = _resolved(path)
    if path.is_dir():
        raise EdgekitError(f"{path} is a folder; name a file")
    with _staged(path) as stage:
        _write_durably(stage, content)
        stage.replace(path)


@contextmanager
def _staged(destination: Path) -> Iterator[Path]:
    """A hidden, unused path beside `destination`; on the way out nothing is left there.

    Folders made above the destination are removed again if the step fails. Runs that write into the same parent take turns,
    by a lock that ends with the process: so whatever an earlier run left there is of a killed one.
    """
    parent, prefix = destination.parent, _prefix(destination)
    stage = parent / f"{prefix}{secrets.token_hex(6)}"
    made = [path for path in (parent, *parent.parents) if not path.exists()]
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with _opened(parent) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            for leftover in [path for path in parent.iterdir() if path.name.startswith(prefix)]:
                _remove(leftover)
            try:
                yield stage
            finally:
                _remove(stage)  # after an exchange it holds the old content
            os.fsync(descriptor)
    except BaseException as error:
        for folder in made:
            with suppress(OSError):
                folder.rmdir()
        if isinstance(error, OSError):
            raise EdgekitError(f"cannot write {destination}: {error.strerror or error}; nothing was changed") from error
        raise


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if content.startswith((b"#!", b"\x7fELF")):
        path.chmod(path.stat().st_mode | 0o111)


def _sync(folder: Path) -> None:
    with _opened(folder) as descriptor:
        os.fsync(descriptor)


def _exchange(stage: Path, folder: Path) -> None:
    """Swaps two folders. Where the system cannot do that in one step, two renames, so that `folder` is missing for an instant."""
    at_cwd, rename_exchange = -100, 2
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if hasattr(libc, "renameat2") and libc.renameat2(at_cwd, os.fsencode(stage), at_cwd, os.fsencode(folder), rename_exchange) == 0:
            return
    old = stage.with_name(f"{stage.name}-old")
    folder.rename(old)
    try:
        stage.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    _remove(old)
