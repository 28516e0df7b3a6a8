"""Files from outside: regular ones only, read whole and within bounds. What is larger than such a file can be is refused, never cut short.

Every reader of a kind of file that may come from others works inside `reading`, so that nothing but EdgekitError leaves it.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any
from zipfile import ZipInfo

from edgekit.errors import EdgekitError

MODEL_BYTES_MAX = (2 << 30) - 1
"""A flatbuffer, and a protobuf, ends here."""
JSON_BYTES_MAX = 1 << 20
"""Small JSON files that users write, such as foldings and precisions, are far below."""
CONFIG_BYTES_MAX = 16 << 20
"""A model's configuration as JSON: those of the largest networks here are below 1 MB."""
GROWTH_MAX, GROWTH_BYTES = 32, 64 << 20
"""What a file unpacks to: no more than so many times its own size, where it is more than so many bytes. Weights hardly shrink."""
INPUT_VALUES_MAX = 1 << 24
"""Values of one input image: 2,364 x 2,364 pixels in three colours."""
NAME_BYTES_MAX, PATH_BYTES_MAX = 255, 4095
"""The longest that one part of a path, and a whole one, may be, on every file system that matters here."""


def check_path(path: Path) -> None:
    """Raises EdgekitError for a path that no file can have: a NUL in it, a part or the whole too long, links in a circle."""
    text = os.fsencode(path) if "\0" not in str(path) else b""
    if not text:
        raise EdgekitError(f"{str(path)!r} has a NUL in it, which no file's name can have")
    if len(text) > PATH_BYTES_MAX or any(len(part) > NAME_BYTES_MAX for part in text.split(b"/")):
        raise EdgekitError(f"'{shortened(str(path))}' is too long for a file's name: a part may have {NAME_BYTES_MAX} bytes")
    try:
        path.stat()
    except FileNotFoundError:
        pass
    except NotADirectoryError:
        pass
    except OSError as error:
        raise EdgekitError(f"'{path}' cannot be reached: {error.strerror}") from error


def shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def check_regular(path: Path, most: int) -> int:
    """The size of a regular file. Raises EdgekitError for one that cannot be reached, a folder, a device, a pipe, or more than `most`
    bytes. The file is not opened: opening a pipe waits for whoever writes into it."""
    check_path(path)
    try:
        found = path.stat()
    except OSError as error:
        raise EdgekitError(f"cannot read '{path}': {error.strerror}") from error
    return _checked(path, found, most)


def read_bounded(path: Path, most: int) -> bytes:
    """The content of a regular file of at most `most` bytes. Raises EdgekitError as check_regular, and where it cannot be read."""
    check_regular(path, most)
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a pipe that took its place does not make us wait
            _checked(path, os.fstat(file.fileno()), most)
            content = file.read(most + 1)
    except OSError as error:
        raise EdgekitError(f"cannot read '{path}': {error.strerror}") from error
    if len(content) > most:
        raise EdgekitError(f"'{path}' is larger than {most:,} bytes")
    return content


def _checked(path: Path, found: os.stat_result, most: int) -> int:
    if stat.S_ISDIR(found.st_mode):
        raise EdgekitError(f"cannot read '{path}': Is a directory")
    if not stat.S_ISREG(found.st_mode):
        raise EdgekitError(f"cannot read '{path}': it is a device, a pipe or a socket, and no regular file")
    if found.st_size > most:
        raise EdgekitError(f"'{path}' is larger than {most:,} bytes")
    return found.st_size


def read_json_object(path: Path, kind: str, form: str) -> dict[str, Any]:
    """A JSON file that a user wrote, read as data.

    Raises EdgekitError, with `kind` ("a folding file") and `form` in its message where the content is wrong: unreadable, larger than
    JSON_BYTES_MAX, or no JSON object.
    """
    content = read_bounded(path, JSON_BYTES_MAX)
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise EdgekitError(f"'{path}' is not JSON ({error}); {kind} has the form {form}") from error
    if not isinstance(found, dict):
        raise EdgekitError(f"'{path}' is no JSON object; {kind} has the form {form}")
    return found


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Whatever goes wrong while a file from outside is read, it is the file that is wrong. `what`: names it in the message.

    Libraries raise errors of every type on a file that is damaged. Those of edgekit pass as they are.
    """
    try:
        yield
    except EdgekitError:
        raise
    except Exception as error:
        raise EdgekitError(f"{what} is damaged, or of another kind than its name says ({first_line(error)})") from error


def first_line(error: BaseException) -> str:
    """What an error says, in one line of ordinary length."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return shortened(lines[0] if lines else type(error).__name__, 200)


def unpacked_bytes_max(packed: int) -> int:
    """What a file of so many bytes may unpack to."""
    return min(MODEL_BYTES_MAX, max(GROWTH_BYTES, GROWTH_MAX * packed))


def check_members(what: str, members: list[ZipInfo], packed: int) -> None:
    """Raises EdgekitError where the members of an archive of `packed` bytes say that they unpack to more than such a file can hold."""
    claimed, most = sum(member.file_size for member in members), unpacked_bytes_max(packed)
    if claimed > most:
        raise EdgekitError(f"{what} is refused: {packed:,} bytes would unpack to {claimed:,}, more than the {most:,} that are read")


def check_input_size(what: str, shape: tuple[int, ...]) -> None:
    """Raises EdgekitError where one input has more values than an image that a network here could take."""
    if prod(shape) > INPUT_VALUES_MAX:
        raise EdgekitError(f"{what} takes inputs of shape {shape}: {prod(shape):,} values, and at most {INPUT_VALUES_MAX:,} are supported")
