"""Tensors out of the files that torch.save writes, without PyTorch: the zip form, and the one before it (PyTorch 1.5 and older).

Both hold a pickle of the data's structure, read as pickle.py does, and the storages: flat arrays that tensors are views of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from math import prod
from typing import Any, Final, TypeAlias
from zipfile import ZIP_STORED, ZipFile

import numpy as np

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.keras_models.files.pickle import Call, Global, read_pickle

PickledTensor: TypeAlias = Call
"""A call of a function that builds a tensor: its shape and where its values are. `TorchFile.array` gives the values."""

REBUILD_TENSOR = "torch._utils._rebuild_tensor_v2"
REBUILD_PARAMETER = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
BFLOAT16 = "bfloat16"  # numpy has no such type; its 16 bits are the upper half of a float32
STORAGE_TYPES: Final[Mapping[str, str]] = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.BFloat16Storage": BFLOAT16,
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}
LEFTOVERS: Final[Mapping[str, tuple[str, ...]]] = {  # what training keeps beside the weights: inert records, which are dropped
    "argparse": ("Namespace",),
    "types": ("SimpleNamespace",),
    "pathlib": ("Path", "PosixPath", "WindowsPath", "PurePosixPath"),
    "collections": ("OrderedDict", "defaultdict", "Counter", "deque"),
    "datetime": ("timedelta",),
    "_codecs": ("encode",),
    "numpy": ("ndarray", "dtype"),
    "numpy.core.multiarray": ("scalar", "_reconstruct"),
    "numpy._core.multiarray": ("scalar", "_reconstruct"),
    "torch": ("Size", "device", "Tensor", "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"),
    "torch.nn.parameter": ("Parameter",),
    "builtins": ("dict", "list", "tuple", "set", "frozenset", "int", "float", "bool"),
    "__builtin__": ("dict", "list", "tuple", "set", "frozenset", "int", "float", "bool"),
}
ALLOWED = frozenset(
    (REBUILD_TENSOR, *REBUILD_PARAMETER, *STORAGE_TYPES, *(f"{module}.{name}" for module, names in LEFTOVERS.items() for name in names))
)

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
LEGACY_PROTOCOL = 1001
DIMENSIONS_MAX, NUMBER_MAX = 32, 1 << 40


@dataclass(frozen=True, eq=False)
class Storage:
    """`count` values of type `dtype` (a numpy type, or BFLOAT16), from value `offset` of the bytes under `key` on."""

    key: str
    dtype: str
    count: int
    offset: int = 0


@dataclass(frozen=True)
class TorchFile:
    """What torch.save was given, `root`, with `PickledTensor` where it held tensors; and where the storages' bytes are."""

    root: Any
    _content: Callable[[str], bytes | memoryview]
    _big_endian: bool = False

    def array(self, tensor: PickledTensor) -> Array:
        """The tensor's values: a view of its storage that cannot be written to; bfloat16 becomes float32, which holds it exactly.

        Raises:
            EdgekitError, ValueError, TypeError: a tensor that is not within its storage, or no tensor of plain numbers.
        """
        while tensor.target in REBUILD_PARAMETER:
            tensor = tensor.args[0]
        storage, offset, shape, strides, *_ = tensor.args
        shape, strides = _numbers(shape), _numbers(strides)
        _numbers((offset,))
        if not isinstance(storage, Storage) or len(shape) != len(strides):
            raise ValueError("a tensor without storage or strides")
        last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
        if prod(shape) and last >= storage.count:
            raise ValueError(f"a tensor that reaches to value {last} of a storage of {storage.count}")
        dtype = np.dtype("u2" if storage.dtype == BFLOAT16 else storage.dtype).newbyteorder(">" if self._big_endian else "<")
        values = np.frombuffer(self._content(storage.key), np.uint8)
        first = (storage.offset + offset) * dtype.itemsize if prod(shape) else 0
        view: Array = np.ndarray(shape, dtype, values.data, first, [stride * dtype.itemsize for stride in strides])
        return bfloat16_to_float32(view) if storage.dtype == BFLOAT16 else view


def is_tensor(value: Any) -> bool:
    return isinstance(value, Call) and value.target in (REBUILD_TENSOR, *REBUILD_PARAMETER)


