"""Files of weights as PyTorch and safetensors write them, written by hand: what is in them is up to the test."""

from __future__ import annotations

import json
import pickle
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgekit.keras_models.files.checkpoints import read_checkpoint


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def integer(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(integer, values)) + b"t"


def global_(path: str) -> bytes:
    module, _, name = path.rpartition(".")
    return f"c{module}\n{name}\n".encode()


def tensor(
    shape: tuple[int, ...], strides: tuple[int, ...], count: int, *, offset: int = 0, key: str = "0", storage: str = "torch.FloatStorage"
) -> bytes:
    """The opcodes with which PyTorch writes a tensor: _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks)."""
    identity = b"(" + text("storage") + global_(storage) + text(key) + text("cpu") + integer(count) + b"tQ"
    hooks = global_("collections.OrderedDict") + b")R"
    arguments = identity + integer(offset) + numbers(*shape) + numbers(*strides) + b"\x89" + hooks
    return global_("torch._utils._rebuild_tensor_v2") + b"(" + arguments + b"tR"


def dictionary(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(name) + value for name, value in items.items()) + b"u"


def archive(path: Path, pickled: bytes, storages: dict[str, bytes] | None = None, **members: bytes) -> Path:
    """A file in torch.save's zip form around a pickle (without its frame: protocol and stop)."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("name/data.pkl", b"\x80\x02" + pickled + b".")
        for name, content in members.items():
            file.writestr(f"name/{name}", content)
        for key, content in (storages or {}).items():
            file.writestr(f"name/data/{key}", content)
    return path


def floats(*values: float) -> bytes:
    return np.array(values, "<f4").tobytes()


def safetensors(arrays: dict[str, Any], types: dict[str, str] | None = None) -> bytes:
    names = {"<f4": "F32", "<f2": "F16", "<i8": "I64", "<f8": "F64", "<u2": "U16", "|b1": "BOOL"}
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    start, content = 0, b""
    for name, array in arrays.items():
        end = start + array.nbytes
        header[name] = {"dtype": (types or {}).get(name, names[array.dtype.str]), "shape": list(array.shape), "data_offsets": [start, end]}
        content, start = content + array.tobytes(), end
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + content


def read_arrays(path: Path) -> Mapping[str, Any]:
    """The arrays in a file of weights, by name."""
    return read_checkpoint(path).arrays
