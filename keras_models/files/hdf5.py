"""HDF5 files from outside, opened so that nothing in them can reach another file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile, is_zipfile

from edgekit.errors import EdgekitError

BYTES_MAX = 2 << 30
"""No network here has weights near this size; a file that claims more is broken or means harm."""
WEIGHTS_MEMBER = "model.weights.h5"


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """The h5py.File at `path`, or inside it if it is a .keras archive, after looking through all of it.

    Raises:
        EdgekitError: not a file, not HDF5, truncated, larger than BYTES_MAX, or with links or storage outside the file.
    """
    import h5py

    require_file(path)
    source: Any = BytesIO(read_member(path, WEIGHTS_MEMBER)) if is_zipfile(path) else path
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise EdgekitError(f"'{path}' is not a whole Keras file ({_first_line(error)}); it may be truncated or of another kind") from error
    with file:
        try:
            _refuse_outside(file, path)
        except (OSError, RuntimeError, KeyError, ValueError) as error:
            raise EdgekitError(f"'{path}' is damaged: {_first_line(error)}") from error
        yield file


def require_file(path: Path) -> None:
    """Raises EdgekitError if there is no ordinary file."""
    if not path.exists():
        raise EdgekitError(f"no file '{path}'")
    if not path.is_file():
        raise EdgekitError(f"'{path}' is not a file; give a .keras or .h5 file")


def read_member(archive: Path, name: str) -> bytes:
    """One file of a .keras archive. Raises EdgekitError if the archive is damaged, has no such file, or it is too large."""
    try:
        with ZipFile(archive) as opened, opened.open(name) as member:
            content = member.read(BYTES_MAX + 1)
    except KeyError as error:
        raise EdgekitError(f"'{archive}' is an archive without {name}, so it is not a Keras model") from error
    except (BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise EdgekitError(f"'{archive}' is damaged: {_first_line(error)}") from error
    if len(content) > BYTES_MAX:
        raise EdgekitError(f"'{archive}': {name} is larger than {BYTES_MAX >> 30} GiB")
    return content


def _refuse_outside(file: Any, path: Path) -> None:
    """Walks all groups, each once (hard links can make circles)."""
    import h5py

    seen, waiting, total = set(), [file], 0
    while waiting:
        group = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            continue
        seen.add(address)
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise EdgekitError(f"'{path}' is refused: '{group.name}/{name}' is a link, which may lead out of the file")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append(item)
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise EdgekitError(f"'{path}' is refused: the values of '{item.name}' are stored in another file")
                total += item.nbytes
                if total > BYTES_MAX:
                    raise EdgekitError(f"'{path}' is refused: its tensors take more than {BYTES_MAX >> 30} GiB")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
