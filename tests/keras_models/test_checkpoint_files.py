"""Files of weights from PyTorch's world: the same arrays from every form, nothing run, nothing but EdgekitError from a broken file."""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from archives import archive, dictionary, floats, global_, integer, numbers, read_arrays, safetensors, tensor, text
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekit.errors import EdgekitError
from edgekit.keras_models.files.checkpoints import is_checkpoint, read_checkpoint
from edgekit.keras_models.files.pickle import OPCODES_MAX

GOLDEN = Path(__file__).parents[1] / "golden"
EXPECTED = dict(np.load(GOLDEN / "tiny_state_dict.npz"))
TORCH_FILES = ("tiny_state_dict.pth", "tiny_training_checkpoint.pth", "tiny_legacy.pth")

# --- what is in the files ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*TORCH_FILES, "tiny_state_dict.npz"])
def test_golden_files_hold_the_same_arrays(name: str) -> None:
    checkpoint = read_checkpoint(GOLDEN / name)
    assert checkpoint.taken_from == ("model" if "training" in name else None)
    assert list(checkpoint.arrays) == list(EXPECTED)
    for key, array in checkpoint.arrays.items():
        assert array.shape == EXPECTED[key].shape
        np.testing.assert_array_equal(array.astype(np.float32), EXPECTED[key])


def test_types_of_numbers_are_kept() -> None:
    arrays = read_arrays(GOLDEN / "tiny_state_dict.pth")
    assert arrays["head.bias"].dtype == np.float16 and arrays["stem.bn.num_batches_tracked"].dtype == np.int64
    assert arrays["bf"].dtype == np.float32  # numpy has no bfloat16; its values are float32's


def test_strides_offset_and_shared_storage(tmp_path: Path) -> None:
    pickled = dictionary(
        a=tensor((2, 3), (1, 2), 8, offset=1), b=tensor((), (), 8, offset=7), c=tensor((0, 5), (5, 1), 8), d=tensor((3,), (0,), 8)
    )
    arrays = read_arrays(archive(tmp_path / "file.pth", pickled, {"0": floats(*range(8))}))
    np.testing.assert_array_equal(arrays["a"], [[1, 3, 5], [2, 4, 6]])
    assert arrays["b"].shape == () and arrays["b"] == 7
    assert arrays["c"].shape == (0, 5)
    np.testing.assert_array_equal(arrays["d"], [0, 0, 0])  # stride 0, as expand() makes


@pytest.mark.parametrize(
    ("storage", "dtype"), [("Double", "f8"), ("Int", "i4"), ("Short", "i2"), ("Char", "i1"), ("Byte", "u1"), ("Bool", "?"), ("Long", "i8")]
)
def test_every_type_of_storage(storage: str, dtype: str, tmp_path: Path) -> None:
    values = np.array([0, 1, 1, 0], dtype)
    pickled = dictionary(a=tensor((4,), (1,), 4, storage=f"torch.{storage}Storage"))
    array = read_arrays(archive(tmp_path / "file.pt", pickled, {"0": values.tobytes()}))["a"]
    assert array.dtype == values.dtype
    np.testing.assert_array_equal(array, values)


def test_big_endian_machine(tmp_path: Path) -> None:
    content = np.array([1.5, -2.0], ">f4").tobytes()
    path = archive(tmp_path / "file.pth", dictionary(a=tensor((2,), (1,), 2)), {"0": content}, byteorder=b"big")
    np.testing.assert_array_equal(read_arrays(path)["a"], [1.5, -2.0])


