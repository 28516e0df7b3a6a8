"""HDF5 files from outside, opened so that nothing in them can reach another file."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

from edgekit.errors import EdgekitError
from edgekit.files import CONFIG_BYTES_MAX, check_members, check_path, check_regular, first_line, reading, unpacked_bytes_max

BYTES_MAX = 2 << 30
"""No network here has weights near this size; a file that claims more is broken or means harm."""
WEIGHTS_MEMBER = "model.weights.h5"
ATTRIBUTES_MAX = CONFIG_BYTES_MAX
"""Memory that reading all attributes may take: a model's configuration is one of them."""
HEAP = b"GCOL\x01\0\0\0"


@contextmanager
def open_hdf5(path: Path) -> Iterator[Any]:
    """The h5py.File at `path`, or inside it if it is a .keras archive, after looking through all of it.

    Raises:
        EdgekitError: not a file, not HDF5, truncated, larger than BYTES_MAX, or with links or storage outside the file. Also whatever
            h5py or numpy raise on its content inside the block, as an EdgekitError.
    """
    import h5py

    require_file(path)
    archived = read_member(path, WEIGHTS_MEMBER) if is_zipfile(path) else None
    source: Any = path if archived is None else BytesIO(archived)
    packed = path.stat().st_size if archived is None else len(archived)
    _check_heaps(path, archived)
    try:
        file = h5py.File(source, "r")
    except OSError as error:
        raise EdgekitError(f"'{path}' is not a whole Keras file ({first_line(error)}); it may be truncated or of another kind") from error
    with file:
        try:
            _refuse_outside(file, path, unpacked_bytes_max(packed))
            with _memory_limit(2 * ATTRIBUTES_MAX):
                _read_attributes(file)
        except EdgekitError:
            raise
        except Exception as error:
            raise EdgekitError(f"'{path}' is damaged: {first_line(error) or 'it asks for too much memory'}") from error
        with reading(f"'{path}'"):
            yield file


def require_file(path: Path) -> None:
    """Raises EdgekitError if there is no regular file, or one larger than BYTES_MAX."""
    check_path(path)
    if not path.exists():
        raise EdgekitError(f"no file '{path}'")
    if path.is_dir():
        raise EdgekitError(f"'{path}' is not a file; give a .keras or .h5 file")
    check_regular(path, BYTES_MAX)


def read_member(archive: Path, name: str) -> bytes:
    """One file of a .keras archive. Raises EdgekitError if the archive is damaged, has no such file, or it is too large."""
    most = BYTES_MAX if name == WEIGHTS_MEMBER else CONFIG_BYTES_MAX
    try:
        with ZipFile(archive) as opened:
            entry = opened.getinfo(name)
            if entry.file_size > most:
                raise EdgekitError(f"'{archive}': {name} is larger than {most >> 20} MiB")
            check_members(f"'{archive}'", [entry], archive.stat().st_size)
            with opened.open(entry) as member:
                content = member.read(most + 1)
    except KeyError as error:
        raise EdgekitError(f"'{archive}' is an archive without {name}, so it is not a Keras model") from error
    except EdgekitError:
        raise
    except Exception as error:  # zipfile and the decompressors have errors of their own
        raise EdgekitError(f"'{archive}' is damaged: {first_line(error)}") from error
    if len(content) > entry.file_size:
        raise EdgekitError(f"'{archive}' is damaged: {name} is longer than it says")
    return content


def _check_heaps(path: Path, archived: bytes | None) -> None:
    """Text of any length lies in heaps, through which the HDF5 library looks for ever where an object of one is damaged (1.14.6, measured).

    A heap: GCOL, version 1, three zeros, its size in 8 bytes; then objects: number in 2 bytes (0: the room that is left), uses in 2, four
    zeros, size in 8, content up to the next multiple of 8 (HDF5 File Format Specification 3.0, III.E).
    """
    if archived is not None:
        heaps = _heap_problem(archived)
    else:
        with path.open("rb") as file:
            try:
                with mmap(file.fileno(), 0, access=ACCESS_READ) as content:
                    heaps = _heap_problem(content)
            except ValueError:  # it is empty
                return
    if heaps:
        raise EdgekitError(f"'{path}' is damaged: {heaps}")


def _heap_problem(content: Any) -> str | None:
    begin = content.find(HEAP)
    while begin >= 0:
        size = int.from_bytes(content[begin + 8 : begin + 16], "little")
        at, end = begin + 16, begin + size
        if end > len(content):
            return "a heap of texts reaches beyond the file's end"
        while at + 16 <= end and int.from_bytes(content[at : at + 2], "little"):
            at += 16 + (int.from_bytes(content[at + 8 : at + 16], "little") + 7) // 8 * 8
        if at > end or (at + 16 <= end and int.from_bytes(content[at + 8 : at + 16], "little") != end - at):
            return "the texts in a heap are not as long as it is"
        begin = content.find(HEAP, begin + 1)
    return None


def _refuse_outside(file: Any, path: Path, most: int) -> None:
    """`most`: bytes that all tensors may take. Walks all groups, each once (hard links can make circles)."""
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
                if total > min(most, BYTES_MAX):
                    raise EdgekitError(
                        f"'{path}' is refused: its tensors take more than {min(most, BYTES_MAX) >> 20} MiB, far more than the file"
                    )


def _read_attributes(file: Any) -> None:
    """All of them once, and nothing else. The length of a text stands beside its place in a heap, and the HDF5 library takes that much
    memory before it looks there: 3.2 GB for 16 damaged bytes (1.14.6, measured)."""

    def read(name: str, item: Any) -> None:
        for attribute in item.attrs:
            item.attrs[attribute]

    read("/", file)
    file.visititems(read)


@contextmanager
def _memory_limit(most: int) -> Iterator[None]:
    """Inside, the process gets no more memory than it has and `most` bytes; then allocations fail."""
    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = Path("/proc/self/statm")
    if not pages.exists() or limits[0] != resource.RLIM_INFINITY:
        yield
        return
    used = int(pages.read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + most, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