def bfloat16_to_float32(bits: Array) -> Array:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def read_zip(archive: ZipFile, size: int) -> TorchFile:
    """The zip form; `size`: bytes of the file. The archive must stay open while arrays are read.

    Raises:
        EdgekitError: a global that weights do not need, or a member that is compressed, which PyTorch's never are.
        Exception: zipfile's and read_pickle's, for a damaged archive.
    """
    pickles = [name for name in archive.namelist() if name == "data.pkl" or name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ValueError("an archive without one data.pkl")
    folder = pickles[0].removesuffix("data.pkl")
    cache: dict[str, bytes] = {}

    def member(name: str) -> bytes:
        if name not in cache:
            entry = archive.getinfo(folder + name)
            if entry.compress_type != ZIP_STORED or sum(map(len, cache.values())) + entry.file_size > size:
                raise EdgekitError(f"'{name}' is compressed or larger than the file, which PyTorch's tensors never are")
            cache[name] = archive.read(entry)
        return cache[name]

    def storage(identity: Any) -> Storage:
        found = _storage(identity)
        itemsize = 2 if found.dtype == BFLOAT16 else np.dtype(found.dtype).itemsize
        if archive.getinfo(f"{folder}data/{found.key}").file_size < found.count * itemsize:
            raise ValueError(f"storage '{found.key}' is shorter than it says")
        return found

    root = read_pickle(BytesIO(member("data.pkl")), ALLOWED, storage)
    big_endian = f"{folder}byteorder" in archive.namelist() and member("byteorder") == b"big"
    return TorchFile(root, lambda key: member(f"data/{key}"), big_endian)


@dataclass
class _Legacy:
    """Storages as the legacy form's pickle mentions them; their bytes follow after it, of the types that it said."""

    types: dict[str, str] = field(default_factory=dict)

    def storage(self, identity: Any) -> Storage:
        storage = _storage(identity)
        if self.types.setdefault(storage.key, storage.dtype) != storage.dtype:
            raise ValueError("a storage of two types")
        return storage


def read_legacy(content: bytes) -> TorchFile:
    """The form of PyTorch 1.5 and before: pickles of a magic number, a version, the machine, the data and the storages' names; then
    each storage as its number of values and the values, little-endian.

    Raises:
        EdgekitError: a global that weights do not need.
        Exception: read_pickle's, ValueError for a file that ends too early or is not of this form.
    """
    stream, legacy = BytesIO(content), _Legacy()
    if read_pickle(stream, (), legacy.storage) != LEGACY_MAGIC or read_pickle(stream, (), legacy.storage) != LEGACY_PROTOCOL:
        raise ValueError("not the form that PyTorch writes")
    read_pickle(stream, (), legacy.storage)
    root = read_pickle(stream, ALLOWED, legacy.storage)
    keys = read_pickle(stream, (), legacy.storage)
    if not isinstance(keys, list):
        raise ValueError("storages without names")
    start, contents = stream.tell(), {}
    for key in keys:
        dtype = legacy.types[key]
        count = int.from_bytes(content[start : start + 8], "little")
        end = start + 8 + count * (2 if dtype == BFLOAT16 else np.dtype(dtype).itemsize)
        if end > len(content):
            raise ValueError(f"the file ends within storage '{key}'")
        contents[key] = memoryview(content)[start + 8 : end]
        start = end
    return TorchFile(root, contents.__getitem__)


def _storage(identity: Any) -> Storage:
    """From a persistent id: ("storage", type, key, device, number of values), and in the legacy form the part that a view takes,
    (key, offset, number) or None."""
    word, storage_type, key, _, count, *view = identity
    if word != "storage" or not isinstance(key, str) or not isinstance(storage_type, Global):
        raise ValueError("a persistent id that is no storage")
    if storage_type.path not in STORAGE_TYPES:
        raise ValueError(f"a storage of type {storage_type.path}")
    (count,) = _numbers((count,))
    offset = 0
    if view and view[0] is not None:
        _, offset, count = view[0]
        offset, count = _numbers((offset, count))
    return Storage(key, STORAGE_TYPES[storage_type.path], count, offset)


def _numbers(values: Any) -> tuple[int, ...]:
    """Sizes, strides or offsets, checked. They are numbers of values; NUMBER_MAX keeps their products small."""
    if not isinstance(values, tuple) or len(values) > DIMENSIONS_MAX:
        raise ValueError("sizes that are no short tuple")
    if not all(type(value) is int and 0 <= value <= NUMBER_MAX for value in values):
        raise ValueError("sizes that are no ordinary numbers")
    return values
