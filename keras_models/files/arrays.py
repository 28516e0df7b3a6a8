"""Arrays by name out of .safetensors and .npz files. Nothing is allocated before the file is known to hold it."""

from __future__ import annotations

import json
from io import BytesIO
from math import prod
from typing import Any, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.files import check_members
from edgekit.keras_models.files.hdf5 import BYTES_MAX
from edgekit.keras_models.files.torch import DIMENSIONS_MAX, bfloat16_to_float32

HEADER_MAX = 16 << 20
SAFETENSORS_TYPES: Final = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}


def read_safetensors(content: bytes) -> dict[str, Array]:
    """The format: 8 bytes, the header's length; the header, JSON; the tensors' bytes, at the places that the header says.

    bfloat16 becomes float32. Raises EdgekitError for a type of number that it does not know, ValueError, TypeError, KeyError or
    RecursionError for a file that is not whole.
    """
    length = int.from_bytes(content[:8], "little")
    if length > min(HEADER_MAX, len(content) - 8):
        raise ValueError("its header is longer than the file")
    header = json.loads(content[8 : 8 + length])
    data = memoryview(content)[8 + length :]
    header.pop("__metadata__", None)
    return {name: _safetensor(name, entry, data) for name, entry in header.items()}


def _safetensor(name: str, entry: dict[str, Any], data: memoryview) -> Array:
    shape, (begin, end) = entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and 0 <= number <= BYTES_MAX for number in (*shape, begin, end)) or len(shape) > DIMENSIONS_MAX:
        raise ValueError(f"tensor '{name}' has sizes that are no ordinary numbers")
    if entry["dtype"] not in SAFETENSORS_TYPES:
        raise EdgekitError(f"tensor '{name}' holds {str(entry['dtype'])[:20]} numbers; {', '.join(SAFETENSORS_TYPES)} are read")
    dtype = np.dtype(SAFETENSORS_TYPES[entry["dtype"]])
    if not begin <= end <= len(data) or end - begin != prod(shape) * dtype.itemsize:
        raise ValueError(f"tensor '{name}' is not within the file")
    values = np.frombuffer(data[begin:end], dtype).reshape(shape)
    return bfloat16_to_float32(values) if entry["dtype"] == "BF16" else values


def read_npz(archive: ZipFile, size: int) -> dict[str, Array]:
    """Arrays of numbers only: an array of Python objects would be a pickle, and is refused. `size`: bytes of the file.

    Raises EdgekitError for such an array or more than BYTES_MAX, zipfile's errors and ValueError for a file that is not whole.
    """
    entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
    check_members("the archive", entries, size)
    arrays = {}
    for entry in entries:
        if entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
            raise ValueError("a compression that numpy does not write")
        arrays[entry.filename.removesuffix(".npy")] = read_npy(entry.filename, archive.read(entry))
    return arrays


def read_npy(name: str, content: bytes) -> Array:
    """The array of a .npy file. Raises EdgekitError for one that holds no plain numbers, ValueError or KeyError for a broken one."""
    stream = BytesIO(content)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, column_major, dtype = read_header(stream)
    if dtype.kind not in "fiub":
        raise EdgekitError(f"array '{name}' holds {dtype}, not plain numbers")
    if any(size < 0 for size in shape) or prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"array '{name}' is not as long as it says")
    values: Array = np.frombuffer(content, dtype, offset=stream.tell())
    return values.reshape(shape, order="F" if column_major else "C")
