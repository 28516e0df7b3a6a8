"""Files of weights from PyTorch's world, told apart by what they hold, and the tensors in them by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile, is_zipfile

from edgekit.arrays import Array
from edgekit.errors import EdgekitError
from edgekit.files import check_path, first_line, read_bounded
from edgekit.keras_models.files.arrays import read_npz, read_safetensors
from edgekit.keras_models.files.hdf5 import BYTES_MAX, require_file
from edgekit.keras_models.files.torch import TorchFile, is_tensor, read_legacy, read_zip

NESTED_UNDER = ("model", "state_dict", "model_state_dict", "model_ema", "state_dict_ema", "ema")
"""Where training scripts keep the weights beside the optimizer's state; the first that is there is taken."""
WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What DistributedDataParallel, torch.compile and Lightning put before every name."""
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".npz")


@dataclass(frozen=True)
class Checkpoint:
    """Arrays by name, as the file holds them (bfloat16 as float32). `taken_from`: the key that the weights were nested under."""

    arrays: Mapping[str, Array]
    taken_from: str | None


def is_checkpoint(path: Path) -> bool:
    """Whether the file is for `read_checkpoint`, and not one of Keras. Its content decides, then its name."""
    check_path(path)
    if not path.is_file():
        return path.suffix.lower() in SUFFIXES
    with path.open("rb") as file:
        start = file.read(9)
    if is_zipfile(path):
        return not _members(path) & {"config.json", "model.weights.h5"}
    return path.suffix.lower() in SUFFIXES or start[:2] == b"\x80\x02" or start[8:] == b"{"


def read_checkpoint(path: Path) -> Checkpoint:
    """The tensors of a .pth, .pt or .bin file of PyTorch, a .safetensors or an .npz file. Nothing in the file is run.

    "module." before every name is taken off, and so is what training keeps beside the weights.

    Raises:
        EdgekitError: no such file, not a whole one, one that asks for a Python global that weights do not need (it is named), one with
            more than BYTES_MAX of tensors, or without any.
    """
    require_file(path)
    try:
        arrays, taken_from = _read(path)
    except EdgekitError as error:
        raise EdgekitError(f"'{path}' is refused: {error}") from error
    except Exception as error:  # reading a file that is not whole, or not what it seems, ends in errors of every type
        raise EdgekitError(
            f"'{path}' is not a whole file of weights ({first_line(error)}); it may be truncated or of another kind"
        ) from error
    if not arrays:
        raise EdgekitError(f"'{path}' holds no tensors; give a file with a model's state dict, bare or under 'model' or 'state_dict'")
    return Checkpoint(_unwrapped(arrays), taken_from)


def _read(path: Path) -> tuple[dict[str, Array], str | None]:
    if is_zipfile(path):
        with ZipFile(path) as archive:
            if any(name.endswith("data.pkl") for name in archive.namelist()):
                return _state_dict(read_zip(archive, path.stat().st_size))
            return _flat(read_npz(archive, path.stat().st_size))
    content = read_bounded(path, BYTES_MAX)
    return _flat(read_safetensors(content)) if content[8:9] == b"{" else _state_dict(read_legacy(content))


def _state_dict(file: TorchFile) -> tuple[dict[str, Array], str | None]:
    if not isinstance(file.root, dict):
        return {}, None
    # A dictionary of tensors is no tensor's name: the weights are there, whatever tensors (states of random generators) lie beside it.
    taken_from = next((key for key in NESTED_UNDER if _has_tensors(file.root.get(key))), None)
    weights = file.root if taken_from is None else file.root[taken_from]
    arrays, total = {}, 0
    for name, value in weights.items():
        if is_tensor(value):
            arrays[name] = file.array(value)
            total += arrays[name].nbytes
            if total > BYTES_MAX:  # many tensors may be views of one storage
                raise EdgekitError(f"its tensors take more than {BYTES_MAX >> 30} GiB")
    return arrays, taken_from


def _has_tensors(value: Any) -> bool:
    return isinstance(value, dict) and any(is_tensor(item) for item in value.values())


def _flat(arrays: dict[str, Array]) -> tuple[dict[str, Array], str | None]:
    """Arrays of a file that cannot nest: "model.head.weight" stands for "head.weight" under "model"."""
    for key in NESTED_UNDER:
        nested = {name.removeprefix(f"{key}."): array for name, array in arrays.items() if name.startswith(f"{key}.")}
        if nested:
            return nested, key
    return arrays, None


def _unwrapped(arrays: Mapping[str, Array]) -> Mapping[str, Array]:
    for prefix in WRAPPERS:
        if all(name.startswith(prefix) for name in arrays):
            return _unwrapped({name.removeprefix(prefix): array for name, array in arrays.items()})
    return arrays


def _members(path: Path) -> set[str]:
    try:
        with ZipFile(path) as archive:
            return set(archive.namelist())
    except Exception:  # as above
        return set()