def test_parameters_and_what_training_leaves(tmp_path: Path) -> None:
    """Everything that PyTorch's optimizers, schedulers and scripts put beside the weights is read past, and none of it is built."""
    leftovers = {
        "args": argparse.Namespace(lr=0.1, output=Path("somewhere")),
        "best": np.float64(71.5),
        "history": collections.defaultdict(list, {"loss": [1.0, 0.5]}),
        "rng": np.arange(3),
        "steps": {1, 2},
        "state": {0: {"step": 3}, (1, 2): None},
    }
    parameter = global_("torch._utils._rebuild_parameter") + b"(" + tensor((2,), (1,), 2) + b"\x88}tR"
    for protocol in (2, 4):
        pickled = dictionary(others=pickle.dumps(leftovers, protocol)[2:-1], epoch=integer(3), state_dict=dictionary(w=parameter))
        checkpoint = read_checkpoint(archive(tmp_path / "file.pth", pickled, {"0": floats(1, 2)}))
        assert checkpoint.taken_from == "state_dict" and list(checkpoint.arrays) == ["w"]
        np.testing.assert_array_equal(checkpoint.arrays["w"], [1, 2])


def test_plain_model_goes_before_its_average(tmp_path: Path) -> None:
    pickled = dictionary(model_ema=dictionary(w=tensor((1,), (1,), 2)), model=dictionary(w=tensor((1,), (1,), 2, offset=1)))
    checkpoint = read_checkpoint(archive(tmp_path / "file.pth", pickled, {"0": floats(1, 2)}))
    assert checkpoint.taken_from == "model" and checkpoint.arrays["w"] == 2


def test_weights_are_found_beside_the_state_of_a_random_generator(tmp_path: Path) -> None:
    pickled = dictionary(rng=tensor((1,), (1,), 2), state_dict=dictionary(w=tensor((1,), (1,), 2, offset=1)))
    checkpoint = read_checkpoint(archive(tmp_path / "file.pth", pickled, {"0": floats(1, 2)}))
    assert checkpoint.taken_from == "state_dict" and list(checkpoint.arrays) == ["w"] and checkpoint.arrays["w"] == 2


def test_prefixes(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", **{"module.stem.weight": np.ones(2), "module.head.bias": np.zeros(1)})
    assert list(read_arrays(tmp_path / "a.npz")) == ["stem.weight", "head.bias"]
    np.savez(tmp_path / "b.npz", **{"state_dict.module.head.bias": np.zeros(1), "epoch": np.array(3)})
    assert list(read_arrays(tmp_path / "b.npz")) == ["head.bias"]
    pickled = dictionary(state_dict=b"}(" + text("model.head.bias") + tensor((1,), (1,), 1) + b"u")
    assert list(read_arrays(archive(tmp_path / "lightning.ckpt", pickled, {"0": floats(1)}))) == ["head.bias"]
    np.savez(tmp_path / "c.npz", **{"module.bias": np.zeros(1), "head.bias": np.zeros(1)})  # a layer that is called module
    assert list(read_arrays(tmp_path / "c.npz")) == ["module.bias", "head.bias"]


# --- nothing is run ---------------------------------------------------------------------------------------------------------------

MARKER = "ran_from_the_file"


class Reduces:
    """What pickle writes for it calls `function(*arguments)` when it is read."""

    def __init__(self, function: Any, *arguments: Any):
        self.reduced = function, arguments

    def __reduce__(self) -> Any:
        return self.reduced


def malicious(marker: str) -> dict[str, tuple[str, bytes]]:
    """Name of the trick -> (the global that the message names, opcodes). Read by pickle.loads, each of the first ones makes `marker`."""
    import os

    command = f"touch {marker}"
    system = pickle.dumps(Reduces(os.system, command), 2)[2:-1]
    name = f"{os.system.__module__}.system"
    inst = b"(" + text(command) + f"i{os.system.__module__}\nsystem\n".encode()
    state = global_("argparse.Namespace") + b")\x81" + b"}" + text("x") + global_(name) + text(command) + b"\x85Rsb"
    return {
        "reduce": (name, system),
        "stack global": (name, pickle.dumps(Reduces(os.system, command), 4)[2:-1]),
        "inst": (name, inst),
        "obj": (name, b"(" + global_(name) + text(command) + b"o"),
        "new object": ("subprocess.Popen", global_("subprocess.Popen") + text(command) + b"\x85\x81"),
        "build": (name, state),
        "inside a tensor": (name, tensor((1,), (1,), 1).replace(integer(0), system, 1)),
        "as a persistent id": (name, system + b"Q"),
        "getattr": ("builtins.getattr", global_("builtins.getattr") + global_("collections.OrderedDict") + text("__init__") + b"\x86R"),
        "eval": ("builtins.eval", global_("builtins.eval") + text("1") + b"\x85R"),
        "torch.load": ("torch.load", global_("torch.load") + text("x") + b"\x85R"),
        "loads inside": ("torch.storage._load_from_bytes", global_("torch.storage._load_from_bytes") + text("x") + b"\x85R"),
        "numpy": ("numpy.load", global_("numpy.load") + text("x") + b"\x85R"),
        "attribute of an allowed one": ("collections.OrderedDict.fromkeys", b"\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93)R"),
        "constructor": ("copyreg._reconstructor", global_("copyreg._reconstructor") + b")R"),
    }


@pytest.mark.parametrize("trick", list(malicious("")))
def test_malicious_pickle_is_refused_by_name_and_not_run(trick: str, tmp_path: Path) -> None:
    marker = tmp_path / MARKER
    name, opcodes = malicious(str(marker))[trick]
    pickled = dictionary(state_dict=dictionary(w=tensor((1,), (1,), 1)), extra=opcodes)
    path = archive(tmp_path / "file.pth", pickled, {"0": floats(1)})
    with pytest.raises(EdgekitError, match=f"refused: it asks for '{name}'"):
        read_checkpoint(path)
    assert not marker.exists()


@pytest.mark.parametrize("trick", ["reduce", "stack global", "inst", "obj"])
def test_the_malicious_pickles_are_real(trick: str, tmp_path: Path) -> None:
    pickle.loads(b"\x80\x02" + malicious(str(tmp_path / MARKER))[trick][1] + b".")
    assert (tmp_path / MARKER).exists()  # else the test above would prove nothing


def test_malicious_legacy_file(tmp_path: Path) -> None:
    """The legacy form has five pickles; each is read with the same care."""
    whole = (GOLDEN / "tiny_legacy.pth").read_bytes()
    bad = b"\x80\x02" + malicious(str(tmp_path / MARKER))["reduce"][1] + b"."
    stream, starts = io.BytesIO(whole), [0]
    for _ in range(3):  # the magic number, the version, the machine; the fourth is the data
        pickle.load(stream)
        starts.append(stream.tell())
    for start in starts:
        (tmp_path / "file.pth").write_bytes(whole[:start] + bad + whole[start:])
        with pytest.raises(EdgekitError, match="system"):
            read_checkpoint(tmp_path / "file.pth")
    assert not (tmp_path / MARKER).exists()


def test_allowed_names_stay_inert(tmp_path: Path) -> None:
    """Even what is allowed is not called: a state dict beside these is read, and no file is opened and no array made."""
    huge = global_("numpy.ndarray") + numbers(1 << 40) + b"\x85R"
    endless = global_("builtins.list") + global_("builtins.int") + b"\x85R"
    pickled = dictionary(huge=huge, endless=endless, model=dictionary(w=tensor((1,), (1,), 1)))
    assert list(read_arrays(archive(tmp_path / "file.pth", pickled, {"0": floats(1)}))) == ["w"]


# --- sizes that lie ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "lie",
    [
        tensor((3,), (1,), 2),  # longer than its storage
        tensor((2,), (1,), 2, offset=1),
        tensor((2,), (5,), 2),
        tensor((2,), (1,), 1 << 39),  # a storage that claims more than the file has
        tensor((2,), (-1,), 2),
        tensor((-2,), (1,), 2),
        tensor((2,), (1,), 2, offset=-1),
        tensor((1 << 60,), (0,), 2),
        tensor((1 << 20, 1 << 20), (0, 0), 2),  # every value the same one, 4 TiB of them
        tensor((2, 1), (1,), 2),
        tensor((1,) * 40, (1,) * 40, 2),
        tensor((2,), (1,), 2, key="1"),
        tensor((2,), (1,), 2, key="../../data.pkl"),
        tensor((2,), (1,), 2, storage="torch.LongStorage"),
    ],
)
def test_tensor_that_is_not_within_its_storage(lie: bytes, tmp_path: Path) -> None:
    path = archive(tmp_path / "file.pth", dictionary(w=lie), {"0": floats(1, 2)})
    tracemalloc.start()
    with pytest.raises(EdgekitError):
        read_checkpoint(path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "file.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("name/data.pkl", b"\x80\x02" + dictionary(w=tensor((1,), (1,), 1 << 24)) + b".")
        file.writestr("name/data/0", bytes(1 << 26))
    with pytest.raises(EdgekitError, match="compressed"):
        read_checkpoint(path)


def test_pickle_that_takes_too_long(tmp_path: Path) -> None:
    nested = b"]" * (OPCODES_MAX - 10) + b"0" * (OPCODES_MAX - 20)
    with pytest.raises(EdgekitError, match="steps"):
        read_checkpoint(archive(tmp_path / "long.pth", nested))


def test_structures_that_blow_up_when_walked(tmp_path: Path) -> None:
    """A tuple of a tuple twice, 60 deep, takes 2**60 steps to hash, compare or print; a deep list overflows what recurs."""
    doubling = b")" + b"2\x86" * 60
    deep = b"]" * 50_000 + b"a" * 49_999
    loop = b"]q\x01h\x01a"
    pickled = dictionary(a=doubling, b=deep, c=loop, model=dictionary(w=tensor((1,), (1,), 1))) + b"(" + doubling + b"Nu"
    assert list(read_arrays(archive(tmp_path / "file.pth", pickled, {"0": floats(1)}))) == ["w"]
    with pytest.raises(EdgekitError, match="holds no tensors"):
        read_checkpoint(archive(tmp_path / "file.pth", doubling))


# --- broken files -----------------------------------------------------------------------------------------------------------------


def only_edgekit_error(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with contextlib.suppress(EdgekitError):
        read_checkpoint(path)


@pytest.mark.parametrize("name", [*TORCH_FILES, "tiny_state_dict.npz", "tiny.safetensors"])
@given(data=st.data())
@settings(max_examples=60)
def test_cut_and_changed_files(name: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    whole = safetensors(EXPECTED) if name == "tiny.safetensors" else (GOLDEN / name).read_bytes()
    content = bytearray(whole[: data.draw(st.integers(0, len(whole)), "length")] if data.draw(st.booleans(), "cut") else whole)
    for place, value in data.draw(st.dictionaries(st.integers(0, max(len(content) - 1, 0)), st.integers(0, 255), max_size=4)).items():
        content[place : place + 1] = bytes([value])
    only_edgekit_error(folder / name, bytes(content))


@pytest.mark.parametrize("name", TORCH_FILES)
def test_every_cut_is_refused(name: str, tmp_path: Path) -> None:
    whole = (GOLDEN / name).read_bytes()
    for length in range(0, len(whole) - 1, 97):
        (tmp_path / name).write_bytes(whole[:length])
        with pytest.raises(EdgekitError, match=f"{name}' is"):
            read_checkpoint(tmp_path / name)


@given(pickled=st.binary(max_size=300))
@settings(max_examples=200)
def test_random_opcodes(pickled: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = archive(tmp_path_factory.getbasetemp() / "random.pth", pickled)
    only_edgekit_error(path, path.read_bytes())


@given(
    pieces=st.lists(st.sampled_from([bytes([code]) for code in b"(012)]}tlduasebQR\x81\x85\x86\x87\x88\x89\x8f\x90\x91\x94N"]), max_size=40)
)
@settings(max_examples=200)
def test_opcodes_in_any_order(pieces: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    path = archive(tmp_path_factory.getbasetemp() / "shuffled.pth", b"".join(pieces))
    only_edgekit_error(path, path.read_bytes())


def test_empty_random_absent_and_other_files(rng: np.random.Generator, tmp_path: Path) -> None:
    for name, content in {"empty.pth": b"", "random.pth": rng.bytes(5000), "text.npz": b"no weights", "cut.safetensors": b"\x05"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(EdgekitError, match=f"{name}' is not a whole file of weights"):
            read_checkpoint(tmp_path / name)
    with pytest.raises(EdgekitError, match="no file"):
        read_checkpoint(tmp_path / "absent.pth")
    with pytest.raises(EdgekitError, match="is not a file"):
        read_checkpoint(tmp_path)
    with pytest.raises(EdgekitError, match="holds no tensors"):
        read_checkpoint(archive(tmp_path / "nothing.pth", dictionary(epoch=integer(1))))


# --- safetensors and npz ----------------------------------------------------------------------------------------------------------


def test_safetensors(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6, dtype="<f2").reshape(2, 3), "b": np.array(5, "<i8"), "c": np.array([0x3FC0, 0xC000], "<u2")}
    (tmp_path / "file.safetensors").write_bytes(safetensors(arrays, {"c": "BF16"}))
    found = read_arrays(tmp_path / "file.safetensors")
    np.testing.assert_array_equal(found["a"], arrays["a"])
    assert found["b"].shape == () and found["b"] == 5
    np.testing.assert_array_equal(found["c"], np.array([1.5, -2.0], np.float32))  # the upper halves of their float32


def with_header(change: Callable[[dict[str, Any]], Any]) -> bytes:
    whole = safetensors({"w": np.ones(4, np.float32)})
    length = struct.unpack("<Q", whole[:8])[0]
    header = json.loads(whole[8 : 8 + length])
    change(header)
    packed = json.dumps(header).encode()
    return struct.pack("<Q", len(packed)) + packed + whole[8 + length :]


@pytest.mark.parametrize(
    "content",
    [
        with_header(lambda header: header["w"].update(data_offsets=[0, 32])),
        with_header(lambda header: header["w"].update(data_offsets=[16, 0])),
        with_header(lambda header: header["w"].update(shape=[1 << 62, 1 << 62])),
        with_header(lambda header: header["w"].update(shape=[-4])),
        with_header(lambda header: header["w"].update(shape=[True, 4])),
        with_header(lambda header: header["w"].update(shape="4")),
        with_header(lambda header: header["w"].update(dtype="F8_E4M3")),
        with_header(lambda header: header.update(w=[])),
        struct.pack("<Q", 1 << 62) + b"{",
        struct.pack("<Q", 100_000) + b"{" + b'"a":[' * 20_000,
        struct.pack("<Q", 40_000) + b"[" * 40_000,
    ],
)  # fmt: skip
def test_lying_safetensors(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "file.safetensors").write_bytes(content)
    with pytest.raises(EdgekitError, match=r"file\.safetensors' is"):
        read_checkpoint(tmp_path / "file.safetensors")


def test_npz_of_python_objects_and_bombs(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", w=np.array([Reduces(print, "ran")], object))
    with pytest.raises(EdgekitError, match="not plain numbers"):
        read_checkpoint(tmp_path / "objects.npz")
    header = (
        b"\x93NUMPY\x01\x00"
        + struct.pack("<H", 70)
        + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999,), }".ljust(69)
        + b"\n"
    )
    with zipfile.ZipFile(tmp_path / "bomb.npz", "w") as file:
        file.writestr("w.npy", header + bytes(64))
    with pytest.raises(EdgekitError, match="not as long as it says"):
        read_checkpoint(tmp_path / "bomb.npz")


def test_npz_keeps_layout_and_compression(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float64).reshape(2, 3)
    np.savez_compressed(tmp_path / "file.npz", a=values, b=np.asfortranarray(values))
    for array in read_arrays(tmp_path / "file.npz").values():
        np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize("name", ["tiny_state_dict.pth", "tiny_legacy.pth", "tiny_state_dict.npz"])
def test_told_apart_by_content(name: str, tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes((GOLDEN / name).read_bytes())
    assert is_checkpoint(tmp_path / "weights")
    assert not is_checkpoint(tmp_path / "absent.h5") and is_checkpoint(tmp_path / "absent.pth")
    assert list(read_arrays(tmp_path / "weights")) == list(EXPECTED)
